"""Dependencies, dangling references, unassigned items and the reach of groups, on a database."""

from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import text

from answers.dependencies import answer as answers
from answers.dependencies.answer import Neighbourhood
from answers.dependencies.records import (
    CannotSayRecord,
    DanglingRecord,
    Direction,
    ObjectRecord,
    Presence,
    ReachRecord,
    UnassignedRecord,
)
from answers.dependencies.tenant_coverage import TenantCoverage
from graph.catalog import load_catalog
from inventory.error_codes import ErrorCode
from inventory.missing import Confidence
from inventory.observation import Observation
from inventory.outcomes import Outcome, RunStatus
from storage import references
from storage.database import Database
from tests.storage.support import observation, sync

TENANT = uuid4()
CONFIGURATIONS, GROUPS, FILTERS, ACCESS = (
    "deviceConfigurations",
    "groups",
    "assignmentFilters",
    "conditionalAccessPolicies",
)
APP_CONFIGURATIONS = "mobileAppConfigurations"
ALL = (CONFIGURATIONS, GROUPS, FILTERS, ACCESS)
THROTTLED = (Outcome.FAILED, ErrorCode.GRAPH_THROTTLED)


def target(kind: str, group_id: str | None = None, *, filtered_by: str | None = None) -> dict[str, Any]:
    return {
        "target": {
            "@odata.type": f"#microsoft.graph.{kind}AssignmentTarget",
            "deviceAndAppManagementAssignmentFilterId": filtered_by,
            "deviceAndAppManagementAssignmentFilterType": "include" if filtered_by else "none",
            **({} if group_id is None else {"groupId": group_id}),
        }
    }


def configuration(external_id: str, *assignments: dict[str, Any], **properties: Any) -> Observation:
    document = {"displayName": f"Profile {external_id}", "assignments": list(assignments), **properties}
    return observation(CONFIGURATIONS, external_id, **document)


def group(external_id: str) -> Observation:
    return observation(GROUPS, external_id, displayName=f"Group {external_id}")


def policy(external_id: str, **users: Any) -> Observation:
    return observation(ACCESS, external_id, displayName=f"Access {external_id}", conditions={"users": users})


async def synced(database: Database, *items: Observation, types: tuple[str, ...] = ALL) -> None:
    """Completes a run without errors and reads its references."""
    await sync(database, TENANT, items, *types)
    await references.catch_up(database, TENANT, load_catalog().reading_rules(), in_turn=True)


async def neighbourhood(database: Database, type_key: str, external_id: str, **limits: int) -> Neighbourhood:
    async with database.tenant(TENANT, read_only=True) as session:
        coverage = await TenantCoverage.of(session, TENANT)
        return await answers.neighbourhood(session, coverage, (type_key, external_id), **limits)


async def dangling(database: Database, *type_keys: str) -> tuple[list[DanglingRecord], list[CannotSayRecord]]:
    async with database.tenant(TENANT, read_only=True) as session:
        coverage = await TenantCoverage.of(session, TENANT)
        found = [record async for record in answers.dangling(session, coverage, type_keys or None)]
    return (
        [record for record in found if isinstance(record, DanglingRecord)],
        [record for record in found if isinstance(record, CannotSayRecord)],
    )


async def unassigned(database: Database, *type_keys: str) -> tuple[dict[str, UnassignedRecord], list[CannotSayRecord]]:
    async with database.tenant(TENANT, read_only=True) as session:
        coverage = await TenantCoverage.of(session, TENANT)
        found = [record async for record in answers.unassigned(session, coverage, type_keys or None)]
    return (
        {record.external_id: record for record in found if isinstance(record, UnassignedRecord)},
        [record for record in found if isinstance(record, CannotSayRecord)],
    )


async def reach(database: Database, group_id: str, *, everyone: bool = False) -> dict[str, ReachRecord]:
    async with database.tenant(TENANT, read_only=True) as session:
        coverage = await TenantCoverage.of(session, TENANT)
        found = [record async for record in answers.reaching(session, coverage, group_id, everyone=everyone)]
    return {record.item.external_id: record for record in found if isinstance(record, ReachRecord)}


def state(record: ObjectRecord) -> tuple[Presence, Confidence | None, str]:
    return record.presence, record.confidence, record.evidence


