"""Drift on a database alone: findings, their periods and coverage, and decisions about them."""

from collections.abc import Iterable
from datetime import timedelta
from functools import partial
from random import Random
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import text

from answers.drift import decision_queries as stored
from answers.drift.baseline_queries import baselines, drop_baseline
from answers.drift.baselines import NoBaselineError, UnknownBaselineError, set_moment, set_run, set_tenant
from answers.drift.decision_scope import DecisionScope, FindingPlace, field_expression
from answers.drift.decisions import decide_scope, decisions
from answers.drift.evaluation import evaluate
from answers.drift.records import DecisionState, DriftDecisionRecord, DriftFindingRecord
from answers.drift.rules import Decision, DecisionLapse, FindingKind, NewDecision
from answers.drift.scope import scope_of
from inventory.error_codes import ErrorCode
from inventory.observation import Observation
from inventory.outcomes import Outcome, RunStatus
from storage import versions
from storage.database import Database
from storage.documents import database_time
from tests.answers.drift.support import OTHER, TENANT, A, against_other, evaluated, golden, open_findings, policy
from tests.storage.support import age_details, begin, end, land, observation, sync

B = "groups"
FAILED: tuple[Outcome, ErrorCode | None] = (Outcome.FAILED, ErrorCode.GRAPH_THROTTLED)

FindingKeys = set[tuple[str, FindingKind, str]]


def deviations(findings: Iterable[DriftFindingRecord]) -> FindingKeys:
    return {(finding.external_id, finding.kind, finding.path) for finding in findings}


async def decide(database: Database, finding: DriftFindingRecord, decision: Decision, **options: Any) -> None:
    async with database.tenant(TENANT) as session:
        assert await stored.decide(
            session, [finding.fingerprint], NewDecision(decision, "ada", "as agreed", options.get("until"))
        )


async def test_an_unchanged_tenant_has_no_drift(database: Database) -> None:
    await sync(database, TENANT, [policy("1"), policy("2")], A)
    baseline = await golden(database)
    assert (baseline.covered, baseline.pinned, baseline.not_covered) == ([A], 2, [])
    await sync(database, TENANT, [policy("1"), policy("2")], A)
    found = await evaluated(database)
    assert (found.findings, found.report.left_out) == ([], [])
    assert [collection.type_key for collection in found.report.compared] == [A]


async def test_each_deviation_has_a_finding_until_it_is_reverted(database: Database) -> None:
    await sync(database, TENANT, [policy("1"), policy("2"), policy("3")], A)
    await golden(database)
    await sync(database, TENANT, [policy("1", level=2, extra=True), policy("2"), policy("4")], A)
    found = await evaluated(database)
    assert deviations(found.findings) == {
        ("1", FindingKind.CHANGED, "level"),
        ("1", FindingKind.ADDED, "extra"),
        ("3", FindingKind.ITEM_MISSING, ""),
        ("4", FindingKind.ITEM_ADDED, ""),
    }
    assert (await evaluated(database)).findings == found.findings, "a second evaluation changes nothing"
    await sync(database, TENANT, [policy("1"), policy("2"), policy("3")], A)
    after = await evaluated(database)
    assert open_findings(after) == []
    assert after.report.counts.resolved == 4


async def test_a_finding_keeps_its_fingerprint_and_first_seen_time(database: Database) -> None:
    await sync(database, TENANT, [policy("1")], A)
    await golden(database)
    await sync(database, TENANT, [policy("1", level=2)], A)
    (first,) = (await evaluated(database)).findings
    await sync(database, TENANT, [policy("1", level=3)], A)
    (second,) = (await evaluated(database)).findings
    assert (second.fingerprint, second.first_seen_at, second.period) == (first.fingerprint, first.first_seen_at, 1)
    assert (second.before, second.after) == (1, 3)
    assert second.last_seen_at > first.last_seen_at
    await sync(database, TENANT, [policy("1")], A)
    await evaluated(database)
    await sync(database, TENANT, [policy("1", level=2)], A)
    (again,) = open_findings(await evaluated(database))
    assert (again.fingerprint, again.period) == (first.fingerprint, 2)


