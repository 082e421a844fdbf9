"""Digests of tenant-neutral documents: equal ones mean equal documents."""

import copy
from typing import Any

import orjson
from hypothesis import example, given
from hypothesis import strategies as st

from graph.catalog import load_catalog
from inventory.neutral_digest import NeutralDigester
from inventory.normal_form import ArrayRules, NormalForm
from inventory.tenant_neutral import (
    OWN_ID,
    TENANT_ID,
    IdTranslation,
    NeutralDocument,
    Neutralizer,
    TenantNeutralRules,
    UnresolvedReason,
)
from tests.conftest import needs_graph_data
from tests.real_documents import real_documents

ID, OTHER_ID = "11111111-aaaa-4bbb-8ccc-000000000001", "22222222-aaaa-4bbb-8ccc-000000000002"
TENANT, OTHER_TENANT = "33333333-aaaa-4bbb-8ccc-000000000003", "44444444-aaaa-4bbb-8ccc-000000000004"
GROUP = "55555555-aaaa-4bbb-8ccc-000000000005"
KEY = "66666666-aaaa-4bbb-8ccc-000000000006"

RULES = Neutralizer(
    TenantNeutralRules(
        id_field="id",
        name_field="displayName",
        identity=frozenset(
            {"createdDateTime", "/version", "settings/number", "assignments/id", "#one/forgotten", "/appId"}
        ),
        form=NormalForm(ArrayRules(details=frozenset({"settings"}))).of_sorted(),
        references={
            "assignments.groupId": ("groups",),
            "targetId?kind=child": ("groups",),
            "#link/value": ("groups",),
        },
        details=frozenset({"settings"}),
        alternate_keys=frozenset({"appId"}),
        masked=frozenset({"#secret/value"}),
    )
)

ids = st.sampled_from([ID, OTHER_ID, TENANT, OTHER_TENANT, GROUP, KEY, "5"])
marks = st.sampled_from([{"sensitive": True}, {"sensitive": True, "edited": "7"}, {"sensitive": "0" * 64}])
scalars = st.none() | st.integers(0, 1) | ids | st.sampled_from(["a", f"of {ID}", f"x{KEY}y"]) | marks
members = st.fixed_dictionaries(
    {},
    optional={
        "@odata.type": st.sampled_from(["#link", "#secret", "#one"]),
        "value": scalars,
        "number": scalars,
        "createdDateTime": scalars,
        "isEncrypted": st.booleans(),
        "forgotten": scalars,
    },
)
documents = st.fixed_dictionaries(
    {},
    optional={
        "@odata.type": st.sampled_from(["#link", "#secret", "#one"]),
        "id": st.sampled_from([ID, ID.upper()]),
        "settings@odata.context": scalars,
        "settings": st.lists(members, max_size=2),
        "assignments": st.lists(st.fixed_dictionaries({"groupId": ids}), max_size=2),
        "kind": st.sampled_from(["child", "parent"]),
        **dict.fromkeys(
            ["displayName", "createdDateTime", "version", "forgotten", "targetId", "value", "appId", "plain"], scalars
        ),
        "nested": members,
    },
)
Documents = tuple[dict[str, Any], dict[str, Any]]


@st.composite
def pairs(draw: st.DrawFn) -> Documents:
    before = draw(documents)
    after = {**before, **draw(documents)}
    gone = draw(st.sets(st.sampled_from(sorted(after)), max_size=2)) if after else set[str]()
    return before, {name: value for name, value in after.items() if name not in gone}


def translated(_: tuple[str, ...], target_id: str) -> IdTranslation:
    return IdTranslation(None, UnresolvedReason.GONE) if target_id == OTHER_ID else IdTranslation("Pilot")


def both(document: dict[str, Any], own: dict[str, str], rules: Neutralizer = RULES) -> tuple[NeutralDocument, ...]:
    """The neutral document, and its digest."""
    digester, stored = NeutralDigester(rules), orjson.dumps(document, option=orjson.OPT_SORT_KEYS)
    partly = digester.decoded(stored, own)
    assert rules.targets(partly.document) == rules.targets(document)
    return rules.of(document, own, translated), digester.of(partly, own, translated)


HERE, THERE = {ID: OWN_ID, TENANT: TENANT_ID}, {ID: OWN_ID, OTHER_TENANT: TENANT_ID}

NAMES_A_TENANT = {"plain": f"of {TENANT}"}, {"plain": f"of {TENANT}"}
OTHER_TYPE = {"@odata.type": "#one", "plain": 1, "forgotten": 1}, {"@odata.type": "#link", "plain": 1, "forgotten": 1}
MASKED = {"nested": {"@odata.type": "#secret"}}, {"nested": {"@odata.type": "#secret"}}
NAMES_ITS_KEY = {"appId": KEY, "plain": f"x{KEY}y"}, {"appId": "5", "plain": f"x{KEY}y"}


@example(NAMES_A_TENANT)
@example(OTHER_TYPE)
@example(MASKED)
@example(NAMES_ITS_KEY)
@given(pairs())
def test_equal_digests_mean_equal_documents(pair: Documents) -> None:
    first, first_digest = both(pair[0], HERE)
    second, second_digest = both(pair[1], THERE)
    for whole, digested in ((first, first_digest), (second, second_digest)):
        assert digested._replace(document={}, canonical=b"") == whole._replace(document={}, canonical=b"")
    if first_digest.canonical == second_digest.canonical:
        assert first.canonical == second.canonical


def test_copies_under_other_ids_have_equal_digests_though_most_is_not_decoded() -> None:
    document = {
        "id": ID,
        "createdDateTime": "2026-01-01T00:00:00Z",
        "settings": [{"number": 1, "value": "a"}],
        "plain": {"large": [1, 2]},
        "assignments": [{"groupId": GROUP, "id": f"{ID}_{GROUP}"}],
    }
    text = orjson.dumps(document).decode().replace(ID, OTHER_ID).replace(GROUP, KEY).replace("2026", "2027")
    copied = orjson.loads(text)
    own = {OTHER_ID: OWN_ID, OTHER_TENANT: TENANT_ID}
    assert both(document, HERE)[1].canonical == both(copied, own)[1].canonical
    edited = {**copied, "settings": [{"number": 1, "value": "b"}]}
    assert both(document, HERE)[1].canonical != both(edited, own)[1].canonical
    partly = NeutralDigester(RULES).decoded(orjson.dumps(document), HERE)
    assert partly.document.keys() == {"id", "assignments"}


@needs_graph_data
def test_real_documents_have_digests_that_agree_with_them() -> None:
    rules = {
        collection.path.strip("/"): Neutralizer(collection.independence_rules())
        for collection in load_catalog().collections.values()
    }
    seen: dict[bytes, bytes] = {}
    count = 0
    for path, document in real_documents():
        neutralizer = rules.get(path)
        if neutralizer is None or not isinstance(document.get("id"), str):
            continue
        own = {document["id"]: OWN_ID, TENANT: TENANT_ID}
        whole, digested = both(document, own, neutralizer)
        copied = copy.deepcopy(document) | {"createdDateTime": "2026-01-01T00:00:00Z", "lastModifiedDateTime": None}
        assert both(copied, own, neutralizer)[1].canonical == digested.canonical
        assert digested._replace(document={}, canonical=b"") == whole._replace(document={}, canonical=b"")
        assert seen.setdefault(digested.canonical, whole.canonical) == whole.canonical
        count += 1
    assert count > 100
