"""Keys of sensitive values: each tenant's data key, wrapped by the operator's key (envelope encryption).

A data key never changes, so marks stay when the operator's key is rotated.
"""

import base64
import binascii
import hashlib
import os
import re
from enum import StrEnum
from typing import NamedTuple
from uuid import UUID

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from inventory.user_errors import UserError

KEY_BYTES = 32

_LEAST_DISTINCT_BYTES = 16
"""One random key in 10^16 has fewer distinct bytes; words and patterns mostly have."""

_HEX = re.compile(r"[0-9a-fA-F]{64}", re.ASCII)
_NONCE_BYTES = 12
_FINGERPRINT_BYTES = 8


class DataKeyError(UserError):
    """The operator's keys do not open a tenant's data key."""


class DataKeyKind(StrEnum):
    TENANT = "tenant"
    SHARED = "shared"
    """The common key of tenants that were first read as comparable ones."""
    LEGACY = "legacy"
    """The operator's key itself, of a tenant read before release 0.4."""


class DataKey(NamedTuple):
    """Marks of one `key_id` can be compared. A legacy key has no id."""

    secret: bytes
    key_id: str = ""

    @classmethod
    def of(cls, secret: bytes, kind: DataKeyKind) -> "DataKey":
        """The id is the beginning of a hash of the secret."""
        if kind is DataKeyKind.LEGACY:
            return cls(secret)
        return cls(secret, hashlib.sha256(b"tenant-inventory data key" + secret).hexdigest()[:8])


def key_bytes(text: str) -> bytes | None:
    """Reads 32 random bytes in hexadecimal or Base64; None for another text."""
    try:
        key = bytes.fromhex(text) if _HEX.fullmatch(text) else base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return None
    return key if len(key) == KEY_BYTES and len(set(key)) >= _LEAST_DISTINCT_BYTES else None


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
        fingerprint, rest = wrapped[:_FINGERPRINT_BYTES], wrapped[_FINGERPRINT_BYTES:]
        key = self._keys.get(fingerprint)
        if key is None:
            raise DataKeyError(
                "SENSITIVE_FIELDS_KEY is not the key under which this tenant was read;"
                " set that one as SENSITIVE_FIELDS_KEY_PREVIOUS (docs/secrets.md)"
            )
        try:
            return AESGCM(key).decrypt(rest[:_NONCE_BYTES], rest[_NONCE_BYTES:], tenant_id.bytes)
        except (InvalidTag, ValueError):
            raise DataKeyError(
                "the tenant's data key in the database is damaged; restore the column tenant.data_key from a backup"
            ) from None

    def is_current(self, wrapped: bytes) -> bool:
        return wrapped[:_FINGERPRINT_BYTES] == _fingerprint(self._current)


def _fingerprint(key: bytes) -> bytes:
    return hashlib.sha256(b"tenant-inventory wrapping key" + key).digest()[:_FINGERPRINT_BYTES]
