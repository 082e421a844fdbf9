"""Stored audit events of objects."""

from collections import defaultdict
from collections.abc import Iterable
from datetime import datetime

from sqlalchemy import bindparam, select
from sqlalchemy.ext.asyncio import AsyncSession

from answers.changes.audit import AUDIT_LOGS, AuditEvent, window
from storage.models.base import among, table
from storage.models.items import AuditedObject, InventoryItem

_AUDITED, _EVENT = table(AuditedObject), table(InventoryItem)

_FACTS = ("actor", "actor_id", "operation", "activity", "result")

_OF_OBJECTS = (
    select(*_AUDITED.c["object_id", "event_id", "activity_at"], _EVENT.c.type_key, _EVENT.c.meta)
    .join_from(_AUDITED, _EVENT, among(_EVENT.c.type_key, AUDIT_LOGS) & (_EVENT.c.external_id == _AUDITED.c.event_id))
    .where(
        among(_AUDITED.c.object_id, "object_ids"),
        _AUDITED.c.activity_at.between(bindparam("begin"), bindparam("end")),
    )
    .order_by(_AUDITED.c.object_id, _AUDITED.c.activity_at.desc(), _AUDITED.c.event_id.desc())
)


async def audit_events(
    session: AsyncSession, external_ids: Iterable[str], after: datetime | None, until: datetime
) -> dict[tuple[str, str], list[AuditEvent]]:
    """Events by the log's type key and the object's id, newest first. A log may name an object of another log, such as
    an assignment's group.
    """
    begin, end = window(after, until)
    parameters = {"object_ids": sorted(set(external_ids)), "begin": begin, "end": end}
    by_object: defaultdict[tuple[str, str], list[AuditEvent]] = defaultdict(list)
    for row in await session.execute(_OF_OBJECTS, parameters):
        facts = {name: _text(row.meta.get(name)) for name in _FACTS}
        by_object[row.type_key, row.object_id].append(AuditEvent(event_id=row.event_id, at=row.activity_at, **facts))
    return dict(by_object)


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None
