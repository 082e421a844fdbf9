"""Run records: opening with a slot, renewing the lease, closing. All idempotent by run id."""

from collections.abc import Collection, Mapping, Sequence
from datetime import timedelta
from enum import StrEnum
from typing import NamedTuple
from uuid import UUID

import orjson
from sqlalchemy import Interval, Text, bindparam, cast, func, select, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from inventory.claims import Claims, Evidence, proven
from inventory.error_codes import ErrorCode
from inventory.outcomes import COMPLETED_STATUSES, COUNT_NAMES, CollectionResult, Counts, Outcome, RunStatus
from inventory.selection import Selection
from storage.absences import IS_CONFIRMED, mark_absent
from storage.confirmations import count_unlisted
from storage.coverage import record_coverage
from storage.details import settle
from storage.errors import DatabaseClockError
from storage.listed_pages import forget_pages, listing_progress
from storage.models.base import table
from storage.models.runs import SyncRun, Tenant
from storage.rows import fetch
from storage.sql import BY_INDEX
from storage.staging import discard_staged
from storage.timeouts import SLOTS_IDLE_TIMEOUT_SECONDS

_RUN, _TENANT = table(SyncRun), table(Tenant)

SLOTS_LOCK = 0x736C6F7473
"""The advisory lock for counting and giving slots."""


class RunIdentity(NamedTuple):
    run_id: UUID
    workflow_id: str
    selection: Selection
    tenant_name: str | None
    """None if unknown: the tenant keeps its name, or gets its id as one."""
    selection_name: str | None = None


class Slots(NamedTuple):
    """Limits of concurrent runs; leases of a slot and of a place in the queue."""

    per_tenant: int
    overall: int
    lease: timedelta
    queue_lease: timedelta = timedelta(minutes=2)


class OpeningState(StrEnum):
    RUNNING = "running"
    WAITING_FOR_SLOT = "waiting_for_slot"
    WAITING_FOR_PREDECESSOR = "waiting_for_predecessor"
    ENDED = "ended"


class RunStart(NamedTuple):
    """`ahead`: the number of all tenants' runs before this one, if it waits for a slot."""

    state: OpeningState
    ahead: int = 0


class OpenRun(NamedTuple):
    tenant_id: UUID
    run_id: UUID
    workflow_id: str


_CLOSE_ABANDONED = f"""
-- the run, unless it has ended or renewed its lease meanwhile
WITH closed AS (
    UPDATE sync_run
    SET status = '{RunStatus.FAILED}', finished_at = clock_timestamp(), lease_expires_at = NULL,
        error_codes = ARRAY['{ErrorCode.RUN_ABANDONED}'], errors = 1,
        (missing, not_read) = (
            SELECT count(*) FILTER (WHERE {IS_CONFIRMED}), count(*) FILTER (WHERE NOT {IS_CONFIRMED})
            FROM inventory_item
            WHERE type_key = ANY (ARRAY(SELECT jsonb_array_elements_text(selection -> 'type_keys')))
                AND last_seen_at < started_at
        )
    WHERE {{which}} AND finished_at IS NULL AND lease_expires_at <= clock_timestamp()
    RETURNING run_id
),
-- what belongs to it, in the same statement: only a run that this one closes loses its waves, pages and staged rows
collections AS (
    UPDATE sync_run_collection SET error_code = '{ErrorCode.RUN_ABANDONED}'
    WHERE run_id IN (SELECT run_id FROM closed)
),
waves AS (
    DELETE FROM merged_wave WHERE run_id IN (SELECT run_id FROM closed)
),
pages AS (
    DELETE FROM listed_page WHERE run_id IN (SELECT run_id FROM closed)
),
staged AS (
    DELETE FROM staged_observation WHERE run_id IN (SELECT run_id FROM closed)
)
SELECT run_id FROM closed
"""

_CLOSE_ABANDONED_PREDECESSOR = text(
    _CLOSE_ABANDONED.format(which="selection_hash = :selection_hash AND run_id <> :run_id")
)

_CLOSE_ABANDONED_RUN = text(_CLOSE_ABANDONED.format(which="run_id = :run_id"))