@pytest.mark.parametrize("status", [RunStatus.PARTIAL, RunStatus.FAILED])
async def test_a_failed_collection_opens_and_resolves_no_finding(database: Database, status: RunStatus) -> None:
    await sync(database, TENANT, [policy("1"), policy("2")], A)
    await golden(database)
    await sync(database, TENANT, [policy("1", level=2), policy("2")], A)
    before = await evaluated(database)
    await sync(database, TENANT, [], A, status=status, outcomes={A: FAILED})
    found = await evaluated(database)
    assert deviations(open_findings(found)) == deviations(before.findings) == {("1", FindingKind.CHANGED, "level")}
    assert [finding.is_checked for finding in found.findings] == [False]
    assert [(collection.type_key, collection.in_baseline, collection.now) for collection in found.report.left_out] == [
        (A, "complete", "failed:graph_throttled")
    ]


async def test_collections_outside_a_baselines_coverage_are_left_out(database: Database) -> None:
    await sync(database, TENANT, [policy("1")], A)
    await sync(
        database,
        TENANT,
        [policy("1")],
        A,
        B,
        status=RunStatus.PARTIAL,
        outcomes={A: (Outcome.COMPLETE, None), B: FAILED},
    )
    baseline = await golden(database)
    assert [collection.type_key for collection in baseline.not_covered] == [B]
    await sync(database, TENANT, [policy("1"), observation(B, "g")], A, B)
    found = await evaluated(database)
    assert found.findings == []
    assert [(collection.type_key, collection.in_baseline) for collection in found.report.left_out] == [
        (B, "failed:graph_throttled")
    ]


async def test_a_named_collection_that_was_never_read_is_left_out(database: Database) -> None:
    await sync(database, TENANT, [policy("1")], A)
    baseline = await golden(database)
    async with database.tenant(TENANT, read_only=True) as session:
        named, every = await scope_of(session, baseline, [A, B]), await scope_of(session, baseline)
    assert (named.type_keys, every.type_keys) == ([A], [A])
    assert [(left.type_key, left.in_baseline, left.now) for left in named.left_out] == [(B, "never_read", "never_read")]
    assert every.left_out == []


async def test_a_decision_survives_runs_and_lapses_when_the_value_changes(database: Database) -> None:
    await sync(database, TENANT, [policy("1")], A)
    await golden(database)
    await sync(database, TENANT, [policy("1", level=2)], A)
    (finding,) = (await evaluated(database)).findings
    await decide(database, finding, Decision.ACCEPTED)
    await sync(database, TENANT, [policy("1", level=2)], A)
    (accepted,) = (await evaluated(database)).findings
    assert (accepted.decision, accepted.decided and accepted.decided.decided_by) == (Decision.ACCEPTED, "ada")
    await sync(database, TENANT, [policy("1", level=3)], A)
    (fallen,) = (await evaluated(database)).findings
    assert (fallen.decision, fallen.decided and fallen.decided.fallen) == (Decision.OPEN, DecisionLapse.VALUE_CHANGED)
    await decide(database, fallen, Decision.EXPECTED)
    (expected,) = (await evaluated(database)).findings
    assert expected.decision is Decision.EXPECTED


async def test_a_decision_expires_at_its_end_time(database: Database) -> None:
    await sync(database, TENANT, [policy("1")], A)
    await golden(database)
    await sync(database, TENANT, [policy("1", level=2)], A)
    (finding,) = (await evaluated(database)).findings
    async with database.tenant(TENANT, read_only=True) as session:
        now = await database_time(session)
    await decide(database, finding, Decision.ACCEPTED, until=now + timedelta(days=1))
    assert [finding.decision for finding in (await evaluated(database)).findings] == [Decision.ACCEPTED]
    await decide(database, finding, Decision.ACCEPTED, until=now - timedelta(seconds=1))
    (expired,) = (await evaluated(database)).findings
    assert (expired.decision, expired.decided and expired.decided.fallen) == (Decision.OPEN, DecisionLapse.EXPIRED)


async def test_a_decision_survives_dropping_and_resetting_its_baseline(database: Database) -> None:
    run = await begin(database, TENANT, A)
    await land(database, TENANT, run, [policy("1")])
    await end(database, TENANT, run)
    for _ in range(2):
        async with database.tenant(TENANT) as session:
            await set_run(session, "golden", run.run_id, "ada", None)
        await sync(database, TENANT, [policy("1", level=2)], A)
        (finding,) = (await evaluated(database)).findings
        if finding.decision is not Decision.ACCEPTED:
            await decide(database, finding, Decision.ACCEPTED)
            async with database.tenant(TENANT) as session:
                assert await drop_baseline(session, "golden")
                assert await baselines(session) == []
    assert finding.decision is Decision.ACCEPTED


