"""The normal form ignores each difference of spelling that Graph shows, and nothing else."""

from collections.abc import Callable, Iterator
from copy import deepcopy
from datetime import UTC, datetime, timedelta, timezone
from random import Random
from typing import Any, NamedTuple
from uuid import UUID

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from graph.catalog import load_catalog
from inventory.canonical import Canonicalizer
from inventory.differences import differences
from inventory.normal_form import ArrayRules, NormalForm
from tests.conftest import needs_graph_data
from tests.inventory.graph_noise import GraphNoise, respellings
from tests.real_documents import real_documents

FORM = NormalForm(
    ArrayRules(
        ordered=frozenset({"stages"}),
        unordered=frozenset({"ranges"}),
        null_not_shown=frozenset({"assignments"}),
        enumerations=frozenset({"kinds"}),
    )
)

GROUP = "1f0c7a4e-0a51-4b0e-9d59-0b6f2f6a7c11"
POLICY = "9b2dd3a0-11aa-4c5e-8f00-5a1e6f0c7a4e"

FIRST, LAST = (datetime.fromisoformat(moment) for moment in ("0002-01-01", "9998-01-01"))

scalars = (
    st.booleans()
    | st.integers(-9, 9)
    | st.sampled_from(
        [0.5, 1.25, GROUP, f"{POLICY}_{GROUP}", "2026-01-01T08:00:00Z", "2026-01-01T08:00:00.5Z", "", "a"]
    )
    | st.text(st.characters(codec="utf-8"), max_size=4)
)
nothings: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.just([]) | st.just({}),
    lambda inner: st.dictionaries(st.sampled_from("ab"), inner, max_size=2) | st.lists(inner, max_size=2),
    max_leaves=4,
)
flags = st.lists(st.sampled_from(["mdm", "eas", "configManager"]), min_size=1, unique=True).map(",".join)


def normal_bytes(member: Any) -> bytes:
    return FORM.hash({"member": member})


ids = st.sampled_from([GROUP, POLICY, "0", "1"])
tags = st.lists(scalars, max_size=3)
values = scalars | nothings | st.fixed_dictionaries({"a": scalars}, optional={"tags": tags, "stages": tags})
identified = st.fixed_dictionaries({"id": ids}, optional={"a": values})
anonymous = st.fixed_dictionaries({"a": values})
documents = st.fixed_dictionaries(
    {},
    optional={
        "name": values,
        "of": st.dictionaries(st.sampled_from("ab"), values, max_size=2),
        "tags": tags,
        "parts": st.lists(identified, max_size=3, unique_by=normal_bytes),
        "rules": st.lists(anonymous, max_size=3),
        "stages": st.lists(scalars | identified, max_size=3),
        "ranges": st.lists(anonymous, max_size=3, unique_by=normal_bytes),
        "kinds": flags,
    },
)


class Place(NamedTuple):
    """A value in a document, with the name of the nearest property above it."""

    holder: Any
    key: Any
    name: str

    @property
    def value(self) -> Any:
        return self.holder[self.key]

    def put(self, value: Any) -> None:
        self.holder[self.key] = value


def places(value: Any, name: str = "") -> Iterator[Place]:
    pairs = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, child in list(pairs):
        inner = key if isinstance(value, dict) else name
        yield Place(value, key, inner)
        yield from places(child, inner)


def objects(document: Any) -> list[Any]:
    return [document, *(place.value for place in places(document) if isinstance(place.value, dict))]


def is_set(place: Place) -> bool:
    members = place.value
    if not isinstance(members, list) or place.name == "stages":
        return False
    identified = (
        not isinstance(member, dict | list) or (isinstance(member, dict) and "id" in member) for member in members
    )
    return place.name == "ranges" or all(identified)


def add_empty_member(document: Any, draw: Callable[[st.SearchStrategy[Any]], Any]) -> bool:
    holder = draw(st.sampled_from(objects(document)))
    name = draw(st.sampled_from(["new", "of", "tags", "parts", "rules"]))
    if name in holder:
        return False
    holder[name] = draw(nothings)
    return True


def drop_empty_member(document: Any, draw: Callable[[st.SearchStrategy[Any]], Any]) -> bool:
    bare = [place for place in places(document) if isinstance(place.holder, dict) and is_empty(place.value)]
    if not bare:
        return False
    place = draw(st.sampled_from(bare))
    del place.holder[place.key]
    return True