async def test_references_are_found_in_both_directions(database: Database) -> None:
    items = [
        group("g"),
        observation(FILTERS, "f", displayName="Windows 11"),
        configuration("c", target("group", "g", filtered_by="f")),
        configuration("d", target("exclusionGroup", "g")),
    ]
    await synced(database, *items)
    found = await neighbourhood(database, CONFIGURATIONS, "c")
    needs = {
        (dependency.role, dependency.target.type_keys[0], dependency.target.display_name)
        for dependency in found.dependencies
    }
    assert needs == {("include", GROUPS, "Group g"), ("include", FILTERS, "Windows 11")}
    assert {state(dependency.target) for dependency in found.dependencies} == {
        (Presence.PRESENT, Confidence.HIGH, "listed")
    }
    assert {dependency.version for dependency in found.dependencies} == {1}
    needed = await neighbourhood(database, GROUPS, "g")
    assert [
        (dependency.direction, dependency.role, dependency.item.external_id) for dependency in needed.dependencies
    ] == [
        (Direction.NEEDED_BY, "include", "c"),
        (Direction.NEEDED_BY, "exclude", "d"),
    ]
    assert needed.cannot_say, "collections that were never read may hold more"
    assert CONFIGURATIONS not in {collection.type_key for collection in needed.cannot_say}


async def test_reference_ids_resolve_in_any_letter_case(database: Database) -> None:
    group_id, filter_id = "0a1b2c3d-4e5f-6071-8293-a4b5c6d7e8f9", "1a1b2c3d-4e5f-6071-8293-a4b5c6d7e8f9"
    items = [
        group(group_id.upper()),
        observation(FILTERS, filter_id, displayName="Windows 11"),
        configuration("c", target("group", group_id, filtered_by=filter_id.upper())),
        configuration("d", target("exclusionGroup", group_id.upper())),
    ]
    await synced(database, *items)
    found = await neighbourhood(database, CONFIGURATIONS, "c")
    assert {state(dependency.target) for dependency in found.dependencies} == {
        (Presence.PRESENT, Confidence.HIGH, "listed")
    }
    needed = await neighbourhood(database, GROUPS, group_id)
    assert [dependency.item.external_id for dependency in needed.dependencies] == ["c", "d"]
    assert (await dangling(database))[0] == []


async def test_depth_limits_distance_and_cycles_end(database: Database) -> None:
    apps = [
        observation("mobileApps", app, relationships=[{"targetId": child, "targetType": "child"}], assignments=[])
        for app, child in (("1", "2"), ("2", "3"), ("3", "1"))
    ]
    await synced(database, *apps, types=("mobileApps",))
    for depth, expected in ((1, [1]), (2, [1, 2]), (5, [1, 2, 3])):
        found = await neighbourhood(database, "mobileApps", "1", depth=depth)
        assert [
            dependency.distance for dependency in found.dependencies if dependency.direction is Direction.NEEDS
        ] == expected
        assert [
            dependency.distance for dependency in found.dependencies if dependency.direction is Direction.NEEDED_BY
        ] == expected


async def test_limited_dependencies_are_marked_as_cut(database: Database) -> None:
    await synced(database, group("g"), *(configuration(str(number), target("group", "g")) for number in range(5)))
    cut, whole = await neighbourhood(database, GROUPS, "g", most=3), await neighbourhood(database, GROUPS, "g", most=5)
    assert (len(cut.dependencies), cut.is_cut) == (3, True)
    assert (len(whole.dependencies), whole.is_cut) == (5, False)


async def test_dangling_target_has_confidence_and_evidence(database: Database) -> None:
    named = configuration("c", target("group", "was there"), target("group", "never"), target("group", "there"))
    await synced(database, named, group("was there"), group("there"))
    found, _ = await dangling(database)
    assert {record.target.external_id: state(record.target) for record in found} == {
        "never": (Presence.NEVER_SEEN, Confidence.LOW, "listing_is_older")
    }
    await synced(database, named, group("there"))
    found, gaps = await dangling(database, *ALL)
    assert {record.target.external_id: state(record.target) for record in found} == {
        "never": (Presence.NEVER_SEEN, Confidence.HIGH, "never_listed"),
        "was there": (Presence.ABSENT, Confidence.HIGH, "not_listed"),
    }
    assert {(record.item.external_id, record.version, record.path) for record in found} == {
        ("c", 1, "assignments.target.groupId")
    }
    assert gaps == []


