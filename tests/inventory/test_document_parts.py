from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inventory.canonical import Canonicalizer, without_edits
from inventory.data_keys import DataKey
from inventory.document_parts import Part, SensitiveParentError, assemble, canonical_part
from inventory.exact_json import JsonObject, JsonValue, decode

LIST: JsonObject = {"id": "1", "@odata.type": "#microsoft.graph.thing", "name": "Listed", "assignments": [{"id": "a"}]}

NAMES = ["settings", "items", "value", "secret", "body", "version", "servers"]
NAMED = [*NAMES, "value@odata.type"]
TYPES = ["#microsoft.graph.thing", "#microsoft.graph.part"]
IDS = ["1", "2", "3"]

leaves = st.none() | st.booleans() | st.integers(0, 3) | st.sampled_from(["", "x", "y"])
values = st.recursive(
    leaves,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMED), inner, max_size=3),
    max_leaves=8,
)  # fmt: skip
objects = st.builds(
    lambda properties, kind, external_id: properties | kind | external_id,
    st.dictionaries(st.sampled_from(NAMES), values, max_size=5),
    st.just({}) | st.sampled_from(TYPES).map(lambda kind: {"@odata.type": kind}),
    st.just({}) | st.sampled_from(IDS).map(lambda external_id: {"id": external_id}),
)
some_names = st.frozensets(st.sampled_from(NAMES), max_size=2)
masked_names = st.frozensets(
    st.tuples(st.sampled_from(TYPES), st.sampled_from(NAMES)).map("/".join).filter(lambda name: name.startswith("#")),
    max_size=2,
)
sensitive_names = st.frozensets(
    st.sampled_from(NAMES)
    | st.tuples(st.sampled_from(NAMES), st.sampled_from(NAMES)).map("/".join)
    | st.tuples(st.sampled_from(TYPES), st.sampled_from(NAMES)).map("/".join),
    max_size=4,
)
canonicalizers = st.builds(
    Canonicalizer,
    volatile=some_names,
    ordered=some_names,
    sensitive=sensitive_names,
    masked=masked_names,
    data_key=st.sampled_from([None, DataKey(b"key"), DataKey(b"key", "0a1b2c3d")]),
)


@st.composite
def parts(draw: st.DrawFn) -> list[Part]:
    """Answers to the detail calls of one item: each place is a collection or single, and the type is fixed."""
    single = {name: draw(st.booleans()) for name in NAMES}
    kind = draw(st.sampled_from(TYPES))
    believed = draw(some_names)
    drawn = []
    for _ in range(draw(st.integers(0, 6))):
        name = draw(st.none() | st.sampled_from(NAMES))
        if name is None:
            body = draw(st.none() | objects)
            drawn.append(Part(None, body and {**body, "@odata.type": kind}, single=True, believe_list=believed))
            continue
        child_property = draw(st.none() | st.sampled_from(NAMES))
        is_single = single[child_property or name]
        drawn.append(
            Part(
                name,
                draw(objects | st.none() if is_single else st.lists(objects, max_size=3)),
                single=is_single,
                page=0 if is_single else draw(st.integers(0, 2)),
                child_property=child_property,
                child_id=draw(st.sampled_from(IDS)) if child_property else None,
            )
        )
    return drawn


@given(canonicalizers, objects, parts())
def test_canonical_parts_assemble_to_the_canonical_document(
    canonicalizer: Canonicalizer, listed: dict[str, Any], answers: list[Part]
) -> None:
    stored_list = decode(canonicalizer.canonical(listed))
    assert isinstance(stored_list, dict)
    try:
        stored = [canonical_part(canonicalizer, part, listed) for part in answers]
    except SensitiveParentError:
        return
    # A part that is the item itself has the item's edit in its marks; the marks of the whole lack it.
    of_parts = without_edits(canonicalizer.canonical_value(assemble(stored_list, stored)))
    assert of_parts == canonicalizer.canonical_value(assemble(listed, answers))


@given(canonicalizers, objects, parts())
def test_canonical_form_of_a_part_is_idempotent(
    canonicalizer: Canonicalizer, listed: dict[str, Any], answers: list[Part]
) -> None:
    for part in answers:
        try:
            once = canonical_part(canonicalizer, part, listed)
        except SensitiveParentError:
            continue
        assert canonical_part(canonicalizer, once, listed) == once


def test_pages_are_assembled_in_page_order() -> None:
    settings = [Part("settings", [{"id": str(page)}], page=page) for page in (2, 0, 1)]
    assert assemble(LIST, settings)["settings"] == [{"id": "0"}, {"id": "1"}, {"id": "2"}]


