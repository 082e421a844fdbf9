"""`search` and `settings` over tenants: results, unknown states and their presentation."""

import asyncio
import re
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from typer.testing import CliRunner

from answers.search import answer
from answers.search.records import TenantSetting
from cli.app import app
from docs.json_schemas import PRINTED
from graph.catalog import load_catalog
from inventory.error_codes import ErrorCode
from inventory.outcomes import Outcome, RunStatus
from inventory.selection import Selection
from storage import references
from storage.database import Database, StorageUnavailableError
from tests.cli.command_line import CommandResult
from tests.cli.test_schemas import record_of
from tests.storage.support import observation, sync

OFF, ON, NEITHER, UNREAD, NEVER, HIDDEN = (UUID(int=number) for number in range(1, 7))
NAMES = {OFF: "Adatum", ON: "Bellows", NEITHER: "Contoso", UNREAD: "Datum", NEVER: "Eastern", HIDDEN: "Fabrikam"}
COMPLIANCE, PROFILES = "deviceCompliancePolicies", "deviceConfigurations"
TYPES = (COMPLIANCE, PROFILES)
REFUSED = (Outcome.FAILED, ErrorCode.GRAPH_PERMISSION_MISSING)
WINDOWS = "#microsoft.graph.windows10CompliancePolicy"


class Starter:
    """Commands over all tenants, in this process."""

    def __init__(self, database_url: str, folder: Path) -> None:
        tenants = folder / "tenants.toml"
        tenants.write_text(
            "[defaults]\nclient_id = '11111111-1111-1111-1111-111111111111'\nclient_secret_env = 'NONE'\n"
            + "".join(
                f"[[tenant]]\nid = '{tenant_id}'\nname = '{name}'\ntags = {['emea'] if tenant_id == OFF else []}\n"
                for tenant_id, name in NAMES.items()
            )
        )
        self._environment = {
            "DATABASE_URL": database_url,
            "TENANTS_FILE": str(tenants),
            "TENANT_INVENTORY_STATE": str(folder / "no-stack"),
            "COLUMNS": "80",
        }

    async def __call__(self, *words: str) -> CommandResult:
        result = await asyncio.to_thread(CliRunner().invoke, app, words, env=self._environment)
        return CommandResult(result.exit_code, result.stdout, result.stderr)


def compliance(external_id: str, name: str, **properties: Any) -> Any:
    return observation(
        COMPLIANCE, external_id, **{"@odata.type": WINDOWS, "displayName": name, "assignments": [], **properties}
    )


async def six_tenants(database: Database) -> None:
    off = compliance("off", "WIN - BitLocker baseline", bitLockerEnabled=False)
    await sync(database, OFF, [off, compliance("on", "WIN - Pilot", bitLockerEnabled=True)], *TYPES)
    missing = compliance("gone", "WIN - Old BitLocker", bitLockerEnabled=False)
    await sync(database, ON, [compliance("on", "Encryption", bitLockerEnabled=True), missing], *TYPES)
    await sync(database, ON, [compliance("on", "Encryption", bitLockerEnabled=True)], *TYPES)
    await sync(database, NEITHER, [compliance("p", "macOS baseline", secureBootEnabled=True)], *TYPES)
    outcomes = {COMPLIANCE: REFUSED, PROFILES: (Outcome.COMPLETE, None)}
    await sync(database, UNREAD, [], *TYPES, status=RunStatus.PARTIAL, outcomes=outcomes)
    await sync(database, HIDDEN, [compliance("s", "Secret", bitLockerEnabled={"sensitive": "0" * 64})], *TYPES)
    for tenant_id in NAMES:
        if tenant_id != NEVER:
            await references.catch_up(database, tenant_id, load_catalog().reading_rules())


pytestmark = pytest.mark.filled.with_args(six_tenants)


@pytest.fixture
def starter(database_url: str, tmp_path: Path) -> Starter:
    return Starter(database_url, tmp_path)


