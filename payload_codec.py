"""Encryption of payloads in Temporal: the first key encrypts, any key decrypts. A payload names its key."""

import hashlib
import os
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from google.protobuf.message import DecodeError
from temporalio.api.common.v1 import Payload
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.converter import DataConverter, DefaultFailureConverterWithEncodedAttributes, PayloadCodec

from inventory.user_errors import UserError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

ENCODING = b"binary/encrypted"
"""The name in Temporal's samples; Temporal Web shows such payloads as encrypted."""

KEY_ID = "encryption-key-id"

_NONCE_BYTES = 12


class PayloadKeyError(UserError):
    """The process lacks the payload's key, or the payload is damaged."""


class EncryptionCodec(PayloadCodec):
    """AES-256-GCM of whole payloads."""

    def __init__(self, keys: Sequence[bytes]) -> None:
        """Keys have 32 bytes; without any, payloads go in clear."""
        self._ciphers = {key_id(key): _cipher(key) for key in keys}
        self._newest = key_id(keys[0]) if keys else None

    async def encode(self, payloads: Sequence[Payload]) -> list[Payload]:
        return [self._encrypted(payload) for payload in payloads]

    async def decode(self, payloads: Sequence[Payload]) -> list[Payload]:
        """Clear payloads pass unchanged. Raises `PayloadKeyError`."""
        return [self._decrypted(payload) for payload in payloads]

    def _encrypted(self, payload: Payload) -> Payload:
        if self._newest is None:
            return payload
        nonce = os.urandom(_NONCE_BYTES)
        sealed = self._ciphers[self._newest].encrypt(nonce, payload.SerializeToString(), _bound_to(self._newest))
        return Payload(metadata={"encoding": ENCODING, KEY_ID: self._newest}, data=nonce + sealed)

    def _decrypted(self, payload: Payload) -> Payload:
        if payload.metadata.get("encoding") != ENCODING:
            return payload
        named = payload.metadata.get(KEY_ID, b"")
        cipher = self._ciphers.get(named)
        if cipher is None:
            raise PayloadKeyError(
                f"a payload in Temporal is encrypted under the key {named.decode(errors='replace')!r:.40}, which"
                " PAYLOAD_KEYS of this process does not hold; give it the keys that all workers have (docs/secrets.md)"
            )
        from cryptography.exceptions import InvalidTag  # loaded with the cipher

        nonce, sealed = payload.data[:_NONCE_BYTES], payload.data[_NONCE_BYTES:]
        try:
            return Payload.FromString(cipher.decrypt(nonce, sealed, _bound_to(named)))
        except (InvalidTag, ValueError, DecodeError):
            raise PayloadKeyError(
                "a payload in Temporal does not open under the key that it names: somebody has changed it"
            ) from None


def data_converter(keys: Sequence[bytes] = ()) -> DataConverter:
    """Keys also encrypt the messages and stack traces of failures."""
    converter = replace(pydantic_data_converter, payload_codec=EncryptionCodec(keys))
    if not keys:
        return converter
    return replace(converter, failure_converter_class=DefaultFailureConverterWithEncodedAttributes)


def _cipher(key: bytes) -> "AESGCM":
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM  # commands without PAYLOAD_KEYS do not need it

    return AESGCM(key)


def key_id(key: bytes) -> bytes:
    """The key's public name."""
    return hashlib.sha256(b"tenant-inventory payload key" + key).hexdigest()[:16].encode()


def _bound_to(named: bytes) -> bytes:
    return b"tenant-inventory payload " + named
