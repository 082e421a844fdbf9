"""What changed in a tenant: what its runs have noticed, field by field, and what the answer rests on."""

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from datetime import datetime
from functools import cache
from itertools import islice
from typing import cast
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from answers.changes.audit import AUDIT_LOG, AuditStatus
from answers.changes.audit_answer import Noticed, attributed
from answers.changes.queries import (
    AbsenceFacts,
    Event,
    EventKind,
    VersionFacts,
    Window,
    absences_of,
    events,
    versions_of,
)
from answers.changes.records import ChangeKind, ChangeRecord, ChangesSummary, NotRead
from answers.changes.rules import Comparability, changed_fields, changed_fields_of_listed
from answers.field_labels import field_change
from graph.catalog import kind_of, load_catalog
from inventory.canonical import Canonicalizer, JsonObject
from inventory.coverage import Coverage
from inventory.differences import Difference
from inventory.exact_json import decode
from inventory.missing import Confidence
from inventory.records import DamagedRecord
from inventory.references import ReferenceRules, references
from storage.coverage import coverage
from storage.object_names import display_names

EVENTS_AT_A_TIME = 500

DOCUMENTS_AT_A_TIME = 20
"""They may have some megabytes each, and there are two of a version."""


async def changes(
    session: AsyncSession, tenant_id: UUID, window: Window, after: Event | None = None
) -> AsyncIterator[tuple[Event, ChangeRecord]]:
    """The changes of a window, oldest first, each with the event that it was noticed by.

    An event that is no change is passed over: a version that only adds details, or that a new release reads otherwise.
    """
    log = (await coverage(session, [AUDIT_LOG])).get(AUDIT_LOG)
    page = await events(session, window, EVENTS_AT_A_TIME, after)
    while page:
        for some in _batches(page, DOCUMENTS_AT_A_TIME):
            for event, change in await _changes_of(session, tenant_id, some, log):
                yield event, change
        page = await events(session, window, EVENTS_AT_A_TIME, page[-1])


async def summary(
    session: AsyncSession,
    tenant_id: UUID,
    window: Window,
    counts: Mapping[ChangeKind, int],
    audit: Mapping[AuditStatus, int],
    goes_on_after: str | None,
    damaged: Sequence[DamagedRecord] = (),
) -> ChangesSummary:
    """What a list of changes rests on."""
    covered = await coverage(session, window.type_keys)
    log = covered.get(AUDIT_LOG) or (await coverage(session, [AUDIT_LOG])).get(AUDIT_LOG)
    known = [one for key, one in covered.items() if key not in window.left_out]
    not_read = [
        NotRead(type_key=one.type_key, reason=one.reason, listed_at=one.listed_at)
        for one in known
        if not one.is_current and not (one.is_skipped and one.listed_at is None)
    ]
    return ChangesSummary(
        tenant_id=tenant_id,
        since=window.since,
        until=window.until,
        run_id=window.run_id,
        changes=dict(counts),
        listed=sum(one.is_current for one in known),
        not_read=not_read,
        goes_on_after=goes_on_after,
        audit=dict(audit),
        audit_log_read_from=None if log is None else log.listed_from,
        damaged=list(damaged),
    )


async def _changes_of(
    session: AsyncSession, tenant_id: UUID, found: Sequence[Event], log: Coverage | None
) -> list[tuple[Event, ChangeRecord]]:
    versions = await versions_of(session, [one for one in found if one.kind is EventKind.VERSION])
    absences = await absences_of(session, [one for one in found if one.kind is not EventKind.VERSION])
    compared = {event: _compared(event.type_key, version) for event, version in versions.items()}
    names = await _names(session, versions)
    noticed: dict[Event, Noticed] = {}
    for event in found:
        if event in versions:
            record = _of_version(tenant_id, event, versions[event], compared[event], names)
            if record is not None:
                noticed[event] = Noticed(record, _unlisted_since(event, versions[event]))
        elif event in absences:
            noticed[event] = Noticed(_of_absence(tenant_id, event, absences[event]), None)
    return list(zip(noticed, await attributed(session, list(noticed.values()), log), strict=True))


def _unlisted_since(event: Event, version: VersionFacts) -> datetime | None:
    """Since when details may have been otherwise without a list that told so; None where lists tell everything."""
    collection = load_catalog().collections.get(event.type_key)
    return version.before_first_observed_at if collection is not None and collection.details else None


