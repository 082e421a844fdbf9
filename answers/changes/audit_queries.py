"""What the stored audit logs say of some objects."""

from collections import defaultdict
from collections.abc import Iterable
from datetime import datetime

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from answers.changes.audit import AUDIT_LOGS, AuditEvent, window

_EVENTS = text("""
SELECT audited.object_id, event.type_key AS log, audited.event_id, audited.activity_at AS at, event.meta
FROM audited_object AS audited JOIN inventory_item AS event
    ON event.type_key = ANY (:audit_logs) AND event.external_id = audited.event_id
WHERE audited.object_id = ANY (:external_ids) AND audited.activity_at BETWEEN :begin AND :end
ORDER BY audited.object_id, audited.activity_at DESC, audited.event_id DESC
""")

_FACTS = ("actor", "actor_id", "operation", "activity", "result")


async def audit_events(
    session: AsyncSession, external_ids: Iterable[str], after: datetime | None, until: datetime
) -> dict[tuple[str, str], list[AuditEvent]]:
    """The events, newest first, that may explain what was observed of objects between two moments.

    They come by the type key of their log and the id of the object; an object without any is left out. One log may name
    an object of another, such as the group of an assignment. The clocks may differ by `CLOCK_DIFFERENCE`.
    """
    begin, end = window(after, until)
    parameters = {"audit_logs": list(AUDIT_LOGS), "external_ids": sorted(set(external_ids)), "begin": begin, "end": end}
    found: defaultdict[tuple[str, str], list[AuditEvent]] = defaultdict(list)
    for row in await session.execute(_EVENTS, parameters):
        facts = {name: _text(row.meta.get(name)) for name in _FACTS}
        found[row.log, row.object_id].append(AuditEvent(event_id=row.event_id, at=row.at, **facts))
    return dict(found)


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None
