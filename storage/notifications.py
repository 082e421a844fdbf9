"""The outbox of notifications: events are noted once, claimed for an attempt, and marked with what came of it."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any, NamedTuple
from uuid import UUID, uuid5

import orjson
from sqlalchemy import Interval, bindparam, select, text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from inventory.notifications import (
    AddressedEvent,
    NotificationEvent,
    NotificationGroup,
    NotificationState,
    event_hash,
)
from storage.models.base import table
from storage.models.notifications import NotificationRow, ToldRun

_ROW, _RUN = table(NotificationRow), table(ToldRun)


class PendingTarget(NamedTuple):
    """A target for which events of a tenant wait."""

    tenant_id: UUID
    target: str


async def begin_run(session: AsyncSession, run_id: UUID) -> bool:
    """Whether nobody has noted the events of a run yet; from here on this transaction does."""
    new = insert(_RUN).values(run_id=run_id).on_conflict_do_nothing().returning(_RUN.c.run_id)
    return (await session.execute(new)).first() is not None


_NOTE = text("""
INSERT INTO notification (target, event_hash, delivery_id, run_id, kind, severity, event)
SELECT target, decode(event_hash, 'hex'), delivery_id, :run_id, event ->> 'kind', event ->> 'severity', event
FROM jsonb_to_recordset(CAST(:events AS jsonb)) AS noted (target text, event_hash text, delivery_id uuid, event jsonb)
ON CONFLICT DO NOTHING
""").bindparams(bindparam("run_id"))


async def note(session: AsyncSession, source_id: UUID, run_id: UUID | None, events: Sequence[AddressedEvent]) -> None:
    """Notes events for their targets: those of one `source_id` go to a target in one message.

    An event that the target has been told, or that waits for it, is not noted again.
    """
    if not events:
        return
    noted = [
        {
            "target": target,
            "event_hash": event_hash(event).hex(),
            "delivery_id": str(uuid5(source_id, target)),
            "event": event.model_dump(mode="json"),
        }
        for target, event in events
    ]
    await session.execute(_NOTE, {"run_id": run_id, "events": orjson.dumps(noted).decode()})


async def pending_targets(session: AsyncSession) -> list[str]:
    """The targets for which events of the session's tenant wait."""
    found = select(_ROW.c.target).where(_ROW.c.state == NotificationState.PENDING).distinct()
    return sorted((await session.execute(found)).scalars())


# Claims for one target of a tenant come one after the other: each sees what the one before has claimed.
_CLAIM_LOCK = text("SELECT pg_advisory_xact_lock(hashtextextended(current_tenant() || '/' || :target, 0))")

_CLAIM = text("""
WITH due AS (
    SELECT delivery_id FROM notification
    WHERE state = 'pending' AND target = :target AND not_before <= clock_timestamp()
    ORDER BY noted_at, delivery_id LIMIT 1
),
claimed AS (
    UPDATE notification AS n
    SET not_before = clock_timestamp() + CAST(:lease AS interval), attempts = n.attempts + 1
    FROM due
    WHERE n.state = 'pending' AND n.target = :target AND n.delivery_id = due.delivery_id
    RETURNING n.delivery_id, n.run_id, n.event, n.attempts, n.noted_at
)
SELECT * FROM claimed ORDER BY noted_at, event ->> 'key'
""").bindparams(bindparam("lease", type_=Interval))


async def claim(session: AsyncSession, target: str, lease: timedelta) -> NotificationGroup | None:
    """The events of one message that is due, claimed for `lease`: no other attempt has them meanwhile. None if none is.

    An attempt that dies leaves its claim to run out, and the next one has the same `delivery_id`.
    """
    await session.execute(_CLAIM_LOCK, {"target": target})
    rows = (await session.execute(_CLAIM, {"target": target, "lease": lease})).all()
    if not rows:
        return None
    first: Any = rows[0]
    events = [NotificationEvent.model_validate(row.event) for row in rows]
    return NotificationGroup(first.delivery_id, target, first.run_id, events, first.attempts)


_MARK = text("""
UPDATE notification
SET state = CASE WHEN CAST(:state AS text) = 'pending' AND noted_at < clock_timestamp() - CAST(:patience AS interval)
        THEN 'failed' ELSE CAST(:state AS text) END,
    ended_at = CASE WHEN CAST(:state AS text) = 'pending'
        AND noted_at >= clock_timestamp() - CAST(:patience AS interval) THEN NULL ELSE clock_timestamp() END,
    not_before = clock_timestamp() + CAST(:wait AS interval), answer = :answer
WHERE state = 'pending' AND target = :target AND delivery_id = :delivery_id
""").bindparams(bindparam("patience", type_=Interval), bindparam("wait", type_=Interval))


async def mark(
    session: AsyncSession,
    group: NotificationGroup,
    state: NotificationState,
    answer: str,
    *,
    wait: timedelta = timedelta(0),
    patience: timedelta,
) -> None:
    """Records what came of an attempt. `pending` is tried again after `wait`, until `patience` is used up."""
    parameters = {
        "state": state,
        "answer": answer,
        "target": group.target,
        "delivery_id": group.delivery_id,
        "wait": wait,
        "patience": patience,
    }
    await session.execute(_MARK, parameters)


_NEXT_ATTEMPT = text("""
SELECT greatest(not_before - clock_timestamp(), interval '1 second') FROM notification
WHERE state = 'pending' AND target = :target
ORDER BY not_before LIMIT 1
""")


async def next_attempt(session: AsyncSession, target: str) -> timedelta | None:
    """How long until the next event that waits for a target is due; None if none waits."""
    wait: timedelta | None = (await session.execute(_NEXT_ATTEMPT, {"target": target})).scalar_one_or_none()
    return wait
