"""The operator's keys, which wrap tenants' data keys."""

import hashlib
import os
from uuid import UUID

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from inventory.data_keys import KEY_BYTES, DataKeyError, DataKeyKind, key_bytes

_NONCE_BYTES = 12
_FINGERPRINT_BYTES = 8


class WrappingKeys:
    """The operator's key, and the one before while data keys are wrapped by it.

    `previous` may be any text: a key before 0.4 wraps nothing, and is the data key of the tenants read under it.
    """

    def __init__(self, current: str, previous: str | None = None) -> None:
        key = key_bytes(current)
        if key is None:
            raise ValueError("SENSITIVE_FIELDS_KEY is no key of 32 bytes")
        self._keys = {_fingerprint(key): key}
        self._current = key
        self._legacy_secret = (current if previous is None else previous).encode()
        earlier = None if previous is None else key_bytes(previous)
        if earlier is not None:
            self._keys.setdefault(_fingerprint(earlier), earlier)

    def new_secret(self, kind: DataKeyKind) -> bytes:
        """Derives a shared secret from the operator's key, so that two workers make the same."""
        if kind is DataKeyKind.LEGACY:
            return self._legacy_secret
        if kind is DataKeyKind.SHARED:
            return HKDF(SHA256(), KEY_BYTES, salt=None, info=b"tenant-inventory shared data key").derive(self._current)
        return os.urandom(KEY_BYTES)

    def wrap(self, secret: bytes, tenant_id: UUID) -> bytes:
        """The wrapping key's fingerprint, the nonce and the ciphertext."""
        nonce = os.urandom(_NONCE_BYTES)
        return _fingerprint(self._current) + nonce + AESGCM(self._current).encrypt(nonce, secret, tenant_id.bytes)

    def unwrap(self, wrapped: bytes, tenant_id: UUID) -> bytes:
        """Raises `DataKeyError` if neither of the operator's keys opens it."""
        fingerprint, sealed = wrapped[:_FINGERPRINT_BYTES], wrapped[_FINGERPRINT_BYTES:]
        key = self._keys.get(fingerprint)
        if key is None:
            raise DataKeyError(
                "SENSITIVE_FIELDS_KEY is not the key under which this tenant was read;"
                " set that one as SENSITIVE_FIELDS_KEY_PREVIOUS (docs/secrets.md)"
            )
        try:
            return AESGCM(key).decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], tenant_id.bytes)
        except (InvalidTag, ValueError):
            raise DataKeyError(
                "the tenant's data key in the database is damaged; restore the column tenant.data_key from a backup"
            ) from None

    def is_current(self, wrapped: bytes) -> bool:
        return wrapped[:_FINGERPRINT_BYTES] == _fingerprint(self._current)


def _fingerprint(key: bytes) -> bytes:
    return hashlib.sha256(b"tenant-inventory wrapping key" + key).digest()[:_FINGERPRINT_BYTES]