async def test_each_tenant_has_a_state_for_a_setting(starter: Starter) -> None:
    result = await starter("settings", "bitLockerEnabled=false", "--json")
    assert result.code == 3, "a tenant was never read"
    states = {UUID(line["tenant_id"]): line["state"] for line in result.objects()}
    assert states == {
        OFF: "set", HIDDEN: "hidden", ON: "other_value", NEITHER: "not_set", UNREAD: "unknown", NEVER: "unknown"
    }  # fmt: skip
    assert list(states) == [OFF, HIDDEN, ON, NEITHER, UNREAD, NEVER], "in the order of the states"
    by_tenant = {UUID(line["tenant_id"]): line for line in result.objects()}
    assert by_tenant[OFF]["values"] == [
        {"value": "false", "items": 1, "name": None},
        {"value": "true", "items": 1, "name": None},
    ]
    assert by_tenant[ON]["values"] == [{"value": "true", "items": 1, "name": None}], "a missing item sets nothing"
    assert by_tenant[HIDDEN]["values"] == [{"value": None, "items": 1, "name": None}]
    assert by_tenant[UNREAD]["not_read"] == [{"type_key": COMPLIANCE, "reason": "failed:graph_permission_missing"}]
    assert by_tenant[NEVER]["not_read"] == [{"type_key": COMPLIANCE, "reason": "never_read"}]
    assert by_tenant[NEVER]["read_from"] is None


TELEMETRY = "device_vendor_msft_policy_config_system_allowtelemetry"


async def read_telemetry(database: Database, *defining: UUID) -> None:
    """Two tenants set it; `defining` have its definition."""
    options = [{"itemId": f"{TELEMETRY}_{number}", "displayName": name} for number, name in enumerate(("Off", "Basic"))]
    definition = observation("configurationSettings", TELEMETRY, displayName="Allow Telemetry", options=options)
    for tenant_id in defining:
        await sync(database, tenant_id, [definition], "configurationSettings")
    for tenant_id, choice in ((OFF, 0), (ON, 1)):
        instance = {"settingDefinitionId": TELEMETRY, "choiceSettingValue": {"value": f"{TELEMETRY}_{choice}"}}
        policy = observation("configurationPolicies", "p", name="Privacy", settings=[{"settingInstance": instance}])
        await sync(database, tenant_id, [policy], "configurationPolicies")
        await references.catch_up(database, tenant_id, load_catalog().reading_rules())


async def test_settings_and_choices_have_display_names(starter: Starter, database: Database) -> None:
    await read_telemetry(database, NEITHER)
    tenants = ("--tenant", "Adatum", "--tenant", "Bellows")
    result = await starter("settings", "allow telemetry=1", *tenants)
    rows = [line.split("  ") for line in result.stdout.splitlines()]
    assert [[cell.strip() for cell in row if cell][:3] for row in rows if row[0] in NAMES.values()] == [
        ["Bellows", "set", "Basic (1): 1 policy"],
        ["Adatum", "set to another value", "Off (0): 1 policy"],
    ]
    assert f'this means "Allow Telemetry" ({TELEMETRY})' in " ".join(result.stdout.split())
    on, _ = (await starter("settings", TELEMETRY, *tenants, "--json")).objects()
    assert on["values"] == [{"value": "0", "items": 1, "name": "Off"}]


