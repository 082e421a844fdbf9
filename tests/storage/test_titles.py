"""Titles of items without a name, on a database."""

from typing import cast
from uuid import UUID, uuid4

from graph.catalog import Collection, load_catalog
from inventory.canonical import JsonObject
from inventory.observation import Observation, Observer
from inventory.references import path_of
from storage.database import Database
from storage.references import catch_up
from storage.titles import give_titles
from tests.entry_tests import of_each
from tests.storage.support import items, observation, sync

ASSIGNMENTS, ROLES, GROUPS = "directoryRoleAssignments", "directoryRoleDefinitions", "groups"
POLICIES, POLICY_ASSIGNMENTS = "roleManagementPolicies", "roleManagementPolicyAssignments"
OF_GROUPS = "groupEligibilitySchedules"
TITLED = {key: load_catalog().collections[key] for key in load_catalog().title_rules()}
PERSON = "3f2a1c4d-0000-4c55-9d0e-2b7a8c9d0e1f"


def assignment(external_id: str, role: str, principal: str) -> Observation:
    return observation(
        ASSIGNMENTS,
        external_id,
        displayName=external_id,
        roleDefinitionId=role,
        principalId=principal,
        directoryScopeId="/",
    )


async def titles(
    database: Database, tenant_id: UUID, *observations: Observation, type_key: str = ASSIGNMENTS
) -> dict[str, str | None]:
    """The titles of a collection's items after a run with these observations."""
    type_keys = {ASSIGNMENTS, ROLES, GROUPS, *(observation.type_key for observation in observations)}
    await sync(database, tenant_id, observations, *sorted(type_keys))
    await catch_up(database, tenant_id, load_catalog().reading_rules())
    async with database.tenant(tenant_id) as session:
        await give_titles(session, load_catalog().title_rules())
    found = await items(database, tenant_id)
    return {key: item.display_name for key, item in found.items() if item.type_key == type_key}


async def test_assignment_is_titled_by_its_role_and_holder(database: Database) -> None:
    tenant_id = uuid4()
    admins, readers = (observation(ROLES, name, displayName=name.title()) for name in ("admin", "reader"))
    group = observation(GROUPS, "g", displayName="Break glass")
    listing = [admins, readers, group, assignment("a", "admin", "g"), assignment("p", "reader", PERSON)]
    expected = {"a": "Admin · Break glass", "p": "Reader · 3f2a1c4d…"}
    assert await titles(database, tenant_id, *listing) == expected
    assert await titles(database, tenant_id, *listing) == expected, "an unchanged item keeps its title"

    renamed = observation(GROUPS, "g", displayName="Emergency")
    assert await titles(database, tenant_id, admins, readers, renamed, *listing[3:]) == {
        **expected,
        "a": "Admin · Emergency",
    }


async def test_present_object_gives_the_title_if_two_share_an_id(database: Database) -> None:
    tenant_id, admin = uuid4(), observation(ROLES, "admin", displayName="Admin")
    listing = [admin, assignment("a", "admin", "g")]
    group, app = observation(GROUPS, "g", displayName="Group"), observation("servicePrincipals", "g", displayName="App")
    assert await titles(database, tenant_id, *listing, group, app) == {"a": "Admin · Group"}
    assert await titles(database, tenant_id, *listing, app) == {"a": "Admin · App"}


def catalog_item(type_key: str, external_id: str, **properties: object) -> Observation:
    """An observation by the catalog's own rules, with their meta."""
    rules = load_catalog().collections[type_key].observation_rules()
    return Observer(rules).observe(cast("JsonObject", {"id": external_id, **properties}))


