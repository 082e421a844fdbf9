import json
import math
from decimal import Decimal
from typing import Any

import orjson
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from inventory.canonical import Canonicalizer
from inventory.exact_json import decode, encode
from tests.conftest import needs_graph_data
from tests.entry_tests import of_each
from tests.real_documents import real_documents

whole_numbers = st.integers(-(10**40), 10**40).map(str)
decimals = st.decimals(allow_nan=False, allow_infinity=False, places=None).map(str)
fixed = st.decimals(-(10**12), 10**12, places=12).map(lambda number: format(number, "f"))
doubles = st.floats(allow_nan=False, allow_infinity=False).map(repr)
powers = st.tuples(st.integers(1, 999), st.integers(-400, 400)).map(lambda both: f"{both[0]}e{both[1]}")
numbers = st.one_of(whole_numbers, decimals, fixed, doubles, powers)

LISTED = [
    "0", "-0.0", "1.10", "0.1", "0.30000000000000004", "9007199254740993", "9007199254740993.0", "9223372036854775807",
    "-9223372036854775808", "-9223372036854775809", "18446744073709551615", "18446744073709551616", "1e400", "-1e400",
    "1e-400", "5e-324", "1.7976931348623157e308", "79228162514264337593543950335", "0.0000000000000000000000000001",
    "12345678901234567.89", "0.10000000000000001", "9573.993547883293", "1E+22",
]  # fmt: skip


def number_in(text: bytes) -> Decimal:
    value: Decimal = json.loads(text, parse_float=Decimal, parse_int=Decimal)["number"]
    return value


@of_each({digits: digits for digits in LISTED})
def test_canonical_form_keeps_a_number_exactly(digits: str) -> None:
    for layout in ('{{"number":{}}}', '{{"number": {}\n}}'):
        text = layout.format(digits).encode()
        canonical = Canonicalizer().canonical(read(text))
        assert number_in(canonical) == number_in(text)
        assert Canonicalizer().canonical(read(canonical)) == canonical


@given(numbers)
@example("1e-310")
def test_every_number_round_trips_exactly(digits: str) -> None:
    text = f'{{"number":{digits}}}'.encode()
    written = encode(decode(text))
    assert number_in(written) == number_in(text)
    assert encode(decode(written)) == written


@pytest.mark.parametrize("digits", ["12345678901234567", "-12345678901234567.8", "1.5e-400", f"1e-{'0' * 90}400"])
def test_a_number_far_into_a_long_text_round_trips_exactly(digits: str) -> None:
    for spaces in range(64 * 1024 - 110, 64 * 1024 + 2):
        text = b'{"number":' + b" " * (spaces - 10) + digits.encode() + b"}"
        assert number_in(encode(decode(text))) == Decimal(digits), spaces


@given(st.lists(numbers, max_size=5))
def test_numbers_in_lists_round_trip_exactly(digits: list[str]) -> None:
    text = f"[{','.join(digits)}]".encode()
    exact = {"parse_float": Decimal, "parse_int": Decimal}
    assert json.loads(encode(decode(text)), **exact) == json.loads(text, **exact)  # type: ignore[arg-type]


def test_negative_zero_stays_negative() -> None:
    zero = read(b'{"number":-0.0}')["number"]
    assert isinstance(zero, float)
    assert math.copysign(1, zero) == -1
    assert encode(zero) == b"-0.0"


@given(
    st.recursive(
        st.none() | st.booleans() | st.text(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)
    )
)
def test_json_without_numbers_is_decoded_unchanged(value: Any) -> None:
    text = orjson.dumps(value)
    assert decode(text) == value
    assert decode(bytearray(text)) == value


@pytest.mark.parametrize(
    "digits", [2**64, -(2**63) - 1, 10**5000 // 10**4900], ids=["2^64", "below -2^63", "101 digits"]
)
def test_integers_beyond_64_bits_are_encoded(digits: int) -> None:
    assert encode({"a": [digits, True]}) == f'{{"a":[{digits},true]}}'.encode()


@pytest.mark.parametrize("text", [b"NaN", b"[Infinity]", b"{", b"", b'{"a":1e99999999999999999999}', b"\xff"])
def test_invalid_json_is_refused(text: bytes) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - any of its kinds
        decode(text)


def test_a_lone_surrogate_is_decoded_and_never_encoded() -> None:
    value = decode(rb'{"a":"\ud800"}')
    assert value == {"a": "\ud800"}
    with pytest.raises(UnicodeEncodeError):
        encode(value)


@needs_graph_data
def test_real_documents_are_decoded_unchanged() -> None:
    for _, document in real_documents():
        assert decode(orjson.dumps(document)) == document


def read(text: bytes) -> dict[str, Any]:
    value = decode(text)
    assert isinstance(value, dict)
    return value