async def test_a_tenant_that_fails_leaves_names_to_the_next_ones_definitions(
    starter: Starter, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    await read_telemetry(database, NEITHER, OFF)
    failures, with_names = [StorageUnavailableError("a statement took too long")], answer.with_names

    async def at_second(*arguments: Any) -> answer.NamedSettings:
        if failures:
            raise failures.pop()
        return await with_names(*arguments)

    monkeypatch.setattr(answer, "with_names", at_second)
    result = await starter("settings", TELEMETRY, "--tenant", "Adatum", "--json")
    assert result.objects()[0]["values"][0]["name"] == "Off"
    assert result.stderr.startswith("no names from the definitions of Adatum: a statement took too long")
    assert result.code == 0


async def test_setting_without_a_value_matches_any_value(starter: Starter) -> None:
    result = await starter("settings", "BITLOCKERENABLED", "--json", "--state", "set")
    assert [UUID(line["tenant_id"]) for line in result.objects()] == [OFF, ON, HIDDEN]


async def test_settings_table_states_its_coverage(starter: Starter) -> None:
    result = await starter("settings", "bitLockerEnabled=false")
    assert max(map(len, result.stdout.splitlines())) <= 80
    assert "Adatum" in result.stdout
    output = " ".join(result.stdout.split())
    assert (
        "bitLockerEnabled=false: 6 tenants: 1 set, 1 set to a hidden value, 1 set to another value, 1 not set,"
        " 2 unknown; readings since" in output
    )
    assert "devices may differ" in output


async def test_settings_not_read_since_an_upgrade_are_unknown(starter: Starter, database: Database) -> None:
    async with database.tenant(NEITHER) as session:
        changed = {**load_catalog().reading_rules()}
        changed[COMPLIANCE] = changed[COMPLIANCE]._replace(has_settings=False)
        await references.follow_rules(session, changed)
    (record,) = (await starter("settings", "bitLockerEnabled", "--tenant", "Contoso", "--json")).objects()
    assert record["state"] == "unknown"
    assert record["not_read"] == [{"type_key": COMPLIANCE, "reason": "settings_not_read"}]


async def test_settings_of_a_new_version_are_unknown_until_read(starter: Starter, database: Database) -> None:
    await sync(database, NEITHER, [compliance("p", "macOS baseline", bitLockerEnabled=False)], *TYPES)
    (before,) = (await starter("settings", "bitLockerEnabled", "--tenant", "Contoso", "--json")).objects()
    assert before["state"] == "unknown"
    await references.catch_up(database, NEITHER, load_catalog().reading_rules())
    (after,) = (await starter("settings", "bitLockerEnabled", "--tenant", "Contoso", "--json")).objects()
    assert after["state"] == "set"


async def test_removed_setting_is_not_set_in_completely_read_tenants(starter: Starter, database: Database) -> None:
    for tenant_id in (OFF, ON, HIDDEN):
        await sync(database, tenant_id, [compliance("p", "Empty")], *TYPES)
        await references.catch_up(database, tenant_id, load_catalog().reading_rules())
    lines = (await starter("settings", "bitLockerEnabled", "--json")).objects()
    assert {UUID(line["tenant_id"]) for line in lines if line["state"] == "not_set"} == {OFF, ON, NEITHER, HIDDEN}
    assert {UUID(line["tenant_id"]) for line in lines if line["state"] == "unknown"} == {UNREAD, NEVER}
    assert {reading["type_key"] for line in lines for reading in line["not_read"]} == {COMPLIANCE}


async def test_unknown_setting_is_refused_with_a_suggestion(starter: Starter) -> None:
    result = await starter("settings", "bitLokerEnabled=false")
    assert result.code == 2
    assert (
        "no item that has been read sets 'bitLokerEnabled'; did you mean 'windows10CompliancePolicy/bitLockerEnabled'?"
        in result.stderr
    )
    refused = "not read: deviceCompliancePolicies (failed:graph_permission_missing); "
    assert f"bitLockerEnabled'? {refused}" in result.stderr, "it may be set there"
    for wrong in ("=false", "bitLockerEnabled="):
        assert (await starter("settings", wrong)).code == 2


def found(result: CommandResult) -> list[tuple[UUID, str]]:
    assert result.code in (0, 3), result.stderr
    return [(UUID(line["tenant_id"]), line["external_id"]) for line in result.items()]


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("bitlocker",), [(OFF, "off"), (ON, "gone")]),
        (("BASELINE lock",), [(OFF, "off")]),
        (("baseline",), [(OFF, "off"), (NEITHER, "p")]),
        (("baseline", "--tag", "emea"), [(OFF, "off")]),
        (("baseline", "--tenant", "Contoso"), [(NEITHER, "p")]),
        (("bitlocker", "--state", "missing"), [(ON, "gone")]),
        (("bitlocker", "--state", "present"), [(OFF, "off")]),
        (("baseline", "--platform", "macos"), []),
        (("baseline", "--platform", "windows", "--category", "compliance"), [(OFF, "off"), (NEITHER, "p")]),
        (("baseline", "--type", PROFILES), []),
        (("baseline", "--kind", "WINDOWS"), [(OFF, "off"), (NEITHER, "p")]),
        (("--setting", "bitLockerEnabled=false"), [(OFF, "off"), (ON, "gone")]),
        (("pilot", "--setting", "bitLockerEnabled"), [(OFF, "on")]),
        (("baseline", "--limit", "1"), [(OFF, "off")]),
        (("%",), []),
    ],
)
async def test_search_finds_items_over_tenants(
    starter: Starter, words: tuple[str, ...], expected: list[tuple[UUID, str]]
) -> None:
    result = await starter("search", *words, "--json")
    assert result.code == (0 if {"--tag", "--tenant"} & set(words) else 3), "Eastern was never read"
    assert found(result) == expected


