"""The outbox: events are noted once, claimed for an attempt, and marked with its result."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID, uuid5

import orjson
from sqlalchemy import Interval, bindparam, func, select, text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from inventory.notifications import (
    AddressedEvent,
    NotificationEvent,
    NotificationGroup,
    NotificationSnooze,
    NotificationState,
    event_hash,
)
from storage.models.base import table
from storage.models.notifications import NotificationRow, SnoozeRow, ToldRun
from storage.rows import fetch

_ROW, _RUN, _SNOOZE = table(NotificationRow), table(ToldRun), table(SnoozeRow)


class Position(NamedTuple):
    """How far a subject's events have been told. Events from before `quiet_until` are not told."""

    quiet_until: datetime
    told_until: datetime


_NEW_POSITIONS = text("""
INSERT INTO notification_position (subject, quiet_until, told_until)
SELECT subject, at, at FROM unnest(CAST(:subjects AS text[]), CAST(:moments AS timestamptz[])) AS new (subject, at)
ORDER BY subject
ON CONFLICT DO NOTHING
""")

_POSITIONS = text("""
SELECT subject, quiet_until, told_until FROM notification_position
WHERE subject = ANY (:subjects) ORDER BY subject FOR UPDATE
""")

_ADVANCE = text("""
UPDATE notification_position SET told_until = greatest(told_until, CAST(:until AS timestamptz))
WHERE subject = ANY (:subjects)
""")


async def positions(session: AsyncSession, quiet: Mapping[str, datetime]) -> dict[str, Position]:
    """Locks the positions. A new subject is quiet until the moment in `quiet`."""
    subjects = sorted(quiet)
    moments = [quiet[subject] for subject in subjects]
    await session.execute(_NEW_POSITIONS, {"subjects": subjects, "moments": moments})
    found = await session.execute(_POSITIONS, {"subjects": subjects})
    return {row.subject: Position(row.quiet_until, row.told_until) for row in found}


async def advance(session: AsyncSession, subjects: Collection[str], until: datetime) -> None:
    await session.execute(_ADVANCE, {"subjects": sorted(subjects), "until": until})


async def begin_run(session: AsyncSession, run_id: UUID) -> bool:
    """Marks the run's events as noted; True if no transaction did so before."""
    new = insert(_RUN).values(run_id=run_id).on_conflict_do_nothing().returning(_RUN.c.run_id)
    return (await session.execute(new)).first() is not None


_NOTE = text("""
INSERT INTO notification (target, event_hash, delivery_id, run_id, kind, severity, event, state, ended_at)
SELECT target, decode(event_hash, 'hex'), delivery_id, :run_id, event ->> 'kind', event ->> 'severity', event, state,
    CASE WHEN state <> 'pending' THEN clock_timestamp() END
FROM jsonb_to_recordset(CAST(:events AS jsonb))
    AS noted (target text, event_hash text, delivery_id uuid, event jsonb, state text)
ON CONFLICT DO NOTHING
""")


async def note(session: AsyncSession, source_id: UUID, run_id: UUID | None, events: Sequence[AddressedEvent]) -> None:
    """Notes each event once; events of one `source_id` go to a target in one message.

    A snoozed event is noted as snoozed, but a lasting state only after the snooze.
    """
    snoozes = await active_snoozes(session) if events else []
    noted = []
    for target, event in events:
        is_snoozed = any(snooze.fits(event) for snooze in snoozes)
        if is_snoozed and event.kind.lasts:
            continue
        noted.append(
            {
                "target": target,
                "event_hash": event_hash(event).hex(),
                "delivery_id": str(uuid5(source_id, target)),
                "event": event.model_dump(mode="json"),
                "state": NotificationState.SNOOZED if is_snoozed else NotificationState.PENDING,
            }
        )
    if noted:
        await session.execute(_NOTE, {"run_id": run_id, "events": orjson.dumps(noted).decode()})


async def active_snoozes(session: AsyncSession) -> list[NotificationSnooze]:
    now = func.clock_timestamp()
    statement = select(*_SNOOZE.c["kind", "type_key", "external_id"]).where(
        _SNOOZE.c.until > now, _SNOOZE.c.ended_at.is_(None)
    )
    return await fetch(session, statement, NotificationSnooze)


async def pending_targets(session: AsyncSession) -> list[str]:
    found = select(_ROW.c.target).where(_ROW.c.state == NotificationState.PENDING).distinct()
    return sorted((await session.execute(found)).scalars())


# Claims for one target of a tenant run one after another, so each sees the earlier claims.
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
    """The events of one due message; None if none is due.

    A claim expires after `lease`; the next one has the same `delivery_id`.
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
SET state = CASE WHEN CAST(:state AS text) = 'pending' AND noted_at < clock_timestamp() - CAST(:retry_limit AS interval)
        THEN 'failed' ELSE CAST(:state AS text) END,
    ended_at = CASE WHEN CAST(:state AS text) = 'pending'
        AND noted_at >= clock_timestamp() - CAST(:retry_limit AS interval) THEN NULL ELSE clock_timestamp() END,
    not_before = clock_timestamp() + CAST(:wait AS interval), answer = :answer
WHERE state = 'pending' AND target = :target AND delivery_id = :delivery_id
""").bindparams(bindparam("retry_limit", type_=Interval), bindparam("wait", type_=Interval))


