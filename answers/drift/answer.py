"""Drift and decisions, with the answer's basis."""

import re
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from answers.compare.answer import GoldenSessions, SessionOf
from answers.compare.records import Status
from answers.drift import decision_queries, queries
from answers.drift.against_tenant import evaluate_against_tenant
from answers.drift.baseline_queries import claim_evaluation, gaps, latest_ended_run, note_evaluation
from answers.drift.baseline_queries import pinned_versions as pinned_versions
from answers.drift.baselines import NO_BASELINE, UnknownBaselineError
from answers.drift.baselines import baseline_called as baseline_called
from answers.drift.baselines import baselines as baselines
from answers.drift.decision_scope import (
    DecisionInForce,
    FindingPlace,
    ScopeDecision,
    decision_in_force,
)
from answers.drift.direction import direction_of as direction_of
from answers.drift.evaluation import evaluate
from answers.drift.hidden_parts import HiddenPart, hidden_parts
from answers.drift.queries import KnownFinding
from answers.drift.records import (
    BaselineDrift,
    BaselineRecord,
    DecisionRecord,
    DriftCounts,
    DriftFindingRecord,
    DriftReport,
    LeftOutItem,
)
from answers.drift.rules import CurrentDecision, Decision, current_decision
from answers.drift.rules import FindingKind as FindingKind
from answers.drift.rules import deviations_of as deviations_of
from answers.drift.scope import Scope, scope_of
from answers.drift.severity import severity_of as severity_of
from answers.drift.triage import by_item, items_of, weakens
from answers.field_labels import field_change
from answers.ids import GUID
from answers.named_ids import template_names
from answers.object_names import setting_names
from answers.old_details import may_be_old, old_details
from graph.catalog import kind_of, load_catalog
from inventory.canonical import JsonValue
from inventory.coverage import TENANT_NEVER_READ
from inventory.differences import Difference, DifferenceKind
from inventory.exact_json import decode, decode_object
from inventory.item_ids import item_key
from inventory.records import DamagedRecord
from inventory.references import collection_of
from inventory.severity import Severity
from inventory.user_errors import NeverReadError
from inventory.version import VERSION
from storage.coverage import is_read
from storage.current_documents import current_documents
from storage.detail_ages import with_old_details
from storage.documents import database_time
from storage.object_names import display_names

_SETTING = re.compile(r"[A-Za-z0-9~.{}()-]+(?:_[A-Za-z0-9~.{}()-]*)+")


class Drift(NamedTuple):
    """`findings` has one record for each period, in the order of `by_item`."""

    report: DriftReport
    findings: list[DriftFindingRecord]


async def evaluated_drift(
    session: AsyncSession,
    goldens: GoldenSessions,
    tenant_id: UUID,
    name: str | None = None,
    type_keys: Sequence[str] | None = None,
) -> list[Drift]:
    """Evaluates the baseline `name`, or all. Raises `UnknownBaselineError` or `NeverReadError`.

    `goldens` has the sessions of baselines that are tenants.
    """
    known = await baselines(session) if name is None else [await baseline_called(session, name)]
    if not known and not await is_read(session):
        raise NeverReadError(f"{TENANT_NEVER_READ}, so it deviates from nothing")
    if not known:
        raise UnknownBaselineError(NO_BASELINE)
    found: list[Drift] = []
    for baseline in known:
        damaged = await _evaluated(session, goldens, tenant_id, baseline, only_if_behind=False)
        found.append(await drift(session, tenant_id, baseline.name, type_keys, damaged))
    return found


async def bring_up_to_date(
    session: AsyncSession, session_of: SessionOf, tenant_id: UUID, baseline: BaselineRecord
) -> None:
    """Evaluates the baseline if a run has ended, or the release has changed, since the last evaluation; not while
    another session evaluates it.
    """
    async with GoldenSessions(session_of) as goldens:
        await _evaluated(session, goldens, tenant_id, baseline, only_if_behind=True)


