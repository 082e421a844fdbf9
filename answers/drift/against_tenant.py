"""Drift from another tenant's current inventory."""

from collections.abc import Iterator, Mapping
from datetime import datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from answers.compare.answer import Comparison, KeptItems, side
from answers.compare.records import ItemComparison, Status, TenantRecord
from answers.drift import queries
from answers.drift.baseline_queries import cover_by_tenant, lock_baseline, note_gaps
from answers.drift.evaluation import finding_of, protection_of, recorded
from answers.drift.presence import protects
from answers.drift.queries import Finding
from answers.drift.records import BaselineRecord
from answers.drift.rules import Deviation, DriftDocument, deviations_of, fingerprint, item_added, item_missing
from answers.drift.scope import scope_of
from answers.drift.severity import is_within, severity_of
from answers.field_labels import properties_of
from inventory.canonical import JsonObject
from inventory.differences import Difference
from inventory.records import DamagedRecord
from inventory.tenant_neutral import Uncertainty
from storage.coverage import coverage
from storage.current_documents import current_documents

_NOT_TOLD = (Status.AMBIGUOUS, Status.UNDECIDED)

_NOT_READ = {
    Uncertainty.DETAILS_INCOMPLETE,
    Uncertainty.DETAIL_NOT_READ,
    Uncertainty.STALE,
    Uncertainty.NO_DOCUMENT,
    Uncertainty.DAMAGED_DOCUMENT,
}

_NOT_SHOWN = {
    Uncertainty.SECRET_NOT_SHOWN,
    Uncertainty.HIDDEN_WITHOUT_KEY,
    Uncertainty.HIDDEN_UNDER_TWO_KEYS,
    Uncertainty.HIDDEN_ON_ONE_SIDE,
}


async def evaluate_against_tenant(
    session: AsyncSession,
    golden: AsyncSession,
    tenant_id: UUID,
    baseline: BaselineRecord,
    kept: KeptItems | None = None,
) -> list[DamagedRecord]:
    """Records new and resolved deviations from the tenant whose session is `golden`; returns both tenants' damaged
    versions. `kept`: what a walk over tenants has read in that session. Raises `ValueError` if the baseline is no
    tenant's inventory.

    No finding is opened or closed for items that cannot be told apart, or for fields that may be equal.
    """
    name, other = baseline.name, baseline.other_tenant_id
    if other is None:
        raise ValueError(f"baseline {name} is no tenant's inventory")
    await lock_baseline(session, name)
    await cover_by_tenant(session, name, list((await coverage(golden)).values()))
    scope = await scope_of(session, baseline)
    listed = {collection.type_key: collection.listed_at for collection in scope.compared}
    here = await side(TenantRecord(tenant_id=other, name=str(other)), golden, kept)
    there = await side(TenantRecord(tenant_id=tenant_id, name=str(tenant_id)), session)
    comparison = Comparison(here, there, listed)
    known = await _open_findings(session, name)
    found: list[str] = []
    not_told: list[tuple[str, str, str]] = []
    async for item in comparison.items():
        protection = await _protection(golden, item)
        found_here = _findings(tenant_id, name, item, protection, listed[item.type_key])
        findings = {finding.fingerprint: finding for finding in found_here}
        found += await recorded(session, name, list(findings.values()))
        found += [finding.fingerprint for finding in _about(item, known) if _may_hold(finding, item)]
        if item.status in _NOT_TOLD or not all(field.is_certain for field in item.fields):
            why = Status.AMBIGUOUS if item.status is Status.AMBIGUOUS else Status.UNDECIDED
            not_told += [(item.type_key, item_name.external_id, str(why)) for item_name in item.there]
    await note_gaps(session, name, not_told)
    await queries.resolve_others(session, name, list(listed), found)
    return comparison.record().damaged


async def _open_findings(session: AsyncSession, baseline: str) -> dict[tuple[str, str], list[Finding]]:
    known: dict[tuple[str, str], list[Finding]] = {}
    for found in await queries.findings_of(session, baseline):
        if found.resolved_at is None:
            finding = found.finding
            known.setdefault((finding.type_key, finding.external_id), []).append(finding)
    return known


def _about(item: ItemComparison, findings: Mapping[tuple[str, str], list[Finding]]) -> Iterator[Finding]:
    for external_id in {item_name.external_id for item_name in (*item.here, *item.there)}:
        yield from findings.get((item.type_key, external_id), ())


def _may_hold(finding: Finding, item: ItemComparison) -> bool:
    """Whether a finding that was not found again may still hold."""
    if item.status is Status.AMBIGUOUS:
        return True
    if not finding.path or not item.uncertain:
        return False
    unresolved = (*item.unresolved_here, *item.unresolved_there)
    return (
        bool(_NOT_READ.intersection(item.uncertain))
        or (finding.hidden and bool(_NOT_SHOWN.intersection(item.uncertain)))
        or any(is_within(reference.path, properties_of(finding.path)) for reference in unresolved)
        or any(is_within(finding.path, reference.path) for reference in unresolved)
    )


async def _protection(golden: AsyncSession, item: ItemComparison) -> JsonObject | None:
    if item.status is not Status.ONLY_HERE or not protects(item.type_key):
        return None
    (side,) = item.here
    documents = await current_documents(golden, item.type_key, [side.external_id])
    return next((protection_of(item.type_key, DriftDocument(document.document)) for document in documents), None)


def _findings(
    tenant_id: UUID, baseline: str, item: ItemComparison, protection: JsonObject | None, seen_at: datetime
) -> Iterator[Finding]:
    for external_id, name, evidence, deviation in _deviations(item, protection):
        yield finding_of(
            deviation,
            fingerprint=fingerprint(tenant_id, baseline, item.type_key, external_id, deviation),
            type_key=item.type_key,
            external_id=external_id,
            display_name=name,
            item_kind=item.kind,
            severity=severity_of(item.type_key, deviation.kind, deviation.path, deviation.before, deviation.after),
            evidence=evidence,
            first_seen_at=seen_at,
            last_seen_at=seen_at,
        )


def _deviations(
    item: ItemComparison, protection: JsonObject | None
) -> Iterator[tuple[str, str | None, str, Deviation]]:
    """Yields item id, item name, evidence and deviation."""
    if item.status is Status.ONLY_HERE:
        for item_name in item.here:
            yield item_name.external_id, item_name.display_name, "not_listed", item_missing(protection)
    elif item.status is Status.ONLY_THERE:
        for item_name in item.there:
            yield item_name.external_id, item_name.display_name, "observed", item_added(None, None)
    elif item.status not in _NOT_TOLD:
        different = (
            Difference(field.path, field.kind, field.before, field.after, field.hidden)
            for field in item.fields
            if field.is_certain
        )
        for deviation in deviations_of(different):
            yield item.there[0].external_id, item.there[0].display_name, "observed", deviation