async def mark(
    session: AsyncSession,
    group: NotificationGroup,
    state: NotificationState,
    answer: str,
    *,
    wait: timedelta = timedelta(0),
    retry_limit: timedelta,
) -> None:
    """Records an attempt's result. A `pending` group is retried after `wait`, until it is older than `retry_limit`."""
    parameters = {
        "state": state,
        "answer": answer,
        "target": group.target,
        "delivery_id": group.delivery_id,
        "wait": wait,
        "retry_limit": retry_limit,
    }
    await session.execute(_MARK, parameters)


_NEXT_ATTEMPT = text("""
SELECT greatest(not_before - clock_timestamp(), interval '1 second') FROM notification
WHERE state = 'pending' AND target = :target
ORDER BY not_before LIMIT 1
""")


async def next_attempt(session: AsyncSession, target: str) -> timedelta | None:
    """The time until the target's next event is due; None if no event waits."""
    wait: timedelta | None = (await session.execute(_NEXT_ATTEMPT, {"target": target})).scalar_one_or_none()
    return wait


RUNS = "runs"
"""The subject of the position from which runs are told."""

_UNTOLD_RUNS = text("""
SELECT r.tenant_id, r.run_id
FROM notification_position AS p JOIN sync_run AS r USING (tenant_id)
WHERE p.subject = 'runs' AND r.queued_at > greatest(p.quiet_until, clock_timestamp() - interval '7 days')
    AND r.finished_at > clock_timestamp() - interval '2 days'
    AND r.finished_at < clock_timestamp() - CAST(:after AS interval)
    AND r.status IN ('success', 'partial', 'failed')
    AND NOT EXISTS (SELECT FROM told_run AS t WHERE (t.tenant_id, t.run_id) = (r.tenant_id, r.run_id))
ORDER BY r.finished_at LIMIT :most
""").bindparams(bindparam("after", type_=Interval))

_DUE_TENANTS = text("""
SELECT DISTINCT tenant_id FROM notification WHERE state = 'pending' AND not_before <= clock_timestamp()
""")

_KNOWN_TENANTS = text("""
SELECT t.tenant_id, clean.finished_at AS clean_at, expiring.told_until AS expiring_at, clock_timestamp() AS now
FROM unnest(CAST(:tenant_ids AS uuid[])) AS t (tenant_id)
JOIN tenant USING (tenant_id)
LEFT JOIN LATERAL (
    SELECT finished_at FROM sync_run AS r
    WHERE r.tenant_id = t.tenant_id AND r.kind = 'sync' AND r.status = 'success' ORDER BY queued_at DESC LIMIT 1
) AS clean ON true
LEFT JOIN notification_position AS expiring ON (expiring.tenant_id, expiring.subject) = (t.tenant_id, 'expiring')
""")


class UntoldRun(NamedTuple):
    tenant_id: UUID
    run_id: UUID


class KnownTenant(NamedTuple):
    """`clean_at`: the end of the latest successful run; `expiring_at`: the latest look for expiries."""

    tenant_id: UUID
    clean_at: datetime | None
    expiring_at: datetime | None
    now: datetime


async def untold_runs(session: AsyncSession, after: timedelta, most: int) -> list[UntoldRun]:
    """Runs, also abandoned ones and watch's, that ended longer than `after` ago without noted events.

    Needs a portfolio session.
    """
    return await fetch(session, _UNTOLD_RUNS, UntoldRun, {"after": after, "most": most})


async def due_tenants(session: AsyncSession) -> list[UUID]:
    """Tenants with due events. Needs a portfolio session."""
    return list((await session.execute(_DUE_TENANTS)).scalars())


async def known_tenants(session: AsyncSession, tenant_ids: Collection[UUID]) -> list[KnownTenant]:
    """The tenants among these that a run has recorded. Needs a portfolio session."""
    return await fetch(session, _KNOWN_TENANTS, KnownTenant, {"tenant_ids": list(tenant_ids)})


_FORGET = text("""
WITH sent AS (
    DELETE FROM notification WHERE ended_at < clock_timestamp() - CAST(:kept AS interval)
)
DELETE FROM notification_snooze WHERE least(until, ended_at) < clock_timestamp() - CAST(:kept AS interval)
""").bindparams(bindparam("kept", type_=Interval))


async def forget(session: AsyncSession, retention: timedelta) -> None:
    """Deletes notifications and snoozes that ended longer than `retention` ago."""
    await session.execute(_FORGET, {"kept": retention})
