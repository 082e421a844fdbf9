"""A tenant's app registration."""

import base64
import hmac
from threading import Lock

import jwt
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.hashes import SHA1, SHA256


class AssertionExpiredError(ValueError):
    """A client assertion has expired."""


class Credentials:
    """Client secrets, certificates and federated tokens. Thread-safe."""

    def __init__(self, client_id: str, client_secret: str) -> None:
        self.client_id = client_id
        self.client_secret = client_secret
        self._secrets = {client_secret}
        self._certificates: dict[str, RSAPublicKey] = {}
        self._federated_tokens: set[str] = set()
        self._lock = Lock()

    def register_certificate(self, certificate_pem: bytes) -> None:
        """Accepts client assertions signed with this RSA certificate's key."""
        certificate = x509.load_pem_x509_certificate(certificate_pem)
        public_key = certificate.public_key()
        if not isinstance(public_key, RSAPublicKey):
            raise TypeError("Entra takes certificates with RSA keys only")
        with self._lock:
            for algorithm in (SHA1(), SHA256()):  # noqa: S303 (x5t is a SHA-1 thumbprint, RFC 7515 §4.1.7)
                thumbprint = base64.urlsafe_b64encode(certificate.fingerprint(algorithm)).rstrip(b"=").decode()
                self._certificates[thumbprint] = public_key

    def register_federated_token(self, token: str) -> None:
        with self._lock:
            self._federated_tokens.add(token)

    def register_secret(self, secret: str) -> None:
        with self._lock:
            self._secrets.add(secret)

    def withdraw_secret(self, secret: str) -> None:
        with self._lock:
            self._secrets.discard(secret)

    def takes_secret(self, secret: str) -> bool:
        with self._lock:
            return any(hmac.compare_digest(secret.encode(), known.encode()) for known in self._secrets)

    def takes_assertion(self, assertion: str, token_endpoint: str) -> bool:
        """Whether the assertion proves the client. Raises `AssertionExpiredError`."""
        with self._lock:
            if assertion in self._federated_tokens:
                return True
            certificates = dict(self._certificates)
        try:
            header = jwt.get_unverified_header(assertion)
            # MSAL pads its thumbprints, which RFC 7515 has without padding.
            key = certificates.get((header.get("x5t#S256") or header.get("x5t") or "").rstrip("="))
            if key is None:
                return False
            claims = jwt.decode(
                assertion,
                key,
                algorithms=["PS256", "RS256"],
                audience=token_endpoint,
                issuer=self.client_id,
                options={"require": ["exp", "aud", "iss", "sub"]},
            )
        except jwt.ExpiredSignatureError:
            raise AssertionExpiredError from None
        except jwt.InvalidTokenError:
            return False
        return bool(claims["sub"] == self.client_id)
