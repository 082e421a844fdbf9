"""`compare` as people and machines see it."""

from pathlib import Path
from typing import Any
from uuid import UUID

import psycopg
import pytest
from sqlalchemy import text

from answers.compare.records import ComparisonRecord, ItemComparison, MatrixRecord, MatrixRow
from answers.compare.setting_records import (
    SettingComparison,
    SettingRow,
    SettingsComparisonRecord,
    SettingsMatrixRecord,
    SettingUncertainty,
)
from graph.catalog import load_catalog
from inventory.error_codes import ErrorCode
from inventory.outcomes import Outcome, RunStatus
from inventory.stale import StalePart
from storage.database import Database
from storage.references import catch_up
from tests.cli.command_line import Terminal
from tests.storage.support import observation, sync

A, B, C = UUID(int=31), UUID(int=32), UUID(int=33)
POLICIES = "deviceCompliancePolicies"

TENANTS = "".join(
    f'[[tenant]]\nid = "{tenant_id}"\nname = "{name}"\nclient_id = "{A}"\nclient_secret_env = "S"\ntags = ["{tag}"]\n'
    for tenant_id, name, tag in ((A, "alpha", "golden"), (B, "beta", "emea"), (C, "gamma", "emea"))
)


def policy(external_id: str, name: str, level: int = 1) -> Any:
    return observation(POLICIES, external_id, displayName=name, level=level)


async def three_tenants(database: Database) -> None:
    await sync(database, A, [policy("a1", "One"), policy("a2", "Two"), policy("a3", "Mine", 7)], POLICIES, "groups")
    await sync(
        database, B, [policy("b1", "One"), policy("b2", "Two", 2), policy("b3", "Theirs", 8)], POLICIES, "groups"
    )
    await sync(database, C, [policy("c1", "One")], POLICIES, "groups")


pytestmark = pytest.mark.filled.with_args(three_tenants)


@pytest.fixture
def run(database_url: str, tmp_path: Path) -> Terminal:
    return Terminal(database_url, tmp_path, "compare", tenants=TENANTS)


async def test_json_has_a_line_for_each_item_and_a_final_record(run: Terminal) -> None:
    result = await run("alpha", "beta", "--json")
    assert (result.code, result.stderr) == (0, "")
    *lines, last = result.objects()
    items = {(item.here or item.there)[0].display_name: item for item in map(ItemComparison.model_validate, lines)}
    assert {name: str(item.status) for name, item in items.items()} == {
        "One": "same",
        "Two": "different",
        "Mine": "only_here",
        "Theirs": "only_there",
    }
    record = ComparisonRecord.model_validate(last)
    assert (record.here.name, record.there.name, record.counts.different) == ("alpha", "beta", 1)


async def test_text_lists_differences_and_omits_equal_items(run: Terminal) -> None:
    result = await run("alpha", "beta", "--fields")
    assert result.code == 0
    assert "different in 1 field  " in result.stdout
    assert "level: 1 | 2" in result.stdout
    assert "One" not in result.stdout, "equal items are counted, not listed"
    only = await run("alpha", "beta", "--only", "only_there")
    assert "Theirs" in only.stdout
    assert "Mine" not in only.stdout


@pytest.mark.parametrize("tenant_arguments", [("--all-tenants",), ("--all",), ("--tag", "emea"), ("beta", "gamma")])
async def test_a_golden_tenant_is_compared_with_others(run: Terminal, tenant_arguments: tuple[str, ...]) -> None:
    result = await run("--golden", "alpha", *tenant_arguments, "--type", POLICIES, "--json")
    assert result.code == 0, result.stderr
    *lines, last = result.objects()
    rows = {row.display_name: [str(cell.status) for cell in row.cells] for row in map(MatrixRow.model_validate, lines)}
    assert rows == {"One": ["same", "same"], "Two": ["different", "missing"], "Mine": ["missing", "missing"]}
    record = MatrixRecord.model_validate(last)
    assert [(tenant.name, tenant.counts.extra) for tenant in record.tenants] == [("beta", 1), ("gamma", 0)]
    people = await run("--golden", "alpha", *tenant_arguments)
    assert "different (1)" in people.stdout