async def test_reference_to_an_unread_collection_does_not_dangle(database: Database) -> None:
    items = [configuration("c", target("group", "g")), configuration("d", target("group", "g"), target("group", "h"))]
    await synced(database, *items, types=(CONFIGURATIONS,))
    assert await dangling(database, CONFIGURATIONS) == (
        [],
        [CannotSayRecord(tenant_id=TENANT, type_key=GROUPS, reason="never_read", references=3)],
    )
    outcomes = {CONFIGURATIONS: (Outcome.COMPLETE, None), GROUPS: THROTTLED}
    await sync(database, TENANT, items, *outcomes, status=RunStatus.PARTIAL, outcomes=outcomes)
    assert await dangling(database, CONFIGURATIONS) == (
        [],
        [CannotSayRecord(tenant_id=TENANT, type_key=GROUPS, reason="failed:graph_throttled", references=3)],
    )


async def test_collections_whose_references_were_not_read_leave_dangling_open(database: Database) -> None:
    await synced(database, configuration("c", target("group", "gone")))
    outcomes = {**dict.fromkeys(ALL, (Outcome.COMPLETE, None)), CONFIGURATIONS: THROTTLED}
    await sync(database, TENANT, [], *ALL, status=RunStatus.PARTIAL, outcomes=outcomes)
    (found,), gaps = await dangling(database, *ALL)
    assert found.item.external_id == "c", "as an earlier run read it"
    unread = CannotSayRecord(
        tenant_id=TENANT, type_key=CONFIGURATIONS, reason="failed:graph_throttled", references=None
    )
    assert gaps == [unread]
    assert await dangling(database, ACCESS) == ([], []), "another collection's references are all read"
    reasons = {(record.type_key, record.reason) for record in (await dangling(database))[1]}
    assert ("intents", "never_read") in reasons
    assert ("configurationDrifts", "never_read") not in reasons, "opt-in, so nobody expects it"
    async with database.portfolio() as session:
        together = await answers.dangling_of_tenants(session, await TenantCoverage.of_tenants(session, [TENANT]), ALL)
    assert together[TENANT] == [found, unread]


async def test_reference_to_a_person_does_not_dangle(database: Database) -> None:
    assignment = observation("directoryRoleAssignments", "a", principalId="someone", roleDefinitionId="r")
    types = ("directoryRoleAssignments", GROUPS, "servicePrincipals", "directoryRoleDefinitions")
    for _ in range(2):
        await synced(database, assignment, types=types)
    found, gaps = await dangling(database, *types)
    assert [record.target.external_id for record in found] == ["r"]
    assert [(record.type_key, record.reason) for record in gaps] == [("users", "not_in_the_catalog")]


async def test_references_of_missing_items_do_not_dangle(database: Database) -> None:
    await synced(database, configuration("c", target("group", "never")))
    await synced(database)
    assert (await dangling(database))[0] == []


async def test_items_without_inclusions_are_unassigned(database: Database) -> None:
    items = [
        configuration("nobody"),
        configuration("only exclusions", target("exclusionGroup", "g")),
        configuration("everyone", target("allDevices")),
        configuration("a group", target("group", "g")),
        observation(CONFIGURATIONS, "unknown"),
    ]
    await synced(database, *items)
    found, gaps = await unassigned(database, CONFIGURATIONS)
    assert {key: (record.exclusions, record.evidence, record.confidence) for key, record in found.items()} == {
        "nobody": (0, "no_assignments", Confidence.HIGH),
        "only exclusions": (1, "only_exclusions", Confidence.HIGH),
    }
    assert [(record.type_key, record.reason, record.references) for record in gaps] == [
        (CONFIGURATIONS, "assignments_not_shown", 1)
    ]
    _, gaps = await unassigned(database)
    assert "configurationPolicies" in {record.type_key for record in gaps if record.reason == "never_read"}


async def test_unassigned_is_low_confidence_after_failed_collection(database: Database) -> None:
    await synced(database, configuration("nobody"))
    await sync(database, TENANT, [], CONFIGURATIONS, status=RunStatus.FAILED, outcomes={CONFIGURATIONS: THROTTLED})
    found, gaps = await unassigned(database, CONFIGURATIONS)
    assert found["nobody"].confidence is Confidence.LOW
    assert [(record.type_key, record.reason) for record in gaps] == [(CONFIGURATIONS, "failed:graph_throttled")]