async def test_retention_keeps_versions_pinned_by_a_baseline(database: Database) -> None:
    await sync(database, TENANT, [policy("1")], A)
    await golden(database)
    for level in (2, 3, 4):
        await sync(database, TENANT, [policy("1", level=level)], A)
    async with database.tenant(TENANT) as session:
        assert (await versions.forget(session, older_than=timedelta(0), kept=1, most=100)).versions == 2
    (finding,) = (await evaluated(database)).findings
    assert (finding.before, finding.after) == (1, 4)


async def test_unknown_runs_and_the_own_tenant_are_no_baselines(database: Database) -> None:
    async with database.tenant(TENANT) as session:
        with pytest.raises(UnknownBaselineError):
            await evaluate(session, TENANT, "golden")
        with pytest.raises(NoBaselineError, match="no run"):
            await set_run(session, "golden", uuid4(), "ada", None)
        with pytest.raises(NoBaselineError, match="itself"):
            await set_tenant(session, "golden", TENANT, TENANT, "ada", None)


async def test_another_tenants_current_inventory_can_be_the_baseline(database: Database) -> None:
    await sync(database, TENANT, [policy("1"), policy("2"), policy("4", level=9)], A)
    mine = {"displayName": "Policy 1"}, {"displayName": "Policy 2"}, {"displayName": "Policy 3"}
    await sync(database, OTHER, [policy(f"o{n}", **properties) for n, properties in enumerate(mine, start=1)], A)
    async with database.tenant(TENANT) as session:
        await set_tenant(session, "other", TENANT, OTHER, "ada", None)
    found = await against_other(database)
    assert deviations(found.findings) == {("o3", FindingKind.ITEM_MISSING, ""), ("4", FindingKind.ITEM_ADDED, "")}
    await sync(database, OTHER, [policy("o1", **mine[0], level=7), policy("o2", **mine[1])], A)
    found = await against_other(database)
    assert deviations(open_findings(found)) == {("4", FindingKind.ITEM_ADDED, ""), ("1", FindingKind.CHANGED, "level")}
    (changed,) = (finding for finding in open_findings(found) if finding.path)
    assert (changed.before, changed.after) == (7, 1)
    await sync(database, OTHER, [], A, status=RunStatus.FAILED, outcomes={A: FAILED})
    unchanged = await against_other(database)
    assert deviations(open_findings(unchanged)) == deviations(open_findings(found)), (
        "the other tenant's latest read failed"
    )
    assert [collection.type_key for collection in unchanged.report.left_out] == [A]


async def test_items_with_duplicate_names_are_left_out_as_ambiguous(database: Database) -> None:
    await sync(
        database, TENANT, [policy("1", displayName="Twin", level=1), policy("2", displayName="Twin", level=2)], A
    )
    await sync(database, OTHER, [policy("3", displayName="Twin", level=3), policy("4", displayName="Twin", level=4)], A)
    async with database.tenant(TENANT) as session:
        await set_tenant(session, "other", TENANT, OTHER, "ada", None)
    found = await against_other(database)
    assert found.findings == []
    assert {(item.external_id, item.reason) for item in found.report.left_out_items} == {
        ("1", "ambiguous"),
        ("2", "ambiguous"),
    }


@pytest.mark.parametrize("seed", [0, *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(1, 4))])
async def test_findings_match_a_plain_model(database: Database, seed: int) -> None:
    """The model: dictionaries of the tenant's items at the baseline and at the latest complete run."""
    random = Random(seed)
    held: dict[str, dict[str, Any]] = {str(number): {"level": 1, "mode": "x"} for number in range(6)}

    def observed() -> list[Observation]:
        return [observation(A, external_id, **properties) for external_id, properties in held.items()]

    await sync(database, TENANT, observed(), A)
    await golden(database)
    approved = {external_id: dict(properties) for external_id, properties in held.items()}
    accepted: dict[tuple[str, FindingKind, str], Any] = {}
    expected: FindingKeys = set()
    for number in range(12):
        for _ in range(random.randint(0, 3)):
            external_id = random.choice([*held, f"new {number}"])
            match random.choice(("change", "remove", "approve")):
                case "remove" if external_id in held:
                    del held[external_id]
                case "approve" if external_id in approved:
                    held[external_id] = dict(approved[external_id])
                case _:
                    known = held.setdefault(external_id, {"level": 1, "mode": "x"})
                    known[random.choice(("level", "mode", "more"))] = random.randint(2, 4)
        if random.random() < 0.3:
            await sync(database, TENANT, [], A, status=RunStatus.FAILED, outcomes={A: FAILED})
        else:
            await sync(database, TENANT, observed(), A)
            expected = {(key, FindingKind.ITEM_MISSING, "") for key in approved.keys() - held.keys()}
            expected |= {(key, FindingKind.ITEM_ADDED, "") for key in held.keys() - approved.keys()}
            for external_id in approved.keys() & held.keys():
                before, now = approved[external_id], held[external_id]
                expected |= {(external_id, FindingKind.ADDED, name) for name in now.keys() - before.keys()}
                expected |= {
                    (external_id, FindingKind.CHANGED, name)
                    for name in now.keys() & before.keys()
                    if now[name] != before[name]
                }
        found = open_findings(await evaluated(database))
        assert deviations(found) == expected
        for finding in found:
            key = (finding.external_id, finding.kind, finding.path)
            holds = key in accepted and accepted[key] == (finding.before, finding.after)
            if finding.path:
                assert (finding.decision is Decision.ACCEPTED) == holds, key
                if not holds and random.random() < 0.5:
                    await decide(database, finding, Decision.ACCEPTED)
                    accepted[key] = (finding.before, finding.after)


