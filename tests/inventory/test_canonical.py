import hmac
from collections import Counter
from typing import Any
from uuid import UUID

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from inventory.canonical import MAX_DEPTH, Canonicalizer, NotANumberError, TooDeepError, edit_of
from inventory.data_keys import DataKey
from inventory.error_codes import EXPLANATIONS, ErrorCode
from inventory.exact_json import JsonObject, JsonValue
from inventory.normal_form import ArrayRules, NormalForm, likeness_hash
from tests.conftest import needs_graph_data
from tests.inventory.document_leaves import edited, leaf_paths
from tests.real_documents import real_documents

scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**63), 2**63 - 1),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(),
)
names = st.text(st.characters(codec="utf-8", exclude_characters="@#"), min_size=1, max_size=8)
documents = st.dictionaries(
    names,
    st.recursive(scalars, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(names, inner, max_size=4)),
    max_size=6,
)

PLAIN = Canonicalizer()
FORM = NormalForm()


@given(documents)
def test_canonical_form_is_idempotent(document: dict[str, Any]) -> None:
    canonical = PLAIN.canonical(document)
    assert PLAIN.canonical(orjson.loads(canonical)) == canonical


@given(documents, names, scalars, scalars)
def test_canonical_form_shows_every_changed_value(document: dict[str, Any], name: str, before: Any, after: Any) -> None:
    form_before, form_after = PLAIN.canonical({**document, name: before}), PLAIN.canonical({**document, name: after})
    assert (form_before == form_after) is (orjson.dumps(before) == orjson.dumps(after))


@given(documents)
def test_canonical_form_keeps_all_content(document: dict[str, Any]) -> None:
    assert orjson.loads(PLAIN.canonical(document)) == orjson.loads(orjson.dumps(document))


@given(documents, scalars, st.data())
def test_every_edit_of_a_leaf_changes_the_canonical_form(
    document: dict[str, Any], leaf: Any, data: st.DataObject
) -> None:
    document["always"] = "there"
    path = data.draw(st.sampled_from(list(leaf_paths(document))))
    other = edited(document, path, leaf)
    same = orjson.dumps(other) == orjson.dumps(document)
    assert (PLAIN.canonical(other) == PLAIN.canonical(document)) is same


@given(
    documents, scalars, st.sampled_from(["version", "a@odata.context", "@odata.etag", "#microsoft.graph.x"]), st.data()
)
def test_canonical_form_omits_volatile_properties_and_annotations(
    document: dict[str, Any], noise: Any, name: str, data: st.DataObject
) -> None:
    def noisy(value: Any) -> Any:
        if isinstance(value, dict):
            added = {name: noise} if data.draw(st.booleans()) else {}
            return {inner: noisy(child) for inner, child in value.items()} | added
        return [noisy(member) for member in value] if isinstance(value, list) else value

    blind = Canonicalizer(volatile=frozenset({"version"}))
    assert blind.canonical(noisy(document)) == blind.canonical(document)