async def test_an_unread_collection_is_named_and_makes_the_exit_code_3(run: Terminal, database: Database) -> None:
    failed: dict[str, tuple[Outcome, ErrorCode | None]] = {
        POLICIES: (Outcome.FAILED, ErrorCode.GRAPH_THROTTLED),
        "groups": (Outcome.COMPLETE, None),
    }
    await sync(database, B, [], POLICIES, "groups", status=RunStatus.PARTIAL, outcomes=failed)
    pair = await run("alpha", "beta")
    assert pair.code == 3
    assert f"not compared: {POLICIES} (alpha: complete; beta: failed: graph_throttled)" in pair.stderr
    matrix = await run("--golden", "alpha", "beta")
    assert matrix.code == 3
    assert "not compared with beta" in matrix.stderr


async def test_collections_left_out_for_one_reason_share_a_line(run: Terminal, database: Database) -> None:
    types = (POLICIES, "groups", "namedLocations")
    outcomes: dict[str, tuple[Outcome, ErrorCode | None]] = dict.fromkeys(
        types, (Outcome.FAILED, ErrorCode.GRAPH_THROTTLED)
    )
    await sync(database, A, [], *types)
    await sync(database, B, [], *types, status=RunStatus.FAILED, outcomes=outcomes)
    named = ", ".join(sorted(types))
    pair, matrix = await run("alpha", "beta"), await run("--golden", "alpha", "beta")
    why = "complete; beta: failed: graph_throttled)"
    assert f"not compared: {named} (alpha: {why}" in pair.stderr.splitlines()
    assert f"not compared with beta: {named} (golden: {why}" in matrix.stderr.splitlines()


@pytest.mark.parametrize("by_setting", [(), ("--by-setting",)])
async def test_a_tenant_that_cannot_be_compared_stops_no_other(
    run: Terminal, database_url: str, by_setting: tuple[str, ...]
) -> None:
    with psycopg.connect(database_url) as connection:
        connection.execute("UPDATE inventory_item SET meta = '[]' WHERE tenant_id = %s", [B])
    alone = await run("--golden", "alpha", "beta", "--type", "groups", "--type", POLICIES, *by_setting)
    assert alone.code == (4 if by_setting else 3), "the collection without items was compared"
    if not by_setting:
        assert (await run("--golden", "alpha", "beta", "--type", POLICIES)).code == 4
    result = await run("--golden", "alpha", "beta", "gamma", *by_setting, "--json")
    assert result.code == 3
    (line,) = [line for line in result.stderr.splitlines() if "cannot be compared" in line]
    assert line.startswith("beta cannot be compared: unexpected RowError; set TENANT_INVENTORY_DEBUG=1")
    *rows, record = result.objects()
    assert [tenant["tenant_id"] for tenant in record["not_answered"]] == [str(B)]
    if by_setting:
        assert [tenant["there"]["name"] for tenant in record["tenants"]] == ["gamma"]
    else:
        assert {row["display_name"]: [cell["status"] for cell in row["cells"]] for row in rows} == {
            "One": ["not_covered", "same"],
            "Two": ["not_covered", "missing"],
            "Mine": ["not_covered", "missing"],
        }
        beta, gamma = ([entry["is_compared"] for entry in tenant["collections"]] for tenant in record["tenants"])
        assert (beta, gamma) == ([False, True], [True, True])
    with psycopg.connect(database_url) as connection:
        connection.execute("UPDATE inventory_item SET meta = '{}' WHERE tenant_id = %s", [B])
    assert (await run("--golden", "alpha", "beta", "gamma", *by_setting)).code == 0


async def test_only_here_shows_items_that_the_other_tenants_lack(run: Terminal) -> None:
    result = await run("--golden", "alpha", "beta", "--type", POLICIES, "--only", "only_here", "--json")
    *lines, _ = result.objects()
    assert [line["display_name"] for line in lines] == ["Mine"]


