"""The items that a plan blocks and the order of its requests, on made-up items with known results."""

from collections import Counter
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from answers.promotion.candidates import MappedTarget, PromotedVersion, PromotionItem, TenantIds, created_id
from answers.promotion.planner import collection_facts
from answers.promotion.records import BlockCode, PlanAction, PlannedItem, RequestStep
from answers.promotion.rules import planned
from graph.catalog import load_catalog, write_rules
from inventory.references import references
from inventory.stale import Staleness
from inventory.tenant_neutral import UnresolvedReason

TENANTS = TenantIds("aaaaaaaa-0000-4000-8000-000000000000", "bbbbbbbb-0000-4000-8000-000000000000")
FACTS = {key: collection_facts(key) for key in (*write_rules(), "windowsUpdateRings")}
CONFIGURATIONS, ACCESS, LOCATIONS = "deviceConfigurations", "conditionalAccessPolicies", "namedLocations"
SCRIPTS, SETTINGS = "deviceManagementScripts", "configurationPolicies"


def item_id(number: int) -> str:
    return f"{number:08d}-1111-4000-8000-000000000000"


def version(number: int, **properties: Any) -> PromotedVersion:
    document = {"id": item_id(number), "displayName": f"Item {number}", **properties}
    return PromotedVersion(item_id(number), f"Item {number}", "kind", 1, f"{number:064x}", document)


def plan(*items: PromotionItem, mapped: dict[Any, MappedTarget] | None = None) -> dict[str, PlannedItem]:
    found = planned(items, FACTS, mapped or {}, TENANTS, {})
    assert len(found) == len(items)
    return {item.source_id: item for item in found}


def planned_item(item: PromotionItem, mapped: dict[Any, MappedTarget] | None = None) -> PlannedItem:
    return plan(item, mapped=mapped)[item.source.external_id]


def codes(item: PlannedItem) -> set[BlockCode]:
    return {reason.code for reason in item.reasons}


def wifi(number: int, *needs: int) -> PromotionItem:
    """A profile that is bound to other items."""
    bound = [{"id": item_id(needed)} for needed in needs]
    return PromotionItem(CONFIGURATIONS, version(number, rootCertificatesForServerValidation=bound))


def test_new_items_follow_the_items_they_refer_to() -> None:
    first, second, third = plan(wifi(1, 2), wifi(2, 3), wifi(3)).values()
    assert [item.source_id for item in (first, second, third)] == [item_id(3), item_id(2), item_id(1)]
    (create,) = third.requests
    name = created_id((CONFIGURATIONS, item_id(2)))
    assert create.body["rootCertificatesForServerValidation@odata.bind"] == [
        f"{{graph}}/beta/deviceManagement/deviceConfigurations('{name}')"
    ]


def test_a_circle_blocks_its_items_and_the_items_referring_to_them() -> None:
    found = plan(wifi(1, 2), wifi(2, 1), wifi(3, 1), wifi(4))
    assert codes(found[item_id(1)]) >= {BlockCode.CIRCLE}
    assert '"Item 1" → "Item 2" → "Item 1"' in found[item_id(1)].reasons[0].text or (
        '"Item 2" → "Item 1" → "Item 2"' in found[item_id(1)].reasons[0].text
    )
    assert codes(found[item_id(2)]) >= {BlockCode.CIRCLE}
    assert codes(found[item_id(3)]) == {BlockCode.REFERENCE_BLOCKED}
    assert found[item_id(4)].action is PlanAction.CREATE


def test_a_new_item_that_refers_to_itself_is_blocked() -> None:
    assert codes(planned_item(wifi(1, 1))) == {BlockCode.OWN_ID}


