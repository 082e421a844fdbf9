"""Every answer shows names in place of ids: settings, choices, applications, groups."""

import json
import re
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest

from graph.catalog import load_catalog
from storage.database import Database
from storage.references import catch_up
from storage.titles import give_titles
from tests.cli.command_line import CommandLine
from tests.storage.support import observation, sync

TELEMETRY = "device_vendor_msft_policy_config_system_allowtelemetry"
POLICIES, DEFINITIONS, ACCESS = "configurationPolicies", "configurationSettings", "conditionalAccessPolicies"
EXCHANGE, GROUP = "00000002-0000-0ff1-ce00-000000000000", "1f0c4d2e-6a3b-4c55-9d0e-2b7a8c9d0e1f"


def definition() -> Any:
    options = [{"itemId": f"{TELEMETRY}_{number}", "displayName": name} for number, name in enumerate(("Off", "Basic"))]
    return observation(DEFINITIONS, TELEMETRY, displayName="Allow Telemetry", options=options)


def policy(choice: int) -> Any:
    value = {"value": f"{TELEMETRY}_{choice}", "children": []}
    setting = {"settingInstance": {"settingDefinitionId": TELEMETRY, "choiceSettingValue": value}}
    return observation(POLICIES, "p", name="Baseline", displayName="Baseline", settings=[setting])


def access(*apps: str) -> Any:
    users = {"excludeGroups": [GROUP]}
    conditions = {"applications": {"includeApplications": list(apps)}, "users": users}
    return observation(ACCESS, "a", displayName="Require MFA", conditions=conditions)


def application() -> Any:
    return observation("servicePrincipals", "sp", displayName="Exchange Online", appId=EXCHANGE)


@pytest.fixture
def tenant_id() -> UUID:
    return uuid4()


async def test_all_answers_show_display_names_of_settings(
    database: Database, starter: CommandLine, tenant_id: UUID
) -> None:
    await sync(database, tenant_id, [definition()], DEFINITIONS)
    await sync(database, tenant_id, [policy(1)], POLICIES)
    assert (await starter("baseline set", "then")).code == 0
    await sync(database, tenant_id, [policy(0)], POLICIES)
    for words in (("changes", "--type", POLICIES), ("diff", POLICIES, "p")):
        assert "Allow Telemetry: Basic → Off\n" in (await starter(*words)).stdout
    drifted = (await starter("drift")).stdout
    assert re.search(r"Allow Telemetry .*\n    Basic → Off\n", drifted)
    (change, _) = (await starter("changes", "--type", POLICIES, "--json")).objects()
    (field,) = change["fields"]
    assert (field["label"], field["before_named"], field["after_named"]) == ("Allow Telemetry", "Basic", "Off")
    assert (field["before"], field["text"]) == (f"{TELEMETRY}_1", "Basic → Off")
    assert "settings: Allow Telemetry: Off\n" in (await starter("show", POLICIES, "p")).stdout


async def test_all_answers_resolve_names_of_upper_case_ids(
    database: Database, starter: CommandLine, tenant_id: UUID
) -> None:
    configurations, filters, used = "deviceConfigurations", "assignmentFilters", "2f0c4d2e-6a3b-4c55-9d0e-2b7a8c9d0e1f"
    pilot, company = (
        observation("groups", GROUP, displayName="Pilot"),
        observation(filters, used, displayName="Company"),
    )
    target = {
        "@odata.type": "#microsoft.graph.groupAssignmentTarget",
        "groupId": GROUP.upper(),
        "deviceAndAppManagementAssignmentFilterId": used.upper(),
        "deviceAndAppManagementAssignmentFilterType": "include",
    }
    bare, assigned = (
        observation(configurations, "p", displayName="Baseline", assignments=assignments)
        for assignments in ([], [{"target": target}])
    )
    await sync(database, tenant_id, [pilot, company, bare], "groups", filters, configurations)
    assert (await starter("baseline set", "then")).code == 0
    await sync(database, tenant_id, [assigned], configurations)
    for words in (("changes",), ("drift",), ("diff", configurations, "p"), ("show", configurations, "p")):
        output = (await starter(*words)).stdout
        assert 'include group "Pilot" · filter "Company" (include)' in output, words
    (field,) = (await starter("changes", "--json")).objects()[0]["fields"]
    assert field["path"] == f"assignments[group {GROUP}, include filter {used}]"
    assert field["label"] == 'assignments[group "Pilot", include filter "Company"]'


