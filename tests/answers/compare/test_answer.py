"""Two tenants compared on a database alone: matched, equal and undecided items."""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import Any
from uuid import UUID, uuid4

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from answers.compare.answer import Comparison, side
from answers.compare.matrix import Matrix
from answers.compare.records import (
    CellStatus,
    ComparisonRecord,
    CoverageState,
    ItemComparison,
    MatchedBy,
    MatrixRecord,
    MatrixRow,
    Status,
    TenantRecord,
)
from graph.catalog import load_catalog
from inventory.error_codes import ErrorCode
from inventory.observation import Observation, Observer
from inventory.outcomes import Outcome, RunStatus
from inventory.tenant_neutral import Uncertainty
from storage.database import Database
from storage.references import catch_up
from tests.conftest import needs_graph_data
from tests.real_documents import real_documents
from tests.storage.support import observation, sync

HERE, THERE, THIRD, FOURTH = UUID(int=21), UUID(int=22), UUID(int=23), UUID(int=24)
POLICIES, GROUPS, FILTERS = "deviceCompliancePolicies", "groups", "assignmentFilters"
TYPES = (POLICIES, GROUPS, FILTERS)
FAILED: tuple[Outcome, ErrorCode | None] = (Outcome.FAILED, ErrorCode.GRAPH_THROTTLED)
SKIPPED: tuple[Outcome, ErrorCode | None] = (Outcome.SKIPPED, ErrorCode.GRAPH_NOT_LICENSED)
COMPLETE: tuple[Outcome, ErrorCode | None] = (Outcome.COMPLETE, None)


def observed(type_key: str, document: dict[str, Any]) -> Observation:
    return Observer(load_catalog().collections[type_key].observation_rules()).observe(document)


def whole_item(type_key: str, document: dict[str, Any]) -> Observation:
    """An item read with all its details, perhaps only those of an earlier release."""
    return observed(type_key, document)._replace(list_hash=None)


def policy(name: str, external_id: str | None = None, **properties: Any) -> Observation:
    return observed(POLICIES, {"id": external_id or str(uuid4()), "displayName": name, "level": 1, **properties})


def group(name: str, external_id: str) -> Observation:
    return observed(GROUPS, {"id": external_id, "displayName": name})


def assigned(policy_id: str, group_id: str, filter_id: str | None = None) -> dict[str, Any]:
    target = {"@odata.type": "#microsoft.graph.groupAssignmentTarget", "groupId": group_id}
    if filter_id is not None:
        target |= {
            "deviceAndAppManagementAssignmentFilterId": filter_id,
            "deviceAndAppManagementAssignmentFilterType": "include",
        }
    return {"id": f"{policy_id}_{group_id}", "target": target}


async def compared(
    database: Database, type_keys: Sequence[str] | None = None, *, turned: bool = False
) -> tuple[list[ItemComparison], ComparisonRecord]:
    here_id, there_id = (THERE, HERE) if turned else (HERE, THERE)
    async with (
        database.tenant(here_id, read_only=True, snapshot=True) as first,
        database.tenant(there_id, read_only=True, snapshot=True) as second,
    ):
        comparison = Comparison(
            await side(TenantRecord(tenant_id=here_id, name="one"), first),
            await side(TenantRecord(tenant_id=there_id, name="other"), second),
            type_keys,
        )
        return [item async for item in comparison.items()], comparison.record()


async def fill(database: Database, here: Iterable[Observation], there: Iterable[Observation]) -> None:
    await sync(database, HERE, here, *TYPES)
    await sync(database, THERE, there, *TYPES)


def statuses(items: Iterable[ItemComparison], type_key: str = POLICIES) -> dict[str, Status]:
    return {(item.here or item.there)[0].display_name or "": item.status for item in items if item.type_key == type_key}


