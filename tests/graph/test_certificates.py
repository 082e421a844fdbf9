"""Certificate files: each defect has its own message."""

import pytest
import trustme
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
    pkcs12,
)
from cryptography.x509 import load_pem_x509_certificate

from graph.certificates import what_is_wrong

_LEAF = trustme.CA(key_type=trustme.KeyType.RSA).issue_cert("app.example", key_type=trustme.KeyType.RSA)
CERTIFICATE = _LEAF.cert_chain_pems[0].bytes()
KEY = _LEAF.private_key_pem.bytes()


def _pem(password: str) -> bytes:
    locked = BestAvailableEncryption(password.encode())
    key = load_pem_private_key(KEY, None).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, locked)
    return key + CERTIFICATE


def _pfx(password: str | None) -> bytes:
    locked = NoEncryption() if password is None else BestAvailableEncryption(password.encode())
    key = load_pem_private_key(KEY, None)
    return pkcs12.serialize_key_and_certificates(b"app", key, load_pem_x509_certificate(CERTIFICATE), None, locked)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("content", "password"),
    [(KEY + CERTIFICATE, None), (_pem("open"), "open"), (_pfx(None), None), (_pfx("open"), "open")],
)
def test_usable_certificate_has_no_defect(content: bytes, password: str | None) -> None:
    assert what_is_wrong(content, password) is None


@pytest.mark.parametrize(
    ("content", "password", "words"),
    [
        (CERTIFICATE, None, "holds no private key"),
        (KEY, None, "holds no certificate"),
        (KEY[:300] + KEY[500:] + CERTIFICATE, None, "its private key cannot be read"),
        (KEY + CERTIFICATE[:200] + CERTIFICATE[300:], None, "its certificate cannot be read"),
        (_pem("open"), "hunter2", "does not open with the password"),
        (_pem("open"), None, "is locked with a password"),
        (KEY + CERTIFICATE, "hunter2", "needs no password"),
        (_pfx("open"), "hunter2", "does not open with the password"),
        (_pfx("open"), None, "is locked with a password"),
        (_pfx("open")[:-100], "open", "neither PEM nor a whole PFX"),
        (b"not a certificate", None, "neither PEM nor a whole PFX"),
    ],
)
def test_each_defect_has_its_message(content: bytes, password: str | None, words: str) -> None:
    message = what_is_wrong(content, password)
    assert message is not None
    assert words in message
    assert "hunter2" not in message
