"""Drift with incomplete knowledge: hidden values, deleted versions, unread details and unresolved ids."""

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import text

from answers.drift import decision_queries as stored
from answers.drift.answer import Drift, drift
from answers.drift.baseline_queries import drop_baseline
from answers.drift.baselines import set_moment, set_tenant
from answers.drift.evaluation import evaluate
from answers.drift.records import DriftFindingRecord
from answers.drift.rules import Decision, DecisionLapse, FindingKind, NewDecision
from inventory.data_keys import DataKey
from inventory.observation import Observation, ObservationRules, Observer
from storage import versions
from storage.database import Database
from storage.documents import database_time
from tests.answers.drift.support import OTHER, TENANT, A, against_other, assigned, evaluated, golden, policy
from tests.storage.support import begin, end, land, list_document, observation, sync

SECRETIVE = Observer(
    ObservationRules(type_key=A, sensitive=frozenset({"password"})), data_key=DataKey(b"a key of this test alone")
)
UNKNOWN = "cccccccc-0000-0000-0000-000000000000"


def secretive(password: str | None) -> Observation:
    return SECRETIVE.observe({"id": "1", "displayName": "Policy 1", "password": password})


def unresolved(answer: Drift) -> dict[str, DriftFindingRecord]:
    return {finding.path: finding for finding in answer.findings if finding.resolved_at is None}


async def test_a_decision_about_a_hidden_value_lapses_when_the_value_changes(database: Database) -> None:
    await sync(database, TENANT, [secretive("a")], A)
    await golden(database)
    await sync(database, TENANT, [secretive("b")], A)
    (finding,) = (await evaluated(database)).findings
    assert (finding.hidden, finding.before, finding.after) == (True, None, None)
    async with database.tenant(TENANT) as session:
        assert await stored.decide(session, [finding.fingerprint], NewDecision(Decision.ACCEPTED, "ada", "rotated"))
    await sync(database, TENANT, [secretive("b")], A)
    assert [entry.decision for entry in (await evaluated(database)).findings] == [Decision.ACCEPTED]
    await sync(database, TENANT, [secretive("c")], A)
    (fallen,) = (await evaluated(database)).findings
    assert (fallen.fingerprint, fallen.decision) == (finding.fingerprint, Decision.OPEN)
    assert fallen.decided is not None
    assert fallen.decided.fallen is DecisionLapse.VALUE_CHANGED


async def test_a_newly_hidden_value_is_no_drift(database: Database) -> None:
    await sync(database, TENANT, [observation(A, "1", displayName="Policy 1", password="a")], A)
    await golden(database)
    await sync(database, TENANT, [secretive("a")], A)
    assert (await evaluated(database)).findings == []


POLICIES = "configurationPolicies"
SECRET = "#microsoft.graph.deviceManagementConfigurationSecretSettingValue"


def with_secret(mark: dict[str, Any] | None, *definition_ids: str) -> Observation:
    """A policy with a masked secret; releases before the marks stored no value (`mark` is None)."""
    value = {"@odata.type": SECRET, **({} if mark is None else {"value": mark})}
    instances = [
        {"settingDefinitionId": "password", "simpleSettingValue": value},
        *({"settingDefinitionId": definition_id} for definition_id in definition_ids),
    ]
    settings = [{"id": str(place), "settingInstance": instance} for place, instance in enumerate(instances)]
    return observation(POLICIES, "1", displayName="One", settings=settings)


@pytest.mark.parametrize("is_in_baseline", [False, True], ids=["an added item", "an added setting"])
async def test_a_decision_survives_new_rules_for_hashes_and_marks(database: Database, is_in_baseline: bool) -> None:
    before = [observation(POLICIES, "1", displayName="One", settings=[])] if is_in_baseline else []
    await sync(database, TENANT, before, POLICIES)
    await golden(database)
    await sync(database, TENANT, [with_secret(None)], POLICIES)
    (finding,) = (await evaluated(database)).findings
    async with database.tenant(TENANT) as session:
        await session.execute(text("UPDATE drift_finding SET value_hash = sha256('by the rules of a release')"))
        assert await stored.decide(session, [finding.fingerprint], NewDecision(Decision.ACCEPTED, "ada", "planned"))
    await sync(database, TENANT, [with_secret({"sensitive": True, "edited": "1"})], POLICIES)
    for _ in range(2):
        (kept,) = (await evaluated(database)).findings
        assert (kept.fingerprint, kept.decision) == (finding.fingerprint, Decision.ACCEPTED)
    await sync(database, TENANT, [with_secret({"sensitive": True, "edited": "2"})], POLICIES)
    (fallen,) = (await evaluated(database)).findings
    assert (fallen.fingerprint, fallen.decision) == (finding.fingerprint, Decision.OPEN)