async def test_exclusion_overrides_inclusion(database: Database) -> None:
    items = [
        group("g"),
        observation(FILTERS, "f", displayName="Windows 11"),
        configuration("included", target("group", "g", filtered_by="f")),
        configuration("both", target("group", "g"), target("exclusionGroup", "g")),
        configuration("excluded", target("exclusionGroup", "g"), target("allDevices")),
        configuration("all devices", target("allDevices")),
        configuration("another", target("group", "h")),
        policy("in", includeGroups=["g"], excludeGroups=["h"]),
        policy("out", includeUsers=["All"], excludeGroups=["g"]),
        policy("all", includeUsers=["All"]),
    ]
    await synced(database, *items)
    found = await reach(database, "g")
    assert {key: (record.reaches, record.through, record.excluded) for key, record in found.items()} == {
        "included": (True, ["group"], False),
        "both": (False, ["group"], True),
        "excluded": (False, ["all devices"], True),
        "in": (True, ["group"], False),
        "out": (False, ["all users"], True),
    }
    assert [(used.display_name, used.role) for used in found["included"].filters] == [("Windows 11", "include")]
    found = await reach(database, "g", everyone=True)
    assert {key: record.through for key, record in found.items() if record.reaches} == {
        "included": ["group"],
        "all devices": ["all devices"],
        "in": ["group"],
        "all": ["all users"],
    }
    assert found["excluded"].through == ["all devices"]


def app(external_id: str, *assignments: dict[str, Any]) -> Observation:
    return observation("mobileApps", external_id, displayName=external_id, assignments=list(assignments))


def shown_assignments(record: ReachRecord) -> list[tuple[str, str, str | None, bool]]:
    return [
        (assignment.role, assignment.through, assignment.intent, assignment.is_overridden)
        for assignment in record.assignments
    ]


async def test_exclusion_overrides_only_its_own_intent(database: Database) -> None:
    for_all = {"intent": "required", **target("allLicensedUsers")}
    out = {"intent": "required", **target("exclusionGroup", "g")}
    away = {"intent": "uninstall", **target("group", "g")}
    items = [app("uninstalled", for_all, out, away), app("spared", for_all, out), app("all", for_all)]
    await synced(database, *items, types=(*ALL, "mobileApps"))
    found = await reach(database, "g")
    assert {key: record.reaches for key, record in found.items()} == {"uninstalled": True, "spared": False}
    assert shown_assignments(found["uninstalled"]) == [
        ("include", "all users", "required", True),
        ("exclude", "group", "required", False),
        ("include", "group", "uninstall", False),
    ]
    assert (await reach(database, "g", everyone=True))["all"].reaches


async def test_policy_set_and_direct_assignments_are_distinguished(database: Database) -> None:
    direct = {"source": "direct", "sourceId": "a", **target("group", "g")}
    by_set = {"source": "policySets", "sourceId": "set", **target("group", "g")}
    await synced(database, configuration("both", direct, by_set), configuration("set", by_set))
    found = await reach(database, "g")
    assert {key: {assignment.policy_set_id for assignment in record.assignments} for key, record in found.items()} == {
        "both": {None, "set"},
        "set": {"set"},
    }
    assert all(record.reaches for record in found.values())
    assert not (await unassigned(database, CONFIGURATIONS))[0]


async def test_unassigned_omits_never_assigned_collections_unless_requested(database: Database) -> None:
    scripts, branding = "deviceComplianceScripts", "intuneBrandingProfiles"
    items = [
        observation(scripts, "s", displayName="Discovery", assignments=[]),
        observation(branding, "default", isDefaultProfile=True, assignments=[]),
        observation(branding, "other", isDefaultProfile=False, assignments=[]),
    ]
    await synced(database, *items, types=(scripts, branding))
    found, gaps = await unassigned(database)
    assert set(found) == {"other"}
    assert scripts not in {record.type_key for record in gaps}
    assert set((await unassigned(database, scripts))[0]) == {"s"}


async def test_default_items_reach_everyone(database: Database) -> None:
    enrollment = "deviceEnrollmentConfigurations"
    items = [
        observation(enrollment, "5a_DefaultLimit", assignments=[]),
        observation(enrollment, "5b", assignments=[], deviceEnrollmentConfigurationType="defaultPlatformRestrictions"),
        observation(enrollment, "5c_Limit", assignments=[], deviceEnrollmentConfigurationType="limit"),
        observation("roleScopeTags", "0", assignments=[]),
        observation("roleScopeTags", "1", assignments=[]),
    ]
    await synced(database, *items, types=(*ALL, enrollment, "roleScopeTags"))
    found, _ = await unassigned(database, enrollment, "roleScopeTags")
    assert set(found) == {"5c_Limit", "1"}
    assert set(await reach(database, "g", everyone=True)) == {"5a_DefaultLimit", "5b", "0"}


async def test_answers_omit_other_tenants(database: Database) -> None:
    await synced(database, configuration("c", target("group", "g")))
    other = UUID(int=7)
    async with database.tenant(other, read_only=True) as session:
        coverage = await TenantCoverage.of(session, other)
        assert (await answers.neighbourhood(session, coverage, (GROUPS, "g"))).dependencies == []
        found = [record async for record in answers.everything(session, coverage)]
        assert {record.answer for record in found} == {"cannot_say"}


