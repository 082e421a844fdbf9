"""Authors of changes, as far as audit logs were read."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

from sqlalchemy.ext.asyncio import AsyncSession

from answers.changes.audit import AuditEvent, AuditStatus, attribution
from answers.changes.audit_queries import audit_events
from answers.changes.records import ChangeRecord
from graph.catalog import load_catalog
from inventory.coverage import Coverage

EventsByObject = Mapping[tuple[str, str], Sequence[AuditEvent]]
"""Audit events by the log's type key and the object's id."""


class UnattributedChange(NamedTuple):
    """`unlisted_since`: when the change may have begun unseen by a list."""

    change: ChangeRecord
    unlisted_since: datetime | None


def audit_log_of(type_key: str) -> str | None:
    collection = load_catalog().collections.get(type_key)
    return None if collection is None else collection.audit_log


async def attributed(
    session: AsyncSession, changes: Sequence[UnattributedChange], covered: Mapping[str, Coverage]
) -> list[ChangeRecord]:
    """Adds authors; `covered` is the coverage of audit logs."""
    events = await _events(session, [noticed for noticed in changes if audit_log_of(noticed.change.type_key)])
    return [_attributed(noticed, events, covered) for noticed in changes]


async def _events(session: AsyncSession, changes: Sequence[UnattributedChange]) -> EventsByObject:
    if not changes:
        return {}
    begins = [noticed.unlisted_since or noticed.change.seen_before_at for noticed in changes]
    known = [begin for begin in begins if begin is not None]
    after = min(known) if len(known) == len(begins) else None
    until = max(noticed.change.noticed_at for noticed in changes)
    return await audit_events(session, {noticed.change.external_id for noticed in changes}, after, until)


def _attributed(
    noticed: UnattributedChange,
    events: EventsByObject,
    covered: Mapping[str, Coverage],
) -> ChangeRecord:
    """Uses events since the item was last seen unchanged, else since its details may have changed."""
    change = noticed.change
    log = audit_log_of(change.type_key)
    of_item = events.get((log, change.external_id), ()) if log else ()
    for after in (change.seen_before_at, noticed.unlisted_since or change.seen_before_at):
        audit = attribution(
            of_item, change.kind.audit_action, after, change.noticed_at, covered.get(log) if log else None, log=log
        )
        if audit.status is AuditStatus.FOUND:
            break
    return change.model_copy(update={"audit": audit})
