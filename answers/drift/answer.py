"""Drift: how a tenant deviates from a baseline, what has been decided about it, and what the answer rests on."""

import re
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import datetime
from functools import cache
from typing import Any, NamedTuple, cast
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from answers.compare.records import Status
from answers.drift import queries as stored
from answers.drift.baseline_queries import baseline_collections, baselines, gaps, lock_baseline
from answers.drift.queries import Candidate, Finding, KnownFinding
from answers.drift.records import (
    BaselineRecord,
    ComparedCollection,
    DecisionRecord,
    DriftCounts,
    DriftFindingRecord,
    DriftReport,
    LeftOutCollection,
    LeftOutItem,
)
from answers.drift.rules import (
    Decision,
    Deviation,
    DriftRules,
    FindingKind,
    Standing,
    deviations,
    fingerprint,
    first_seen,
    item_added,
    item_missing,
    key_of,
    standing,
)
from answers.drift.severity import Severity, severity_of
from answers.field_labels import field_change
from answers.log_collections import log_types
from graph.catalog import kind_of, load_catalog
from inventory.canonical import Canonicalizer, JsonValue
from inventory.coverage import Coverage
from inventory.differences import Difference, DifferenceKind
from inventory.exact_json import decode, encode
from inventory.outcomes import Outcome
from inventory.records import DamagedRecord
from inventory.user_errors import UserError
from storage.bodies import Documents
from storage.coverage import coverage
from storage.documents import database_time
from storage.object_names import display_names

FINDINGS_AT_A_TIME = 500

NEVER_READ = "never_read"

_GUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")


class UnknownBaselineError(UserError):
    """The tenant has no baseline of this name."""


class UnknownFindingError(UserError):
    """No open finding of the tenant has a fingerprint that begins so, or several do."""


class Drift(NamedTuple):
    """A report, and the findings that it is about: the most severe first, each period once."""

    report: DriftReport
    findings: list[DriftFindingRecord]


class _Scope(NamedTuple):
    """What can be compared, and what cannot."""

    compared: list[ComparedCollection]
    left_out: list[LeftOutCollection]

    @property
    def type_keys(self) -> list[str]:
        return [one.type_key for one in self.compared]


async def evaluate(session: AsyncSession, tenant_id: UUID, name: str) -> list[DamagedRecord]:
    """Compares the tenant's inventory, as it is, with a baseline, and records what deviates and what no longer does.

    The answer names the versions whose stored documents are damaged: findings about their items stay as they were.
    Of collections that the baseline does not cover, or that the latest run did not list to their end, nothing is
    recorded. Done twice without a change in between, the second time changes nothing. A baseline that is another
    tenant's inventory is for `evaluate_against_tenant`. Raises `UnknownBaselineError`.
    """
    await lock_baseline(session, name)
    baseline = await baseline_called(session, name)
    if baseline.other_tenant_id is not None:
        raise ValueError(f"baseline {name} is another tenant's inventory")
    scope = await _scope(session, baseline)
    known = await stored.open_fingerprints(session, name)
    found: list[str] = []
    batch: list[Finding] = []
    read = Documents()
    unreadable: set[tuple[str, str]] = set()
    async for candidate in stored.candidates(session, name, scope.type_keys, read):
        if candidate.is_damaged:
            unreadable.add((candidate.type_key, candidate.external_id))
            continue
        batch += await _findings(session, tenant_id, name, candidate, known, read)
        if len(batch) >= FINDINGS_AT_A_TIME:
            found += await recorded(session, name, batch)
            batch = []
    found += await recorded(session, name, batch)
    if unreadable:
        findings = [one.finding for one in await stored.findings_of(session, name) if one.resolved_at is None]
        found += [one.fingerprint for one in findings if (one.type_key, one.external_id) in unreadable]
    await stored.resolve_others(session, name, scope.type_keys, found)
    return read.damaged


async def drift(
    session: AsyncSession,
    tenant_id: UUID,
    name: str,
    type_keys: Sequence[str] | None = None,
    damaged: Sequence[DamagedRecord] = (),
) -> Drift:
    """What the last evaluation found of a baseline, by what is known and holds now. Raises `UnknownBaselineError`.

    `damaged` is what that evaluation answered.
    """
    baseline = await baseline_called(session, name)
    scope = await _scope(session, baseline, type_keys)
    now = await database_time(session)
    known = await stored.findings_of(session, name, type_keys)
    names = await _names(session, known)
    checked = set(scope.type_keys)
    not_told = {(one.type_key, one.external_id) for one in await gaps(session, name) if one.why == Status.AMBIGUOUS}
    not_told |= {(one.type_key, one.external_id) for one in damaged if one.tenant_id in (None, tenant_id)}
    records = [
        _record(
            tenant_id, one, names, now, is_current=key in checked and (key, one.finding.external_id) not in not_told
        )
        for one in known
        for key in [one.finding.type_key]
    ]
    report = await _report(session, tenant_id, baseline, scope, now, records)
    return Drift(report.model_copy(update={"damaged": list(damaged)}), records)