KEY = DataKey(b"key")
KEYS = (KEY, DataKey(b"key", "0a1b2c3d"))
rules = st.frozensets(
    st.sampled_from(["a", "b", "a/b", "b/a", "#t/a", "#t/b", "@odata.type", "sensitive", "a/sensitive"]), max_size=4
)
few_names = st.sampled_from(["a", "b", "sensitive", "@odata.type"])
nested = st.recursive(
    st.sampled_from([None, True, "", "#t", "x", "0" * 64, 1]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(few_names, inner, max_size=3),
)


@given(st.dictionaries(few_names, nested, max_size=4), rules, rules, rules, st.sampled_from([None, *KEYS]))
def test_canonical_form_with_secrets_is_idempotent(
    document: dict[str, Any],
    sensitive: frozenset[str],
    volatile: frozenset[str],
    ordered: frozenset[str],
    key: DataKey | None,
) -> None:
    # Without types and the names within marks, the rules cannot recognise values in the canonical form again.
    kept = frozenset({"@odata.type", "sensitive", "a/sensitive"})
    canonicalizer = Canonicalizer(
        sensitive=sensitive - {"@odata.type"}, volatile=volatile - kept, ordered=ordered, data_key=key
    )
    canonical = canonicalizer.canonical(document)
    assert canonicalizer.canonical(orjson.loads(canonical)) == canonical


def without(value: Any, names: frozenset[str], place: str | None = None) -> Any:
    """The value without the named properties: volatile rules, implemented in the plainest way."""
    if isinstance(value, list):
        return [without(member, names, place) for member in value]
    if not isinstance(value, dict):
        return value
    return {
        name: without(child, names, name)
        for name, child in value.items()
        if not {name, f"{place}/{name}", f"{value.get('@odata.type')}/{name}"} & names
    }


@given(st.dictionaries(few_names, nested, max_size=4), rules)
def test_volatile_rules_drop_only_the_properties_they_name(document: dict[str, Any], volatile: frozenset[str]) -> None:
    blind = Canonicalizer(volatile=volatile)
    assert blind.canonical(document) == PLAIN.canonical(without(document, volatile))


SECRET = "#microsoft.graph.deviceManagementConfigurationSecretSettingValue"


@pytest.mark.parametrize("data_key", [None, DataKey(b"key")])
def test_masked_values_share_a_mark_and_keep_their_state(data_key: DataKey | None) -> None:
    masked = Canonicalizer(masked=frozenset({f"{SECRET}/value"}), data_key=data_key, by_nature=True)

    def policy(token: JsonValue) -> dict[str, Any]:
        return {"settings": [{"value": {"@odata.type": SECRET, "value": token, "valueState": "encryptedValueToken"}}]}

    mark: JsonObject = {"sensitive": True}
    assert masked.canonical_value(policy("one")) == masked.canonical_value(policy("other")) == policy(mark)
    assert masked.canonical_value(policy(None)) == policy(mark)
    stamp: JsonObject = {"edited": "1", "sensitive": True}
    assert masked.canonical_value(policy(stamp)) == policy(stamp), "a stored mark stays as it is"
    of_a_release_before = policy(None)
    del of_a_release_before["settings"][0]["value"]["value"]
    assert masked.canonical_value(of_a_release_before) == policy(mark)
    assert masked.hidden_names({"@odata.type": SECRET, "value": "one"}) == {"value"}
    assert masked.canonical_value({"@odata.type": "#other", "value": 1}) == {"@odata.type": "#other", "value": 1}


def test_a_property_volatile_in_a_type_stays_in_others() -> None:
    blind = Canonicalizer(volatile=frozenset({"#t/state"}), sensitive=frozenset({"#t/state", "psk"}))

    def policy(state: str) -> JsonObject:
        return {"state": "plain", "parts": [{"part": {"@odata.type": "#t", "state": state}, "state": 1}], "psk": "x"}

    assert (
        blind.canonical_value(policy("one"))
        == blind.canonical_value(policy("other"))
        == {
            "state": "plain",
            "parts": [{"part": {"@odata.type": "#t"}, "state": 1}],
            "psk": {"sensitive": True},
        }
    )
    assert blind.hidden_names({"@odata.type": "#t", "state": "one"}) == {"state"}


def test_a_volatile_property_is_dropped_even_if_it_is_sensitive() -> None:
    for sensitive, volatile in (("a/b", "#t/b"), ("#t/b", "a/b"), ("b", "a/b"), ("b", "#t/b"), ("a/b", "a/b")):
        canonicalizer = Canonicalizer(sensitive=frozenset({sensitive}), volatile=frozenset({volatile}))
        assert canonicalizer.canonical_value({"a": {"@odata.type": "#t", "b": 1}}) == {"a": {"@odata.type": "#t"}}


# No mask characters: a value that Graph masks (`***`) is unknown, and has no keyed mark.
@given(st.text(st.characters(codec="utf-8", exclude_characters="*\u2022")), st.text())
def test_a_secret_has_the_same_mark_in_every_place(secret: str, other: str) -> None:
    keyed = Canonicalizer(sensitive=frozenset({"psk", "oma/value", "#t/body"}), data_key=KEY)
    document = keyed.canonical_value(
        {"psk": secret, "oma": [{"value": secret}], "nested": {"@odata.type": "#t", "body": secret}, "other": other}
    )
    mark = {"sensitive": hmac.new(b"key", orjson.dumps(secret), "sha256").hexdigest()}
    assert document == {
        "psk": mark,
        "oma": [{"value": mark}],
        "nested": {"@odata.type": "#t", "body": mark},
        "other": other,
    }
    assert (keyed.canonical_value({"psk": other})["psk"] == mark) is (secret == other)


def test_the_order_of_a_hidden_list_counts_only_if_ordered() -> None:
    keyed = Canonicalizer(sensitive=frozenset({"tokens", "steps"}), ordered=frozenset({"steps"}), data_key=KEY)
    assert keyed.canonical({"tokens": ["a", "b"]}) == keyed.canonical({"tokens": ["b", "a"]})
    assert keyed.canonical({"tokens": ["a", "b"]}) != keyed.canonical({"tokens": ["a", "c"]})
    assert keyed.canonical({"steps": ["a", "b"]}) != keyed.canonical({"steps": ["b", "a"]})


def test_a_rule_for_a_place_or_type_hides_nothing_elsewhere() -> None:
    sensitive = frozenset({"omaSettings/value", "#microsoft.graph.vpn/secret"})
    hiding = Canonicalizer(sensitive=sensitive)
    document: dict[str, Any] = {
        "value": "plain",
        "secret": "plain",
        "settings": [{"value": "plain", "@odata.type": "#microsoft.graph.wifi", "secret": "plain"}],
        "omaSettings": [{"inner": {"value": "plain"}, "secret": "plain"}],
        "@odata.type": ["no type"],
    }
    assert hiding.canonical(document) == PLAIN.canonical(document)
    assert hiding.hidden_names(document) == frozenset()
    assert hiding.hidden_names({"@odata.type": "#microsoft.graph.vpn", "secret": 1, "value": 2}) == {"secret"}


@pytest.mark.parametrize(
    "hidden", ["", 0, False, [], {}, ["a"], {"a": 1}, {"sensitive": "short"}, {"sensitive": False}]
)
def test_every_sensitive_value_but_null_is_hidden(hidden: Any) -> None:
    assert Canonicalizer(sensitive=frozenset({"psk"})).canonical_value({"psk": hidden}) == {"psk": {"sensitive": True}}


@pytest.mark.parametrize("kept", [None, {"sensitive": True}, {"sensitive": "0123456789abcdef" * 4}])
def test_null_and_marks_stay_unchanged(kept: Any) -> None:
    keyed = Canonicalizer(sensitive=frozenset({"psk", "sensitive"}), data_key=KEY)
    assert keyed.canonical_value({"psk": kept}) == {"psk": kept}


@pytest.mark.parametrize(
    "almost",
    [{"sensitive": True, "more": 1}, {"sensitive": "0" * 63}, {"sensitive": "G" * 64}, {"sensitive": "0" * 64 + "\n"}],
)
def test_a_malformed_mark_is_hidden(almost: Any) -> None:
    keyed = Canonicalizer(sensitive=frozenset({"psk"}), data_key=KEY)
    assert keyed.canonical_value({"psk": almost})["psk"] != almost


@pytest.mark.parametrize("number", [float("inf"), float("-inf"), float("nan")])
def test_infinities_and_nan_are_refused(number: float) -> None:
    hiding = Canonicalizer(sensitive=frozenset({"hidden"}))
    documents: list[JsonObject] = [{"a": number}, {"a": [number]}, {"hidden": number}, {"hidden": [{"a": number}]}]
    for document in documents:
        with pytest.raises(NotANumberError):
            hiding.canonical(document)


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_text_of_every_unicode_plane_round_trips(text: str) -> None:
    assert orjson.loads(PLAIN.canonical({text: text, "list": [text]})) == {
        name: value for name, value in {text: text, "list": [text]}.items() if name[:1] != "#" and "@" not in name
    }


def test_a_large_document_round_trips() -> None:
    settings: list[JsonValue] = [
        {"id": f"{number:03}", "settingInstance": {"settingDefinitionId": f"d{number}", "value": "é😀" * 300}}
        for number in range(306)
    ]
    canonical = PLAIN.canonical({"settings": settings})
    assert len(canonical) > 550_000
    assert orjson.loads(canonical) == {"settings": settings}


copies = st.recursive(
    st.sampled_from(["x", "y", "{id}", "{id}_g1", "g2_{id}", "Policy {id} is on"]) | st.integers(0, 1),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(["id", "b", "servers"]), inner, max_size=3)
    ),
)