_QUEUE_COLLECTIONS = text("""
INSERT INTO sync_run_collection (run_id, type_key)
SELECT :run_id, type_key FROM unnest(CAST(:type_keys AS text[])) AS type_key
ON CONFLICT DO NOTHING
""")

# The holder of this lock holds up the runs of all tenants.
_LOCK_SLOTS = text(f"""
SELECT set_config('idle_in_transaction_session_timeout', '{SLOTS_IDLE_TIMEOUT_SECONDS}s', true),
    pg_advisory_xact_lock(:key)
""")

_SLOT_TURN = text(
    "SELECT may_start, ahead"
    " FROM slot_turn(CAST(:run_id AS uuid), CAST(:per_tenant AS bigint), CAST(:overall AS bigint))"
)


_RECENT_ENDS = select(_RUN.c.finished_at).order_by(_RUN.c.queued_at.desc()).limit(20).subquery()
"""Found by an index. Runs queued before the clock was set back come first."""

_LATEST_END = select(func.coalesce(func.max(_RECENT_ENDS.c.finished_at), text("'-infinity'"))).scalar_subquery()

_IS_OPEN = (_RUN.c.run_id == bindparam("of_run"), _RUN.c.finished_at.is_(None))
_LEASE_END = func.clock_timestamp() + bindparam("lease", type_=Interval)
_FRESH_END = func.clock_timestamp() + bindparam("fresh", type_=Interval)

_RENEW = update(_RUN).where(*_IS_OPEN).values(lease_expires_at=_LEASE_END).returning(_RUN.c.run_id)

# If each renewed the lease, batches of a run that are recorded side by side would wait for each other. The end of the
# run still waits for them (FOR SHARE).
_HOLD_RENEWED = (
    select(_RUN.c.run_id)
    .where(*_IS_OPEN, _RUN.c.lease_expires_at.between(_FRESH_END, _LEASE_END))
    .with_for_update(read=True)
)


async def is_recorded(session: AsyncSession) -> bool:
    return (await session.execute(select(_TENANT.c.tenant_id).limit(1))).first() is not None


async def open_run(session: AsyncSession, run: RunIdentity, slots: Slots) -> RunStart:
    """Records the run as `queued`, and as `running` once it has a slot. Idempotent.

    First come, first served, but a run whose tenant has no free slot lets others pass. The run waits for an open run of
    its selection, or closes that as abandoned if its lease has expired. Raises `DatabaseClockError`.
    """
    status = await _ensure_run(session, run, slots.queue_lease)
    if status is None:
        return RunStart(OpeningState.WAITING_FOR_PREDECESSOR)
    if status.ended:
        return RunStart(OpeningState.ENDED)
    if status is RunStatus.RUNNING:
        await renew_lease(session, run.run_id, slots.lease)
        return RunStart(OpeningState.RUNNING)
    await renew_lease(session, run.run_id, slots.queue_lease)
    await session.execute(_LOCK_SLOTS, {"key": SLOTS_LOCK})
    ahead = await runs_ahead(session, run.run_id, slots)
    if ahead is not None:
        return RunStart(OpeningState.WAITING_FOR_SLOT, ahead)
    now = func.clock_timestamp()
    started = {"status": RunStatus.RUNNING, "started_at": now, "lease_expires_at": now + slots.lease}
    starting = update(_RUN).where(_RUN.c.run_id == run.run_id, now >= _LATEST_END).values(started)
    if (await session.execute(starting.returning(_RUN.c.run_id))).first() is None:
        raise DatabaseClockError(
            "PostgreSQL's clock has been set back to before the end of the tenant's latest run;"
            " the run waits until the clock has passed that moment"
        )
    return RunStart(OpeningState.RUNNING)


async def runs_ahead(session: AsyncSession, run_id: UUID, slots: Slots) -> int | None:
    """The number of all tenants' runs before a queued run; None if its turn has come or it is not queued."""
    limits = {"run_id": run_id, "overall": slots.overall, "per_tenant": slots.per_tenant}
    turn = (await session.execute(_SLOT_TURN, limits)).one_or_none()
    return None if turn is None or turn.may_start else turn.ahead