async def finding(session: AsyncSession, beginning: str) -> KnownFinding:
    """The one open finding whose fingerprint begins so. Raises `UnknownFindingError`."""
    found = await stored.findings_beginning(session, beginning.lower(), 2)
    if len(found) == 1:
        return found[0]
    if found:
        raise UnknownFindingError(f"several findings of this tenant begin with {beginning!r}; give more of it")
    raise UnknownFindingError(
        f"this tenant has no open finding that begins with {beginning!r}; python starter.py drift TENANT lists them"
    )


async def baseline_called(session: AsyncSession, name: str) -> BaselineRecord:
    """A baseline of the tenant. Raises `UnknownBaselineError`."""
    found = await baselines(session, name)
    if not found:
        raise UnknownBaselineError(
            f"this tenant has no baseline {name!r}; python starter.py baseline list TENANT shows what it has"
        )
    return found[0]


async def _scope(session: AsyncSession, baseline: BaselineRecord, type_keys: Sequence[str] | None = None) -> _Scope:
    """What both the baseline and the latest run have listed to its end. What no licence ever allowed is no omission."""
    then = await baseline_collections(session, baseline.name)
    now = await coverage(session)
    # A run answers for what it selected, a moment for all that has been read.
    keys = set(then) if baseline.run_id is not None else {*then, *now}
    compared: list[ComparedCollection] = []
    left_out: list[LeftOutCollection] = []
    for key in sorted(keys - set(log_types()) if type_keys is None else keys & set(type_keys)):
        collection = load_catalog().collections.get(key)
        title, category = (key, None) if collection is None else (collection.title, collection.category)
        before, latest = then.get(key), now.get(key)
        if before is not None and before.outcome is Outcome.COMPLETE and latest is not None and latest.is_current:
            compared.append(
                ComparedCollection(
                    type_key=key,
                    title=title,
                    category=category,
                    baseline_read_at=before.read_at,
                    listed_at=cast("datetime", latest.listed_at),
                )
            )
        elif not _was_never_there(None if before is None else before.outcome, latest):
            left_out.append(
                LeftOutCollection(
                    type_key=key,
                    title=title,
                    category=category,
                    in_baseline=NEVER_READ if before is None else _outcome(before.outcome, before.error_code),
                    now=NEVER_READ if latest is None else latest.reason,
                )
            )
    return _Scope(compared, left_out)


def _was_never_there(before: Outcome | None, latest: Coverage | None) -> bool:
    """Whether the tenant could not have the collection then and cannot now."""
    return before in (None, Outcome.SKIPPED) and (latest is None or latest.outcome is Outcome.SKIPPED)


def _outcome(outcome: Outcome, error_code: str | None) -> str:
    return f"{outcome}:{error_code}" if error_code else str(outcome)


async def _findings(
    session: AsyncSession, tenant_id: UUID, baseline: str, candidate: Candidate, known: set[str], read: Documents
) -> list[Finding]:
    """What a candidate deviates in; nothing where only the rules of the catalog have changed."""
    rules = drift_rules(candidate.type_key)
    if candidate.is_absent:
        found = [item_missing()]
    elif candidate.before is None:
        found = [item_added(candidate.after, rules)]
    elif candidate.after is None:
        found = []
    else:
        found = deviations(candidate.before, candidate.after, rules)
    named = {fingerprint(tenant_id, baseline, candidate.type_key, candidate.external_id, one): one for one in found}
    since = await _since(session, candidate, [one for key, one in named.items() if key not in known], rules, read)
    return [_finding(candidate, key, one, since.get(key_of(one), candidate.since)) for key, one in named.items()]


async def _since(
    session: AsyncSession, candidate: Candidate, new: Sequence[Deviation], rules: DriftRules, read: Documents
) -> dict[tuple[str, str, str], datetime]:
    """When each new deviation began, by the versions since the baseline; it begins anew when the item comes back."""
    before = candidate.before
    if not new or candidate.is_absent:
        return {}
    earlier = []
    if before is not None and candidate.version - candidate.pinned_version > 1:
        expected = candidate.version
        for version in await stored.versions_between(session, candidate, read):
            expected -= 1
            if version.version != expected:
                break
            found = {key_of(one): one for one in deviations(before, version.said, rules)}
            earlier.append((version.observed_at, found))
    began = {key_of(one): first_seen(one, candidate.since, earlier) for one in new}
    came_back = candidate.came_back_at
    return began if came_back is None else {key: max(at, came_back) for key, at in began.items()}


def _finding(candidate: Candidate, key: str, deviation: Deviation, since: datetime) -> Finding:
    return finding_of(
        deviation,
        fingerprint=key,
        type_key=candidate.type_key,
        external_id=candidate.external_id,
        display_name=candidate.display_name,
        item_kind=kind_of(candidate.type_key, candidate.meta),
        severity=severity_of(candidate.type_key, deviation.kind, deviation.path),
        evidence=candidate.evidence,
        first_seen_at=since,
        last_seen_at=candidate.last_seen_at,
    )