async def test_application_is_named_by_its_app_id(database: Database, starter: CommandLine, tenant_id: UUID) -> None:
    group = observation("groups", GROUP, displayName="Break glass")
    await sync(database, tenant_id, [application(), group], "servicePrincipals", "groups")
    await catch_up(database, tenant_id, load_catalog().reading_rules())
    await sync(database, tenant_id, [access("All")], ACCESS)
    await sync(database, tenant_id, [access("All", EXCHANGE)], ACCESS)
    output = (await starter("changes", "--type", ACCESS)).stdout
    assert 'conditions.applications.includeApplications: + "Exchange Online"\n' in output
    read = (await starter("show", ACCESS, "a")).stdout
    assert '"Exchange Online"' in read
    assert '"Break glass"' in read
    raw = json.loads((await starter("show", ACCESS, "a", "--raw")).stdout)
    assert raw["conditions"]["users"]["excludeGroups"] == [GROUP]


async def test_export_with_decoded_option_writes_readable_companions(
    database: Database, starter: CommandLine, tenant_id: UUID, tmp_path: Path
) -> None:
    script = "IyDDpMO2w7wNCldyaXRlLUhvc3QgJHRleHQNCg=="
    await sync(
        database,
        tenant_id,
        [policy(1), observation("deviceManagementScripts", "s", displayName="Check", scriptContent=script)],
        POLICIES,
        "deviceManagementScripts",
    )
    folder = tmp_path / "out"

    async def export(*options: str) -> tuple[list[int], dict[str, str]]:
        (record,) = (await starter("export", str(folder), *options, "--json")).objects()
        files = {path.name.split(".")[0]: path.read_text() for path in folder.rglob("*.txt")}
        return [record[name] for name in ("written", "unchanged", "removed")], files

    assert await export() == ([2, 0, 0], {})
    counts, companions = await export("--decoded")
    assert counts == [2, 2, 0]
    assert companions["Check"].splitlines() == [
        'displayName: "Check"',
        'id: "s"',
        "scriptContent:",
        "  UTF-8",
        "  | # äöü",
        "  | Write-Host $text",
    ]
    assert "settings: system_allowtelemetry: 1\n" in companions["Baseline"]
    assert (await export("--decoded"))[0] == [0, 4, 0]
    assert await export() == ([0, 2, 2], {})


async def test_drift_and_show_name_administrative_template_policies(
    database: Database, starter: CommandLine, tenant_id: UUID
) -> None:
    templates = "groupPolicyConfigurations"

    def configured(*, enabled: bool) -> Any:
        policy = {"id": GROUP, "displayName": "Turn on protection"}
        return observation(
            templates, "t", displayName="T", definitionValues=[{"id": "1", "enabled": enabled, "definition": policy}]
        )

    await sync(database, tenant_id, [configured(enabled=True)], templates)
    assert (await starter("baseline set", "then")).code == 0
    await sync(database, tenant_id, [configured(enabled=False)], templates)
    assert re.search(r"Turn on protection .*\n    enabled → disabled\n", (await starter("drift")).stdout)
    assert "definitionValues: Turn on protection: disabled\n" in (await starter("show", templates, "t")).stdout


async def test_unnamed_item_shows_its_title_and_is_never_renamed(
    database: Database, starter: CommandLine, tenant_id: UUID
) -> None:
    assignments, roles = "directoryRoleAssignments", "directoryRoleDefinitions"
    role, group = observation(roles, "r", displayName="Reader"), observation("groups", GROUP, displayName="Staff")

    def assignment(scope: str) -> Any:
        return observation(
            assignments, EXCHANGE, displayName=EXCHANGE, roleDefinitionId="r", principalId=GROUP, directoryScopeId=scope
        )

    for scope in ("/", "/administrativeUnits/a"):
        await sync(database, tenant_id, [role, group, assignment(scope)], assignments, roles, "groups")
        await catch_up(database, tenant_id, load_catalog().reading_rules())
        async with database.tenant(tenant_id) as session:
            await give_titles(session, load_catalog().title_rules())
    changes = await starter("changes", "--since", "2000-01-01", "--type", assignments, "--json")
    (changed,) = (line for line in changes.objects() if line.get("type_key") == assignments)
    assert (changed["kind"], changed["renamed_from"]) == ("changed", None)
    assert changed["title"].startswith("Reader · Staff")
    history = (await starter("versions", assignments, EXCHANGE, "--json")).objects()
    assert [version["renamed_from"] for version in history] == [None, None]
    (record,) = (await starter("show", assignments, EXCHANGE, "--json")).objects()
    assert record["title"].startswith("Reader · Staff")