def copy_with_id(template: Any, external_id: str) -> Any:
    if isinstance(template, dict):
        return {name: copy_with_id(child, external_id) for name, child in template.items()}
    if isinstance(template, list):
        return [copy_with_id(member, external_id) for member in template]
    return template.replace("{id}", external_id) if isinstance(template, str) else template


@given(st.dictionaries(st.sampled_from(["a", "b", "servers"]), copies), st.uuids(), st.uuids(), st.data())
def test_recreated_items_have_the_same_likeness_hash(
    template: dict[str, Any], first_id: UUID, second_id: UUID, data: st.DataObject
) -> None:
    form = NormalForm(ArrayRules(ordered=frozenset({"servers"})))

    def likeness(content: dict[str, Any], external_id: str) -> bytes:
        identity = {"id": external_id, "createdDateTime": f"2024-{external_id}"}
        document = PLAIN.canonical({**copy_with_id(content, external_id), **identity})
        return likeness_hash(document, external_id, form)

    template["always"] = "there"
    assert likeness(template, str(first_id)) == likeness(template, str(second_id))
    path = data.draw(st.sampled_from(list(leaf_paths(template))))
    assert likeness(edited(template, path, "something else"), str(first_id)) != likeness(template, str(second_id))


@given(documents)
def test_the_likeness_hash_omits_id_and_creation_time(document: dict[str, Any]) -> None:
    canonical = PLAIN.canonical({**document, "id": "1", "createdDateTime": "2024"})
    rest = {name: value for name, value in document.items() if name not in ("id", "createdDateTime")}
    assert likeness_hash(canonical, "1", FORM) == FORM.of_sorted().hash(rest)


