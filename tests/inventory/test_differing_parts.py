"""Documents compared by the parts in which they differ."""

from typing import Any, NamedTuple

import orjson
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from answers.drift import rules
from answers.drift.rules import DriftDocument, DriftRules, deviations
from inventory.canonical import Canonicalizer
from inventory.changed_fields import Comparability, ComparedParts, changed_by, changed_in
from inventory.data_keys import DataKey
from inventory.differing_parts import differing_parts
from inventory.exact_json import decode_object
from inventory.normal_form import ArrayRules, NormalForm
from inventory.stale import StalePart

CANONICALIZER = Canonicalizer(
    volatile=frozenset({"version", "#one/forgotten"}),
    sensitive=frozenset({"#one/typed", "hidden"}),
    masked=frozenset({"#two/masked"}),
    data_key=DataKey(b"a key of this test alone"),
    by_nature=True,
)
FORM = NormalForm(ArrayRules(ordered=frozenset({"servers"}), details=frozenset({"settings"})))
HOW = Comparability(CANONICALIZER, FORM, frozenset({"settings"}), frozenset({"settings"}), frozenset({"settings"}))

texts = st.sampled_from(["a", "b", "Password", "password", "Kj3hs82hGsy2nNs7"])
scalars = st.none() | st.booleans() | st.integers(0, 1) | texts
members = st.fixed_dictionaries(
    {}, optional={"id": st.sampled_from(["1", "2"]), "name": texts, "value": scalars, "settings": scalars}
)
documents = st.fixed_dictionaries(
    {},
    optional={
        "@odata.type": st.sampled_from(["#one", "#two"]),
        "name": texts,
        "value": texts | members,
        "presentation": st.fixed_dictionaries({"label": texts}),
        "settings": st.lists(members, max_size=2),
        "settings@odata.nextLink": st.just("next"),
        "servers": st.lists(texts, max_size=2),
        **dict.fromkeys(["version", "forgotten", "typed", "hidden", "masked", "plain"], scalars),
    },
)


class Pair(NamedTuple):
    document: bytes
    document_before: bytes
    details_complete: bool
    before_complete: bool
    is_sorted: bool
    was_sorted: bool
    lacked_before: list[StalePart] | None


Pairs = tuple[dict[str, Any], dict[str, Any]]


@st.composite
def pairs(draw: st.DrawFn) -> Pairs:
    before = draw(documents)
    after = {**before, **draw(documents)}
    gone = draw(st.sets(st.sampled_from(sorted(after)), max_size=2)) if after else set[str]()
    return before, {name: value for name, value in after.items() if name not in gone}


def stored(document: dict[str, Any]) -> bytes:
    return orjson.dumps(document, option=orjson.OPT_SORT_KEYS)


four = st.tuples(st.booleans(), st.booleans(), st.booleans(), st.booleans())

SECRET = {"presentation": {"label": "Password"}, "value": "a"}, {"presentation": {"label": "Password"}, "value": "b"}
FORM_0 = {"settings": [1], "plain": {}}, {"settings": [1], "plain": {"settings": 2}}
"""The names of equal properties tell what a run of form 0 read of others."""
TYPES = {"@odata.type": "#one", "forgotten": "a"}, {"@odata.type": "#two", "forgotten": "a"}
"""The type decides which equal properties count."""


@example(SECRET, (True, True, False, False), None)
@example(FORM_0, (True, True, False, True), None)
@example(TYPES, (True, True, False, False), None)
@given(pairs(), four, st.sampled_from([None, [StalePart(detail="settings")]]))
def test_parts_that_differ_tell_all_changes(
    documents: Pairs, flags: tuple[bool, bool, bool, bool], lacked: list[StalePart] | None
) -> None:
    before, after = documents
    pair = Pair(stored(after), stored(before), *flags, lacked)
    assert changed_by(pair, HOW) == changed_in(ComparedParts(before, after), pair, HOW)


@example(SECRET, (True, False, True, False))
@example(FORM_0, (True, True, True, False))
@example(TYPES, (True, True, True, True))
@given(pairs(), four)
def test_parts_that_differ_tell_all_deviations(documents: Pairs, flags: tuple[bool, bool, bool, bool]) -> None:
    before = DriftDocument(stored(documents[0]), *flags[:2])
    after = DriftDocument(stored(documents[1]), *flags[2:])
    drift_rules = DriftRules(CANONICALIZER, FORM, HOW.asked_for, HOW.expanded)
    found = deviations(before, after, drift_rules)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(rules, "differing_parts", lambda old, new: (decode_object(old), decode_object(new)))
        assert found == deviations(before, after, drift_rules)


def test_equal_properties_are_not_read() -> None:
    before = {"displayName": "a", "settings": [{"id": "1"}], "servers": []}
    assert differing_parts(stored(before), stored({**before, "displayName": "b"})) == (
        {"displayName": "a"},
        {"displayName": "b"},
    )
