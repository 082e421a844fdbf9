"""Values that are the same in normal form, and values that are not."""

import random
from decimal import Decimal
from typing import Any
from uuid import UUID

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from graph.catalog import load_catalog
from inventory.canonical import Canonicalizer
from inventory.normal_form import ArrayRules, NormalForm
from tests.conftest import needs_graph_data
from tests.inventory.document_leaves import edited, leaf_paths
from tests.real_documents import real_documents

FORM = NormalForm(ArrayRules(ordered=frozenset({"servers"}), unordered=frozenset({"ranges"})))
EMPTY: list[Any] = [None, [], {}, {"a": None}, {"a": {"b": []}}, [None], [{}]]

names = st.sampled_from(["name", "servers", "ranges", "ids", "value", "other"])
scalars = (
    st.booleans()
    | st.integers(-3, 3)
    | st.sampled_from(["", "a", "B", "2026-01-01T08:00:00Z", "6F0C8F5E-0000-4000-8000-000000000001"])
    | st.floats(allow_nan=False, allow_infinity=False)
)
with_ids = st.fixed_dictionaries({"id": st.sampled_from(["1", "2", "3"])}, optional={"level": scalars})
values = st.recursive(
    scalars | st.sampled_from(EMPTY),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=3) | st.lists(with_ids, max_size=3)
    ),
    max_leaves=10,
)
documents = st.dictionaries(names, values, max_size=5)


@given(documents)
def test_the_normal_form_of_arbitrarily_nested_values_is_idempotent(document: dict[str, Any]) -> None:
    assert FORM.of(FORM.of(document)) == FORM.of(document)


@given(documents, st.sampled_from(EMPTY), st.booleans())
def test_null_absent_and_empty_are_the_same(document: dict[str, Any], nothing: Any, nested: bool) -> None:
    document.pop("new", None)
    other = {**document, "new": nothing}
    if nested:
        document, other = {"outer": {**document, "x": 1}}, {"outer": {**other, "x": 1}}
    assert FORM.hash(document) == FORM.hash(other)
    assert FORM.hash({**document, "new": 0}) != FORM.hash(document)


@pytest.mark.parametrize("nothing", EMPTY)
def test_an_empty_list_is_a_value_if_null_means_not_shown(nothing: Any) -> None:
    form = NormalForm(ArrayRules(null_not_shown=frozenset({"assignments"})))
    is_empty_list = isinstance(nothing, list)
    assert (form.hash({"assignments": nothing}) == form.hash({"assignments": []})) is is_empty_list
    assert (form.hash({"assignments": nothing}) == form.hash({})) is not is_empty_list


@pytest.mark.parametrize("nothing", [None, []])
def test_an_empty_detail_differs_from_an_unread_detail(nothing: Any) -> None:
    form = NormalForm(ArrayRules(details=frozenset({"assignments"})))
    assert form.hash({"assignments": nothing}) != form.hash({})


@pytest.mark.parametrize(
    ("spelling", "other_spelling"),
    [
        ("2026-01-01T08:00:00Z", "2026-01-01T08:00:00.0000000Z"),
        ("2026-01-01T08:00:00Z", "2026-01-01T08:00:00+00:00"),
        ("2026-01-01T08:00:00.5Z", "2026-01-01T09:00:00.500+01:00"),
        ("2025-12-31T23:30:00-01:00", "2026-01-01T00:30:00Z"),
        ("0001-01-01T00:00:00Z", "0001-01-01T00:00:00.00Z"),
        ("08:00:00.0000000", "08:00:00.0"),
        ("6F0C8F5E-0000-4000-8000-00000000000A", "6f0c8f5e-0000-4000-8000-00000000000a"),
        (
            "6F0C8F5E-0000-4000-8000-00000000000A_6F0C8F5E-0000-4000-8000-00000000000B",
            "6f0c8f5e-0000-4000-8000-00000000000a_6f0c8f5e-0000-4000-8000-00000000000b",
        ),
        (1, 1.0),
        (Decimal("1.50"), Decimal("1.5")),
        (0.0, -0.0),
    ],
)
def test_all_spellings_of_a_value_have_the_same_hash(spelling: Any, other_spelling: Any) -> None:
    assert FORM.hash({"value": spelling}) == FORM.hash({"value": other_spelling})