async def test_policy_is_titled_by_the_role_of_its_assignment(database: Database) -> None:
    tenant_id = uuid4()

    def policy(external_id: str, **properties: object) -> Observation:
        return catalog_item(POLICIES, external_id, displayName="DirectoryRole", **properties)

    def assigned(external_id: str, policy_id: str, role: str) -> Observation:
        return catalog_item(POLICY_ASSIGNMENTS, external_id, policyId=policy_id, roleDefinitionId=role)

    roles = [observation(ROLES, name, displayName=name.title()) for name in ("admin", "reader")]
    listing = [*roles, policy("p1"), policy("p2"), policy("p3"), assigned("a1", "p1", "admin")]
    expected = {"p1": "Admin", "p2": "Reader", "p3": "p3"}
    first = [*listing, assigned("a2", "p2", "reader"), assigned("of no role", "p3", "")]
    assert await titles(database, tenant_id, *first, type_key=POLICIES) == expected
    changed = [observed for observed in first if observed.external_id != "p1"]
    again = await titles(database, tenant_id, *changed, policy("p1", description="edited"), type_key=POLICIES)
    assert again == expected, "an edited policy keeps its title"

    moved = [*listing, assigned("a3", "p2", "admin")]
    assert await titles(database, tenant_id, *moved, type_key=POLICIES) == {**expected, "p2": "Admin"}, (
        "an assignment that is gone gives its title only where no other does"
    )


async def test_title_distinguishes_a_member_from_an_owner(database: Database) -> None:
    group = observation(GROUPS, "g", displayName="Break glass")
    schedules = [
        catalog_item(OF_GROUPS, access, groupId="g", principalId=PERSON, accessId=access)
        for access in ("member", "owner")
    ]
    assert await titles(database, uuid4(), group, *schedules, type_key=OF_GROUPS) == {
        "member": "Break glass · member · 3f2a1c4d…",
        "owner": "Break glass · owner · 3f2a1c4d…",
    }
    nothing_to_name = catalog_item(OF_GROUPS, "lost", accessId="member")
    assert await titles(database, uuid4(), nothing_to_name, type_key=OF_GROUPS) == {"lost": "lost"}


async def test_connection_is_titled_by_its_instance(database: Database) -> None:
    connection = catalog_item("serviceNowConnections", "c", instanceUrl="https://contoso.service-now.com")
    expected: dict[str, str | None] = {"c": "https://contoso.service-now.com"}
    assert await titles(database, uuid4(), connection, type_key="serviceNowConnections") == expected


@of_each(TITLED)
def test_titles_use_references_or_meta_of_entries_without_a_name(entry: Collection) -> None:
    assert set(entry.titled_by) <= {path_of(rule) for rule in entry.references} | entry.meta.keys()
    assert entry.name_field == entry.id_field
    giver = entry.titled_from
    if giver is not None:
        targets = load_catalog().collections[giver.type_key].references[giver.path]
        assert targets == (entry.type_key,)
        assert giver.type_key in TITLED


def test_every_nameless_entry_has_titles_or_is_a_listed_exception() -> None:
    nameless = {
        key
        for key, entry in load_catalog().collections.items()
        if entry.name_field == entry.id_field and not entry.singleton and not entry.opt_in
    }
    assert nameless - TITLED.keys() == {
        # Their ids are names: a domain, a language, a flow, a set, a measure, a partner's kind.
        "attributeSets", "b2cUserFlows", "b2xUserFlows", "brandingLocalizations",
        "crossTenantAccessPolicy.m365Capabilities", "domains", "microsoftTunnelHealthThresholds",
        "mobileThreatDefenseConnectors",
        # A single item per tenant, or so few that their kind identifies them.
        "certificateBasedAuthConfiguration", "cloudPc.externalPartnerSettings", "exchangeOnPremisesPolicies",
        "groupLifecyclePolicies", "onPremisesSynchronization",
        # An outside tenant, which nothing in this tenant names.
        "crossTenantAccessPolicy.partners",
        # Autopatch names neither audiences nor deployments.
        "windowsUpdatesDeploymentAudiences", "windowsUpdatesDeployments", "windowsUpdatesUpdatePolicies",
    }  # fmt: skip