async def test_table_and_json_have_the_same_order(starter: Starter, database: Database) -> None:
    for tenant_id, names in ((OFF, ("b", "a")), (ON, ("d", "c"))):
        profiles = [observation(PROFILES, name, displayName=f"order {name}") for name in names]
        policies = [compliance(name, f"order {name} of compliance") for name in names]
        await sync(database, tenant_id, [*profiles, *policies], *TYPES)
    ids = [external_id for _, external_id in found(await starter("search", "order", "--json"))]
    assert ids == ["a", "b", "a", "b", "c", "d", "c", "d"], "by tenant, collection and name"
    order = re.findall(r"order (\w)", (await starter("search", "order")).stdout)
    assert order == ids


async def test_unread_items_are_not_missing(starter: Starter, database: Database) -> None:
    outcomes = {COMPLIANCE: REFUSED, PROFILES: (Outcome.COMPLETE, None)}
    await sync(database, OFF, [], *TYPES, status=RunStatus.PARTIAL, outcomes=outcomes)
    for state, expected in (("missing", [(ON, "gone")]), ("not_read", [(OFF, "off")])):
        assert found(await starter("search", "bitlocker", "--state", state, "--json")) == expected
    (record,) = (await starter("items", "Adatum", "--state", "not_read", "--name", "pilot", "--json")).items()
    assert (record["external_id"], record["evidence"]) == ("on", f"collection_failed:{REFUSED[1]}")


async def test_a_singleton_is_found_by_its_title(starter: Starter, database: Database) -> None:
    await sync(database, ON, [observation("sharePointSettings", "s", displayName=None)], "sharePointSettings")
    result = await starter("search", "sharepoint settings", "--json")
    assert [(line["external_id"], line["title"]) for line in result.items()] == [("s", "SharePoint settings")]
    assert found(await starter("search", "sharepoint", "--tenant", "Contoso", "--json")) == []


async def test_search_states_its_coverage(starter: Starter) -> None:
    result = await starter("search", "baseline")
    assert max(map(len, result.stdout.splitlines())) <= 80
    output = " ".join(result.stdout.split())
    assert "2 items of 2 tenants; 6 tenants searched, readings since" in output
    assert "1 tenant never read, 1 tenant not read to the end" in output
    nothing = await starter("search", "nobody calls it so")
    assert nothing.stdout.startswith("no item; 6 tenants searched")
    assert "may be more" in (await starter("search", "baseline", "--limit", "1")).stderr
    assert (await starter("search", "  ")).code == 2


async def test_search_names_what_was_not_read(starter: Starter) -> None:
    nothing = await starter("search", "nobody calls it so", "--type", COMPLIANCE, "--type", "groups")
    assert nothing.stdout.startswith("no item; 6 tenants searched")
    assert nothing.stderr.splitlines() == [
        f"not read of Datum: {COMPLIANCE} (failed:graph_permission_missing)",
        "never read of Adatum, Bellows, Contoso and 2 more: groups",
        f"never read at all: {NAMES[NEVER]}",
    ]
    as_json = await starter("search", "nobody calls it so", "--type", COMPLIANCE, "--type", "groups", "--json")
    assert as_json.objects() == [
        {"answer": "not_read", "reason": reason, "type_keys": keys, "tenant_ids": list(map(str, tenant_ids))}
        for reason, keys, tenant_ids in (
            ("failed:graph_permission_missing", [COMPLIANCE], [UNREAD]),
            ("never_read", ["groups"], [tenant_id for tenant_id in NAMES if tenant_id != NEVER]),
            ("never_read", [], [NEVER]),
        )
    ]
    assert (await starter("search", "x", "--type", COMPLIANCE, "--tenant", "Contoso", "--json")).objects() == []
    every = dict((await starter("search", "x", "--tenant", "Contoso", "--json")).not_read())
    assert {"groups", "applications"} <= set(every.pop("never_read"))
    assert every == {}
    arguments = ("search", "--setting", "bitLockerEnabled=false", "--tenant", "Datum", "--json")
    of_setting = dict((await starter(*arguments)).not_read())
    assert of_setting["failed:graph_permission_missing"] == [COMPLIANCE]
    assert "auditEvents" not in of_setting["never_read"]
    assert "groups" not in of_setting["never_read"], "groups have no settings"


