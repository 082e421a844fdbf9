"""Watch: positions in a tenant's audit logs, and the items that their events name."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID, uuid4

from sqlalchemy import func, select, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from inventory.error_codes import ErrorCode
from inventory.item_ids import item_key
from inventory.meta import PARENT_ID
from inventory.observation import Observation
from inventory.outcomes import RunKind, RunStatus
from inventory.selection import Selection
from storage import merge as merging
from storage.confirmations import UnlistedItem, record_gone
from storage.coverage import listed_once
from storage.documents import database_time
from storage.item_lookup import key_columns
from storage.merge import DocumentComparison
from storage.models.base import among, table
from storage.models.items import InventoryItem
from storage.models.runs import AuditLogPosition, MergedWave, SyncRun
from storage.rows import fetch
from storage.staging import stage

_ITEM, _POSITION, _RUN, _WAVE = table(InventoryItem), table(AuditLogPosition), table(SyncRun), table(MergedWave)

WATCH = "watch"
"""The selection name of watch's runs."""


class LogPosition(NamedTuple):
    type_key: str
    tried_at: datetime
    read_at: datetime | None
    handled: list[str]
    error_code: ErrorCode | None


class LookStart(NamedTuple):
    """`at` is by PostgreSQL's clock; `listed`: collections that a run has listed to their end."""

    at: datetime
    listed: frozenset[str]
    positions: Mapping[str, LogPosition]


class LogLook(NamedTuple):
    """One look's reading of an audit log; `error_code`: why the log could not be read.

    `handled` events need nothing more; `unknown` counts new events that name no readable item.
    """

    type_key: str
    handled: Sequence[str] = ()
    unknown: int = 0
    error_code: ErrorCode | None = None


class LookItems(NamedTuple):
    """Items that a look has read whole, and items that are gone."""

    observations: Sequence[Observation]
    gone: Sequence[UnlistedItem]
    requests: int
    error_codes: Collection[ErrorCode] = ()


class LookResult(NamedTuple):
    """A look's counts. `contested` items are not recorded: another run has seen them since the look began."""

    created: int = 0
    changed: int = 0
    gone: int = 0
    contested: frozenset[tuple[str, str]] = frozenset()


async def begin_look(session: AsyncSession) -> LookStart:
    at = await database_time(session)
    statement = select(*_POSITION.c["type_key", "tried_at", "read_at", "handled", "error_code"])
    positions = {row.type_key: row for row in await fetch(session, statement, LogPosition)}
    return LookStart(at, await listed_once(session), positions)


async def items_named(
    session: AsyncSession, type_keys: Collection[str], external_ids: Collection[str]
) -> list[UnlistedItem]:
    """Items with these ids, in any spelling."""
    parent_id = func.coalesce(_ITEM.c.meta[PARENT_ID].astext, "").label("parent_id")
    columns = select(_ITEM.c.type_key, _ITEM.c.external_id, parent_id, _ITEM.c.graph_id).where(
        among(_ITEM.c.type_key, sorted(type_keys)),
        among(_ITEM.c.external_id, sorted({item_key(external_id) for external_id in external_ids})),
    )
    return await fetch(session, columns.order_by(_ITEM.c.type_key, _ITEM.c.external_id), UnlistedItem)


# Another run's observation since the look began may be newer than the look's.
_LOCK = text("""
SELECT type_key, external_id, last_seen_at >= :began_at AS is_contested
FROM inventory_item JOIN unnest(CAST(:type_keys AS text[]), CAST(:external_ids AS text[]))
    AS named (type_key, external_id) USING (type_key, external_id)
ORDER BY type_key, external_id FOR UPDATE OF inventory_item
""")

# One statement marks the item and records the absence, as in storage/absences.py.
_MARK_GONE = text("""
WITH gone AS MATERIALIZED (
    SELECT item.tenant_id, item.type_key, item.external_id, item.last_seen_at
    FROM inventory_item AS item JOIN unnest(CAST(:type_keys AS text[]), CAST(:external_ids AS text[]))
        AS named (type_key, external_id) USING (type_key, external_id)
    WHERE item.absent_from IS NULL
),
marked AS (
    UPDATE inventory_item AS item SET absent_from = :began_at FROM gone
    WHERE (item.tenant_id, item.type_key, item.external_id) = (gone.tenant_id, gone.type_key, gone.external_id)
)
INSERT INTO item_absence (type_key, external_id, absent_from, run_id, last_seen_at, evidence, confidence)
SELECT type_key, external_id, :began_at, :run_id, last_seen_at, 'confirmed', 'high' FROM gone
RETURNING external_id
""")