def test_a_repeated_page_replaces_its_earlier_copy() -> None:
    twice = [Part("settings", [{"id": "0"}]), Part("settings", [{"id": "1"}], page=1), Part("settings", [{"id": "2"}])]
    assert assemble(LIST, twice)["settings"] == [{"id": "2"}, {"id": "1"}]


def test_the_items_own_answer_replaces_all_but_believed_list_properties() -> None:
    item: JsonObject = {"id": "1", "name": "Asked", "assignments": [], "scopeTags": ["0"], "scriptContent": "aGVsbG8="}
    believed = frozenset({"assignments", "scopeTags"})
    assert assemble({**LIST, "size": 5}, [Part(None, item, single=True, believe_list=believed)]) == {
        "id": "1",
        "@odata.type": "#microsoft.graph.thing",
        "name": "Asked",
        "assignments": [{"id": "a"}],
        "size": 5,
        "scriptContent": "aGVsbG8=",
    }


def test_a_detail_collection_replaces_the_items_own_copy() -> None:
    answers = [Part("settings", [{"id": "0"}]), Part(None, {"settings": []}, single=True)]
    assert assemble(LIST, answers)["settings"] == [{"id": "0"}]


def test_a_childs_answer_goes_into_the_member_with_its_id() -> None:
    values: list[JsonValue] = [{"presentation": {"id": "p"}, "value": "x"}, {"presentation": {"id": "q"}}]
    answers = [
        Part("definitionValues", values[1:], child_property="presentationValues", child_id="2", page=1),
        Part("definitionValues", values[:1], child_property="presentationValues", child_id="2"),
        Part("definitionValues", {"id": "d"}, single=True, child_property="definition", child_id="1"),
        Part("definitionValues", [{"id": "1"}, {"id": "2"}, "no object"]),
    ]
    assert assemble(LIST, answers)["definitionValues"] == [
        {"id": "1", "definition": {"id": "d"}},
        {"id": "2", "presentationValues": values},
        "no object",
    ]


def test_an_absent_detail_is_null() -> None:
    answers = [
        Part("owner", None, single=True),
        Part("items", [{"id": "1"}]),
        Part("items", None, single=True, child_property="file", child_id="1"),
        Part(None, None, single=True),
    ]
    document = assemble(LIST, answers)
    assert document == {**LIST, "owner": None, "items": [{"id": "1", "file": None}]}


SECRET = "correct horse battery staple"


@pytest.mark.parametrize(
    ("rule", "part"),
    [
        ("value", Part("settings", [{"id": "1", "value": SECRET}])),
        ("settings", Part("settings", [{"id": "1", "value": SECRET}])),
        ("settings", Part("settings", {"value": SECRET}, single=True)),
        ("settings/value", Part("settings", [{"value": SECRET}])),
        ("settings/value", Part("settings", {"value": SECRET}, single=True)),
        ("#microsoft.graph.thing/settings", Part("settings", [SECRET])),
        ("#microsoft.graph.part/value", Part("settings", [{"@odata.type": "#microsoft.graph.part", "value": SECRET}])),
        ("files/value", Part("settings", [{"value": SECRET}], child_property="files", child_id="1")),
        ("files", Part("settings", {"value": SECRET}, single=True, child_property="files", child_id="1")),
        ("settings/files", Part("settings", [{"value": SECRET}], child_property="files", child_id="1")),
        ("#microsoft.graph.thing/scriptContent", Part(None, {"id": "1", "scriptContent": SECRET}, single=True)),
        ("omaSettings/value", Part(None, {"omaSettings": [{"value": SECRET}]}, single=True)),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)  # fmt: skip
@pytest.mark.parametrize("key", [b"key", None], ids=["keyed", "keyless"])
def test_a_stored_part_holds_no_secret(rule: str, part: Part, key: bytes | None) -> None:
    canonicalizer = Canonicalizer(sensitive=frozenset({rule}), data_key=None if key is None else DataKey(key))
    stored = canonical_part(canonicalizer, part, LIST)
    assert SECRET not in str(stored)
    assert "sensitive" in str(stored)


def test_a_sensitive_collection_refuses_parts_of_its_members() -> None:
    canonicalizer = Canonicalizer(sensitive=frozenset({"#microsoft.graph.thing/settings"}))
    with pytest.raises(SensitiveParentError, match="settings"):
        canonical_part(canonicalizer, Part("settings", [], child_property="files", child_id="1"), LIST)
