from hashlib import sha256
from typing import Any, cast

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from graph.catalog import load_catalog
from inventory.canonical import Canonicalizer, JsonObject
from inventory.data_keys import DataKey
from inventory.exact_json import decode
from inventory.meta import COMMON_KEYS, whitelisted_meta
from inventory.normal_form import NormalForm, likeness_hash
from inventory.observation import (
    MAX_DOCUMENT_BYTES,
    InvalidObject,
    InvalidReason,
    Observation,
    ObservationRules,
    Observer,
)
from inventory.reference_extraction import ReadingRules, read
from tests.conftest import needs_graph_data
from tests.real_documents import real_documents

RULES = ObservationRules(type_key="a", meta={"template_family": ("templateFamily",)})
OBSERVER = Observer(RULES)

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
)


def nested(levels: int) -> dict[str, Any]:
    value: dict[str, Any] = {}
    for _ in range(levels):
        value = {"inner": value}
    return value


BAD_OBJECTS: list[tuple[Any, InvalidReason, str | None]] = [
    ("no object", InvalidReason.NOT_AN_OBJECT, None),
    ({"displayName": "no id"}, InvalidReason.MISSING_ID, None),
    ({"id": ""}, InvalidReason.MISSING_ID, ""),
    ({"id": 7}, InvalidReason.MISSING_ID, None),
    ({"id": "x" * 600}, InvalidReason.ID_TOO_LONG, None),
    ({"id": "nul\0"}, InvalidReason.NUL_CHARACTER, None),
    ({"id": "1", "displayName": "a\0b"}, InvalidReason.NUL_CHARACTER, "1"),
    ({"id": "1", "displayName": "x" * 5000}, InvalidReason.NAME_TOO_LONG, "1"),
    ({"id": "1", "displayName": "\ud800"}, InvalidReason.NOT_UNICODE, "1"),
    ({"id": "1", "description": "\ud800"}, InvalidReason.NOT_UNICODE, "1"),
    ({"id": "1", "size": float("inf")}, InvalidReason.NOT_A_NUMBER, "1"),
    ({"id": "1", **nested(300)}, InvalidReason.TOO_DEEP, "1"),
    ({"id": "1", "body": "x" * MAX_DOCUMENT_BYTES}, InvalidReason.TOO_LARGE, "1"),
]


@pytest.mark.parametrize(("bad", "reason", "external_id"), BAD_OBJECTS, ids=lambda value: str(value)[:20])
def test_an_invalid_object_is_reported_and_the_rest_is_observed(
    bad: Any, reason: InvalidReason, external_id: str | None
) -> None:
    observations, invalid = OBSERVER.observe_page([{"id": "before"}, bad, {"id": "after"}])
    assert [observation.external_id for observation in observations] == ["before", "after"]
    assert invalid == [InvalidObject(1, external_id, reason)]


def test_a_repeated_id_on_a_page_is_observed_once() -> None:
    page: list[Any] = [{"id": "1", "displayName": "first"}, {"id": "1", "displayName": "second"}]
    observations, invalid = OBSERVER.observe_page(page)
    assert [observation.display_name for observation in observations] == ["first"]
    assert invalid == [InvalidObject(1, "1", InvalidReason.DUPLICATE_ID)]


def test_a_nul_outside_name_and_id_is_ordinary_content() -> None:
    observation = OBSERVER.observe({"id": "1", "description": "a\0b"})
    assert b"\0" not in observation.document
    assert orjson.loads(observation.document)["description"] == "a\0b"


def test_a_singleton_without_an_id_is_identified_by_its_type_key() -> None:
    observer = Observer(ObservationRules(type_key="authorizationPolicy", singleton=True))
    assert observer.observe({"displayName": "x"}).external_id == "authorizationPolicy"


def test_meta_holds_the_common_keys_and_the_catalogs_keys() -> None:
    observation = OBSERVER.observe(
        {
            "id": "1",
            "@odata.type": "#microsoft.graph.x",
            "@odata.etag": 'W/"1"',
            "platforms": "windows10",
            "technologies": "mdm",
            "roleScopeTagIds": ["1", "0"],
            "assignments": [{}, {}],
            "createdDateTime": "2024-01-01T00:00:00.1234567Z",
            "lastModifiedDateTime": "2024-01-02T00:00:00Z",
            "version": 3,
            "templateFamily": "baseline",
            "somethingNew": {"anything": 1},
        }
    )
    assert observation.meta == {
        "odata_type": "#microsoft.graph.x",
        "etag": 'W/"1"',
        "platforms": "windows10",
        "technologies": "mdm",
        "scope_tag_ids": ["0", "1"],
        "assignment_target_count": 2,
        "created_at": "2024-01-01T00:00:00.1234567Z",
        "last_modified_at": "2024-01-02T00:00:00Z",
        "version": 3,
        "template_family": "baseline",
    }