async def expired_runs(session: AsyncSession, limit: int) -> list[OpenRun]:
    """Up to `limit` open runs, chosen at random. Needs a portfolio session."""
    expired = (
        select(_RUN.c.tenant_id, _RUN.c.run_id, _RUN.c.workflow_id)
        .where(_RUN.c.finished_at.is_(None), _RUN.c.lease_expires_at <= func.clock_timestamp())
        .order_by(func.random())
        .limit(limit)
    )
    return await fetch(session, expired, OpenRun)


async def close_abandoned(session: AsyncSession, run_id: UUID) -> bool:
    """Records `failed` with `run_abandoned`; returns False if the run has ended or renewed its lease."""
    closed = (await session.execute(_CLOSE_ABANDONED_RUN, {"run_id": run_id})).first()
    if closed is not None:
        await _settle_abandoned(session, run_id)
    return closed is not None


async def _settle_abandoned(session: AsyncSession, run_id: UUID) -> None:
    await settle(session, run_id)
    await session.execute(_COUNT_STALE_OF_ABANDONED, {"run_id": run_id})
    await record_coverage(session, run_id, cleanly=False)


async def _ensure_run(session: AsyncSession, run: RunIdentity, lease: timedelta) -> RunStatus | None:
    """The status of the run's row, which is made if missing; None while another run of its selection is open."""
    identity = _identity(run)
    await _ensure_tenant(session, run.tenant_name)
    predecessor = {"run_id": run.run_id, "selection_hash": identity["selection_hash"]}
    for abandoned in await session.execute(_CLOSE_ABANDONED_PREDECESSOR, predecessor):
        await _settle_abandoned(session, abandoned.run_id)
    queued = insert(_RUN).values(**identity, lease_expires_at=func.clock_timestamp() + lease).inline()
    await session.execute(queued.on_conflict_do_nothing())
    recorded = select(_RUN.c.status).where(_RUN.c.run_id == run.run_id).with_for_update()
    status = (await session.execute(recorded)).scalar_one_or_none()
    if status is None:
        return None
    await _queue_collections(session, run.run_id, run.selection)
    return RunStatus(status)


async def _ensure_tenant(session: AsyncSession, name: str | None) -> None:
    new = insert(_TENANT).inline()
    if name is None:
        await session.execute(new.values(name=cast(func.current_tenant(), Text)).on_conflict_do_nothing())
    else:
        await session.execute(
            new.values(name=name).on_conflict_do_update(
                index_elements=[_TENANT.c.tenant_id], set_={"name": name}, where=_TENANT.c.name != name
            )
        )


async def renew_lease(session: AsyncSession, run_id: UUID, lease: timedelta) -> bool:
    """Renews the lease for at least nine tenths of `lease`; False if the run has ended.

    The run cannot end within the transaction.
    """
    values = {"of_run": run_id, "lease": lease}
    held = await session.execute(_HOLD_RENEWED, {**values, "fresh": lease * 0.9})
    return held.first() is not None or (await session.execute(_RENEW, values)).first() is not None


class RunEnd(NamedTuple):
    """`finish_run` replaces the numbers of items in `counts`."""

    status: RunStatus
    counts: Counts
    error_codes: Sequence[ErrorCode]
    collections: Mapping[str, CollectionResult]
    cancel_requested_by: str | None = None
    cancel_reason: str | None = None
    logs: Collection[str] = frozenset()
    """Collections with expiring entries, which never count as missing or not read."""
    confirmable: Collection[str] = frozenset()
    """Collections whose unlisted items a run asks for by id."""


class ClosedRecord(NamedTuple):
    status: RunStatus
    counts: Counts
    error_codes: Sequence[ErrorCode]
    collections: Mapping[str, CollectionResult] | None
    """The recorded results; None if an earlier attempt closed the record."""

    @property
    def listed(self) -> frozenset[str]:
        """Collections that this attempt recorded as complete."""
        collections = self.collections or {}
        return frozenset(key for key, result in collections.items() if result.outcome is Outcome.COMPLETE)