async def test_items_match_by_name_and_the_rest_are_on_one_side(database: Database) -> None:
    await fill(
        database,
        [policy("Same"), policy("Other"), policy("Mine", level=5), policy("  PIN  code")],
        [policy("Same"), policy("Other", level=2), policy("Theirs", level=7), policy("Pin Code")],
    )
    items, record = await compared(database)
    assert statuses(items) == {
        "Same": Status.SAME,
        "Other": Status.DIFFERENT,
        "Mine": Status.ONLY_HERE,
        "Theirs": Status.ONLY_THERE,
        "  PIN  code": Status.RENAMED,
    }
    (different,) = (item for item in items if item.status is Status.DIFFERENT)
    assert [(field.path, field.before, field.after) for field in different.fields] == [("level", 1, 2)]
    (letters,) = (item for item in items if item.matched_by is MatchedBy.NAME_IN_OTHER_LETTERS)
    assert [field.path for field in letters.fields] == ["displayName"]
    assert record.counts.model_dump() == {
        **dict.fromkeys(record.counts.model_dump(), 0),
        "same": 1,
        "different": 1,
        "renamed": 1,
        "only_here": 1,
        "only_there": 1,
    }


async def test_equal_content_under_another_name_matches_as_renamed(database: Database) -> None:
    await fill(database, [policy("Old", level=9)], [policy("New", level=9)])
    ((item,), _) = await compared(database)
    assert (item.status, item.matched_by) == (Status.RENAMED, MatchedBy.CONTENT)


async def test_duplicate_names_are_ambiguous_unless_content_distinguishes_them(database: Database) -> None:
    await fill(
        database,
        [policy("Twin", level=1), policy("Twin", level=2), policy("Apart", level=1), policy("Apart", level=2)],
        [policy("Twin", level=3), policy("Twin", level=4), policy("Apart", level=2), policy("Apart", level=1)],
    )
    items, _ = await compared(database)
    (ambiguous,) = (item for item in items if item.status is Status.AMBIGUOUS)
    assert (len(ambiguous.here), len(ambiguous.there)) == (2, 2)
    assert Counter(item.status for item in items) == {Status.AMBIGUOUS: 1, Status.SAME: 2}


def scene(prefix: str, **differently: Any) -> list[Observation]:
    """A tenant: two groups, a filter, and a policy that is assigned to both. Ids are the tenant's own."""
    ids = {name: f"{prefix}-{name}-0000-0000-000000000000" for name in ("policy", "pilot", "staff", "filter")}
    rule = differently.get("rule", "(device.model -eq 'X')")
    return [
        group(differently.get("pilot", "Pilot"), ids["pilot"]),
        group("Staff", ids["staff"]),
        observed(
            FILTERS,
            {"id": ids["filter"], "displayName": f"Filter of {prefix}", "platform": "iOS", "rule": rule},
        ),
        policy(
            "Assigned",
            ids["policy"],
            assignments=[
                assigned(ids["policy"], ids["pilot"], ids["filter"]),
                assigned(ids["policy"], differently.get("other", ids["staff"])),
            ],
        ),
    ]


async def test_references_are_compared_by_the_objects_they_name(database: Database) -> None:
    await fill(database, scene("aaaaaaaa"), scene("bbbbbbbb"))
    assert statuses((await compared(database))[0]) == {"Assigned": Status.SAME}


async def test_ids_match_regardless_of_case(database: Database) -> None:
    def group_and_policy(policy_id: str, group_id: str, spelled: Callable[[str], str]) -> list[Observation]:
        assignments = [assigned(spelled(policy_id), group_id)]
        return [group("Pilot", spelled(group_id)), policy("P", spelled(policy_id), assignments=assignments)]

    here = group_and_policy("0a1b2c3d-4e5f-6071-8293-a4b5c6d7e8f9", "0a1b2c3d-4e5f-6071-8293-a4b5c6d7e8f0", str.upper)
    there = group_and_policy("1a1b2c3d-4e5f-6071-8293-a4b5c6d7e8f9", "1a1b2c3d-4e5f-6071-8293-a4b5c6d7e8f0", str.lower)
    await fill(database, here, there)
    assert statuses((await compared(database))[0]) == {"P": Status.SAME}


