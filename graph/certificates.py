"""Checks of certificate files, since MSAL has one error for a wrong password and a broken file."""

import re

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import load_pem_private_key, pkcs12

_BLOCK = re.compile(rb"-----BEGIN ([A-Z0-9 ]+)-----.*?-----END \1-----", re.DOTALL)


def is_pem(content: bytes) -> bool:
    return content.lstrip().startswith(b"-----BEGIN")


def what_is_wrong(content: bytes, password: str | None) -> str | None:
    """Why a certificate file is unusable, with a remedy; None if it is usable."""
    secret = None if password is None else password.encode()
    return _in_pem(content, secret) if is_pem(content) else _in_pfx(content, secret)


def _in_pem(content: bytes, password: bytes | None) -> str | None:
    blocks = [(block[1], block[0]) for block in _BLOCK.finditer(content)]
    key = next((block for label, block in blocks if label.endswith(b"PRIVATE KEY")), None)
    certificate = next((block for label, block in blocks if label == b"CERTIFICATE"), None)
    if key is None or certificate is None:
        missing = "private key" if key is None else "certificate"
        return f"holds no {missing}; it needs the certificate and its key in one file"
    try:
        x509.load_pem_x509_certificate(certificate)
    except ValueError:
        return "is broken: its certificate cannot be read; write the file anew"
    try:
        load_pem_private_key(key, password)
    except TypeError:
        return _password_missing(password)
    except (ValueError, UnsupportedAlgorithm):
        if password is not None:
            return "does not open with the password of certificate_password_env: that is wrong, or the key is broken"
        return "is broken: its private key cannot be read; write the file anew"
    return None


def _in_pfx(content: bytes, password: bytes | None) -> str | None:
    if not _is_whole_sequence(content):
        return "is broken: it is neither PEM nor a whole PFX; write the file anew"
    try:
        key, certificate, _ = pkcs12.load_key_and_certificates(content, password)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        if password is None:
            return "is locked with a password; name the variable that holds it in certificate_password_env"
        return "does not open with the password of certificate_password_env: that is wrong, or the file is broken"
    if key is None or certificate is None:
        return "lacks the private key or the certificate; export both"
    return None


def _password_missing(password: bytes | None) -> str:
    if password is None:
        return "is locked with a password; name the variable that holds it in certificate_password_env"
    return "needs no password; take certificate_password_env out"


def _is_whole_sequence(content: bytes) -> bool:
    """Whether the file is one whole ASN.1 sequence (X.690 §8.1), as an unbroken PFX is."""
    if len(content) < 4 or content[0] != 0x30:
        return False
    if content[1] < 0x80:
        return len(content) == 2 + content[1]
    octets = content[1] & 0x7F
    if octets == 0:
        return True
    return len(content) == 2 + octets + int.from_bytes(content[2 : 2 + octets], "big")
