from collections.abc import AsyncGenerator, Collection, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID, uuid4

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from answers.notifications.records import (
    NotificationPlace,
    NotificationRecord,
    PlacedNotification,
    SnoozeRecord,
)
from inventory.notifications import NotificationState
from storage.bodies import BODY, DOCUMENTS_AT_A_TIME, Documents
from storage.rows import Values, fetch, fetch_stream

_RUN_BEFORE = text("""
SELECT before.run_id FROM sync_run AS run
JOIN sync_run AS before ON before.selection_hash = run.selection_hash AND before.kind = run.kind
    AND before.queued_at < run.queued_at AND before.status IN ('success', 'partial', 'failed')
WHERE run.run_id = :run_id
ORDER BY before.queued_at DESC LIMIT 1
""")

_OPEN_RUNS = text("SELECT run_id FROM sync_run WHERE finished_at IS NULL")

_DOCUMENTS = text(f"""
SELECT item.type_key, item.external_id, item.display_name, item.meta, item.version_number, d.body, d.body_hash
FROM inventory_item AS item
JOIN item_version AS v USING (tenant_id, type_key, external_id, version_number)
CROSS JOIN LATERAL (SELECT {BODY} FROM document WHERE document.content_hash = v.content_hash LIMIT 1) AS d
WHERE item.type_key = ANY (:type_keys) AND item.absent_from IS NULL
""")

_HAS_ITEM = text("SELECT EXISTS (SELECT FROM inventory_item WHERE external_id = :external_id)")

_PLANS = text("""
SELECT p.plan_id, p.created_at, p.created_by FROM promotion_plan AS p
WHERE p.expires_at > clock_timestamp() AND NOT EXISTS (
    SELECT FROM promotion_decision AS d WHERE d.plan_id = p.plan_id
)
ORDER BY p.created_at
""")


class DocumentedItem(NamedTuple):
    """`document` is None if damaged."""

    type_key: str
    external_id: str
    display_name: str | None
    meta: dict[str, Any]
    document: bytes | None


class WaitingPlan(NamedTuple):
    plan_id: UUID
    created_at: datetime
    created_by: str


async def run_before(session: AsyncSession, run_id: UUID) -> UUID | None:
    """The last completed run of the same selection before this one."""
    found: UUID | None = (await session.execute(_RUN_BEFORE, {"run_id": run_id})).scalar_one_or_none()
    return found


async def open_runs(session: AsyncSession) -> frozenset[UUID]:
    return frozenset((await session.execute(_OPEN_RUNS)).scalars())


def current_items(session: AsyncSession, type_keys: Collection[str]) -> AsyncGenerator[DocumentedItem, None]:
    """Present items. Read them to their end, or close the generator."""
    parameters = {"type_keys": sorted(type_keys)}
    return fetch_stream(
        session, _DOCUMENTS, DocumentedItem, parameters, rows_at_a_time=DOCUMENTS_AT_A_TIME, shape=_with_document
    )


def _with_document(row: Values) -> Values:
    item = row["type_key"], row["external_id"], row.pop("version_number")
    document = Documents().of(row.pop("body"), row.pop("body_hash"), *item)
    return {**row, "document": document}


async def waiting_plans(session: AsyncSession) -> Sequence[WaitingPlan]:
    return await fetch(session, _PLANS, WaitingPlan)


_NEWEST = """
SELECT encode(event_hash, 'hex') AS event_hash,
    tenant_id, target, kind, severity, event ->> 'text' AS text, event ->> 'type_key' AS type_key,
    event ->> 'external_id' AS external_id, run_id, delivery_id, state, noted_at, ended_at, attempts, answer
FROM notification WHERE {conditions}
ORDER BY noted_at DESC, tenant_id DESC, target DESC, notification.event_hash DESC LIMIT :limit
"""
_OF_STATE = "state = :state"
_AFTER = "(noted_at, tenant_id, target, event_hash) < (:noted_at, :tenant_id, :target, decode(:event_hash, 'hex'))"

_SNOOZES = text("""
SELECT tenant_id, snooze_id, kind, type_key, external_id, until, reason, snoozed_by, snoozed_at
FROM notification_snooze WHERE until > clock_timestamp() AND ended_at IS NULL ORDER BY until, snooze_id
""")

_ADD_SNOOZE = text("""
INSERT INTO notification_snooze (snooze_id, kind, type_key, external_id, until, reason, snoozed_by)
VALUES (:snooze_id, :kind, :type_key, :external_id, :until, :reason, :snoozed_by)
RETURNING tenant_id, snooze_id, kind, type_key, external_id, until, reason, snoozed_by, snoozed_at
""")

_END_SNOOZE = text("UPDATE notification_snooze SET ended_at = clock_timestamp() WHERE snooze_id = :snooze_id")


async def newest_notifications(
    session: AsyncSession, limit: int, state: NotificationState | None, after: NotificationPlace | None
) -> list[PlacedNotification]:
    conditions = {_OF_STATE: state is not None, _AFTER: after is not None}
    holding = " AND ".join(condition for condition, holds in conditions.items() if holds)
    parameters = {
        "limit": limit,
        **({"state": state} if state is not None else {}),
        **(after._asdict() if after is not None else {}),
    }
    newest = text(_NEWEST.format(conditions=holding or "true"))
    return await fetch(session, newest, PlacedNotification, parameters, shape=_placed)


def _placed(row: Values) -> Values:
    event_hash = row.pop("event_hash")
    record = NotificationRecord.model_validate(row)
    return {
        "place": NotificationPlace(record.noted_at, record.tenant_id, record.target, event_hash),
        "record": record,
    }


async def current_snoozes(session: AsyncSession) -> list[SnoozeRecord]:
    return await fetch(session, _SNOOZES, SnoozeRecord)


async def has_item(session: AsyncSession, external_id: str) -> bool:
    found = await session.execute(_HAS_ITEM, {"external_id": external_id})
    return bool(found.scalar_one())


async def add_snooze(session: AsyncSession, snooze: Mapping[str, object]) -> SnoozeRecord:
    (record,) = await fetch(session, _ADD_SNOOZE, SnoozeRecord, {"snooze_id": uuid4(), **snooze})
    return record


async def end_snooze(session: AsyncSession, snooze_id: UUID) -> None:
    await session.execute(_END_SNOOZE, {"snooze_id": snooze_id})