@pytest.mark.parametrize(
    "differently", [{"rule": "(device.model -eq 'Y')"}, {"pilot": "Pilots"}], ids=["the filter's rule", "the group"]
)
async def test_references_to_different_objects_differ(database: Database, differently: dict[str, Any]) -> None:
    await fill(database, scene("aaaaaaaa"), scene("bbbbbbbb", **differently))
    (item,) = (item for item in (await compared(database))[0] if item.type_key == POLICIES)
    assert item.status is Status.DIFFERENT
    assert {field.path.partition("[")[0] for field in item.fields} == {"assignments"}


async def test_an_unresolved_id_leaves_its_item_undecided(database: Database) -> None:
    unknown = "cccccccc-0000-0000-0000-000000000000"
    await fill(database, scene("aaaaaaaa", other=unknown), scene("bbbbbbbb", other=unknown))
    (item,) = (item for item in (await compared(database))[0] if item.type_key == POLICIES)
    assert item.status is Status.UNDECIDED
    assert [reference.target_id for reference in item.unresolved_here] == [unknown]


@pytest.mark.parametrize("there", ["11111111-0000-4000-8000-000000000001", "22222222-0000-4000-8000-000000000002"])
async def test_policies_that_name_unread_users_are_undecided(database: Database, there: str) -> None:
    def excluding(user_id: str) -> Observation:
        users = {"includeUsers": ["All"], "excludeUsers": [user_id]}
        document = {"id": str(uuid4()), "displayName": "MFA", "state": "enabled", "conditions": {"users": users}}
        return observed("conditionalAccessPolicies", document)

    await sync(database, HERE, [excluding("11111111-0000-4000-8000-000000000001")], "conditionalAccessPolicies")
    await sync(database, THERE, [excluding(there)], "conditionalAccessPolicies")
    ((item,), _) = await compared(database)
    assert item.status is Status.UNDECIDED


async def test_a_name_shared_by_two_groups_identifies_neither(database: Database) -> None:
    second = group("Pilot", "dddddddd-pilot-0000-0000-000000000000")
    await fill(database, [*scene("aaaaaaaa"), second], scene("bbbbbbbb"))
    (item,) = (item for item in (await compared(database))[0] if item.type_key == POLICIES)
    assert item.status is not Status.SAME


@pytest.mark.parametrize(
    ("outcome", "state"), [(FAILED, CoverageState.NOT_COVERED), (SKIPPED, CoverageState.CANNOT_HAVE)]
)
async def test_failed_collections_are_left_out_but_skipped_collections_are_compared(
    database: Database, outcome: tuple[Outcome, ErrorCode | None], state: CoverageState
) -> None:
    await sync(database, HERE, [policy("One")], *TYPES)
    outcomes = {POLICIES: outcome, GROUPS: COMPLETE, FILTERS: COMPLETE}
    await sync(database, THERE, [], *TYPES, status=RunStatus.PARTIAL, outcomes=outcomes)
    items, record = await compared(database)
    (policies,) = (collection for collection in record.collections if collection.type_key == POLICIES)
    assert (policies.here.state, policies.there.state) == (CoverageState.COMPLETE, state)
    assert policies.is_compared == (state is CoverageState.CANNOT_HAVE)
    assert statuses(items) == ({"One": Status.ONLY_HERE} if policies.is_compared else {})


async def test_absent_items_are_not_compared(database: Database) -> None:
    await fill(database, [policy("One"), policy("Gone", "gone")], [policy("One"), policy("Gone", "gone too")])
    await sync(database, HERE, [policy("Two", level=2)], *TYPES)
    items, _ = await compared(database)
    assert statuses(items) == {"Two": Status.ONLY_HERE, "One": Status.ONLY_THERE, "Gone": Status.ONLY_THERE}
    back, _ = await compared(database, turned=True)
    assert statuses(back) == {"Two": Status.ONLY_THERE, "One": Status.ONLY_HERE, "Gone": Status.ONLY_HERE}


