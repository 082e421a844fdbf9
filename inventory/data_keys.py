"""Keys of sensitive values: each tenant's data key, wrapped by the operator's key (envelope encryption).

A data key never changes, so marks stay when the operator's key is rotated.
"""

import base64
import binascii
import hashlib
import re
from enum import StrEnum
from typing import NamedTuple

from inventory.user_errors import UserError

KEY_BYTES = 32

_LEAST_DISTINCT_BYTES = 16
"""One random key in 10^16 has fewer distinct bytes; words and patterns mostly have."""

_HEX = re.compile(r"[0-9a-fA-F]{64}", re.ASCII)


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