@pytest.mark.parametrize("options", [(), ("--by-setting",), ("--type", "configurationPolicies", "--by-setting")])
async def test_unread_tenants_are_not_reported_as_equal(run: Terminal, options: tuple[str, ...]) -> None:
    unread, other = str(UUID(int=41)), str(UUID(int=42))
    reason = "never read: no run has completed, so nothing is compared\n"
    for tenants, line in (
        (("alpha", unread), f"{unread} was {reason}"),
        ((unread, other), f"{unread} and {other} were {reason}"),
    ):
        result = await run(*tenants, *options)
        assert (result.code, result.stdout, result.stderr) == (3, "", line)
        assert (await run(*tenants, *options, "--json")).code == 3


async def test_by_setting_compares_nothing_without_read_policy_collections(run: Terminal, database: Database) -> None:
    delta, epsilon = UUID(int=34), UUID(int=35)
    for tenant_id in (delta, epsilon):
        await sync(database, tenant_id, [], "groups")
    result = await run(str(delta), str(epsilon), "--by-setting")
    assert (result.code, result.stdout) == (3, "")
    assert result.stderr.startswith("nothing is compared: neither tenant has read one of compliancePolicies, ")


async def test_zero_counts_are_not_printed(run: Terminal) -> None:
    assert "0 items" not in (await run("alpha", "beta", "--type", POLICIES)).stdout
    assert "the same" not in (await run("alpha", "beta")).stdout, "neither tenant has groups"
    result = await run("alpha", "beta", "--type", "groups")
    assert result.stdout.splitlines()[-1] == "nothing to compare: neither tenant has an item in the collection"


async def test_the_last_line_counts_only_collections_with_items(database: Database, run: Terminal) -> None:
    here_id, there_id = UUID(int=36), UUID(int=37)
    for tenant_id in (here_id, there_id):
        await sync(database, tenant_id, [policy("p", "P")], POLICIES, "groups")
    result = await run(str(here_id), str(there_id))
    assert result.stdout.splitlines()[-1] == "no differences: 1 item of 1 collection is the same"


WRONG: list[tuple[str, ...]] = [
    (),
    ("--golden", "alpha", "beta", "--fields"),
    ("--golden", "alpha", "beta", "--only", "only_there"),
    ("alpha",),
    ("alpha", "alpha"),
    ("alpha", "beta", "gamma"),
    ("alpha", "nobody"),
    ("--golden", "alpha"),
    ("--golden", "alpha", "alpha"),
    ("--golden", "alpha", "--tag", "apac"),
    ("alpha", "beta", "--all"),
    ("alpha", "beta", "--type", "nothing"),
]


async def test_wrong_usage_is_reported_in_one_line(run: Terminal) -> None:
    for words in WRONG:
        result = await run(*words)
        assert (result.code, result.stdout, result.stderr.count("\n")) == (2, "", 1), (words, result.stderr)


async def test_settings_and_applications_are_shown_by_name(database: Database, run: Terminal) -> None:
    setting, app = "device_vendor_msft_policy_config_system_allowtelemetry", "00000002-0000-0ff1-ce00-000000000000"
    options = [{"itemId": f"{setting}_{number}", "displayName": name} for number, name in enumerate(("Off", "Basic"))]
    named = observation("configurationSettings", setting, displayName="Allow Telemetry", options=options)
    registered = observation("servicePrincipals", "sp", displayName="Exchange Online", appId=app)
    await sync(database, B, [named, registered], "configurationSettings", "servicePrincipals")
    await catch_up(database, B, load_catalog().reading_rules())
    for tenant, choice, apps in ((A, 0, ["All"]), (B, 1, ["All", app])):
        chosen = {"settingDefinitionId": setting, "choiceSettingValue": {"value": f"{setting}_{choice}"}}
        policy = observation("configurationPolicies", "p", displayName="P", settings=[{"settingInstance": chosen}])
        access = observation(
            "conditionalAccessPolicies",
            "a",
            displayName="Access",
            conditions={"applications": {"includeApplications": apps}},
        )
        await sync(database, tenant, [policy, access], "configurationPolicies", "conditionalAccessPolicies")
    result = await run(
        "alpha", "beta", "--type", "configurationPolicies", "--type", "conditionalAccessPolicies", "--fields"
    )
    assert "    Allow Telemetry: Off | Basic\n" in result.stdout
    assert '    conditions.applications.includeApplications: nothing | "Exchange Online"\n' in result.stdout


