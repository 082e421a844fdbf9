"""Payloads of Temporal under a ring of keys."""

import os

import pytest
from temporalio.api.common.v1 import Payload
from temporalio.api.failure.v1 import Failure
from temporalio.exceptions import ApplicationError

from payload_codec import ENCODING, KEY_ID, EncryptionCodec, PayloadKeyError, data_converter, key_id

OLD, NEW = os.urandom(32), os.urandom(32)
PLAIN = Payload(metadata={"encoding": b"json/plain"}, data=b'{"tenant": "contoso"}')


async def test_encrypted_payloads_are_unreadable_and_decrypt_unchanged() -> None:
    codec = EncryptionCodec([NEW])
    (sealed,) = await codec.encode([PLAIN])
    assert sealed.metadata["encoding"] == ENCODING
    assert b"contoso" not in sealed.SerializeToString()
    assert b"json/plain" not in sealed.SerializeToString()
    assert await codec.decode([sealed]) == [PLAIN]
    assert await codec.encode([PLAIN]) != [sealed], "each has a nonce of its own"


async def test_the_first_key_encrypts_and_every_key_decrypts() -> None:
    before = await EncryptionCodec([OLD]).encode([PLAIN])
    ready = EncryptionCodec([OLD, NEW])
    rotated = EncryptionCodec([NEW, OLD])
    after = await rotated.encode([PLAIN])
    assert [payload.metadata[KEY_ID] for payload in (*before, *after)] == [key_id(OLD), key_id(NEW)]
    for codec in (ready, rotated):
        assert await codec.decode([*before, *after]) == [PLAIN, PLAIN]


async def test_the_error_for_a_missing_key_names_the_setting() -> None:
    sealed = await EncryptionCodec([OLD]).encode([PLAIN])
    for keys in ([NEW], []):
        with pytest.raises(PayloadKeyError, match=f"{key_id(OLD).decode()}.*PAYLOAD_KEYS") as caught:
            await EncryptionCodec(keys).decode(sealed)
        assert "\n" not in str(caught.value)


async def test_a_payload_with_another_key_id_or_content_is_refused() -> None:
    codec = EncryptionCodec([NEW, OLD])
    (sealed,) = await codec.encode([PLAIN])
    renamed = Payload(metadata={**sealed.metadata, KEY_ID: key_id(OLD)}, data=sealed.data)
    changed = Payload(metadata=sealed.metadata, data=sealed.data[:-1] + bytes([sealed.data[-1] ^ 1]))
    short = Payload(metadata=sealed.metadata, data=sealed.data[:5])
    for damaged in (renamed, changed, short):
        with pytest.raises(PayloadKeyError, match="somebody has changed it"):
            await codec.decode([damaged])


async def test_the_key_id_is_bound_to_the_ciphertext() -> None:
    """One key under two names: only the associated data tell them apart."""
    codec = EncryptionCodec([NEW])
    (sealed,) = await codec.encode([PLAIN])
    alias = b"another name"
    codec._ciphers[alias] = codec._ciphers[key_id(NEW)]
    with pytest.raises(PayloadKeyError, match="somebody has changed it"):
        await codec.decode([Payload(metadata={**sealed.metadata, KEY_ID: alias}, data=sealed.data)])


async def test_payloads_without_keys_are_plain_and_stay_readable_with_keys() -> None:
    assert await EncryptionCodec([]).encode([PLAIN]) == [PLAIN]
    assert await EncryptionCodec([NEW]).decode([PLAIN]) == [PLAIN]


async def test_a_failure_has_an_encrypted_message_and_a_readable_type() -> None:
    converter = data_converter([NEW])
    failure = Failure()
    error = ApplicationError("contoso is away", "contoso's details", type="graph_unavailable")
    await converter.encode_failure(error, failure)
    assert b"contoso" not in failure.SerializeToString()
    assert failure.application_failure_info.type == "graph_unavailable"
    read = await data_converter([OLD, NEW]).decode_failure(failure)
    assert isinstance(read, ApplicationError)
    assert (read.message, *read.details) == ("contoso is away", "contoso's details")


async def test_failures_without_keys_have_readable_messages() -> None:
    failure = Failure()
    await data_converter().encode_failure(ApplicationError("away"), failure)
    assert failure.message == "away"