PRINCIPALS = "servicePrincipals"
APP_IDS = [f"11111111-0000-4000-8000-00000000000{number}" for number in range(3)]


def principal(external_id: str, app_id: str) -> Observation:
    return observation(PRINCIPALS, external_id, displayName=f"App {external_id}", appId=app_id)


async def test_an_application_is_found_by_its_app_id(database: Database) -> None:
    conditions = {"applications": {"includeApplications": APP_IDS[:2], "excludeApplications": ["Office365"]}}
    access = observation(ACCESS, "p", displayName="Access", conditions=conditions)
    types = (ACCESS, PRINCIPALS)
    await synced(database, access, principal("mail", APP_IDS[0]), types=types)
    await synced(database, access, principal("mail", APP_IDS[0]), types=types)

    needs = (await neighbourhood(database, ACCESS, "p")).dependencies
    assert {
        (dependency.target.external_id, dependency.target.type_keys[0], dependency.target.presence)
        for dependency in needs
    } == {
        ("mail", PRINCIPALS, Presence.PRESENT),
        (APP_IDS[1], PRINCIPALS, Presence.NEVER_SEEN),
    }
    needed = (await neighbourhood(database, PRINCIPALS, "mail")).dependencies
    assert [(dependency.direction, dependency.item.external_id) for dependency in needed] == [
        (Direction.NEEDED_BY, "p")
    ]
    (missing,), _ = await dangling(database)
    assert (missing.target.external_id, missing.item.external_id) == (APP_IDS[1], "p")


async def test_shared_app_id_resolves_to_the_present_application(database: Database) -> None:
    access = observation(ACCESS, "p", conditions={"applications": {"includeApplications": APP_IDS[:1]}})
    types = (ACCESS, PRINCIPALS)
    await synced(database, access, principal("a first", APP_IDS[0]), types=types)
    await synced(database, access, principal("made again", APP_IDS[0]), types=types)
    (need,) = (await neighbourhood(database, ACCESS, "p")).dependencies
    assert (need.target.external_id, need.target.presence) == ("made again", Presence.PRESENT)
    assert (await dangling(database))[0] == []
    assert [
        dependency.item.external_id
        for dependency in (await neighbourhood(database, PRINCIPALS, "made again")).dependencies
    ] == ["p"]


APP = "mobileApps"


async def test_found_by_id_evidence_shows_on_both_ends_of_a_reference(database: Database) -> None:
    items = [group("g"), configuration("c", target("group", "g"))]
    await synced(database, *items)
    unlisted = text(
        "UPDATE inventory_item SET found_by_id_run_id = last_seen_run_id"
        " WHERE (type_key, external_id) = (:type_key, :external_id)"
    )
    listed, found = ((Presence.PRESENT, Confidence.HIGH, evidence) for evidence in ("listed", "found_by_id"))
    for type_key, external_id, item, named in ((CONFIGURATIONS, "c", found, listed), (GROUPS, "g", found, found)):
        async with database.tenant(TENANT) as session:
            await session.execute(unlisted, {"type_key": type_key, "external_id": external_id})
        for key, asked_state in (((CONFIGURATIONS, "c"), item), ((GROUPS, "g"), named)):
            (dependency,) = (await neighbourhood(database, *key)).dependencies
            assert (state(dependency.item), state(dependency.target)) == (item, named), key
            async with database.tenant(TENANT, read_only=True) as session:
                tenant = await TenantCoverage.of(session, TENANT)
                assert state(await answers.item_record(session, tenant, key)) == asked_state, key
    await synced(database, *items)
    (dependency,) = (await neighbourhood(database, GROUPS, "g")).dependencies
    assert (state(dependency.item), state(dependency.target)) == (listed, listed)


async def test_document_reference_never_resolves_to_an_audience(database: Database) -> None:
    nobody = observation(APP, "a", displayName="App", assignments=[])
    hostile = observation(
        APP_CONFIGURATIONS, "c", displayName="Settings", targetedMobileApps=["nobody"], assignments=[]
    )
    await synced(database, nobody, hostile, types=(APP, APP_CONFIGURATIONS))
    (dependency,) = (await neighbourhood(database, APP_CONFIGURATIONS, "c")).dependencies
    assert (dependency.target.external_id, dependency.target.presence) == ("nobody", Presence.NEVER_SEEN)
    assert (await neighbourhood(database, APP, "a")).dependencies == []