async def test_a_decision_about_an_item_holds_until_it_is_revoked(database: Database) -> None:
    await sync(database, TENANT, [policy("1"), policy("2")], A)
    await golden(database)
    await sync(database, TENANT, [policy("1", level=2, mode="x"), policy("2", level=2)], A)
    await evaluated(database)

    async def decide_about(decision: Decision, **about: str) -> DriftDecisionRecord:
        async with database.tenant(TENANT) as session:
            return await decide_scope(session, TENANT, DecisionScope(**about), NewDecision(decision, "ada", "a pilot"))

    async def still_open() -> FindingKeys:
        found = await evaluated(database)
        assert {mark for item in found.report.items for mark in item.fingerprints} == {
            finding.fingerprint for finding in found.findings if finding.is_open
        }
        return deviations(finding for finding in found.findings if finding.is_open)

    changed, other = ("1", FindingKind.CHANGED, "level"), ("2", FindingKind.CHANGED, "level")
    item = await decide_about(Decision.ACCEPTED, type_key=A, external_id="1")
    assert (item.state, item.covers, item.display_name) == (DecisionState.HOLDS, 2, "Policy 1")
    assert await still_open() == {other}
    await sync(database, TENANT, [policy("1", level=3, mode="x", more=1), policy("2", level=2)], A)
    assert await still_open() == {other}, "the decision covers later deviations"
    await decide_about(Decision.EXPECTED, field="le*")
    assert await still_open() == set()
    found = {finding.path: finding for finding in (await evaluated(database)).findings if finding.external_id == "1"}
    assert {finding.decision for finding in found.values()} == {Decision.ACCEPTED}, (
        "the item is more specific than the field"
    )
    assert found["level"].decided is not None
    assert found["level"].decided.scope == DecisionScope(type_key=A, external_id="1")
    await decide_about(Decision.OPEN, type_key=A, external_id="1")
    assert await still_open() == {("1", FindingKind.ADDED, "mode"), ("1", FindingKind.ADDED, "more")}
    await decide_about(Decision.OPEN, field="le*")
    assert changed in await still_open()
    async with database.tenant(TENANT) as session:
        assert await decisions(session, TENANT) == []
        history = await decisions(session, TENANT, with_earlier=True)
    assert [(decision.decision, decision.state) for decision in history] == [
        (Decision.OPEN, DecisionState.REVOKED),
        (Decision.OPEN, DecisionState.REVOKED),
        (Decision.EXPECTED, DecisionState.REPLACED),
        (Decision.ACCEPTED, DecisionState.REPLACED),
    ]


async def test_an_expired_decision_about_a_field_reopens_its_findings(database: Database) -> None:
    await sync(database, TENANT, [policy("1")], A)
    await golden(database)
    await sync(database, TENANT, [policy("1", level=2)], A)
    await evaluated(database)
    scope = DecisionScope(field="level")
    async with database.tenant(TENANT) as session:
        soon = await database_time(session) - timedelta(hours=1)
        await stored.decide_scope(
            session, scope.fingerprint(TENANT), scope, NewDecision(Decision.ACCEPTED, "ada", "pilot", soon)
        )
    (finding,) = (await evaluated(database)).findings
    assert finding.is_open
    assert finding.decided is not None
    assert (finding.decided.fallen, finding.decided.scope) == (DecisionLapse.EXPIRED, scope)
    async with database.tenant(TENANT) as session:
        (decision,) = await decisions(session, TENANT)
    assert (decision.state, decision.covers) == (DecisionState.EXPIRED, 0)


