"""Who made the changes that runs have noticed, by Intune's audit log as far as it was read."""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from sqlalchemy.ext.asyncio import AsyncSession

from answers.changes.audit import AuditEvent, AuditStatus, attribution
from answers.changes.audit_queries import audit_events
from answers.changes.records import ChangeRecord
from graph.catalog import load_catalog
from inventory.coverage import Coverage


class UnattributedChange(NamedTuple):
    """A change, and since when it may have been there before anything that a list shows told of it."""

    change: ChangeRecord
    unlisted_since: datetime | None


def is_audited(type_key: str) -> bool:
    """Whether the audit log has the changes of a collection; one that left the catalog is not looked for."""
    collection = load_catalog().collections.get(type_key)
    return collection is not None and collection.is_audited


async def attributed(
    session: AsyncSession, found: Sequence[UnattributedChange], log: Coverage | None
) -> list[ChangeRecord]:
    """The changes, each with who made it. `log` is how far the audit log has been read."""
    events = await _events(session, [noticed for noticed in found if is_audited(noticed.change.type_key)])
    return [_attributed(noticed, events.get(noticed.change.external_id, ()), log) for noticed in found]


async def _events(session: AsyncSession, found: Sequence[UnattributedChange]) -> dict[str, list[AuditEvent]]:
    """All events that may explain any of the changes: one question for a batch."""
    if not found:
        return {}
    begins = [noticed.unlisted_since or noticed.change.seen_before_at for noticed in found]
    known = [begin for begin in begins if begin is not None]
    after = min(known) if len(known) == len(begins) else None
    until = max(noticed.change.noticed_at for noticed in found)
    return await audit_events(session, {noticed.change.external_id for noticed in found}, after, until)


def _attributed(noticed: UnattributedChange, events: Sequence[AuditEvent], log: Coverage | None) -> ChangeRecord:
    """By the events since the item was last seen as it was, else by those since its details may have been otherwise."""
    change = noticed.change
    for after in (change.seen_before_at, noticed.unlisted_since or change.seen_before_at):
        audit = attribution(
            events, change.kind.audit_action, after, change.noticed_at, log, is_audited=is_audited(change.type_key)
        )
        if audit.status is AuditStatus.FOUND:
            break
    return change.model_copy(update={"audit": audit})