# Items that a complete listing did not show are marked. In other collections all items may be unseen, and only a GET by
# id tells whether one is gone.
_COUNT_MISSING = text(f"""
-- read once, whatever the planner thinks
WITH run AS MATERIALIZED (SELECT started_at FROM sync_run WHERE run_id = :run_id)
SELECT unlisted.items + unread.confirmed AS missing, unread.items - unread.confirmed AS not_read
FROM (
    SELECT count(*) AS items FROM inventory_item
    WHERE absent_from IS NOT NULL AND type_key = ANY (:listed) AND last_seen_at < (SELECT started_at FROM run)
) AS unlisted CROSS JOIN (
    SELECT count(*) AS items, count(*) FILTER (WHERE {IS_CONFIRMED}) AS confirmed FROM inventory_item
    WHERE type_key = ANY (:not_listed) AND last_seen_at < (SELECT started_at FROM run)
) AS unread
""")

_COUNT_STALE = text("""
SELECT count(*) FROM inventory_item
WHERE type_key = ANY (:type_keys) AND stale_since IS NOT NULL AND absent_from IS NULL
""")

# Which items of an abandoned run are stale is known only after it has been closed.
_COUNT_STALE_OF_ABANDONED = text("""
UPDATE sync_run SET stale = (
    SELECT count(*) FROM inventory_item
    WHERE type_key = ANY (ARRAY(SELECT jsonb_array_elements_text(selection -> 'type_keys')))
        AND stale_since IS NOT NULL AND absent_from IS NULL
)
WHERE run_id = :run_id
""")

_FINISH_COLLECTIONS = text("""
UPDATE sync_run_collection AS c
SET outcome = r.outcome, pages = r.pages, items = r.items, error_code = r.error_code, context = r.context
FROM jsonb_to_recordset(CAST(:results AS jsonb))
    AS r (type_key text, outcome text, pages bigint, items bigint, error_code text, context jsonb)
WHERE c.run_id = :run_id AND c.type_key = r.type_key
""")

# A wave of details records only changes, of items that a wave of pages has counted as unchanged.
_FORGET_WAVES = text("""
-- the waves go in the statement that adds up what they recorded
WITH forgotten AS (DELETE FROM merged_wave WHERE run_id = :run_id RETURNING result)
SELECT coalesce(sum(created), 0)::bigint AS created, coalesce(sum(changed), 0)::bigint AS changed,
    coalesce(sum(coalesce(unchanged, -changed)), 0)::bigint AS unchanged
FROM forgotten CROSS JOIN LATERAL jsonb_to_record(result) AS counts (created bigint, changed bigint, unchanged bigint)
""")


async def finish_run(session: AsyncSession, run: RunIdentity, ending: RunEnd) -> ClosedRecord:
    """Closes the record with the result that the database proves, unless the run has ended.

    Records a run that ends before it was opened.
    """
    await session.execute(BY_INDEX)
    await _ensure_tenant(session, run.tenant_name)
    selection = run.selection
    ended = insert(_RUN).values(**_identity(run), status=ending.status, finished_at=func.clock_timestamp())
    new = ended.on_conflict_do_nothing(index_elements=[_RUN.c.tenant_id, _RUN.c.run_id]).returning(_RUN.c.run_id)
    if (await session.execute(new)).first() is None:
        columns = _RUN.c["status", "selection", "error_codes", *COUNT_NAMES]
        known = select(*columns).where(_RUN.c.run_id == run.run_id).with_for_update()
        recorded = (await session.execute(known)).one()
        if RunStatus(recorded.status).ended:
            counts = Counts(**{name: getattr(recorded, name) for name in COUNT_NAMES})
            codes = [ErrorCode(code) for code in recorded.error_codes]
            return ClosedRecord(RunStatus(recorded.status), counts, codes, None)
        selection = Selection.model_validate(recorded.selection)
    await _queue_collections(session, run.run_id, selection)
    incomplete = await settle(session, run.run_id)
    claims = await _proven(session, run.run_id, ending, selection, incomplete)
    results = [
        {
            **result.model_dump(mode="json"),
            "type_key": type_key,
            "outcome": result.outcome or Outcome.INCOMPLETE,
            "context": {
                **result.context,
                **({"details_incomplete": incomplete[type_key]} if type_key in incomplete else {}),
            },
        }
        for type_key, result in claims.collections.items()
    ]
    await session.execute(_FINISH_COLLECTIONS, {"run_id": run.run_id, "results": orjson.dumps(results).decode()})
    errors = ending.counts.errors + _refuted(ending.collections, claims.collections)
    closed = ClosedRecord(claims.status, ending.counts, claims.error_codes, claims.collections)
    unseen = await _take_in_coverage(session, run.run_id, claims, selection, closed.listed, ending.logs)
    items = await _counted(session, run.run_id, ending)
    counts = ending.counts.model_copy(update={**items, **unseen, "errors": errors})
    await session.execute(
        update(_RUN)
        .where(_RUN.c.run_id == run.run_id)
        .values(
            status=claims.status,
            finished_at=func.clock_timestamp(),
            lease_expires_at=None,
            error_codes=list(claims.error_codes),
            cancel_requested_by=ending.cancel_requested_by,
            cancel_reason=ending.cancel_reason,
            **counts.model_dump(),
        )
    )
    await forget_pages(session, run.run_id)
    await discard_staged(session, run.run_id)
    return closed._replace(counts=counts)