def finding_of(deviation: Deviation, **about: Any) -> Finding:
    """A deviation as it is stored; `about` are the fields of a finding that it does not tell."""
    is_shown = not deviation.hidden and deviation.path != ""
    is_there = (deviation.kind is not FindingKind.ADDED, deviation.kind is not FindingKind.REMOVED)
    before, after = (
        encode(value).decode() if is_shown and is_value else None
        for value, is_value in zip((deviation.before, deviation.after), is_there, strict=True)
    )
    return Finding(
        path=deviation.path,
        kind=deviation.kind,
        before=before,
        after=after,
        hidden=deviation.hidden,
        value_hash=deviation.value_hash,
        **about,
    )


async def compared_collections(session: AsyncSession, baseline: BaselineRecord) -> list[ComparedCollection]:
    """The collections that the baseline covers and the tenant's latest runs have listed to their end."""
    return (await _scope(session, baseline)).compared


async def recorded(session: AsyncSession, name: str, findings: Sequence[Finding]) -> list[str]:
    """Records findings of a baseline; their fingerprints."""
    await stored.record_findings(session, name, findings)
    return [one.fingerprint for one in findings]


@cache
def drift_rules(type_key: str) -> DriftRules:
    """What counts in a collection's documents, by today's catalog; of one that it no longer has, everything."""
    collection = load_catalog().collections.get(type_key)
    if collection is None:
        return DriftRules(Canonicalizer(), frozenset())
    canonicalizer = Canonicalizer(
        volatile=collection.no_content, sensitive=collection.sensitive, ordered=collection.ordered
    )
    return DriftRules(canonicalizer, collection.ordered, collection.detail_properties)


async def _names(session: AsyncSession, known: Sequence[KnownFinding]) -> dict[tuple[str, str], str]:
    """The names of what the findings' values and paths refer to."""
    wanted: set[tuple[str, str]] = set()
    for one in known:
        collection = load_catalog().collections.get(one.finding.type_key)
        targets = {key for keys in collection.references.values() for key in keys} if collection else set()
        said = " ".join(filter(None, (one.finding.path, one.finding.before, one.finding.after)))
        wanted.update((target, external_id) for external_id in _GUID.findall(said) for target in targets)
    return await display_names(session, wanted)


def _record(
    tenant_id: UUID,
    known: KnownFinding,
    names: Mapping[tuple[str, str], str],
    now: datetime,
    *,
    is_current: bool,
) -> DriftFindingRecord:
    one, decided = known.finding, known.decided
    collection = load_catalog().collections.get(one.type_key)
    holds = Standing(Decision.OPEN)
    if decided is not None:
        holds = standing(decided.decision, decided.value_hash, decided.until, one.value_hash, now)
    kind = DifferenceKind(one.kind) if one.path else DifferenceKind.CHANGED
    difference = Difference(one.path, kind, _value(one.before), _value(one.after), one.hidden)
    said = field_change(difference, {} if collection is None else collection.references, names)
    return DriftFindingRecord(
        tenant_id=tenant_id,
        baseline=known.baseline,
        fingerprint=one.fingerprint,
        period=known.period,
        type_key=one.type_key,
        item_kind=one.item_kind,
        external_id=one.external_id,
        display_name=one.display_name,
        kind=one.kind,
        path=one.path,
        label=said.label,
        before=said.before,
        after=said.after,
        before_named=said.before_named,
        after_named=said.after_named,
        hidden=one.hidden,
        severity=one.severity,
        evidence=one.evidence,
        first_seen_at=one.first_seen_at,
        last_seen_at=one.last_seen_at,
        resolved_at=known.resolved_at,
        is_checked=is_current and known.is_readable,
        decision=holds.decision,
        decided=None
        if decided is None
        else DecisionRecord(
            decision=decided.decision,
            decided_by=decided.decided_by,
            decided_at=decided.decided_at,
            reason=decided.reason,
            until=decided.until,
            fallen=holds.fallen,
        ),
    )


def _value(text: str | None) -> JsonValue:
    return None if text is None else decode(text.encode())


async def _report(
    session: AsyncSession,
    tenant_id: UUID,
    baseline: BaselineRecord,
    scope: _Scope,
    now: datetime,
    findings: Sequence[DriftFindingRecord],
) -> DriftReport:
    counts = Counter("resolved" if one.resolved_at else str(one.decision) for one in findings)
    severities = Counter(one.severity for one in findings if one.resolved_at is None and one.decision is Decision.OPEN)
    return DriftReport(
        tenant_id=tenant_id,
        baseline=baseline,
        evaluated_at=now,
        counts=DriftCounts(**counts),
        open_by_severity={severity: severities[severity] for severity in Severity},
        compared=scope.compared,
        left_out=scope.left_out,
        left_out_items=[one async for one in _left_out_items(session, baseline.name, scope.type_keys)],
    )


async def _left_out_items(session: AsyncSession, name: str, type_keys: Sequence[str]) -> AsyncIterator[LeftOutItem]:
    for item in await stored.details_not_read(session, name, type_keys):
        yield LeftOutItem(**item._asdict(), reason="details_not_read")
    for gap in await gaps(session, name):
        if gap.type_key in type_keys:
            yield LeftOutItem(
                type_key=gap.type_key, external_id=gap.external_id, display_name=gap.display_name, reason=gap.why
            )