@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(st.dictionaries(st.integers(1, 7), st.sets(st.integers(1, 8), max_size=2), max_size=7))
def test_no_request_uses_an_id_before_it_is_created(needs: dict[int, set[int]]) -> None:
    """For any references: an object is created before its use, or its item and all dependents are blocked."""
    found = plan(*(wifi(number, *needed) for number, needed in needs.items()))
    created: set[str] = set()
    requests = sorted(
        ((request.number, item) for item in found.values() for request in item.requests), key=lambda pair: pair[0]
    )
    assert [number for number, _ in requests] == list(range(1, len(requests) + 1))
    for _, item in requests:
        for reference in item.references:
            assert reference.created_by in created
        created.add(item.source_id)
    writable = {number for number, needed in needs.items() if needed <= needs.keys()}
    while any(not needs[number] <= writable for number in writable):
        writable = {number for number in writable if needs[number] <= writable}
    # The rest may hold circles: add items whose needs are done until no item is ready.
    done: set[int] = set()
    while ready := {number for number in writable - done if needs[number] <= done}:
        done |= ready
    assert created == {item_id(number) for number in done}


def access(number: int, *, excluded: list[str], state: str = "enabled") -> PromotedVersion:
    users = {"includeUsers": ["All"], "excludeGroups": excluded}
    return version(number, state=state, conditions={"users": users, "clientAppTypes": ["all"]})


GROUP, THERE = "99999999-2222-4000-8000-000000000000", "88888888-2222-4000-8000-000000000000"
MAPPED = {(("groups",), GROUP): MappedTarget("groups", THERE, "Break glass")}


def test_conditional_access_is_created_without_effect_first() -> None:
    item = planned_item(PromotionItem(ACCESS, access(1, excluded=[GROUP])), MAPPED)
    assert [(request.step, request.body) for request in item.requests] == [
        (
            RequestStep.CONTENT,
            {
                "displayName": "Item 1",
                "state": "enabledForReportingButNotEnforced",
                "conditions": {"users": {"includeUsers": ["None"]}, "clientAppTypes": ["all"]},
            },
        ),
        (RequestStep.EFFECT, {"state": "enabled"}),
        (
            RequestStep.EFFECT,
            {
                "conditions": {
                    "users": {"includeUsers": ["All"], "excludeGroups": [THERE]},
                    "clientAppTypes": ["all"],
                }
            },
        ),
    ]


def test_a_disabled_policy_is_created_in_one_request() -> None:
    (create,) = planned_item(PromotionItem(ACCESS, access(1, excluded=[GROUP], state="disabled")), MAPPED).requests
    assert create.body["state"] == "disabled"
    assert create.body["conditions"]["users"]["excludeGroups"] == [THERE]


def test_an_unresolved_exclusion_blocks_the_item() -> None:
    for reason in UnresolvedReason:
        mapped = {(("groups",), GROUP): MappedTarget("groups", None, "Break glass", reason)}
        item = planned_item(PromotionItem(ACCESS, access(1, excluded=[GROUP])), mapped)
        is_ambiguous = reason is UnresolvedReason.AMBIGUOUS
        block_code = BlockCode.REFERENCE_AMBIGUOUS if is_ambiguous else BlockCode.REFERENCE_UNRESOLVED
        assert (item.action, codes(item), item.requests) == (PlanAction.BLOCKED, {block_code}, [])


def test_properties_that_the_source_lacks_are_cleared() -> None:
    source = version(1, settings=[], description=None, inner={"kept": 1})
    target = version(2, description="old", extra=["x"], inner={"kept": 1, "gone": 2})._replace(title="Item 1")
    target.document["displayName"] = "Item 1"  # type: ignore[index]
    (update,) = planned_item(PromotionItem(CONFIGURATIONS, source, target)).requests
    assert (update.method, update.path.rpartition("/")[2]) == ("PATCH", item_id(2))
    assert update.body == {"description": None, "extra": [], "inner": {"kept": 1, "gone": None}}


def test_a_fixed_property_blocks_an_update_but_not_a_creation() -> None:
    source = version(1, platforms="windows10", settings=[])
    target = version(2, platforms="macOS", settings=[])
    assert codes(planned_item(PromotionItem(SETTINGS, source, target))) == {BlockCode.FIXED}
    assert planned_item(PromotionItem(SETTINGS, source)).action is PlanAction.CREATE


def test_a_hidden_value_blocks_only_if_it_would_be_sent() -> None:
    hidden = version(1, scriptContent={"sensitive": "0" * 64}, description="new")
    assert codes(planned_item(PromotionItem(SCRIPTS, hidden))) == {BlockCode.HIDDEN_VALUE}
    same = version(2, scriptContent={"sensitive": "0" * 64}, description="old", displayName="Item 1")
    (update,) = planned_item(PromotionItem(SCRIPTS, hidden, same)).requests
    assert update.body == {"description": "new"}