def test_a_short_id_is_not_replaced_within_a_text() -> None:
    assert likeness_hash(b'{"id":"1","name":"Windows 11"}', "1", FORM) == likeness_hash(
        b'{"id":"2","name":"Windows 11"}', "2", FORM
    )


def test_the_likeness_hash_omits_only_the_documents_own_id() -> None:
    own = "6f0c8f5e-0000-4000-8000-000000000001"
    first, second = (PLAIN.canonical({"id": own, "group": {"id": group}}) for group in "ab")
    assert likeness_hash(first, own, FORM) != likeness_hash(second, own, FORM)


def test_annotations_are_dropped_except_the_type() -> None:
    document: dict[str, Any] = {
        "@odata.context": "https://…",
        "@odata.etag": 'W/"1"',
        "@odata.type": "#microsoft.graph.group",
        "createdDateTime@odata.type": "#DateTimeOffset",
        "assignments@odata.context": "https://…",
        "#microsoft.graph.assign": {"title": "x"},
        "@microsoft.graph.tips": "use $select",
        "nested": [{"@odata.id": "x", "@odata.type": "#a", "value": 1}],
    }
    expected = b'{"@odata.type":"#microsoft.graph.group","nested":[{"@odata.type":"#a","value":1}]}'
    assert PLAIN.canonical(document) == expected


def test_volatile_properties_are_dropped_at_every_depth() -> None:
    blind = Canonicalizer(volatile=frozenset({"version"}))
    assert blind.canonical({"a": {"version": 1}, "version": 2}) == blind.canonical({"a": {}})
    assert PLAIN.canonical({"version": 1}) != PLAIN.canonical({"version": 2})


