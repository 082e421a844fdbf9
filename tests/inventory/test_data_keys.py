"""Wrapped data keys, and the tenants and keys that open them."""

import base64
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inventory.canonical import Canonicalizer, is_mark
from inventory.data_keys import DataKey, DataKeyError, DataKeyKind, key_bytes
from inventory.differences import differences, exact_differences
from inventory.wrapping_keys import WrappingKeys

OLD, NEW = bytes(range(32)).hex(), base64.b64encode(bytes(range(7, 39))).decode()
TENANT, OTHER = UUID(int=1), UUID(int=2)


@pytest.mark.parametrize("text", [OLD, OLD.upper(), NEW])
def test_32_random_bytes_are_a_key(text: str) -> None:
    assert len(key_bytes(text) or b"") == 32


@pytest.mark.parametrize(
    "text",
    ["", "a", "the key of a test", "a" * 64, OLD[:-2], OLD + "00", NEW[:-4], NEW + " ", "0123456789abcdef" * 4],
)
def test_words_and_patterns_are_no_keys(text: str) -> None:
    assert key_bytes(text) is None


@given(st.binary(min_size=1, max_size=100), st.uuids())
def test_a_wrapped_key_is_unwrapped_for_its_tenant(secret: bytes, tenant_id: UUID) -> None:
    keys = WrappingKeys(OLD)
    wrapped = keys.wrap(secret, tenant_id)
    assert keys.unwrap(wrapped, tenant_id) == secret
    assert WrappingKeys(NEW, OLD).unwrap(wrapped, tenant_id) == secret
    assert (WrappingKeys(NEW, OLD).is_current(wrapped), keys.is_current(wrapped)) == (False, True)
    assert len(secret) < 8 or secret not in wrapped


def test_a_wrapped_key_opens_for_no_other_tenant_or_key() -> None:
    wrapped = WrappingKeys(OLD).wrap(b"secret", TENANT)
    with pytest.raises(DataKeyError, match="damaged"):
        WrappingKeys(OLD).unwrap(wrapped, OTHER)
    with pytest.raises(DataKeyError, match="SENSITIVE_FIELDS_KEY_PREVIOUS"):
        WrappingKeys(NEW).unwrap(wrapped, TENANT)
    with pytest.raises(DataKeyError, match="damaged"):
        WrappingKeys(OLD).unwrap(wrapped[:-1] + bytes([wrapped[-1] ^ 1]), TENANT)
    with pytest.raises(DataKeyError):
        WrappingKeys(OLD).unwrap(b"", TENANT)


def test_a_legacy_key_is_the_text_that_earlier_releases_used() -> None:
    assert WrappingKeys(OLD).new_secret(DataKeyKind.LEGACY) == OLD.encode()
    assert WrappingKeys(NEW, "a").new_secret(DataKeyKind.LEGACY) == b"a"


def test_each_tenant_has_its_own_key_unless_keys_are_shared() -> None:
    keys = WrappingKeys(OLD)
    assert keys.new_secret(DataKeyKind.TENANT) != keys.new_secret(DataKeyKind.TENANT)
    assert keys.new_secret(DataKeyKind.SHARED) == WrappingKeys(OLD, NEW).new_secret(DataKeyKind.SHARED)
    assert keys.new_secret(DataKeyKind.SHARED) != WrappingKeys(NEW).new_secret(DataKeyKind.SHARED)


def test_marks_under_different_keys_cannot_be_compared() -> None:
    plain = Canonicalizer(sensitive=frozenset({"psk"}))
    keys = [DataKey.of(uuid4().bytes * 2, DataKeyKind.TENANT) for _ in range(2)] + [DataKey(b"legacy")]
    marked = [plain.under(key).canonical_value({"psk": "hunter2"}) for key in keys]
    assert all(is_mark(document["psk"]) for document in marked)
    for here in marked:
        for there in marked:
            if here is not there:
                (difference,) = differences(here, there)
                assert (difference.hidden, difference.untold) == (True, True)
    other = plain.under(keys[0]).canonical_value({"psk": "hunter3"})
    assert [entry.untold for entry in exact_differences(marked[0], other)] == [False]