async def test_a_decision_lapses_when_the_baseline_value_changes(database: Database) -> None:
    for level in (1, 2):
        await sync(database, TENANT, [policy(level=level)], A)
    async with database.tenant(TENANT, read_only=True) as session:
        then = (await versions.history(session, A, "1"))[0].first_observed_at
    async with database.tenant(TENANT) as session:
        await set_moment(session, "golden", then - timedelta(microseconds=1), "ada", None)
    await sync(database, TENANT, [policy(level=3)], A)
    (finding,) = (await evaluated(database)).findings
    async with database.tenant(TENANT) as session:
        assert await stored.decide(session, [finding.fingerprint], NewDecision(Decision.ACCEPTED, "ada", "planned"))
    await golden(database, then)
    (fallen,) = unresolved(await evaluated(database)).values()
    assert (finding.before, fallen.before, fallen.decision) == (1, 2, Decision.OPEN)


LIFETIMES = "tokenLifetimePolicies"


def lifetime(**properties: Any) -> Observation:
    return observation(LIFETIMES, "1", displayName="One", **properties)


async def test_a_newly_read_detail_is_no_drift(database: Database) -> None:
    await sync(database, TENANT, [lifetime(level=1)], LIFETIMES)
    await golden(database)
    await sync(database, TENANT, [lifetime(level=1, appliesTo=[{"id": UNKNOWN}])], LIFETIMES)
    assert (await evaluated(database)).findings == []
    await sync(database, TENANT, [lifetime(level=2, appliesTo=[])], LIFETIMES)
    assert set(unresolved(await evaluated(database))) == {"level"}


async def test_a_detail_read_in_one_tenant_only_opens_and_resolves_no_finding(database: Database) -> None:
    await sync(database, OTHER, [lifetime(level=1, appliesTo=[])], LIFETIMES)
    await sync(database, TENANT, [lifetime(level=2, appliesTo=[{"kind": "app"}])], LIFETIMES)
    async with database.tenant(TENANT) as session:
        await set_tenant(session, "other", TENANT, OTHER, "ada", None)
    assert set(unresolved(await against_other(database))) == {"level", "appliesTo[#1]"}
    await sync(database, OTHER, [lifetime(level=1)], LIFETIMES)
    assert set(unresolved(await against_other(database))) == {"level", "appliesTo[#1]"}, "the deviation may still exist"
    async with database.tenant(TENANT) as session:
        await drop_baseline(session, "other")
        await set_tenant(session, "other", TENANT, OTHER, "ada", None)
    assert set(unresolved(await against_other(database))) == {"level"}


async def test_a_deviation_starts_with_its_version_and_not_its_evaluation(database: Database) -> None:
    await sync(database, TENANT, [policy()], A)
    await golden(database)
    for properties in ({"mode": "x"}, {"level": 2}, {"level": 2, "mode": "x"}, {"level": 3, "mode": "x"}):
        await sync(database, TENANT, [policy(**properties)], A)
    found = unresolved(await evaluated(database))
    async with database.tenant(TENANT, read_only=True) as session:
        observed = {version.version: version.first_observed_at for version in await versions.history(session, A, "1")}
    assert {path: finding.first_seen_at for path, finding in found.items()} == {
        "level": observed[3],
        "mode": observed[4],
    }
    assert {finding.last_seen_at for finding in found.values()} == {max(observed.values())}


async def test_a_returned_items_deviation_starts_at_its_return(database: Database) -> None:
    await sync(database, TENANT, [policy(), policy("2")], A)
    await golden(database)
    for items in ([policy(level=2), policy("2")], [policy("2")], [policy(level=2), policy("2")]):
        await sync(database, TENANT, items, A)
    async with database.tenant(TENANT, read_only=True) as session:
        observed = (await versions.history(session, A, "1"))[0].first_observed_at
    (finding,) = (await evaluated(database)).findings
    assert finding.first_seen_at == finding.last_seen_at > observed