def test_keyed_marks_show_changes_and_hide_values() -> None:
    keyed = Canonicalizer(sensitive=frozenset({"psk"}), data_key=KEY)
    first, second = keyed.canonical({"psk": "hunter2"}), keyed.canonical({"psk": "hunter3"})
    assert first != second
    assert b"hunter" not in first + second
    assert keyed.canonical({"psk": "hunter2"}) == first
    assert (
        Canonicalizer(sensitive=frozenset({"psk"}), data_key=DataKey(b"other")).canonical({"psk": "hunter2"}) != first
    )


def test_marks_without_a_key_show_no_changes() -> None:
    keyless = Canonicalizer(sensitive=frozenset({"psk"}))
    assert (
        keyless.canonical({"psk": "hunter2"}) == keyless.canonical({"psk": "hunter3"}) == b'{"psk":{"sensitive":true}}'
    )


@pytest.mark.parametrize("layer", [lambda inner: {"a": inner}, lambda inner: [inner]])
def test_depth_is_limited(layer: Any) -> None:
    def nested(levels: int) -> dict[str, Any]:
        value: Any = 1
        for _ in range(levels - 1):
            value = layer(value)
        return {"root": value}

    PLAIN.canonical(nested(MAX_DEPTH))
    with pytest.raises(TooDeepError):
        PLAIN.canonical(nested(MAX_DEPTH + 1))


def test_a_lone_surrogate_is_refused() -> None:
    with pytest.raises(UnicodeEncodeError):
        PLAIN.canonical({"name": "\ud800"})


def test_numbers_and_times_are_kept_as_graph_sent_them() -> None:
    document: dict[str, Any] = {"big": 2**53 + 1, "time": "2024-01-01T00:00:00.1234567Z", "fraction": 0.1}
    assert orjson.loads(PLAIN.canonical(document)) == document


@needs_graph_data
def test_graph_counts_the_edits_of_real_documents_in_their_version() -> None:
    counted = [
        (document["version"] == 1, document["createdDateTime"] == document["lastModifiedDateTime"])
        for _, document in real_documents()
        if isinstance(document.get("version"), int) and document.keys() >= {"createdDateTime", "lastModifiedDateTime"}
    ]
    assert Counter(counted) == {(True, True): 18, (False, False): 36}


@pytest.mark.parametrize(
    ("document", "edit"),
    [
        ({"version": 3, "lastModifiedDateTime": "2026-01-01T00:00:00Z"}, "3"),
        ({"version": "1.0 of the author", "lastModifiedDateTime": "2026-01-01T00:00:00Z"}, "2026-01-01T00:00:00Z"),
        ({"version": True, "modifiedDateTime": "2026-01-01T00:00:00Z"}, "2026-01-01T00:00:00Z"),
        ({"version": None, "lastModifiedDateTime": ""}, None),
        ({"version": '"a tag"'}, None),
    ],
)
def test_an_edit_is_identified_by_version_number_or_modification_time(
    document: dict[str, Any], edit: str | None
) -> None:
    assert edit_of(document) == edit


@needs_graph_data
def test_canonical_form_of_real_documents_is_idempotent() -> None:
    for _, document in real_documents():
        canonical = PLAIN.canonical(document)
        assert PLAIN.canonical(orjson.loads(canonical)) == canonical


def by_rules() -> Canonicalizer:
    return Canonicalizer(volatile=frozenset({"version"}), sensitive=frozenset({"description"}), by_nature=True)


@needs_graph_data
def test_reused_and_new_canonicalizers_agree() -> None:
    reused = by_rules()
    for _, document in real_documents():
        for hides in (False, True):
            document["displayName"] = "password: 'Hunter2-Hunter2'" if hides else "A policy"
            canonical = reused.canonical_value(document)
            assert canonical == by_rules().canonical_value(document)
            hidden = by_rules().hidden_names(document, document)
            assert reused.hidden_names(document, document, canonical) == hidden
            assert ("displayName" in hidden) is hides


def test_every_error_code_has_an_explanation() -> None:
    assert set(EXPLANATIONS) == set(ErrorCode)
    assert all(str(code) == code.value for code in ErrorCode)