async def _proven(
    session: AsyncSession, run_id: UUID, ending: RunEnd, selection: Selection, incomplete: Collection[str]
) -> Claims:
    """Believes runs of earlier releases, which recorded no pages."""
    claims = Claims(ending.status, list(ending.error_codes), ending.collections)
    pages = await listing_progress(session, run_id)
    if pages is None:
        return claims
    complete = {key for key, result in ending.collections.items() if result.outcome is Outcome.COMPLETE}
    to_confirm = sorted(complete & set(ending.confirmable))
    unconfirmed = await count_unlisted(session, run_id, to_confirm) if to_confirm else {}
    evidence = Evidence(pages.listed, pages.refused, frozenset(incomplete), frozenset(unconfirmed))
    return proven(claims, selection.type_keys, evidence)


async def _counted(session: AsyncSession, run_id: UUID, ending: RunEnd) -> dict[str, int]:
    """Adds up and deletes the records of the run's merges. Believes the claimed number of items found by id."""
    merged = (await session.execute(_FORGET_WAVES, {"run_id": run_id})).one()
    counts = [result.context.get("found_by_id") for result in ending.collections.values()]
    unchanged = merged.unchanged + sum(found for found in counts if isinstance(found, int))
    observed = merged.created + merged.changed + unchanged
    return {"observed": observed, "created": merged.created, "changed": merged.changed, "unchanged": unchanged}


def _refuted(claimed: Mapping[str, CollectionResult], confirmed: Mapping[str, CollectionResult]) -> int:
    return sum(result.error_code != claimed[type_key].error_code for type_key, result in confirmed.items())


async def _take_in_coverage(
    session: AsyncSession,
    run_id: UUID,
    claims: Claims,
    selection: Selection,
    listed: Collection[str],
    logs: Collection[str],
) -> dict[str, int]:
    if claims.status not in COMPLETED_STATUSES:
        return {"missing": 0, "not_read": 0, "stale": 0}
    cleanly = claims.status is RunStatus.SUCCESS and not claims.error_codes
    await record_coverage(session, run_id, cleanly=cleanly)
    await mark_absent(session, selection.type_keys)
    parameters = {
        "run_id": run_id,
        "listed": [key for key in listed if key not in logs],
        "not_listed": [key for key in selection.type_keys if key not in listed and key not in logs],
    }
    unseen = (await session.execute(_COUNT_MISSING, parameters)).one()
    stale = (await session.execute(_COUNT_STALE, {"type_keys": list(selection.type_keys)})).scalar_one()
    return {"missing": unseen.missing, "not_read": unseen.not_read, "stale": stale}


async def _queue_collections(session: AsyncSession, run_id: UUID, selection: Selection) -> None:
    await session.execute(_QUEUE_COLLECTIONS, {"run_id": run_id, "type_keys": list(selection.type_keys)})


def _identity(run: RunIdentity) -> dict[str, object]:
    return {
        "run_id": run.run_id,
        "workflow_id": run.workflow_id,
        "selection_hash": run.selection.hash(),
        "selection": run.selection.model_dump(mode="json"),
        "selection_name": run.selection_name,
    }
