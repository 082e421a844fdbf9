"""Cases of `../shared/cases` about order, replaced content and forms of "nothing"; file names name the tests."""

import pytest

from tests.end_to_end.cases import Case, Documents, TenantPair, needs_cases

pytestmark = needs_cases


@pytest.mark.slow
def test_01_order_of_vpn_rules(pair: TenantPair) -> None:
    case = Case("01-order-of-vpn-rules")
    type_key, (external_id,) = case.type_keys[0], case.ids
    _, after = pair.play(case)
    assert after.counts.changed == 1
    assert [version.version for version in pair.versions(type_key, external_id)] == [2, 1]
    assert changed_fields(pair, type_key) == [[("onDemandRules[order]", "changed")]]
    rules = pair.show(type_key, external_id)["onDemandRules"]
    assert [rule["action"] for rule in rules] == ["connect", "disconnect"]
    pair.hold(reordered(case.after, "roleScopeTagIds", "assignments"))
    assert pair.sync(case.type_keys).counts.changed == 0
    assert len(pair.versions(type_key, external_id)) == 2


@pytest.mark.slow
def test_02_order_of_home_screen(pair: TenantPair) -> None:
    case = Case("02-order-of-home-screen")
    type_key, (external_id,) = case.type_keys[0], case.ids
    _, after = pair.play(case)
    assert after.counts.changed == 1
    (fields,) = changed_fields(pair, type_key)
    assert {kind for _, kind in fields} == {"changed"}
    assert [path for path, _ in fields] == [
        "homeScreenDockIcons[order]",
        "homeScreenPages[Work].icons[order]",
        "homeScreenPages[order]",
    ]
    document, (graph_object,) = pair.show(type_key, external_id), case.after[type_key]
    for name in ("homeScreenPages", "homeScreenDockIcons"):
        assert document[name] == graph_object[name]


@pytest.mark.slow
def test_03_order_of_approval_stages(pair: TenantPair) -> None:
    case = Case("03-order-of-approval-stages")
    type_key, (external_id,) = case.type_keys[0], case.ids
    _, after = pair.play(case)
    assert after.counts.changed == 1
    assert changed_fields(pair, type_key) == [[("requestApprovalSettings.stages[order]", "changed")]]
    (graph_object,) = case.after[type_key]
    assert pair.show(type_key, external_id)["requestApprovalSettings"] == graph_object["requestApprovalSettings"]


def test_04_installer_replaced(pair: TenantPair) -> None:
    case = Case("04-installer-replaced")
    type_key, (external_id,) = case.type_keys[0], case.ids
    _, after = pair.play(case)
    assert after.counts.changed == 1
    assert [
        (difference.path, difference.before, difference.after) for difference in pair.diff(type_key, external_id)
    ] == [
        ("committedContentVersion", "1", "2"),
        ("size", 1000, 7777),
    ]
    assert changed_fields(pair, type_key) == [[("committedContentVersion", "changed"), ("size", "changed")]]
    (graph_object,) = case.after[type_key]
    pair.hold({type_key: [{**graph_object, "uploadState": 2, "publishingState": "processing"}]})
    assert pair.sync(case.type_keys).counts.changed == 0


def test_11_id_twice_in_a_list(pair: TenantPair) -> None:
    case = Case("11-id-twice-in-a-list")
    type_key = case.type_keys[0]
    pair.play(case, baseline=True)
    assert (changed_fields(pair, type_key), pair.drift()) == ([], [])
    (graph_object,) = case.after[type_key]
    conditions = {**graph_object["conditions"], "locations": {"includeLocations": ["All"], "excludeLocations": []}}
    pair.hold({type_key: [{**graph_object, "conditions": conditions}]})
    assert pair.sync(case.type_keys).counts.changed == 1
    (fields,) = changed_fields(pair, type_key)
    assert [kind for _, kind in fields] == ["removed"]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["12-nothing-configured-in-three-forms", "13-null-here-absent-there"])
def test_12_and_13_nothing_configured_in_several_forms(pair: TenantPair, name: str) -> None:
    case = Case(name)
    type_key = case.type_keys[0]
    _, after = pair.play(case, baseline=True)
    assert after.counts.changed == 0
    assert (changed_fields(pair, type_key), pair.drift()) == ([], [])
    (graph_object,) = case.after[type_key]
    platforms = {"includePlatforms": ["all"], "excludePlatforms": []}
    pair.hold({type_key: [{**graph_object, "conditions": {**graph_object["conditions"], "platforms": platforms}}]})
    assert pair.sync(case.type_keys).counts.changed == 1
    (fields,) = changed_fields(pair, type_key)
    assert len(fields) == 1


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", ["11-id-twice-in-a-list", "12-nothing-configured-in-three-forms", "13-null-here-absent-there"]
)
def test_11_to_13_are_the_same_in_two_tenants(pair: TenantPair, name: str) -> None:
    items, _ = pair.compare(Case(name))
    assert [(item.status, item.fields) for item in items] == [("same", [])]


def test_23_conditional_access_no_longer_enforced(pair: TenantPair) -> None:
    case = Case("23-conditional-access-no-longer-enforced")
    before, after = pair.play(case, baseline=True)
    assert (before.status, after.counts.changed) == ("success", 1)
    assert {finding.severity for finding in pair.drift()} == {"high"}


def changed_fields(pair: TenantPair, type_key: str) -> list[list[tuple[str, str]]]:
    """The changed fields, with the kind of change, of each item that `changes` reports as changed."""
    changes = [entry for entry in pair.changes(type_key) if entry.kind == "changed"]
    return [sorted((field.path, field.kind.value) for field in change.fields or ()) for change in changes]


def reordered(documents: Documents, *names: str) -> Documents:
    """The documents with the named arrays reversed."""
    return {
        type_key: [
            {name: value[::-1] if name in names else value for name, value in document.items()} for document in held
        ]
        for type_key, held in documents.items()
    }