async def _evaluated(
    session: AsyncSession, goldens: GoldenSessions, tenant_id: UUID, baseline: BaselineRecord, *, only_if_behind: bool
) -> list[DamagedRecord]:
    after = f"{VERSION} {await latest_ended_run(session)}"
    if baseline.other_tenant_id is None:
        if only_if_behind and not await claim_evaluation(session, baseline.name, after):
            return []
        damaged = await evaluate(session, tenant_id, baseline.name)
    else:
        async with goldens.of(baseline.other_tenant_id) as golden:
            after = f"{after} {await latest_ended_run(golden.session)}"
            if only_if_behind and not await claim_evaluation(session, baseline.name, after):
                return []
            damaged = await evaluate_against_tenant(session, golden.session, tenant_id, baseline, golden.kept)
    await note_evaluation(session, baseline.name, after)
    return damaged


async def baseline_drift(session: AsyncSession, tenant_ids: Sequence[UUID]) -> list[BaselineDrift]:
    """Each baseline's drift in numbers, most severe first. Needs a portfolio session."""
    found = await queries.drift_in_numbers(session, tenant_ids)
    return sorted(found, key=_severest_first)


def _severest_first(drift: BaselineDrift) -> tuple[int, int, int, str, str]:
    return -drift.high, -drift.medium, -drift.low, str(drift.tenant_id), drift.baseline


async def drift_of_item(
    session: AsyncSession, tenant_id: UUID, type_key: str, external_id: str
) -> list[DriftFindingRecord]:
    """An item's unresolved findings, most urgent first."""
    return await _in_order(session, tenant_id, await queries.findings_of_item(session, type_key, external_id))


async def findings_called(
    session: AsyncSession, tenant_id: UUID, fingerprints: Sequence[str]
) -> list[DriftFindingRecord]:
    """The unresolved findings among these, in the order of `by_item`."""
    return await _in_order(session, tenant_id, await queries.findings_named(session, fingerprints))


async def _in_order(
    session: AsyncSession, tenant_id: UUID, known_findings: Sequence[KnownFinding]
) -> list[DriftFindingRecord]:
    scoped = await decision_queries.scope_decisions(session)
    now, names = await database_time(session), await _names(session, known_findings)
    parts = await hidden_parts(session, tenant_id, known_findings)
    records = (
        _record(tenant_id, found, names, parts, decision_of(found, scoped, now), is_current=True)
        for found in known_findings
    )
    return [finding for of_item in by_item(records) for finding in of_item]


async def drift(
    session: AsyncSession,
    tenant_id: UUID,
    name: str,
    type_keys: Sequence[str] | None = None,
    damaged: Sequence[DamagedRecord] = (),
) -> Drift:
    """Drift by the last evaluation, which returned `damaged`. Raises `UnknownBaselineError`."""
    baseline = await baseline_called(session, name)
    scope = await scope_of(session, baseline, type_keys)
    now = await database_time(session)
    known = await queries.findings_of(session, name, type_keys)
    scoped = await decision_queries.scope_decisions(session)
    names = await _names(session, known)
    parts = await hidden_parts(session, tenant_id, known)
    checked = set(scope.type_keys)
    unknown = {(gap.type_key, gap.external_id) for gap in await gaps(session, name) if gap.why == Status.AMBIGUOUS}
    unknown |= {
        (version.type_key, version.external_id) for version in damaged if version.tenant_id in (None, tenant_id)
    }
    rest_on_details = {
        (found.finding.type_key, found.finding.external_id)
        for found in known
        if may_be_old(found.finding.type_key, found.finding.path)
    }
    old = await with_old_details(session, rest_on_details)
    records = []
    for found in known:
        item = found.finding.type_key, found.finding.external_id
        is_old = item in old and may_be_old(found.finding.type_key, found.finding.path)
        is_current = found.finding.type_key in checked and item not in unknown and not is_old
        in_force = decision_of(found, scoped, now)
        records.append(_record(tenant_id, found, names, parts, in_force, is_current=is_current))
    records = [finding for of_item in by_item(records) for finding in of_item]
    report = await _report(session, tenant_id, baseline, scope, now, records)
    return Drift(report.model_copy(update={"damaged": list(damaged)}), records)