async def test_added_and_removed_list_members_are_one_finding_with_one_decision(database: Database) -> None:
    listed = [f"{first}{second}" for first in "ABCDEFGHIJKLMN" for second in "ABCDEFGHIJKLM"]
    await sync(database, TENANT, [policy("1", countries=["ZZ"])], A)
    await golden(database)
    await sync(database, TENANT, [policy("1", countries=["ZZ", *listed])], A)
    (finding,) = (await evaluated(database)).findings
    assert (finding.kind, finding.path, finding.before, finding.after) == ("added", "countries[]", None, listed)
    assert finding.text == '+ "AA", "AB", "AC", "AD", "AE" and 177 more (182 added)'
    await decide(database, finding, Decision.ACCEPTED)
    await sync(database, TENANT, [policy("1", countries=listed)], A)
    (changed,) = (await evaluated(database)).findings
    assert (changed.fingerprint, changed.kind, changed.before) == (finding.fingerprint, "changed", ["ZZ"])
    assert changed.text.splitlines() == [
        "182 added, 1 removed",
        '- "ZZ"',
        '+ "AA", "AB", "AC", "AD", "AE" and 177 more',
    ]
    assert changed.decided is not None
    assert changed.decided.fallen is DecisionLapse.VALUE_CHANGED, "another country is another value"


async def test_postgresql_and_python_match_patterns_alike(database: Database) -> None:
    random = Random(5)
    words = ["a", "b.c", "settings", "@odata.type", "x-y z", "(d)", "[]", "[m]", "[group 1, x]", "[a.b]c]", ".", "*"]
    pairs = [
        tuple("".join(random.choices(words, k=random.randint(1, 5))) for _ in ("pattern", "path")) for _ in range(3000)
    ]
    pairs += [(path, path) for _, path in pairs[:200]]
    ask = text(
        "SELECT path ~ ('^(?:' || expression || ')$') FROM unnest(CAST(:expressions AS text[]), CAST(:paths AS text[]))"
        " WITH ORDINALITY AS pair (expression, path, number) ORDER BY number"
    )
    async with database.tenant(TENANT) as session:
        values = {
            "expressions": [field_expression(pattern) for pattern, _ in pairs],
            "paths": [path for _, path in pairs],
        }
        found = (await session.execute(ask, values)).scalars().all()
    covered = [DecisionScope(field=pattern).covers(FindingPlace("golden", A, "1", path)) for pattern, path in pairs]
    assert found == covered
    assert 200 < sum(covered) < 3000


async def test_a_moment_before_the_first_run_is_refused_with_a_remedy(database: Database) -> None:
    async with database.tenant(TENANT) as session:
        before = await database_time(session)
    await sync(database, TENANT, [policy("1")], A)
    async with database.tenant(TENANT) as session:
        with pytest.raises(NoBaselineError, match=r"no run .* had completed by .*; name a later time"):
            await set_moment(session, "golden", before, "ada", None)


async def test_a_log_does_not_drift(database: Database) -> None:
    await sync(database, TENANT, [policy("1")], A, "auditEvents")
    await golden(database)
    await sync(database, TENANT, [policy("1"), observation("auditEvents", "event")], A, "auditEvents")
    found = await evaluated(database)
    assert (found.findings, [collection.type_key for collection in found.report.compared]) == ([], [A])


async def test_only_findings_in_old_details_are_unchecked(database: Database) -> None:
    app = partial(observation, "mobileApps", "1", relationships=[])
    await sync(database, TENANT, [app(assignments=[], publisher="A")], "mobileApps")
    await golden(database)
    await sync(database, TENANT, [app(assignments=[{"id": "x", "intent": "required"}], publisher="B")], "mobileApps")
    assert [finding.is_checked for finding in (await evaluated(database)).findings] == [True, True]
    await age_details(database, TENANT, timedelta(days=3), "mobileApps")
    found = await evaluated(database)
    assert {finding.path.partition("[")[0]: finding.is_checked for finding in found.findings} == {
        "assignments": False,
        "publisher": True,
    }
    assert [(old.type_key, old.items) for old in found.report.old_details] == [("mobileApps", 1)]
