"""Lists that Graph has cut: their places, and the hashes of documents with their links."""

from hypothesis import given
from hypothesis import strategies as st

from inventory.canonical import JsonObject, JsonValue
from inventory.cut_lists import (
    CutList,
    Expansion,
    cut_lists,
    cut_properties,
    expansion,
    owner_of,
    with_links,
    without_links,
)
from inventory.observation import ObservationRules, Observer

LINK = "https://graph.example/beta/things/one/members?$skiptoken=a"
EXPAND = "assignments,policy($expand=rules),actions($select=id;$expand=steps($expand=checks))"


def test_nested_expansions_are_parsed() -> None:
    assert expansion(EXPAND) == {
        "assignments": {},
        "policy": {"rules": {}},
        "actions": {"steps": {"checks": {}}},
    }
    assert expansion(None) == {}


def test_cut_lists_are_found_at_every_expanded_place() -> None:
    document: JsonObject = {
        "assignments": [{"id": "1"}],
        "assignments@odata.nextLink": "a",
        "policy": {"rules": [], "rules@odata.nextLink": "b"},
        "actions": [{"steps": [{}, {"checks": [], "checks@odata.nextLink": "c"}]}],
        "other": [1],
        "other@odata.nextLink": "never expanded",
    }
    found = cut_lists(document, expansion(EXPAND))
    assert found == [
        CutList(("assignments",), "a"),
        CutList(("policy", "rules"), "b"),
        CutList(("actions", 0, "steps", 1, "checks"), "c"),
    ]
    assert cut_properties(document) == {"assignments", "policy", "actions", "other"}
    without_links(document, found)
    assert cut_lists(document, expansion(EXPAND)) == []
    assert owner_of(document, ("actions", 7, "steps")) == (None, "steps")


_names = st.sampled_from(["a", "b", "c"])
_trees: st.SearchStrategy[JsonValue] = st.recursive(
    st.none() | st.integers() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_names, inner, max_size=3),
    max_leaves=12,
)
_expansions: st.SearchStrategy[Expansion] = st.recursive(
    st.just({}), lambda inner: st.dictionaries(_names, inner, max_size=2), max_leaves=6
)


@given(document=st.dictionaries(_names, _trees), expanded=_expansions, data=st.data())
def test_links_can_be_added_and_removed_without_changing_the_document(
    document: JsonObject, expanded: Expansion, data: st.DataObject
) -> None:
    plain = Observer(ObservationRules(type_key="a")).observe({**document, "id": "1"})
    lists = cut_lists(_linked_everywhere(document), expanded)
    chosen = [path for path in lists if data.draw(st.booleans())]
    with_links(document, chosen)
    assert cut_lists(document, expanded) == chosen
    without_links(document, chosen)
    assert Observer(ObservationRules(type_key="a")).observe({**document, "id": "1"}) == plain


def _linked_everywhere(value: JsonValue) -> JsonValue:
    if isinstance(value, dict):
        linked: JsonObject = {name: _linked_everywhere(child) for name, child in value.items()}
        return linked | {f"{name}@odata.nextLink": name for name, child in value.items() if isinstance(child, list)}
    return [_linked_everywhere(member) for member in value] if isinstance(value, list) else value


def test_a_cut_list_adds_a_list_hash_and_keeps_the_content_hash() -> None:
    observer = Observer(ObservationRules(type_key="a", expand="members"))
    whole = observer.observe({"id": "1", "members": [{"id": "m"}]})
    cut = observer.observe({"id": "1", "members": [{"id": "m"}], "members@odata.nextLink": LINK})
    assert (whole.is_cut, whole.list_hash, cut.is_cut) == (False, None, True)
    assert cut.content_hash == whole.content_hash
    assert cut.list_hash is not None
    assert LINK.encode() in cut.document