_TURNED = {Status.ONLY_HERE: Status.ONLY_THERE, Status.ONLY_THERE: Status.ONLY_HERE}

items_of_a_tenant = st.lists(st.tuples(st.sampled_from(["One", "one", "Two", "Three"]), st.integers(1, 3)), max_size=5)


@pytest.mark.slow
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(items_of_a_tenant, items_of_a_tenant)
async def test_a_reversed_comparison_has_mirrored_results(
    database: Database, here: list[tuple[str, int]], there: list[tuple[str, int]]
) -> None:
    await sync(database, HERE, [policy(name, level=level) for name, level in here], POLICIES)
    await sync(database, THERE, [policy(name, level=level) for name, level in there], POLICIES)
    items, _ = await compared(database, [POLICIES])
    back, _ = await compared(database, [POLICIES], turned=True)
    assert Counter(_TURNED.get(item.status, item.status) for item in back) == Counter(item.status for item in items)
    ids = Counter(entry.external_id for item in items for entry in (*item.here, *item.there))
    assert set(ids.values()) <= {1}, "each item has one row"
    assert ids.total() == len(here) + len(there)


async def matrix(database: Database, type_key: str = POLICIES) -> tuple[list[MatrixRow], MatrixRecord]:
    async with database.tenant(HERE, read_only=True, snapshot=True) as golden:
        here, *others = (
            TenantRecord(tenant_id=tenant_id, name=str(tenant_id)) for tenant_id in (HERE, THERE, THIRD, FOURTH)
        )
        found = await Matrix.of(
            await side(here, golden),
            others,
            lambda tenant_id: database.tenant(tenant_id, read_only=True, snapshot=True),
            [type_key],
        )
        return [row async for row in found.rows()], found.record()


LIFETIMES = "tokenLifetimePolicies"


def lifetime(name: str, **properties: Any) -> Observation:
    return whole_item(LIFETIMES, {"id": str(uuid4()), "displayName": name, **properties})


async def test_details_read_in_one_tenant_only_are_no_difference(database: Database) -> None:
    """A later release reads these details, so only the documents of one tenant have them yet."""
    await sync(database, HERE, [lifetime("Same"), lifetime("Other", level=1)], LIFETIMES)
    later = [lifetime("Same", appliesTo=[{"id": str(uuid4())}]), lifetime("Other", level=2, appliesTo=[])]
    await sync(database, THERE, later, LIFETIMES)
    for turned in (False, True):
        items, _ = await compared(database, [LIFETIMES], turned=turned)
        assert statuses(items, LIFETIMES) == {"Same": Status.UNDECIDED, "Other": Status.DIFFERENT}
        assert {path.path for item in items for path in item.fields} == {"level"}
        assert all(Uncertainty.DETAIL_NOT_READ in item.uncertain for item in items)
    rows, _ = await matrix(database, LIFETIMES)
    assert {row.display_name: row.cells[0].status for row in rows} == {
        "Same": CellStatus.UNDECIDED,
        "Other": CellStatus.DIFFERENT,
    }
    await sync(database, HERE, [lifetime("Same", appliesTo=[]), lifetime("Other", level=1, appliesTo=[])], LIFETIMES)
    items, _ = await compared(database, [LIFETIMES])
    assert statuses(items, LIFETIMES) == dict.fromkeys(("Same", "Other"), Status.DIFFERENT)


