"""Titles of items without a name, on a database."""

from uuid import UUID, uuid4

from graph.catalog import Collection, load_catalog
from inventory.observation import Observation
from inventory.references import path_of
from storage.database import Database
from storage.references import catch_up
from storage.titles import give_titles
from tests.each import of_each
from tests.storage.support import items, observation, sync

ASSIGNMENTS, ROLES, GROUPS = "directoryRoleAssignments", "directoryRoleDefinitions", "groups"
TITLED = {key: entry for key, entry in load_catalog().collections.items() if entry.titled_by}
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


async def titles(database: Database, tenant_id: UUID, *observations: Observation) -> dict[str, str | None]:
    """What assignments are called after a run that showed these items."""
    await sync(database, tenant_id, observations, ASSIGNMENTS, ROLES, GROUPS)
    await catch_up(database, tenant_id, load_catalog().reading_rules())
    async with database.tenant(tenant_id) as session:
        await give_titles(session, load_catalog().titles())
    found = await items(database, tenant_id)
    return {key: item.display_name for key, item in found.items() if item.type_key == ASSIGNMENTS}


async def test_an_assignment_is_called_after_its_role_and_its_holder(database: Database) -> None:
    tenant_id = uuid4()
    admins, readers = (observation(ROLES, name, displayName=name.title()) for name in ("admin", "reader"))
    group = observation(GROUPS, "g", displayName="Break glass")
    shown = [admins, readers, group, assignment("a", "admin", "g"), assignment("p", "reader", PERSON)]
    expected = {"a": "Admin · Break glass", "p": "Reader · 3f2a1c4d…"}
    assert await titles(database, tenant_id, *shown) == expected
    assert await titles(database, tenant_id, *shown) == expected, "an unchanged item keeps its title"

    renamed = observation(GROUPS, "g", displayName="Emergency")
    assert await titles(database, tenant_id, admins, readers, renamed, *shown[3:]) == {
        **expected,
        "a": "Admin · Emergency",
    }


@of_each(TITLED)
def test_titles_are_made_of_references_of_entries_without_a_name(entry: Collection) -> None:
    assert set(entry.titled_by) <= {path_of(rule) for rule in entry.references}
    assert entry.name_field == entry.id_field


def test_every_entry_whose_items_name_only_others_has_titles() -> None:
    nameless = {
        key
        for key, entry in load_catalog().collections.items()
        if entry.name_field == entry.id_field and not entry.singleton and not entry.opt_in
    }
    assert nameless - TITLED.keys() == {
        # Their ids are names: a domain, a language, a flow, a set, what is measured, a partner's kind.
        "attributeSets", "b2cUserFlows", "b2xUserFlows", "brandingLocalizations",
        "crossTenantAccessPolicy.m365Capabilities", "domains", "microsoftTunnelHealthThresholds",
        "mobileThreatDefenseConnectors",
        # One a tenant, or so few that their kind says it.
        "certificateBasedAuthConfiguration", "cloudPc.externalPartnerSettings", "exchangeOnPremisesPolicies",
        "groupLifecyclePolicies", "onPremisesSynchronization", "serviceNowConnections",
        # A tenant outside, which nothing in this one names.
        "crossTenantAccessPolicy.partners",
        # Autopatch names neither audiences nor what it deploys to them.
        "windowsUpdatesDeploymentAudiences", "windowsUpdatesDeployments", "windowsUpdatesUpdatePolicies",
    }  # fmt: skip