@pytest.mark.parametrize("words", [("search", "baseline"), ("settings", "bitLockerEnabled=false")])
async def test_each_json_line_matches_its_schema(starter: Starter, words: tuple[str, ...]) -> None:
    lines = (await starter(*words, "--json")).objects()
    assert {record_of(line, words[0]) for line in lines} == {line.record for line in PRINTED[words[0]]}


async def test_csv_has_the_fields_of_the_json(starter: Starter) -> None:
    header, *rows = (await starter("settings", "bitLockerEnabled=false", "--csv")).stdout.splitlines()
    assert header == ",".join(TenantSetting.model_fields)
    assert len(rows) == len(NAMES)
    header, *rows = (await starter("search", "baseline", "--csv")).stdout.splitlines()
    assert (header.startswith("tenant_id,type_key,external_id,display_name"), len(rows)) == (True, 2)


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("Adatum", "--name", "bitlocker"), [(OFF, "off")]),
        (("Adatum", "--setting", "bitLockerEnabled=true"), [(OFF, "on")]),
        (("Adatum", "--platform", "macos"), []),
        (("Adatum", "--kind", "compliance policy", "--after", f"{COMPLIANCE}/off"), [(OFF, "on")]),
        (("Adatum", "--name", "win", "--after", f"{COMPLIANCE}/off"), [(OFF, "on")]),
        (("Adatum", "--category", "conditional-access"), []),
        (("Adatum", "--category", "compliance", "--limit", "1"), [(OFF, "off")]),
        (("Bellows", "--state", "missing"), [(ON, "gone")]),
        (("--tag", "emea", "--name", "pilot"), [(OFF, "on")]),
        (("--all-tenants", "--setting", "bitLockerEnabled=false"), [(OFF, "off"), (ON, "gone")]),
    ],
)
async def test_items_are_filtered_over_tenants(
    starter: Starter, words: tuple[str, ...], expected: list[tuple[UUID, str]]
) -> None:
    result = await starter("items", *words, "--json")
    assert [(UUID(line["tenant_id"]), line["external_id"]) for line in result.items()] == expected
    assert result.code == (3 if "--all-tenants" in words else 0), result.stderr


async def test_filtered_items_keep_to_the_selection(starter: Starter, database: Database) -> None:
    await sync(database, ON, [compliance("on", "Encryption", bitLockerEnabled=True)], COMPLIANCE)
    selection_hash = Selection(type_keys=TYPES).hash()
    (line,) = (await starter("items", "Bellows", "--name", "old", "--selection", selection_hash, "--json")).objects()
    assert (line["state"], line["evidence"]) == ("missing", "not_listed")


async def test_missing_items_of_all_tenants(starter: Starter) -> None:
    result = await starter("missing", "--all-tenants", "--json")
    assert [(UUID(line["tenant_id"]), line["external_id"]) for line in result.items()] == [(ON, "gone")]
    assert result.code == 3, "a tenant was never read"
    table = await starter("missing", "--all-tenants")
    assert "Bellows" in table.stdout
    assert "nothing is missing: 2 collections read to their end" in table.stdout
    assert "not read to its end: 1 collection" in table.stdout
    assert any(line.split()[:1] == ["deviceCompliancePolicies"] for line in table.stdout.splitlines())
    for wrong in (("--after", "a/b"), ("--selection", "0")):
        assert (await starter("missing", "--all-tenants", *wrong)).code == 2
    assert (await starter("missing")).code == 2
