from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from inventory.canonical import MAX_DEPTH, Canonicalizer, TooDeepError, content_hash
from inventory.error_codes import EXPLANATIONS, ErrorCode
from tests.conftest import needs_graph_data
from tests.real_documents import real_documents

scalars = st.one_of(st.none(), st.booleans(), st.integers(-(2**63), 2**63 - 1), st.floats(allow_nan=False), st.text())
names = st.text(st.characters(codec="utf-8", exclude_characters="@#"), min_size=1, max_size=8)
documents = st.dictionaries(
    names,
    st.recursive(scalars, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(names, inner, max_size=4)),
    max_size=6,
)

PLAIN = Canonicalizer()


def shuffled(value: Any, data: st.DataObject) -> Any:
    """The same content with every object's and every array's order changed."""
    if isinstance(value, dict):
        return {name: shuffled(value[name], data) for name in data.draw(st.permutations(list(value)))}
    if isinstance(value, list):
        return [shuffled(member, data) for member in data.draw(st.permutations(value))]
    return value


@given(documents)
def test_canonical_form_is_idempotent(document: dict[str, Any]) -> None:
    canonical = PLAIN.canonical(document)
    assert PLAIN.canonical(orjson.loads(canonical)) == canonical


@given(documents, st.data())
def test_canonical_form_is_blind_to_order(document: dict[str, Any], data: st.DataObject) -> None:
    assert PLAIN.canonical(shuffled(document, data)) == PLAIN.canonical(document)


@given(documents, names, scalars, scalars)
def test_canonical_form_sees_every_changed_value(document: dict[str, Any], name: str, before: Any, after: Any) -> None:
    one, other = PLAIN.canonical({**document, name: before}), PLAIN.canonical({**document, name: after})
    assert (one == other) is (orjson.dumps(before) == orjson.dumps(after))


@given(documents)
def test_nothing_but_order_is_lost(document: dict[str, Any]) -> None:
    def unordered(value: Any) -> Any:
        if isinstance(value, dict):
            return {name: unordered(child) for name, child in value.items()}
        if isinstance(value, list):
            return sorted(
                (unordered(member) for member in value), key=lambda one: orjson.dumps(one, option=orjson.OPT_SORT_KEYS)
            )
        return value

    assert unordered(orjson.loads(PLAIN.canonical(document))) == unordered(orjson.loads(orjson.dumps(document)))


def test_annotations_are_left_out_but_for_the_type() -> None:
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


def test_volatile_properties_do_not_count_at_any_depth() -> None:
    blind = Canonicalizer(volatile=frozenset({"version"}))
    assert blind.canonical({"a": {"version": 1}, "version": 2}) == blind.canonical({"a": {}})
    assert PLAIN.canonical({"version": 1}) != PLAIN.canonical({"version": 2})


def test_order_counts_where_it_is_content() -> None:
    ordered = Canonicalizer(ordered=frozenset({"servers"}))
    assert ordered.canonical({"servers": ["b", "a"]}) != ordered.canonical({"servers": ["a", "b"]})
    assert ordered.canonical({"others": ["b", "a"]}) == ordered.canonical({"others": ["a", "b"]})


def test_sensitive_values_show_change_and_hide_the_value() -> None:
    keyed = Canonicalizer(sensitive=frozenset({"psk"}), sensitive_key=b"key")
    one, other = keyed.canonical({"psk": "hunter2"}), keyed.canonical({"psk": "hunter3"})
    assert one != other
    assert b"hunter" not in one + other
    assert keyed.canonical({"psk": "hunter2"}) == one
    assert Canonicalizer(sensitive=frozenset({"psk"}), sensitive_key=b"other").canonical({"psk": "hunter2"}) != one


def test_sensitive_values_without_a_key_are_only_hidden() -> None:
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


def test_numbers_and_times_stay_as_they_were_sent() -> None:
    document: dict[str, Any] = {"big": 2**53 + 1, "time": "2024-01-01T00:00:00.1234567Z", "fraction": 0.1}
    assert orjson.loads(PLAIN.canonical(document)) == document


@needs_graph_data
def test_real_documents_keep_their_content() -> None:
    for _, document in real_documents():
        canonical = PLAIN.canonical(document)
        assert PLAIN.canonical(orjson.loads(canonical)) == canonical
        assert len(content_hash(canonical)) == 32


def test_every_error_code_is_explained() -> None:
    assert set(EXPLANATIONS) == set(ErrorCode)
    assert all(str(code) == code.value for code in ErrorCode)