@pytest.mark.parametrize(
    ("value", "other_value"),
    [
        ("2026-01-01T08:00:00Z", "2026-01-01T08:00:00"),
        ("2026-01-01T08:00:00Z", "2026-01-01T08:00:00.1Z"),
        ("0001-01-01T00:00:00+14:00", "0001-01-01T00:00:00Z"),
        ("at 2026-01-01T08:00:00Z", "at 2026-01-01T08:00:00.0Z"),
        ("Sales", "sales"),
        ("name 6F0C8F5E-0000-4000-8000-00000000000A", "name 6f0c8f5e-0000-4000-8000-00000000000a"),
        ("", None),
        (False, None),
        (0, None),
        ("1", 1),
        (True, 1),
    ],
)
def test_different_values_have_different_hashes(value: Any, other_value: Any) -> None:
    assert FORM.hash({"value": value}) != FORM.hash({"value": other_value})


def test_the_order_of_enumeration_flags_is_ignored() -> None:
    form = NormalForm(ArrayRules(enumerations=frozenset({"technologies"})))
    assert form.hash({"technologies": "mdm,microsoftSense"}) == form.hash({"technologies": "microsoftSense, mdm"})
    assert form.hash({"name": "sales,marketing"}) != form.hash({"name": "marketing,sales"})


def test_the_case_of_enumeration_members_is_ignored() -> None:
    form = NormalForm(ArrayRules(enumerations=frozenset({"runAsAccount"})))
    assert form.hash({"runAsAccount": "System"}) == form.hash({"runAsAccount": "system"})
    assert form.hash({"runAsAccount": ["System", "user"]}) == form.hash({"runAsAccount": ["user", "system"]})
    assert form.hash({"name": "System"}) != form.hash({"name": "system"})


@pytest.mark.parametrize(
    "members",
    [
        ["a", "b"],
        [1, 2],
        [{"id": "1"}, {"id": "2"}],
        [{"settingInstance": {"settingDefinitionId": "x"}}, {"settingInstance": {"settingDefinitionId": "y"}}],
        [{"target": {"@odata.type": "#g", "groupId": "1"}}, {"target": {"@odata.type": "#g", "groupId": "2"}}],
    ],
)
def test_lists_of_scalars_or_identified_objects_are_sets(members: list[Any]) -> None:
    for others in (members[::-1], [*members, members[0]], [*members, None]):
        assert FORM.hash({"ids": others}) == FORM.hash({"ids": members})
    assert FORM.hash({"ids": members[:1]}) != FORM.hash({"ids": members})
    assert FORM.hash({"servers": members[::-1]}) != FORM.hash({"servers": members}), "ordered"


def test_lists_of_objects_without_identity_are_ordered_by_default() -> None:
    rules: list[Any] = [{"action": "connect"}, {"action": "disconnect"}]
    assert FORM.hash({"rules": rules}) != FORM.hash({"rules": rules[::-1]})
    assert FORM.hash({"rules": rules}) != FORM.hash({"rules": [*rules, rules[0]]})
    assert FORM.hash({"ranges": rules}) == FORM.hash({"ranges": rules[::-1]})


def test_a_mark_differs_from_an_absent_value() -> None:
    assert FORM.hash({"secret": {"sensitive": True}}) != FORM.hash({})


@needs_graph_data
def test_hashes_of_real_documents_show_edits_and_ignore_set_order() -> None:
    source = random.Random(7)
    plain = Canonicalizer()
    for _, document in real_documents():
        stored = plain.canonical_value(document)
        assert FORM.hash(_shuffled(stored, source)) == FORM.hash(stored)
        paths = list(leaf_paths(stored))
        for path in source.sample(paths, min(3, len(paths))):
            assert FORM.hash(edited(stored, path, "something else")) != FORM.hash(stored), path


def _shuffled(value: Any, source: random.Random, name: str = "") -> Any:
    """The value with shuffled sets and without nulls."""
    if isinstance(value, dict):
        return {key: _shuffled(child, source, key) for key, child in value.items() if child is not None}
    if not isinstance(value, list):
        return value
    members = [_shuffled(member, source, name) for member in value]
    if not FORM.is_sequence(name, value):
        source.shuffle(members)
    return members


@needs_graph_data
def test_a_document_sorted_by_an_earlier_release_has_the_same_hash() -> None:
    """By the rules of `deviceConfigurations`, for all documents."""
    collection = load_catalog().collections["deviceConfigurations"]
    for _, document in real_documents():
        canonical = Canonicalizer().canonical_value(document)
        stored: Any = orjson.loads(Canonicalizer(ordered=collection.ordered).sorted_canonical(document))
        of_sorted = collection.form.of_sorted()
        assert of_sorted.hash(stored) == of_sorted.hash(canonical)
        assert of_sorted.hash({**stored, "added": str(UUID(int=1))}) != of_sorted.hash(canonical)