@pytest.mark.parametrize(
    ("reference", "expected"),
    [
        ({"templateFamily": "baseline"}, {"family": "baseline"}),
        ({"templateFamily": None}, {}),
        ({"templateFamily": {"odd": 1}}, {"warnings": ["family: not text"]}),
        ({}, {}),
        ("text", {}),
        (None, {}),
    ],
)
def test_meta_reads_nested_properties(reference: Any, expected: dict[str, Any]) -> None:
    observer = Observer(ObservationRules(type_key="a", meta={"family": ("templateReference.templateFamily",)}))
    assert observer.observe({"id": "1", "templateReference": reference}).meta == expected


@given(st.dictionaries(st.sampled_from([*COMMON_KEYS, "template_family", "unknown", "warnings"]), json_values))
def test_unknown_meta_keys_are_dropped_without_error(proposed: dict[str, Any]) -> None:
    meta = whitelisted_meta(proposed, frozenset({"template_family"}))
    assert set(meta.values) <= {*COMMON_KEYS, "template_family", "warnings"}
    assert meta.dropped == len({"unknown", "warnings"} & set(proposed))
    orjson.dumps(meta.values)
    assert "\0" not in str(meta.values.get("etag", ""))


@pytest.mark.parametrize(
    ("proposed", "warning"),
    [
        ({"version": [1]}, "version: not text"),
        ({"scope_tag_ids": "0"}, "scope_tag_ids: not a list of texts"),
        ({"etag": "a\0"}, "etag: not text"),
        ({"etag": "\ud800"}, "etag: not valid Unicode"),
        ({"template_family": {"a": 1}}, "template_family: not text"),
    ],
)
def test_a_meta_value_of_the_wrong_type_is_a_warning(proposed: dict[str, Any], warning: str) -> None:
    assert whitelisted_meta(proposed, frozenset({"template_family"})).values == {"warnings": [warning]}


@given(json_values)
def test_no_json_value_breaks_a_page(value: Any) -> None:
    observations, invalid = OBSERVER.observe_page([value, {"id": "fine"}])
    assert len(observations) + len(invalid) == 2
    assert observations[-1].external_id == "fine"


DETAILED = Observer(
    ObservationRules(
        type_key="a",
        has_details=True,
        volatile=frozenset({"version", "lastModifiedDateTime", "status"}),
        change_signs=frozenset({"version", "lastModifiedDateTime"}),
        sensitive=frozenset({"secret"}),
    )
)


@pytest.mark.parametrize(
    ("name", "content_changes", "list_changes"),
    [("version", False, True), ("lastModifiedDateTime", False, True), ("status", False, False), ("other", True, True)],
)
def test_the_list_hash_changes_if_details_may_have_changed(
    name: str, content_changes: bool, list_changes: bool
) -> None:
    before, after = (DETAILED.observe({"id": "1", name: value}) for value in ("x", "y"))
    assert before.list_hash is not None
    assert len(before.list_hash) == 32
    assert (before.content_hash != after.content_hash) is content_changes
    assert (before.list_hash != after.list_hash) is list_changes


SIGNS = ("lastModifiedDateTime", "version", "status", "isAssigned")
sign_values = st.sampled_from(
    ["2026-01-01T08:00:00Z", 3, None, "\ud800", {"version": 2}, [{"lastModifiedDateTime": "x"}]]
)
with_signs = st.recursive(
    st.dictionaries(st.sampled_from(["id", "value", "secret", *SIGNS]), sign_values | st.text(max_size=3), max_size=4),
    lambda inner: st.dictionaries(
        st.sampled_from(["inner", "secret", "members", *SIGNS]), inner | st.lists(inner, max_size=3), max_size=3
    ),
    max_leaves=6,
)


@given(with_signs, st.booleans())
def test_the_list_hash_covers_the_listed_document_with_change_signs(document: dict[str, Any], has_key: bool) -> None:
    volatile = frozenset({"lastModifiedDateTime", "/version", "status", "#t/isAssigned", "inner/version"})
    signs = frozenset({"lastModifiedDateTime", "/version", "#t/isAssigned", "inner/version"})
    key = DataKey(b"k" * 32, "0a1b2c3d") if has_key else None
    rules = ObservationRules(
        type_key="a", has_details=True, volatile=volatile, change_signs=signs, sensitive=frozenset({"secret"})
    )
    kept = Canonicalizer(volatile=volatile - signs, sensitive=rules.sensitive, data_key=key, by_nature=True)
    document = {**document, "id": "1", "@odata.type": "#t"}
    observations, _ = Observer(rules, data_key=key).observe_page([document])
    for observation in observations:
        assert observation.list_hash == sha256(kept.sorted_canonical(document)).digest()