async def stale(database: Database, tenant_id: UUID, external_id: str) -> None:
    """Marks the settings of a policy as unreadable since New Year."""
    statement = text(
        "UPDATE inventory_item SET stale_since = '2026-01-01T00:00:00Z', stale_parts = CAST(:parts AS jsonb)"
        " WHERE external_id = :external_id"
    )
    part = StalePart(detail="settings", error_code=ErrorCode.GRAPH_UNAVAILABLE, http_status=500)
    parts = f"[{part.model_dump_json()}]"
    async with database.tenant(tenant_id) as session:
        await session.execute(statement, {"external_id": external_id, "parts": parts})


@pytest.mark.parametrize(
    ("tenant_id", "external_id", "name", "tenant"),
    [(A, "a2", "Two", "alpha"), (A, "a3", "Mine", "alpha"), (B, "b1", "One", "beta"), (B, "b3", "Theirs", "beta")],
)
async def test_stale_items_are_named_by_every_output(
    run: Terminal, database: Database, tmp_path: Path, tenant_id: UUID, external_id: str, name: str, tenant: str
) -> None:
    await stale(database, tenant_id, external_id)
    since = "stale since 2026-01-01 00:00:00Z: settings could not be read (graph_unavailable, HTTP 500)"
    table = await run("alpha", "beta", "--utc")
    assert f"{name} ({POLICIES}) of {tenant}: {since}" in " ".join(table.stderr.split())
    fields = await run("alpha", "beta", "--fields", "--utc")
    assert f"{'here' if tenant == 'alpha' else 'there'} {since}" in " ".join(fields.stdout.split())
    lines = [line for line in (await run("alpha", "beta", "--json")).objects() if line["record"] == "item"]
    (record,) = [line for line in lines if line["stale_here"] or line["stale_there"]]
    assert (record["here"] or record["there"])[0]["display_name"] == name
    page = tmp_path / "page.html"
    assert (await run("alpha", "beta", "--html", str(page))).code == 0
    assert "settings could not be read (graph_unavailable, HTTP 500)" in page.read_text()
    if name != "Theirs":
        matrix = await run("--golden", "alpha", "beta", "gamma", "--utc")
        assert f"{name} ({POLICIES}) of {tenant}: {since}" in " ".join(matrix.stderr.split())
        assert (await run("--golden", "alpha", "beta", "--html", str(page))).code == 0
        assert "settings could not be read (graph_unavailable, HTTP 500)" in page.read_text()


async def test_two_tenants_are_compared_by_setting(database: Database, run: Terminal) -> None:
    for tenant_id, name, minimum in ((A, "Alpha baseline", "10.1"), (B, "Beta baseline", "10.2")):
        kind = "#microsoft.graph.windows10CompliancePolicy"
        document = {"displayName": name, "@odata.type": kind, "osMinimumVersion": minimum, "assignments": []}
        await sync(database, tenant_id, [observation(POLICIES, f"{name} id", **document)], POLICIES, "groups")
    result = await run("alpha", "beta", "--by-setting")
    assert (result.code, result.stderr) == (0, "")
    assert max(map(len, result.stdout.splitlines())) <= 80
    assert result.stdout.index("in conflict") < result.stdout.index("osMinimumVersion (windows10CompliancePolicy)")
    assert 'in alpha: "Alpha baseline" (assigned to nobody)' in result.stdout
    result = await run(
        "alpha", "beta", "--by-setting", "--csv", "--columns", "label,values_here,values_there,policies_here"
    )
    assert result.stdout.splitlines() == [
        "label,values_here,values_there,policies_here",
        'osMinimumVersion (windows10CompliancePolicy),10.1,10.2,"""Alpha baseline"" (assigned to nobody)"',
    ]
    result = await run("alpha", "beta", "--by-setting", "--json", "--only", "different")
    setting, last = result.objects()
    assert SettingComparison.model_validate(setting).key == "windows10CompliancePolicy/osMinimumVersion"
    record = SettingsComparisonRecord.model_validate(last)
    assert (record.counts.different, record.counts.shared) == (1, 1)


