"""Drift from a tenant's own past."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import cache
from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from answers.drift import queries
from answers.drift.baseline_queries import lock_baseline
from answers.drift.baselines import baseline_called
from answers.drift.presence import protection, protects
from answers.drift.queries import Candidate, Finding, FoundValue
from answers.drift.records import EDITED, BaselineRecord
from answers.drift.rules import (
    Deviation,
    DriftDocument,
    DriftRules,
    FindingKind,
    deviations,
    fingerprint,
    first_seen,
    item_added,
    item_missing,
    key_of,
)
from answers.drift.scope import scope_of
from answers.drift.severity import severity_of
from graph.catalog import kind_of, load_catalog
from inventory.canonical import Canonicalizer, JsonObject
from inventory.changed_fields import changed_by
from inventory.exact_json import decode_object, encode
from inventory.normal_form import NormalForm
from inventory.records import DamagedRecord
from storage.bodies import Documents

FINDINGS_AT_A_TIME = 500


async def evaluate(session: AsyncSession, tenant_id: UUID, name: str) -> list[DamagedRecord]:
    """Records new and resolved deviations; returns damaged versions. Idempotent.

    Leaves out collections outside `scope_of`, and items with damaged documents. Raises `UnknownBaselineError`, and
    `ValueError` if the baseline is another tenant.
    """
    await lock_baseline(session, name)
    baseline = await baseline_called(session, name)
    if baseline.other_tenant_id is not None:
        raise ValueError(f"baseline {name} is another tenant's inventory")
    scope = await scope_of(session, baseline)
    known = await queries.open_values(session, name)
    found: list[str] = []
    batch: list[Finding] = []
    read = Documents()
    unreadable: set[tuple[str, str]] = set()
    async for candidate in queries.candidates(session, name, scope.type_keys, read):
        if candidate.is_damaged:
            unreadable.add((candidate.type_key, candidate.external_id))
            continue
        batch += await _findings(session, tenant_id, baseline, candidate, known, read)
        if len(batch) >= FINDINGS_AT_A_TIME:
            found += await recorded(session, name, batch)
            batch = []
    found += await recorded(session, name, batch)
    if unreadable:
        stored = await queries.findings_of(session, name)
        findings = [kept.finding for kept in stored if kept.resolved_at is None]
        found += [finding.fingerprint for finding in findings if (finding.type_key, finding.external_id) in unreadable]
    await queries.resolve_others(session, name, scope.type_keys, found)
    return read.damaged


async def _findings(
    session: AsyncSession,
    tenant_id: UUID,
    baseline: BaselineRecord,
    candidate: Candidate,
    known_values: Mapping[str, FoundValue],
    read: Documents,
) -> list[Finding]:
    rules = drift_rules(candidate.type_key)
    if candidate.is_absent:
        found = [item_missing(protection_of(candidate.type_key, candidate.before))]
    elif candidate.before is None:
        found = [item_added(candidate.after, rules)]
    elif candidate.after is None:
        found = []
    else:
        found = deviations(candidate.before, candidate.after, rules)
    by_fingerprint = {
        fingerprint(tenant_id, baseline.name, candidate.type_key, candidate.external_id, deviation): deviation
        for deviation in found
    }
    new = [deviation for key, deviation in by_fingerprint.items() if key not in known_values]
    since = await _since(session, candidate, new, rules, read)
    kept = await _kept_values(session, baseline, candidate, by_fingerprint, known_values)
    by_fingerprint |= {key: by_fingerprint[key]._replace(value_hash=value) for key, value in kept.items()}
    return [
        _finding(candidate, key, deviation, since.get(key_of(deviation), candidate.since))
        for key, deviation in by_fingerprint.items()
    ]


async def _kept_values(
    session: AsyncSession,
    baseline: BaselineRecord,
    candidate: Candidate,
    deviations: Mapping[str, Deviation],
    known_values: Mapping[str, FoundValue],
) -> dict[str, bytes]:
    """Stored value hashes, by fingerprint, of findings whose hash differs although neither item nor baseline changed.

    Other rules, such as a new release's, read these items. Findings keep their hashes, so that decisions hold.
    """
    moved = {
        key: known_values[key]
        for key, deviation in deviations.items()
        if key in known_values
        and known_values[key].value_hash != deviation.value_hash
        and known_values[key].last_seen_at >= baseline.set_at
    }
    comparability = load_catalog().comparability(candidate.type_key)
    changed: dict[datetime, bool] = {}
    for at in {value.last_seen_at for value in moved.values()}:
        versions = await queries.versions_since(session, candidate, at)
        changed[at] = any(changed_by(version, comparability) != [] for version in versions)
    return {key: value.value_hash for key, value in moved.items() if not changed[value.last_seen_at]}


async def _since(
    session: AsyncSession, candidate: Candidate, new: Sequence[Deviation], rules: DriftRules, read: Documents
) -> dict[tuple[str, str, str], datetime]:
    """When each new deviation began, by `key_of`; a deviation begins anew when its item comes back."""
    before = candidate.before
    if not new or candidate.is_absent:
        return {}
    earlier = []
    if before is not None and candidate.version - candidate.pinned_version > 1:
        expected = candidate.version
        for version in await queries.versions_between(session, candidate, read):
            expected -= 1
            if version.version != expected:
                break
            found = {key_of(deviation): deviation for deviation in deviations(before, version.document, rules)}
            earlier.append((version.observed_at, found))
    began = {key_of(deviation): first_seen(deviation, candidate.since, earlier) for deviation in new}
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
        severity=severity_of(candidate.type_key, deviation.kind, deviation.path, deviation.before, deviation.after),
        evidence=candidate.evidence,
        first_seen_at=since,
        last_seen_at=candidate.last_seen_at,
    )


def finding_of(deviation: Deviation, **about: Any) -> Finding:
    """`about` has the finding's other fields."""
    is_shown = not deviation.hidden and (deviation.path != "" or deviation.before is not None)
    is_there = (
        deviation.kind is not FindingKind.ADDED,
        deviation.kind not in (FindingKind.REMOVED, FindingKind.ITEM_MISSING),
    )
    before, after = (
        encode(value).decode() if is_shown and is_value else None
        for value, is_value in zip((deviation.before, deviation.after), is_there, strict=True)
    )
    if not deviation.is_certain:
        about["evidence"] = EDITED
    return Finding(
        path=deviation.path,
        kind=deviation.kind,
        before=before,
        after=after,
        hidden=deviation.hidden,
        value_hash=deviation.value_hash,
        **about,
    )


def protection_of(type_key: str, document: DriftDocument | None) -> JsonObject | None:
    """None if the item does not protect, or this is unknown."""
    if document is None or not protects(type_key):
        return None
    return protection(type_key, decode_object(document.document))


async def recorded(session: AsyncSession, name: str, findings: Sequence[Finding]) -> list[str]:
    """Stores the findings; returns their fingerprints."""
    if findings:  # most items of a golden tenant have none
        await queries.record_findings(session, name, findings)
    return [finding.fingerprint for finding in findings]


@cache
def drift_rules(type_key: str) -> DriftRules:
    """Today's catalog decides; if the collection left it, all parts count."""
    collection = load_catalog().collections.get(type_key)
    if collection is None:
        return DriftRules(Canonicalizer(), NormalForm())
    canonicalizer = Canonicalizer(
        volatile=collection.no_content, sensitive=collection.sensitive - collection.payloads, ordered=collection.ordered
    )
    return DriftRules(canonicalizer, collection.form, collection.detail_properties, collection.expanded)