async def test_a_golden_tenants_matrix_has_a_row_for_each_item(database: Database) -> None:
    await fill(
        database, [policy("One"), policy("Two")], [policy("One"), policy("Two", level=2), policy("More", level=8)]
    )
    await sync(database, THIRD, [], POLICIES, status=RunStatus.FAILED, outcomes={POLICIES: FAILED})
    rows, record = await matrix(database)
    assert {row.display_name: [cell.status for cell in row.cells] for row in rows} == {
        "One": [CellStatus.SAME, CellStatus.NOT_COVERED],
        "Two": [CellStatus.DIFFERENT, CellStatus.NOT_COVERED],
    }
    there, third = record.tenants
    assert (there.counts.same, there.counts.different, there.counts.extra) == (1, 1, 1)
    assert (third.counts.not_covered, third.collections[0].is_compared) == (2, False)
    assert [tenant.tenant_id for tenant in record.without_inventory] == [FOURTH]


async def test_matrix_coverage_is_read_together_with_the_items(database: Database) -> None:
    await fill(database, [policy("One")], [policy("One")])
    async with database.tenant(HERE, read_only=True, snapshot=True) as golden:
        here, there = (TenantRecord(tenant_id=tenant_id, name=str(tenant_id)) for tenant_id in (HERE, THERE))
        found = await Matrix.of(
            await side(here, golden),
            [there],
            lambda tenant_id: database.tenant(tenant_id, read_only=True, snapshot=True),
            [POLICIES],
        )
        await sync(database, THERE, [], POLICIES, status=RunStatus.FAILED, outcomes={POLICIES: FAILED})
        ((cell,),) = [row.cells async for row in found.rows()]
    ((policies,),) = (tenant.collections for tenant in found.record().tenants)
    assert (cell.status, policies.is_compared) == (CellStatus.NOT_COVERED, False)


async def test_collections_unread_in_the_golden_tenant_are_named_without_rows(database: Database) -> None:
    await sync(database, HERE, [], POLICIES, status=RunStatus.FAILED, outcomes={POLICIES: FAILED})
    await sync(database, THERE, [policy("One")], POLICIES)
    rows, record = await matrix(database)
    ((policies,),) = (tenant.collections for tenant in record.tenants)
    assert (rows, policies.is_compared) == ([], False)
    assert (policies.golden.state, policies.tenant.state) == (CoverageState.NOT_COVERED, CoverageState.COMPLETE)


def with_fresh_ids(document: dict[str, Any], number: int) -> dict[str, Any]:
    """The document as in another tenant: another id wherever its own occurs, another order and other times."""

    def renewed(value: Any) -> Any:
        if isinstance(value, str):
            return value.replace(old, new)
        if isinstance(value, dict):
            return {name: renewed(child) for name, child in reversed(value.items())}
        return [renewed(member) for member in value] if isinstance(value, list) else value

    old, new = document["id"], f"{number:08x}-1111-4222-8333-444444444444"
    copied: dict[str, Any] = renewed(document)
    for name in ("roleScopeTagIds", "platforms"):
        if isinstance(copied.get(name), list):
            copied[name].reverse()
    noise = {"lastModifiedDateTime": "2026-01-01T00:00:00Z", "createdDateTime": "2026-01-01T00:00:00Z", "version": 99}
    return {**copied, **noise, "assignments@odata.context": "https://example/other", "id": new}