def respelled(document: Any, draw: Callable[[st.SearchStrategy[Any]], Any]) -> bool:
    found = [place for place in places(document) if isinstance(place.value, str) and respellings(place.value)]
    if not found:
        return False
    place = draw(st.sampled_from(found))
    place.put(draw(st.sampled_from(respellings(place.value))))
    return True


def shuffled(document: Any, draw: Callable[[st.SearchStrategy[Any]], Any]) -> bool:
    sets = [place for place in places(document) if is_set(place) and place.value]
    if not sets:
        return False
    place = draw(st.sampled_from(sets))
    members = draw(st.permutations(place.value))
    repeated = draw(st.lists(st.sampled_from(place.value), max_size=2))
    place.put([*members, *deepcopy(repeated)])
    return True


def flags_in_another_order(document: Any, draw: Callable[[st.SearchStrategy[Any]], Any]) -> bool:
    found = [place for place in places(document) if place.name == "kinds" and isinstance(place.value, str)]
    if not found:
        return False
    place = draw(st.sampled_from(found))
    place.put(", ".join(draw(st.permutations(place.value.split(",")))))
    return True


def members_in_another_case(document: Any, draw: Callable[[st.SearchStrategy[Any]], Any]) -> bool:
    found = [place for place in places(document) if place.name == "kinds" and isinstance(place.value, str)]
    if not found:
        return False
    place = draw(st.sampled_from(found))
    place.put(place.value.swapcase())
    return True


def keys_in_another_order(document: Any, draw: Callable[[st.SearchStrategy[Any]], Any]) -> bool:
    holder = draw(st.sampled_from(objects(document)))
    pairs = draw(st.permutations(list(holder.items())))
    holder.clear()
    holder.update(pairs)
    return True


SAMENESSES = [
    add_empty_member,
    drop_empty_member,
    respelled,
    shuffled,
    flags_in_another_order,
    members_in_another_case,
    keys_in_another_order,
]


@given(documents)
def test_the_normal_form_with_all_array_rules_is_idempotent(document: dict[str, Any]) -> None:
    normal = FORM.of(document)
    assert FORM.of(normal) == normal


@pytest.mark.parametrize("same", SAMENESSES, ids=lambda same: same.__name__)
@given(document=documents, data=st.data())
def test_equivalent_documents_have_the_same_normal_form(
    same: Callable[..., bool], document: dict[str, Any], data: st.DataObject
) -> None:
    other = deepcopy(document)
    assume(same(other, data.draw))
    assert FORM.of(other) == FORM.of(document)
    assert FORM.hash(other) == FORM.hash(document)
    assert differences(document, other, FORM) == differences(other, document, FORM) == []


@given(document=documents, new=st.text("xyz", min_size=5, max_size=9) | st.integers(100, 999), data=st.data())
def test_a_new_value_changes_the_normal_form(document: dict[str, Any], new: Any, data: st.DataObject) -> None:
    leaves = [place for place in places(document) if not isinstance(place.value, dict | list)]
    assume(leaves)
    other = deepcopy(document)
    number = data.draw(st.integers(0, len(leaves) - 1))
    [place for place in places(other) if not isinstance(place.value, dict | list)][number].put(new)
    assert_differ(document, other)


@given(document=documents, data=st.data())
def test_an_added_or_removed_value_changes_the_normal_form(document: dict[str, Any], data: st.DataObject) -> None:
    positions = [
        number
        for number, place in enumerate(places(document))
        if isinstance(place.holder, dict) and not is_empty(place.value)
    ]
    assume(positions)
    other = deepcopy(document)
    place = list(places(other))[data.draw(st.sampled_from(positions))]
    del place.holder[place.key]
    assert_differ(document, other)
    assert_differ(other, document)


@given(document=documents, data=st.data())
def test_a_new_order_of_a_sequence_changes_the_normal_form(document: dict[str, Any], data: st.DataObject) -> None:
    found = [
        (n, start)
        for n, place in enumerate(places(document))
        if isinstance(place.value, list) and not is_set(place)
        for start in range(len(place.value) - 1)
        if None not in (normals := [FORM.value("x", member) for member in place.value[start : start + 2]])
        and normals[0] != normals[1]
    ]
    assume(found)
    other = deepcopy(document)
    number, position = data.draw(st.sampled_from(found))
    members = list(places(other))[number].value
    members[position], members[position + 1] = members[position + 1], members[position]
    assert_differ(document, other)


