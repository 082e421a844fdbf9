"""The presence table: items that protect by existing, and drift that reports their loss."""

from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from answers.drift.against_tenant import evaluate_against_tenant
from answers.drift.answer import Drift, drift
from answers.drift.baseline_queries import baselines
from answers.drift.baselines import set_moment, set_tenant
from answers.drift.evaluation import evaluate
from answers.drift.presence import PresenceRule, presence_rules, protection
from answers.drift.triage import FailOn, fails
from graph.catalog import load_catalog
from inventory.canonical import JsonObject
from inventory.severity import ProtectionEffect, Severity
from storage.database import Database
from tests.cli.command_line import CommandLine
from tests.graph.catalog_judge import shape_of
from tests.storage.support import observation, sync

TENANT, GOLDEN = UUID(int=1), UUID(int=2)
ACCESS, COMPLIANCE, CATALOG = "conditionalAccessPolicies", "deviceCompliancePolicies", "configurationPolicies"


@pytest.fixture
def command_line(database_url: str, tmp_path: Path) -> CommandLine:
    return CommandLine(database_url, tmp_path, TENANT)


INCLUDED = {"target": {"@odata.type": "#microsoft.graph.allDevicesAssignmentTarget"}}
EXCLUDED = {"target": {"@odata.type": "#microsoft.graph.exclusionGroupAssignmentTarget", "groupId": "1f0c"}}
ANTIVIRUS = {"templateReference": {"templateFamily": "endpointSecurityAntivirus"}}


@pytest.mark.parametrize(
    ("type_key", "document", "expected"),
    [
        (ACCESS, {"state": "enabled"}, {"state": "enabled"}),
        (ACCESS, {"state": "enabledForReportingButNotEnforced"}, None),
        (ACCESS, {"state": "disabled"}, None),
        (ACCESS, {}, None),
        (COMPLIANCE, {"assignments": [INCLUDED, EXCLUDED]}, {"assignments": 1}),
        (COMPLIANCE, {"assignments": [EXCLUDED]}, None),
        (COMPLIANCE, {"assignments": []}, None),
        (COMPLIANCE, {}, None),
        ("iosManagedAppProtections", {"assignments": [INCLUDED]}, {"assignments": 1}),
        (CATALOG, {"assignments": [INCLUDED], **ANTIVIRUS}, {"assignments": 1}),
        (CATALOG, {"assignments": [], **ANTIVIRUS}, None),
        (CATALOG, {"assignments": [INCLUDED], "templateReference": {"templateFamily": "none"}}, None),
        (CATALOG, {"assignments": [INCLUDED]}, None),
        ("groups", {"assignments": [INCLUDED], "state": "enabled"}, None),
        ("no such collection", {"state": "enabled"}, None),
    ],
)
def test_enabled_or_assigned_policies_protect(type_key: str, document: JsonObject, expected: JsonObject | None) -> None:
    assert protection(type_key, document) == expected


@pytest.mark.parametrize("rule", presence_rules(), ids=lambda rule: rule.why)
def test_a_row_names_published_properties_and_its_source(rule: PresenceRule) -> None:
    known = load_catalog()
    assert rule.types <= known.collections.keys()
    assert rule.categories <= set(known.categories())
    assert rule.source.startswith("https://learn.microsoft.com/")
    for path in (rule.path, *(path for path in rule.where if path != "@odata.type")):
        shapes = [shape_of(known.collections[key]) for key in rule.types or known.in_categories(rule.categories)]
        for name in path.split("."):
            shapes = [inner for shape in shapes if shape is not None and (inner := shape.step(name)) is not None]
        assert shapes, path


def policy(external_id: str, state: str) -> Any:
    return observation(ACCESS, external_id, displayName=f"Policy {external_id}", state=state)


ALL = [policy("1", "enabled"), policy("2", "enabledForReportingButNotEnforced"), policy("3", "disabled")]


def weakening(answer: Drift) -> dict[str, ProtectionEffect | None]:
    return {finding.external_id: finding.direction for finding in answer.findings}


async def test_a_missing_enabled_policy_weakens_and_fails_a_pipeline(database: Database) -> None:
    await sync(database, TENANT, ALL, ACCESS)
    async with database.tenant(TENANT) as session:
        await set_moment(session, "golden", None, "ada", None)
    await sync(database, TENANT, [policy("1", "disabled"), *ALL[1:]], ACCESS)
    await sync(database, TENANT, [], ACCESS)
    async with database.tenant(TENANT) as session:
        assert await evaluate(session, TENANT, "golden") == []
        found = await drift(session, TENANT, "golden")
    assert weakening(found) == {"1": ProtectionEffect.WEAKENS, "2": None, "3": None}, "the baseline's version counts"
    first = found.findings[0]
    assert (first.before, first.after, first.text, first.severity) == ({"state": "enabled"}, None, "", Severity.HIGH)
    assert [fails(finding, FailOn.WEAKENED) for finding in found.findings] == [True, False, False]
    assert (found.report.open_weakening, found.report.items[0].weakening) == (1, 1)


async def test_a_missing_items_evidence_is_shown_in_words(
    command_line: CommandLine, database: Database, tmp_path: Path
) -> None:
    await sync(database, TENANT, ALL, ACCESS)
    assert (await command_line("baseline set", "golden")).code == 0
    await sync(database, TENANT, ALL[1:], ACCESS)
    words = "not found in its list, which was read to the end; in the baseline state: enabled"
    result = await command_line("drift", "--fail-on", "weakened")
    assert (result.code, words in result.stdout) == (4, True), result.stdout
    assert (await command_line("drift", "--html", str(tmp_path / "drift.html"))).code == 0
    assert f"<b>Missing:</b> {words}." in (tmp_path / "drift.html").read_text()


async def test_lacking_an_enabled_policy_of_the_golden_tenant_weakens(database: Database) -> None:
    await sync(database, GOLDEN, ALL, ACCESS)
    await sync(database, TENANT, [], ACCESS)
    async with database.tenant(TENANT) as session, database.tenant(GOLDEN, read_only=True) as golden:
        await set_tenant(session, "other", TENANT, GOLDEN, "ada", None)
        (baseline,) = await baselines(session, "other")
        await evaluate_against_tenant(session, golden, TENANT, baseline)
        found = await drift(session, TENANT, "other")
    assert weakening(found) == {"1": ProtectionEffect.WEAKENS, "2": None, "3": None}