@needs_graph_data
async def test_real_documents_under_other_ids_differ_only_in_edited_fields(database: Database) -> None:
    paths = {"deviceManagement/deviceConfigurations": "deviceConfigurations",
             "deviceManagement/deviceCompliancePolicies": POLICIES}  # fmt: skip
    found: dict[tuple[str, str], dict[str, Any]] = {}
    for path, document in real_documents():
        name = document.get("displayName")
        if path in paths and name and len(str(document.get("id", ""))) >= 16 and not document.get("assignments"):
            found.setdefault((paths[path], name), {**document, "roleScopeTagIds": []})
    assert len(found) > 20
    here = [whole_item(type_key, document) for (type_key, _), document in found.items()]
    there, edited = [], set()
    for number, ((type_key, name), document) in enumerate(found.items()):
        copied = with_fresh_ids(document, number)
        if number % 3 == 0:
            copied["description"] = f"edited {number}"
            edited.add(name)
        there.append(whole_item(type_key, copied))
    type_keys = sorted({type_key for type_key, _ in found})
    await sync(database, HERE, here, *type_keys)
    await sync(database, THERE, there, *type_keys)
    items, _ = await compared(database, type_keys)
    told_same = {item.here[0].display_name for item in items if item.status in (Status.SAME, Status.UNDECIDED)}
    different = {item.here[0].display_name: [field.path for field in item.fields] for item in items if item.fields}
    assert different == {name: ["description"] for name in edited}
    assert told_same == {name for _, name in found} - edited


async def test_a_log_is_compared_only_if_it_is_requested(database: Database) -> None:
    event = observed("auditEvents", {"id": str(uuid4()), "activityType": "Patch"})
    for tenant_id in (HERE, THERE):
        await sync(database, tenant_id, [event, policy("One")], POLICIES, "auditEvents")
    items, record = await compared(database)
    assert ({item.type_key for item in items}, [collection.type_key for collection in record.collections]) == (
        {POLICIES},
        [POLICIES],
    )
    assert {item.type_key for item in (await compared(database, ["auditEvents"]))[0]} == {"auditEvents"}


ACCESS, PRINCIPALS, REGISTRATIONS = "conditionalAccessPolicies", "servicePrincipals", "applications"
APP_IDS = [f"11111111-0000-4000-8000-00000000000{number}" for number in range(4)]


def access(*apps: str) -> Observation:
    return observation(
        ACCESS, "p", displayName="Access", conditions={"applications": {"includeApplications": list(apps)}}
    )


def principal(app_id: str, name: str) -> Observation:
    return observation(PRINCIPALS, f"of {app_id}", displayName=name, appId=app_id)


@pytest.mark.parametrize(
    ("here", "there", "status"),
    [
        (APP_IDS[0], APP_IDS[1], Status.SAME),  # registered in each tenant under the same name
        (APP_IDS[2], APP_IDS[2], Status.SAME),  # Microsoft's, which one tenant does not have yet
        (APP_IDS[3], APP_IDS[3], Status.SAME),  # Microsoft's, which no tenant has
        (APP_IDS[2], APP_IDS[3], Status.DIFFERENT),
        (APP_IDS[0], APP_IDS[2], Status.DIFFERENT),
    ],
)
async def test_an_app_id_identifies_its_application_or_itself(
    database: Database, here: str, there: str, status: Status
) -> None:
    types = (ACCESS, PRINCIPALS)
    held = {HERE: [principal(APP_IDS[0], "Payroll"), principal(APP_IDS[2], "Mail")]}
    held[THERE] = [principal(APP_IDS[1], "Payroll")]
    for tenant, app_id in ((HERE, here), (THERE, there)):
        await sync(database, tenant, [access(app_id), *held[tenant]], *types)
        await catch_up(database, tenant, load_catalog().reading_rules())
    for turned in (False, True):
        items, _ = await compared(database, [ACCESS], turned=turned)
        assert [item.status for item in items] == [status]


async def test_registrations_that_differ_only_in_their_app_ids_are_the_same(database: Database) -> None:
    for tenant, app_id in ((HERE, APP_IDS[0]), (THERE, APP_IDS[1])):
        key = {"keyId": app_id[::-1], "displayName": "deployment"}
        registered = observation(
            REGISTRATIONS,
            f"of {app_id}",
            displayName="Payroll",
            appId=app_id,
            identifierUris=[f"api://{app_id}"],
            passwordCredentials=[key],
        )
        await sync(database, tenant, [registered], REGISTRATIONS)
    items, _ = await compared(database, [REGISTRATIONS])
    assert [item.status for item in items] == [Status.SAME]