def test_missing_damaged_incomplete_or_stale_documents_block() -> None:
    stale = Staleness.model_validate({"since": "2026-11-29T00:00:00Z"})
    base = version(1, settings=[])
    for changed, code in (
        (base._replace(document=None), BlockCode.NO_DOCUMENT),
        (base._replace(document=None, is_damaged=True), BlockCode.DAMAGED),
        (base._replace(details_complete=False), BlockCode.DETAILS_INCOMPLETE),
        (base._replace(stale=stale), BlockCode.STALE),
    ):
        assert codes(planned_item(PromotionItem(SETTINGS, changed))) == {code}
        assert codes(planned_item(PromotionItem(SETTINGS, base, changed._replace(external_id=item_id(2))))) == {code}


def test_items_that_no_request_can_write_are_blocked() -> None:
    for type_key, properties, code in (
        ("windowsUpdateRings", {}, BlockCode.NO_WRITE_RULES),
        ("roleScopeTags", {"isBuiltIn": True, "assignments": []}, BlockCode.BUILT_IN),
        ("authenticationStrengthPolicies", {"policyType": "builtIn"}, BlockCode.BUILT_IN),
        (CONFIGURATIONS, {"privacyAccessControls": [{"id": "1"}]}, BlockCode.PART_WITHOUT_RULE),
        (CONFIGURATIONS, {"omaSettings": [{"isEncrypted": True}]}, BlockCode.NOT_IN_DOCUMENT),
        ("groupPolicyConfigurations", {"definitionValues": [{"enabled": True}]}, BlockCode.NOT_IN_DOCUMENT),
        (
            CONFIGURATIONS,
            {"assignments": [{"source": "policySets", "target": {"@odata.type": "#x"}}]},
            BlockCode.OF_POLICY_SET,
        ),
        (CONFIGURATIONS, {"payloadName": f"of {item_id(1)}"}, BlockCode.OWN_ID),
    ):
        assert codes(planned_item(PromotionItem(type_key, version(1, **properties)))) == {code}, code


def test_the_source_tenants_id_becomes_the_target_tenants_id() -> None:
    item = planned_item(PromotionItem(CONFIGURATIONS, version(1, url=f"https://example/{TENANTS.source}")))
    assert item.requests[0].body["url"] == f"https://example/{TENANTS.target}"


group_ids = st.integers(1, 5).map(lambda number: f"{number:08d}-3333-4000-8000-000000000000")
kinds = st.sampled_from(["groupAssignmentTarget", "exclusionGroupAssignmentTarget"])
assignments = st.lists(
    st.tuples(kinds, group_ids).map(
        lambda pair: {"target": {"@odata.type": f"#microsoft.graph.{pair[0]}", "groupId": pair[1]}}
    ),
    max_size=5,
    unique_by=lambda assignment: assignment["target"]["groupId"],
)


@settings(deadline=None)
@given(assignments, st.sets(group_ids))
def test_all_assignments_are_sent_or_the_item_is_blocked(listed: list[dict[str, Any]], missing: set[str]) -> None:
    source = version(1, assignments=listed)
    rules = load_catalog().collections[CONFIGURATIONS].references
    document: Any = {"assignments": listed}
    listed_references = references(document, rules)
    mapped = {
        (("groups",), reference.target_id): MappedTarget(
            "groups",
            None if reference.target_id in missing else reference.target_id.replace("3333", "4444"),
            reason=UnresolvedReason.UNKNOWN,
        )
        for reference in listed_references
    }
    item = planned_item(PromotionItem(CONFIGURATIONS, source), mapped)
    if missing & {reference.target_id for reference in listed_references}:
        assert (item.action, item.requests) == (PlanAction.BLOCKED, [])
        return
    sent = [request.body["assignments"] for request in item.requests if request.path.endswith("/assign")]
    arrived = references({"assignments": sent[0] if sent else []}, rules)
    assert Counter((reference.role, reference.target_id.replace("4444", "3333")) for reference in arrived) == Counter(
        (reference.role, reference.target_id) for reference in listed_references
    )