async def _names(session: AsyncSession, known_findings: Sequence[KnownFinding]) -> dict[tuple[str, str], str]:
    item_keys: set[tuple[str, str]] = set()
    settings: set[str] = set()
    templates: dict[str, set[str]] = {}
    names: dict[tuple[str, str], str] = {}
    for finding in (found.finding for found in known_findings):
        rules = load_catalog().references_of(finding.type_key)
        targets = {collection_of(key) for keys in rules.values() for key in keys}
        text = " ".join(filter(None, (finding.path, finding.before, finding.after)))
        ids = map(item_key, GUID.findall(text))
        item_keys.update((target, external_id) for external_id in ids for target in targets)
        if finding.path.startswith("settings["):
            settings.update(_SETTING.findall(text))
        elif finding.path.startswith("definitionValues["):
            names |= template_names([_value(finding.before), _value(finding.after)])
            templates.setdefault(finding.type_key, set()).add(finding.external_id)
    for type_key, items in templates.items():
        for item in await current_documents(session, type_key, items):
            names |= template_names(decode_object(item.document).get("definitionValues"))
    names |= await display_names(session, item_keys)
    return names | await setting_names(session, settings)


def _record(
    tenant_id: UUID,
    known_finding: KnownFinding,
    names: Mapping[tuple[str, str], str],
    parts: Mapping[tuple[str, str], HiddenPart],
    in_force: DecisionInForce,
    *,
    is_current: bool,
) -> DriftFindingRecord:
    finding = known_finding.finding
    decided = known_finding.decided if in_force.by is None else in_force.by
    kind = DifferenceKind(finding.kind) if finding.path else DifferenceKind.CHANGED
    part = parts.get((known_finding.baseline, finding.fingerprint))
    before, after = part or (_value(finding.before), _value(finding.after))
    difference = Difference(finding.path, kind, before, after, finding.hidden)
    change = field_change(difference, load_catalog().references_of(finding.type_key), names)
    return DriftFindingRecord(
        **{**dict(change), **finding._asdict(), "before": change.before, "after": change.after},
        tenant_id=tenant_id,
        baseline=known_finding.baseline,
        period=known_finding.period,
        direction=direction_of(finding.type_key, finding.kind, finding.path, change.before, change.after),
        resolved_at=known_finding.resolved_at,
        is_checked=is_current and known_finding.is_readable,
        decision=in_force.current.decision,
        decided=None if decided is None else DecisionRecord(**decided._asdict(), fallen=in_force.current.fallen),
    )


def decision_of(known_finding: KnownFinding, scoped: Sequence[ScopeDecision], now: datetime) -> DecisionInForce:
    """The finding's own decision if in force, else the most specific scope's."""
    finding, decided = known_finding.finding, known_finding.decided
    own = CurrentDecision(Decision.OPEN)
    if decided is not None:
        own = current_decision(decided.decision, decided.value_hash, decided.until, finding.value_hash, now)
    place = FindingPlace(known_finding.baseline, finding.type_key, finding.external_id, finding.path)
    return decision_in_force(own, scoped, place, now)


def _value(text: str | None) -> JsonValue:
    return None if text is None else decode(text.encode())


async def _report(
    session: AsyncSession,
    tenant_id: UUID,
    baseline: BaselineRecord,
    scope: Scope,
    now: datetime,
    findings: Sequence[DriftFindingRecord],
) -> DriftReport:
    counts = Counter("resolved" if finding.resolved_at else str(finding.decision) for finding in findings)
    severities = Counter(finding.severity for finding in findings if finding.is_open)
    return DriftReport(
        tenant_id=tenant_id,
        baseline=baseline,
        evaluated_at=now,
        counts=DriftCounts(**counts),
        open_by_severity={severity: severities[severity] for severity in Severity},
        compared=scope.compared,
        left_out=scope.left_out,
        old_details=await old_details(session, scope.type_keys),
        left_out_items=[item async for item in _left_out_items(session, baseline.name, scope.type_keys)],
        open_weakening=sum(finding.is_open and weakens(finding) for finding in findings),
        items=items_of(findings),
    )


async def _left_out_items(session: AsyncSession, name: str, type_keys: Sequence[str]) -> AsyncIterator[LeftOutItem]:
    for item in await queries.details_not_read(session, name, type_keys):
        yield LeftOutItem(
            type_key=item.type_key,
            external_id=item.external_id,
            display_name=item.display_name,
            item_kind=kind_of(item.type_key, item.meta),
            reason="details_not_read" if item.lags else "stale",
            stale=item.stale,
        )
    for gap in await gaps(session, name):
        if gap.type_key in type_keys:
            yield LeftOutItem(
                type_key=gap.type_key,
                external_id=gap.external_id,
                display_name=gap.display_name,
                item_kind=kind_of(gap.type_key, gap.meta),
                reason=gap.why,
            )