def _of_version(
    tenant_id: UUID,
    event: Event,
    version: VersionFacts,
    compared: list[Difference] | None,
    names: Mapping[tuple[str, str], str],
) -> ChangeRecord | None:
    kind = _kind_of_version(event, version)
    if kind in (ChangeKind.CHANGED, ChangeKind.RENAMED) and compared == []:
        return None
    rules = _rules(event.type_key)
    is_first = event.version_number == 1
    return ChangeRecord(
        tenant_id=tenant_id,
        run_id=event.run_id,
        noticed_at=event.at,
        seen_before_at=version.before_last_observed_at,
        type_key=event.type_key,
        external_id=event.external_id,
        display_name=version.display_name,
        item_kind=kind_of(event.type_key, version.meta),
        kind=kind,
        confidence=Confidence.HIGH,
        evidence="not_listed_before" if is_first else "observed",
        version=event.version_number,
        renamed_from=version.before_name if kind is ChangeKind.RENAMED else None,
        recreates_external_id=version.recreates_external_id,
        returns_to_version=version.returns_to_version,
        damaged_versions=[one.version for one in version.damaged],
        created_at=version.meta.get("created_at") if is_first else None,
        was_incomplete=version.before_complete is False,
        fields=None if compared is None else [field_change(one, rules, names) for one in compared],
    )


def _kind_of_version(event: Event, version: VersionFacts) -> ChangeKind:
    if event.version_number == 1:
        return ChangeKind.APPEARED if version.recreates_external_id is None else ChangeKind.RECREATED
    renamed = version.before_number is not None and version.before_name not in (None, version.display_name)
    return ChangeKind.RENAMED if renamed else ChangeKind.CHANGED


def _of_absence(tenant_id: UUID, event: Event, absence: AbsenceFacts) -> ChangeRecord:
    is_gone = event.kind is EventKind.ABSENT
    return ChangeRecord(
        tenant_id=tenant_id,
        run_id=event.run_id,
        noticed_at=event.at,
        seen_before_at=absence.last_seen_at if is_gone else absence.noticed_at,
        type_key=event.type_key,
        external_id=event.external_id,
        display_name=absence.display_name,
        item_kind=kind_of(event.type_key, absence.meta),
        kind=ChangeKind.MISSING if is_gone else ChangeKind.CAME_BACK,
        confidence=Confidence(absence.confidence) if is_gone else Confidence.HIGH,
        evidence=absence.evidence if is_gone else "observed",
    )


def _compared(type_key: str, version: VersionFacts) -> list[Difference] | None:
    """What is different from the version before it; None where one of the two is forgotten or damaged."""
    if version.document is None or version.document_before is None:
        return None
    before, after = _object(version.document_before), _object(version.document)
    how = comparability(type_key)
    if version.details_complete and not version.before_complete:
        return changed_fields_of_listed(before, after, how)
    return changed_fields(before, after, how)


@cache
def comparability(type_key: str) -> Comparability:
    """How documents of a collection are compared; of one that left the catalog, as they are."""
    collection = load_catalog().collections.get(type_key)
    if collection is None:
        return Comparability(Canonicalizer(), frozenset(), None)
    whole = any(detail.property is None for detail in collection.details)
    return Comparability(
        Canonicalizer(volatile=collection.no_content, ordered=collection.ordered),
        collection.ordered,
        None if whole else collection.detail_properties,
        collection.detail_properties,
    )


async def _names(session: AsyncSession, versions: Mapping[Event, VersionFacts]) -> dict[tuple[str, str], str]:
    """The names of all that the documents refer to."""
    wanted = {
        (target_type, reference.target_id)
        for event, version in versions.items()
        for document in (version.document, version.document_before)
        if document is not None
        for reference in references(_object(document), _rules(event.type_key))
        for target_type in reference.target_types
    }
    return await display_names(session, wanted)


def _rules(type_key: str) -> ReferenceRules:
    collection = load_catalog().collections.get(type_key)
    return {} if collection is None else collection.references


def _object(document: bytes) -> JsonObject:
    return cast("JsonObject", decode(document))


def _batches(found: Iterable[Event], size: int) -> Iterable[list[Event]]:
    rest = iter(found)
    while batch := list(islice(rest, size)):
        yield batch