async def record_items(
    session: AsyncSession,
    run_id: UUID,
    workflow_id: str,
    began_at: datetime,
    items: LookItems,
    events: Mapping[tuple[str, str], Sequence[Observation]],
    comparison: DocumentComparison | None,
) -> LookResult:
    """Records a look's items, and the events that named them, as a run. Idempotent by `run_id`.

    Only items that Graph answered with 404 become missing.
    """
    if (await session.execute(select(_RUN.c.run_id).where(_RUN.c.run_id == run_id))).first() is not None:
        return LookResult()
    keys = sorted({*(_key(item) for item in items.observations), *(_key(item) for item in items.gone)})
    locked = await session.execute(_LOCK, {"began_at": began_at, **key_columns(keys)})
    contested = frozenset((row.type_key, row.external_id) for row in locked if row.is_contested)
    to_merge = [observation for observation in items.observations if _key(observation) not in contested]
    confirmed_gone = [item for item in items.gone if _key(item) not in contested]
    if not to_merge and not confirmed_gone:
        return LookResult(contested=contested)
    selection = Selection(type_keys=tuple(type_key for type_key, _ in keys), options={WATCH: True})
    codes = sorted(items.error_codes)
    await session.execute(
        insert(_RUN).values(
            run_id=run_id,
            workflow_id=workflow_id,
            kind=RunKind.WATCH,
            selection_hash=selection.hash(),
            selection=selection.model_dump(mode="json"),
            selection_name=WATCH,
            status=RunStatus.PARTIAL if codes else RunStatus.SUCCESS,
            queued_at=began_at,
            started_at=began_at,
            finished_at=func.clock_timestamp(),
            error_codes=codes,
            errors=len(codes),
            requests=items.requests,
        )
    )
    naming = {
        _key(event): event
        for key in (*map(_key, to_merge), *map(_key, confirmed_gone))
        for event in events.get(key, ())
    }
    if naming:
        await _merged(session, run_id, list(naming.values()), comparison)
    created = changed = 0
    if to_merge:
        merged = await _merged(session, run_id, to_merge, comparison)
        created, changed = merged.created, merged.changed
    marked = 0
    if confirmed_gone:
        await record_gone(session, run_id, confirmed_gone)
        named = key_columns([_key(item) for item in confirmed_gone])
        marked = len((await session.execute(_MARK_GONE, {"run_id": run_id, "began_at": began_at, **named})).all())
    await session.execute(_WAVE.delete().where(_WAVE.c.run_id == run_id))
    unchanged = len(to_merge) - created - changed
    counts = {
        "observed": len(to_merge),
        "created": created,
        "changed": changed,
        "unchanged": unchanged,
        "missing": marked,
    }
    await session.execute(update(_RUN).where(_RUN.c.run_id == run_id).values(**counts))
    return LookResult(created, changed, marked, contested)


async def _merged(
    session: AsyncSession, run_id: UUID, observations: Sequence[Observation], comparison: DocumentComparison | None
) -> merging.MergeResult:
    token = uuid4()
    await stage(session, run_id, token, observations, are_whole=True)
    return await merging.merge(session, run_id, token, promised_rows=len(observations), comparison=comparison)


async def keep_position(session: AsyncSession, look: LogLook, began_at: datetime) -> None:
    is_read = look.error_code is None
    values: dict[str, object] = {"tried_at": began_at, "error_code": look.error_code}
    if is_read:
        values |= {"read_at": began_at, "handled": list(look.handled)}
    new = insert(_POSITION).values(type_key=look.type_key, unknown_events=look.unknown, **values).inline()
    more = {"unknown_events": _POSITION.c.unknown_events + look.unknown}
    # An attempt that ends after its successor must not set the position back.
    await session.execute(
        new.on_conflict_do_update(
            index_elements=[_POSITION.c.tenant_id, _POSITION.c.type_key],
            set_={**values, **more},
            where=_POSITION.c.tried_at <= began_at,
        )
    )


class WatchedLog(NamedTuple):
    tenant_id: UUID
    type_key: str
    tried_at: datetime
    read_at: datetime | None
    unknown_events: int
    error_code: ErrorCode | None


async def watched_logs(session: AsyncSession) -> list[WatchedLog]:
    """Needs a portfolio session."""
    columns = _POSITION.c["tenant_id", "type_key", "tried_at", "read_at", "unknown_events", "error_code"]
    return await fetch(session, select(*columns).order_by(_POSITION.c.tenant_id, _POSITION.c.type_key), WatchedLog)


def _key(item: Observation | UnlistedItem) -> tuple[str, str]:
    return item.type_key, item_key(item.external_id)