@pytest.mark.parametrize(("tenant_id", "tenant"), [(A, "alpha"), (B, "beta")])
async def test_by_setting_names_stale_policies_and_marks_their_settings_uncertain(
    database: Database, run: Terminal, tmp_path: Path, tenant_id: UUID, tenant: str
) -> None:
    for owner, minimum in ((A, "10.1"), (B, "10.2")):
        kind = "#microsoft.graph.windows10CompliancePolicy"
        document = {"displayName": "Baseline", "@odata.type": kind, "osMinimumVersion": minimum, "assignments": []}
        await sync(database, owner, [observation(POLICIES, "baseline", **document)], POLICIES, "groups")
    await stale(database, tenant_id, "baseline")
    since = "stale since 2026-01-01 00:00:00Z: settings could not be read (graph_unavailable, HTTP 500)"
    table = await run("alpha", "beta", "--by-setting", "--utc")
    warning = " ".join(table.stderr.split())
    assert f'not certain: "Baseline" of {tenant} (' in warning
    assert warning.endswith(f": {since}")
    assert "not certain: stale" in table.stdout
    csv = await run("alpha", "beta", "--by-setting", "--csv", "--columns", "label,uncertain")
    assert csv.stdout.splitlines()[1] == 'osMinimumVersion (windows10CompliancePolicy),"[""stale""]"'
    warning, last = (await run("alpha", "beta", "--by-setting", "--json")).objects()
    assert SettingComparison.model_validate(warning).uncertain == [SettingUncertainty.STALE]
    (policy,) = SettingsComparisonRecord.model_validate(last).uncertain_policies
    assert policy.stale is not None
    assert (policy.stale.since.isoformat(), len(policy.stale.parts)) == ("2026-01-01T00:00:00+00:00", 1)
    assert (policy.tenant.name, policy.external_id, policy.reasons) == (
        tenant,
        "baseline",
        [SettingUncertainty.STALE],
    )
    page = tmp_path / "settings.html"
    assert (await run("alpha", "beta", "--by-setting", "--html", str(page))).code == table.code
    written = " ".join(page.read_text().split())
    assert "Not all settings are known of 1 item" in written
    assert "not certain: stale" in written
    assert since.partition(": ")[2] in written
    assert "stale since" in written