async def test_an_item_with_unread_details_keeps_its_findings_unchecked(database: Database) -> None:
    await sync(database, TENANT, [policy(body="a")], A)
    await golden(database)
    await sync(database, TENANT, [policy(body="b")], A)
    before = await evaluated(database)
    assert [finding.path for finding in before.findings] == ["body"]
    run = await begin(database, TENANT, A)
    await land(database, TENANT, run, [list_document(A, "1", displayName="Policy 1", level=7)])
    await end(database, TENANT, run)
    found = await evaluated(database)
    assert [(finding.path, finding.resolved_at, finding.is_checked) for finding in found.findings] == [
        ("body", None, False)
    ]
    assert [(left_out.external_id, left_out.reason) for left_out in found.report.left_out_items] == [
        ("1", "details_not_read")
    ]
    async with database.tenant(TENANT) as session:
        assert await drop_baseline(session, "golden")
        await set_moment(session, "golden", before.report.baseline.at, "ada", None)
    assert (await evaluated(database)).findings == [], "the deviation of an earlier version opens no finding"


async def test_an_item_whose_baseline_version_is_deleted_is_left_out(database: Database) -> None:
    await sync(database, TENANT, [policy(), policy("2")], A)
    async with database.tenant(TENANT, read_only=True) as session:
        then = await database_time(session)
    for level in (2, 3):
        await sync(database, TENANT, [policy(level=level), policy("2")], A)
    async with database.tenant(TENANT) as session:
        assert (await versions.forget(session, older_than=None, kept=1, most=100)).versions == 2
    baseline = await golden(database, then)
    assert (baseline.pinned, baseline.forgotten) == (1, 1)
    await sync(database, TENANT, [policy("2", level=5)], A)
    found = await evaluated(database)
    assert [(finding.external_id, finding.path) for finding in found.findings] == [("2", "level")]
    assert [(left_out.external_id, left_out.reason) for left_out in found.report.left_out_items] == [("1", "forgotten")]


async def test_evaluating_a_tenant_baseline_without_its_tenant_records_nothing(database: Database) -> None:
    await sync(database, TENANT, [policy(), policy("2")], A)
    await sync(database, OTHER, [policy("9", displayName="Policy 1", level=5)], A)
    async with database.tenant(TENANT) as session:
        await set_tenant(session, "other", TENANT, OTHER, "ada", None)
    before = (await against_other(database)).findings
    assert {(finding.external_id, finding.path) for finding in before} == {("1", "level"), ("2", "")}
    await sync(database, TENANT, [policy(level=2)], A)
    async with database.tenant(TENANT) as session:
        with pytest.raises(ValueError, match="another tenant"):
            await evaluate(session, TENANT, "other")
    async with database.tenant(TENANT, read_only=True) as session:
        assert (await drift(session, TENANT, "other")).findings == before


async def test_an_unresolved_id_opens_and_resolves_no_finding_against_another_tenant(database: Database) -> None:
    theirs = {"displayName": "Policy 1", "assignments": []}
    await sync(database, OTHER, [policy("9", **theirs)], A)
    await sync(database, TENANT, [policy(assignments=[assigned(UNKNOWN)], level=2)], A)
    async with database.tenant(TENANT) as session:
        await set_tenant(session, "other", TENANT, OTHER, "ada", None)
    before = unresolved(await against_other(database))
    assert {path.partition("[")[0]: finding.kind for path, finding in before.items()} == {
        "assignments": FindingKind.ADDED,
        "level": FindingKind.CHANGED,
    }, "an added assignment deviates, whatever its group is called"
    await sync(database, OTHER, [policy("9", **theirs | {"assignments": [assigned("x")]})], A)
    await sync(database, TENANT, [policy(assignments=[assigned(UNKNOWN)], mode="new")], A)
    found = await against_other(database)
    assert set(unresolved(found)) == (set(before) - {"level"}) | {"mode"}, "the groups may be the same"
    assert [(left_out.external_id, left_out.reason) for left_out in found.report.left_out_items] == [("1", "undecided")]


async def test_an_item_that_becomes_ambiguous_keeps_its_findings_unchecked(database: Database) -> None:
    await sync(database, OTHER, [policy("9", displayName="Policy 1", level=5)], A)
    await sync(database, TENANT, [policy()], A)
    async with database.tenant(TENANT) as session:
        await set_tenant(session, "other", TENANT, OTHER, "ada", None)
    before = unresolved(await against_other(database))
    assert set(before) == {"level"}
    await sync(database, TENANT, [policy(), policy("2", displayName="Policy 1", level=2)], A)
    found = await against_other(database)
    assert [(finding.path, finding.is_checked) for finding in unresolved(found).values()] == [("level", False)]
    assert {(left_out.external_id, left_out.reason) for left_out in found.report.left_out_items} == {
        ("1", "ambiguous"),
        ("2", "ambiguous"),
    }