@pytest.mark.parametrize("within", [lambda members: members, lambda members: {"inner": members}])
def test_the_list_hash_ignores_the_order_of_lists(within: Any) -> None:
    for members in ([1, 2, 3], ["b", "a"], [["b", "a"], ["c"]], [{"id": "1", "x": [3, 4]}, {"id": "2", "x": [4, 3]}]):
        forward, backward = (DETAILED.observe({"id": "1", "of": within(order)}) for order in (members, members[::-1]))
        assert forward.list_hash == backward.list_hash
        assert forward.list_hash != DETAILED.observe({"id": "1", "of": within(members[1:])}).list_hash


def test_names_and_meta_hold_no_secret() -> None:
    secret = "-----BEGIN PRIVATE KEY-----"
    for collection in load_catalog().collections.values():
        rules = collection.observation_rules()
        paths = [path for paths in rules.meta.values() for path in paths]
        roots = {
            rules.name_field,
            "platforms",
            "createdDateTime",
            "@odata.etag",
            *(path for path in paths if "." not in path),
        }
        document: JsonObject = {**dict.fromkeys(roots, secret), rules.id_field: "1"}
        observed = Observer(rules).observe(document)
        assert observed.display_name == (None if rules.name_field != rules.id_field else "1")
        assert secret not in str(observed.meta)


def test_only_a_collection_with_details_has_a_list_hash() -> None:
    assert OBSERVER.observe({"id": "1"}).list_hash is None


def likeness(observed: Observation, id_field: str = "id") -> bytes:
    return likeness_hash(observed.document, observed.external_id, NormalForm(), id_field=id_field)


def test_recreated_items_have_the_same_likeness() -> None:
    old, new = "6f0c8f5e-0000-4000-8000-000000000001", "00000000-0000-4000-8000-000000000002"
    original, recreated = (
        OBSERVER.observe(
            {"id": own, "displayName": "x", "createdDateTime": own, "assignments": [{"id": f"{own}_g"}, {"id": "1_g"}]}
        )
        for own in (old, new)
    )
    assert original.content_hash != recreated.content_hash
    assert likeness(original) == likeness(recreated)
    assert len(likeness(original)) == 32
    assert likeness(OBSERVER.observe({"id": old, "displayName": "y"})) != likeness(original)


def test_the_likeness_omits_an_id_field_of_another_name() -> None:
    observer = Observer(ObservationRules(type_key="a", id_field="skuId"))
    first, second = (observer.observe({"skuId": own, "units": 5}) for own in ("1", "2"))
    assert likeness(first, id_field="skuId") == likeness(second, id_field="skuId")


@needs_graph_data
def test_references_of_listed_and_stored_real_documents_are_equal() -> None:
    collections = {collection.path.lstrip("/"): collection for collection in load_catalog().collections.values()}
    found = 0
    for path, document in real_documents():
        if path not in collections:
            continue
        rules = collections[path].reading_rules
        observer = Observer(collections[path].observation_rules(), reading=rules)
        for observed in observer.observe_page([document], with_references=True)[0]:
            assert observed.references is not None
            assert observed.references.rules_hash == rules.hash()
            assert observed.references.references == read(cast("JsonObject", decode(observed.document)), rules)
            found += len(observed.references.references)
    assert found > 1000


def test_volatile_and_sensitive_properties_yield_no_references() -> None:
    rules = ObservationRules(type_key="a", volatile=frozenset({"seen"}), sensitive=frozenset({"secret"}))
    reading = ReadingRules({"seen": ("groups",), "secret": ("groups",), "kept": ("groups",)}, assignable=False)
    document: JsonObject = {"id": "1", "seen": "s", "secret": "t", "kept": "k"}
    observer = Observer(rules, reading=reading)
    observed = observer.observe(document, with_references=True)
    assert observed.references is not None
    assert [reference.target_id for reference in observed.references.references] == ["k"]
    assert observer.observe(document).references is None
    assert Observer(rules).observe(document, with_references=True).references is None


def test_a_list_that_contradicts_its_cross_check_is_dropped() -> None:
    rules = ObservationRules(
        type_key="t", volatile=frozenset({"isAssigned"}), has_details=True, cross_checked={"assignments": "isAssigned"}
    )
    observer = Observer(rules)

    def observed(**properties: Any) -> Any:
        return orjson.loads(observer.observe({"id": "a", **properties}).document)

    assert "assignments" not in observed(isAssigned=True, assignments=[])
    assert "assignments" not in observed(isAssigned=False, assignments=[{"id": "x"}])
    assert observed(isAssigned=True, assignments=[{"id": "x"}])["assignments"] == [{"id": "x"}]
    assert observed(isAssigned=False, assignments=[])["assignments"] == []
    assert observed(assignments=[])["assignments"] == []