async def test_a_golden_tenant_is_compared_with_others_by_setting(
    database: Database, run: Terminal, tmp_path: Path
) -> None:
    kind = "#microsoft.graph.windows10CompliancePolicy"
    settings: dict[UUID, dict[str, object]] = {
        A: {"osMinimumVersion": "10.1", "bitLockerEnabled": True, "secureBootEnabled": True},
        B: {"osMinimumVersion": "10.2", "bitLockerEnabled": True, "osMaximumVersion": "11"},
        C: {"osMinimumVersion": "10.1", "bitLockerEnabled": {"sensitive": "0" * 64}},
    }
    for tenant_id, document in settings.items():
        named = {"displayName": f"Of {tenant_id}", "@odata.type": kind, "assignments": []}
        await sync(database, tenant_id, [observation(POLICIES, "p", **named, **document)], POLICIES, "groups")
    result = await run("--golden", "alpha", "beta", "gamma", "--by-setting", "--json")
    assert (result.code, result.stderr) == (0, "")
    *lines, last = result.objects()
    rows = {row.label.split()[0]: row for row in map(SettingRow.model_validate, lines)}
    assert list(rows) == ["osMinimumVersion", "secureBootEnabled", "bitLockerEnabled"], "most conflicts first"
    assert {name: [str(cell.status) for cell in row.cells] for name, row in rows.items()} == {
        "osMinimumVersion": ["different", "same"],
        "secureBootEnabled": ["missing", "missing"],
        "bitLockerEnabled": ["same", "undecided"],
    }
    assert [value.text for value in rows["osMinimumVersion"].golden] == ["10.1"]
    record = SettingsMatrixRecord.model_validate(last)
    assert [(tenant.there.name, tenant.counts.different, tenant.counts.only_there) for tenant in record.tenants] == [
        ("beta", 1, 1), ("gamma", 0, 0)
    ]  # fmt: skip
    people = (await run("--golden", "alpha", "--tag", "emea", "--by-setting")).stdout.splitlines()
    (minimum,) = [line.split() for line in people if line.startswith("osMinimumVersion")]
    assert minimum[-3:] == ["10.1", "10.2", "same"]
    only = await run("--golden", "alpha", "beta", "--by-setting", "--only", "only_here", "--csv", "--columns", "label")
    assert only.stdout.splitlines() == ["label", "secureBootEnabled (windows10CompliancePolicy)"]
    page = tmp_path / "matrix.html"
    assert (await run("--golden", "alpha", "beta", "gamma", "--by-setting", "--html", str(page))).code == 0
    assert "cannot be told" in page.read_text()


async def test_golden_by_setting_names_unread_tenants_and_collections(database: Database, run: Terminal) -> None:
    unread = str(UUID(int=41))
    kind = "#microsoft.graph.windows10CompliancePolicy"
    await sync(database, A, [observation(POLICIES, "p", **{"@odata.type": kind, "osMinimumVersion": "1"})], POLICIES)
    result = await run("--golden", "alpha", "beta", unread, "--by-setting")
    assert result.code == 3
    assert f"{unread} was never read: no run has completed, so it has no column" in result.stderr
    failed: dict[str, tuple[Outcome, ErrorCode | None]] = {POLICIES: (Outcome.FAILED, ErrorCode.GRAPH_THROTTLED)}
    await sync(database, B, [], POLICIES, status=RunStatus.FAILED, outcomes=failed)
    result = await run("--golden", "alpha", "beta", "gamma", "--by-setting", "--json")
    assert result.code == 3
    row, _ = result.objects()
    assert [cell["status"] for cell in row["cells"]] == ["not_covered", "missing"]
    result = await run("--golden", unread, "alpha", "--by-setting")
    assert (result.code, result.stdout) == (3, "")
    assert result.stderr == f"{unread} was never read: no run has completed, so nothing is compared\n"


async def test_the_page_by_setting_shows_conflicts_and_escapes_values(
    database: Database, run: Terminal, tmp_path: Path
) -> None:
    hostile = "<script>alert(1)</script>"
    for tenant_id, minimum in ((A, hostile), (B, "10.2")):
        document = {"@odata.type": "#microsoft.graph.windows10CompliancePolicy", "osMinimumVersion": minimum}
        await sync(
            database, tenant_id, [observation(POLICIES, "x", displayName=hostile, **document)], POLICIES, "groups"
        )
    page = tmp_path / "settings.html"
    result = await run("alpha", "beta", "--by-setting", "--html", str(page))
    assert result.code == 0
    written = page.read_text()
    assert "In conflict" in written
    assert "osMinimumVersion" in written
    assert "<script>" not in written


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--golden", "alpha", "beta", "--only", "only_there"), "each row is an item or a setting of that tenant"),
        (("alpha", "beta", "--fields"), "--fields shows fields of items"),
        (("alpha", "beta", "--only", "renamed"), "a setting is never renamed or ambiguous"),
        (("alpha", "beta", "--type", "groups"), "no settings are compared there"),
    ],
)
async def test_by_setting_refuses_unsupported_options(run: Terminal, words: tuple[str, ...], message: str) -> None:
    result = await run(*words, "--by-setting")
    assert result.code == 2
    assert message in " ".join(result.stderr.split())