@given(documents, documents)
def test_differences_exist_exactly_if_normal_forms_differ(first: dict[str, Any], second: dict[str, Any]) -> None:
    assert bool(differences(first, second, FORM)) == (FORM.hash(first) != FORM.hash(second))


@given(st.datetimes(FIRST, LAST), st.integers(-840, 840), st.integers(0, 4))
def test_all_spellings_of_a_time_have_the_same_hash(moment: datetime, offset: int, zeros: int) -> None:
    here = moment.replace(tzinfo=UTC)
    there = here.astimezone(timezone(timedelta(minutes=offset)))
    fraction = f"{moment:%f}{'0' * zeros}"
    stem = f"{moment.isoformat(timespec='seconds')}"
    spelled = [here.isoformat(), there.isoformat(), f"{stem}.{fraction}Z", f"{stem}.{fraction.rstrip('0') or '0'}Z"]
    assert len({FORM.hash({"at": spelling}) for spelling in spelled}) == 1
    later = (here + timedelta(microseconds=1)).isoformat()
    assert FORM.hash({"at": later}) != FORM.hash({"at": spelled[0]})


@given(st.lists(st.uuids(), min_size=1, max_size=3), st.data())
def test_ids_of_guids_ignore_case(guids: list[UUID], data: st.DataObject) -> None:
    plain = "_".join(map(str, guids))
    assert FORM.hash({"id": plain}) == FORM.hash({"id": plain.upper()})
    edited = plain[:-1] + data.draw(st.sampled_from("0123456789abcdef"))
    assert (FORM.hash({"id": edited}) == FORM.hash({"id": plain})) == (edited == plain)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ({"on": True}, {"on": 1}),
        ({"on": False}, {}),
        ({"many": 0}, {}),
        ({"many": 1}, {"many": "1"}),
        ({"text": ""}, {}),
        ({"text": "Abc"}, {"text": "abc"}),
        ({"text": f"see {GROUP}"}, {"text": f"see {GROUP.upper()}"}),
        ({"text": "2026-01-01"}, {"text": "2026-01-01T00:00:00Z"}),
        ({"at": "2026-01-01T08:00:00"}, {"at": "2026-01-01T08:00:00Z"}),
        ({"at": "2026-01-01T08:00:00Z"}, {"at": "2026-01-01T08:00:00.001Z"}),
        ({"assignments": []}, {"assignments": None}),
        ({"assignments": []}, {}),
        ({"target": {"@odata.type": "#microsoft.graph.allDevicesAssignmentTarget"}}, {"target": {}}),
    ],
)
def test_values_that_only_look_alike_have_different_hashes(first: dict[str, Any], second: dict[str, Any]) -> None:
    assert_differ(first, second)


def test_null_for_not_shown_is_the_same_as_absent() -> None:
    assert FORM.hash({"assignments": None}) == FORM.hash({})


@needs_graph_data
def test_hashes_of_real_documents_ignore_graph_noise() -> None:
    by_path = {entry.path.strip("/"): entry for entry in load_catalog().collections.values()}
    random, compared = Random(1), 0
    for path, document in real_documents():
        entry = by_path[path]
        noise, canonicalizer = GraphNoise(random, entry.form), Canonicalizer(volatile=entry.volatile)
        canonical, noisy = (
            canonicalizer.canonical_value(graph_object) for graph_object in (document, noise.serve(document))
        )
        assert canonical != noisy
        assert entry.form.hash(noisy) == entry.form.hash(canonical), document.get("id")
        assert differences(canonical, noisy, entry.form) == []
        compared += 1
    assert compared > 900


def assert_differ(first: dict[str, Any], second: dict[str, Any]) -> None:
    assert FORM.hash(first) != FORM.hash(second)
    assert differences(first, second, FORM) != []


def is_empty(value: Any) -> bool:
    if isinstance(value, dict | list):
        return all(is_empty(child) for child in (value.values() if isinstance(value, dict) else value))
    return value is None
