import hashlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from inventory.selection import Selection, UnknownTypeKeysError, select

KEYS = [f"type{letter}" for letter in "ABCDEFGH"]
key_sets = st.sets(st.sampled_from(KEYS), min_size=1)
option_values = st.one_of(
    st.booleans(),
    st.integers(-100, 100),
    st.text(max_size=5),
    st.sets(st.text(max_size=3)).map(lambda s: tuple(sorted(s))),
)
options = st.dictionaries(st.sampled_from(["deep", "limit", "tags"]), option_values)


@given(key_sets, options, st.data())
def test_hash_ignores_order_and_repetition(
    keys: set[str], chosen: dict[str, bool | int | str | tuple[str, ...]], data: st.DataObject
) -> None:
    shuffled = data.draw(st.permutations(sorted(keys) + data.draw(st.lists(st.sampled_from(sorted(keys))))))
    reordered = {name: chosen[name] for name in data.draw(st.permutations(sorted(chosen)))}
    repeated = {
        name: tuple(data.draw(st.permutations(value + value))) if isinstance(value, tuple) else value
        for name, value in reordered.items()
    }
    assert (
        Selection(type_keys=tuple(shuffled), options=repeated).hash()
        == Selection(type_keys=tuple(sorted(keys)), options=chosen).hash()
    )


@given(key_sets, options, key_sets, options)
def test_hash_differs_for_every_different_selection(
    keys: set[str],
    chosen: dict[str, bool | int | str | tuple[str, ...]],
    other_keys: set[str],
    other_chosen: dict[str, bool | int | str | tuple[str, ...]],
) -> None:
    def typed(values: dict[str, bool | int | str | tuple[str, ...]]) -> dict[str, tuple[type, object]]:
        return {name: (type(value), value) for name, value in values.items()}

    selection = Selection(type_keys=tuple(keys), options=chosen)
    other_selection = Selection(type_keys=tuple(other_keys), options=other_chosen)
    same = keys == other_keys and typed(chosen) == typed(other_chosen)
    assert (selection.hash() == other_selection.hash()) is same


def test_the_hash_is_sha256_over_rfc_8785() -> None:
    """Fixed for ever: scripts and workflow ids hold such hashes."""
    selection = Selection(type_keys=("groups", "deviceConfigurations"))
    canonical = '{"options":{},"type_keys":["deviceConfigurations","groups"]}'
    assert selection.canonical_json().decode() == canonical
    assert selection.hash() == hashlib.sha256(canonical.encode()).hexdigest()


def test_the_canonical_form_round_trips() -> None:
    selection = Selection(type_keys=("b", "a"), options={"tags": ("y", "x")})
    assert Selection.model_validate(json.loads(selection.canonical_json())) == selection
    assert Selection.model_validate_json(selection.model_dump_json()) == selection


def test_unknown_type_keys_are_refused_by_name() -> None:
    with pytest.raises(UnknownTypeKeysError, match=r"'grops' \(did you mean 'groups'\?\), 'zzz'"):
        select(["groups", "zzz", "grops"], collections=["groups", "organization"])


@pytest.mark.parametrize("keys", [(), ("",), ("has space",), ("1leading",)])
def test_an_empty_selection_or_invalid_type_key_is_refused(keys: tuple[str, ...]) -> None:
    with pytest.raises(ValidationError):
        Selection(type_keys=keys)
