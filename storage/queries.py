"""What the command line shows: run records, items with their state, missing items."""

from collections.abc import AsyncIterator, Sequence
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import Row, text
from sqlalchemy.ext.asyncio import AsyncSession

from inventory.error_codes import ErrorCode
from inventory.missing import CollectionInRun, RunCoverage, State, item_state
from inventory.outcomes import Counts, Outcome, RunStatus
from inventory.records import CollectionRecord, ItemRecord, RunRecord
from inventory.selection import Selection
from inventory.user_errors import UserError
from storage.counts import COUNT_NAMES
from storage.streams import streamed

ROWS_AT_A_TIME = 500


class UnknownSelectionError(UserError):
    """No run of the tenant has such a selection hash, or several begin like it."""


class AmbiguousRunError(UserError):
    """It cannot be told which run is meant."""


class Question(NamedTuple):
    """A selection put to the inventory: its latest completed run, and what that covered."""

    selection: Selection
    run_id: UUID
    run: RunCoverage
    collections: dict[str, CollectionInRun]

    def is_listed(self, type_key: str) -> bool:
        """Whether the run listed the collection to its end."""
        covered = self.collections.get(type_key)
        return covered is not None and covered.outcome is Outcome.COMPLETE


class Page(NamedTuple):
    """A part of a listing: `limit` items at most, those that follow the type key and id `after`."""

    limit: int | None = None
    after: tuple[str, str] = ("", "")

    def parameters(self) -> dict[str, object]:
        """What the statement of a listing is told."""
        type_key, external_id = self.after
        return {"limit": self.limit, "after_type_key": type_key, "after_external_id": external_id}


EVERYTHING = Page()

_LIVE_NAMES = ("observed", "created", "changed", "unchanged")
"""The counts of an open run that its merged waves tell; the others are recorded when it ends."""

_COUNTS = ", ".join(
    f"coalesce(live.{name}, run.{name}) AS {name}" if name in _LIVE_NAMES else name for name in COUNT_NAMES
)

_RUNS = f"""
SELECT
    run_id, tenant_id, selection_hash, selection, workflow_id, status, queued_at, started_at, finished_at,
    error_codes, {_COUNTS},
    (
        SELECT coalesce(jsonb_object_agg(type_key, jsonb_build_object(
            'outcome', outcome, 'pages', c.pages, 'items', items, 'error_code', error_code, 'context', context
        )), '{{}}')
        FROM sync_run_collection AS c
        WHERE (c.tenant_id, c.run_id) = (run.tenant_id, run.run_id)
    ) AS collections
FROM sync_run AS run LEFT JOIN LATERAL (
    SELECT sum(created)::bigint AS created, sum(changed)::bigint AS changed, sum(unchanged)::bigint AS unchanged,
        sum(created + changed + unchanged)::bigint AS observed
    FROM merged_wave AS wave
        CROSS JOIN LATERAL jsonb_to_record(wave.result) AS one (created bigint, changed bigint, unchanged bigint)
    WHERE run.finished_at IS NULL AND (wave.tenant_id, wave.run_id) = (run.tenant_id, run.run_id)
) AS live ON true
"""

_RUN = text(f"{_RUNS} WHERE run_id = :run_id")

_RECENT_RUNS = text(f"{_RUNS} ORDER BY queued_at DESC, run_id LIMIT :limit")

_RUN_IDS = text("""
SELECT DISTINCT run_id FROM sync_run WHERE run_id BETWEEN :low AND :high ORDER BY run_id DESC LIMIT :most
""")

_RECORDED = text("SELECT tenant_id, run_id FROM sync_run WHERE run_id = ANY (:run_ids)")

_COMPLETED = "status IN ('success', 'partial', 'failed') AND started_at IS NOT NULL"

_LATEST_COMPLETED = text(f"""
SELECT run_id, selection, selection_hash, status, started_at, error_codes
FROM sync_run WHERE {_COMPLETED}
ORDER BY started_at DESC LIMIT 1
""")

_LATEST_COMPLETED_COVERING = text(f"""
SELECT run_id, selection, selection_hash, status, started_at, error_codes
FROM sync_run
WHERE {_COMPLETED} AND EXISTS (
    SELECT FROM sync_run_collection AS c WHERE c.run_id = sync_run.run_id AND c.type_key = :type_key
)
ORDER BY started_at DESC LIMIT 1
""")

_LATEST_COMPLETED_OF_SELECTION = text(f"""
SELECT run_id, selection, selection_hash, status, started_at, error_codes
FROM sync_run WHERE selection_hash = :selection_hash AND {_COMPLETED}
ORDER BY started_at DESC LIMIT 1
""")

_COVERAGE = text("SELECT type_key, outcome, error_code FROM sync_run_collection WHERE run_id = :run_id")

_SELECTION_HASHES = text("""
SELECT DISTINCT selection_hash FROM sync_run WHERE starts_with(selection_hash, :prefix) ORDER BY 1 LIMIT 2
""")

_ITEM_COLUMNS = """
    tenant_id, type_key, external_id, display_name, meta, content_hash, first_seen_at, last_seen_at, last_seen_run_id,
    missing_confirmed_run_id, details_complete
"""

_ITEMS = text(f"""
SELECT {_ITEM_COLUMNS} FROM inventory_item
WHERE (CAST(:type_keys AS text[]) IS NULL OR type_key = ANY (CAST(:type_keys AS text[])))
    AND (type_key, external_id) > (:after_type_key, :after_external_id)
ORDER BY type_key, external_id LIMIT :limit
""")

_ITEM = text(f"""
SELECT {_ITEM_COLUMNS} FROM inventory_item WHERE (type_key, external_id) = (:type_key, :external_id)
""")

# What a complete listing did not show is marked, and found by the mark's index. Of a collection that was not listed to
# its end all may be missing, so that a page of them is soon found.
_MISSING = text(f"""
SELECT * FROM (
    (
        SELECT {_ITEM_COLUMNS} FROM inventory_item
        WHERE absent_from IS NOT NULL AND type_key = ANY (:listed) AND last_seen_at < :started_at
            AND (type_key, external_id) > (:after_type_key, :after_external_id)
        ORDER BY type_key, external_id LIMIT :limit
    )
    UNION ALL
    (
        SELECT {_ITEM_COLUMNS} FROM inventory_item
        WHERE type_key = ANY (:not_listed) AND last_seen_at < :started_at
            AND (type_key, external_id) > (:after_type_key, :after_external_id)
        ORDER BY type_key, external_id LIMIT :limit
    )
) AS missing
ORDER BY type_key, external_id LIMIT :limit
""")


_FIRST_SEEN_IN = text(f"""
SELECT {_ITEM_COLUMNS} FROM inventory_item
WHERE type_key = ANY (:type_keys) AND first_seen_run_id = :run_id
ORDER BY type_key, external_id
""")

_CHANGED_IN = text(f"""
SELECT {_ITEM_COLUMNS} FROM inventory_item
WHERE type_key = ANY (:type_keys) AND content_changed_at >= :started_at AND first_seen_run_id <> :run_id
    AND last_seen_run_id = :run_id
ORDER BY type_key, external_id
""")


async def run_record(session: AsyncSession, run_id: UUID) -> RunRecord | None:
    """The record of one run; of any tenant in a portfolio session.

    The counts of an open run are those of what it has merged so far. Raises `AmbiguousRunError` where several tenants
    have a run of this id, which no workflow of ours gives twice.
    """
    rows = (await session.execute(_RUN, {"run_id": run_id})).all()
    if len(rows) > 1:
        tenants = ", ".join(str(row.tenant_id) for row in rows)
        raise AmbiguousRunError(f"several tenants have a run {run_id}: {tenants}; list each one's by `runs TENANT`")
    return _run_record(rows[0]) if rows else None


async def recent_runs(session: AsyncSession, limit: int) -> list[RunRecord]:
    """The newest runs first; of all tenants in a portfolio session."""
    return [_run_record(row) for row in await session.execute(_RECENT_RUNS, {"limit": limit})]


async def run_ids_between(session: AsyncSession, low: UUID, high: UUID, most: int) -> list[UUID]:
    """Up to `most` run ids from `low` to `high`, the latest first; of all tenants in a portfolio session."""
    return list((await session.execute(_RUN_IDS, {"low": low, "high": high, "most": most})).scalars())


async def recorded_runs(session: AsyncSession, run_ids: Sequence[UUID]) -> set[tuple[UUID, UUID]]:
    """Those of the runs that have a record, each by tenant and run id; of all tenants in a portfolio session."""
    return {(row.tenant_id, row.run_id) for row in await session.execute(_RECORDED, {"run_ids": list(run_ids)})}


async def resolve_selection_hash(session: AsyncSession, prefix: str) -> str:
    """The one selection hash of the tenant's runs that begins with `prefix`. Raises `UnknownSelectionError`."""
    hashes = list((await session.execute(_SELECTION_HASHES, {"prefix": prefix.lower()})).scalars())
    if len(hashes) == 1:
        return str(hashes[0])
    if hashes:
        raise UnknownSelectionError(f"several selections of this tenant begin with {prefix!r}; give more of the hash")
    raise UnknownSelectionError(
        f"no run of this tenant has a selection hash that begins with {prefix!r};"
        " `python starter.py runs TENANT` shows the hashes"
    )


async def question(session: AsyncSession, selection_hash: str | None = None) -> Question | None:
    """The question of a selection, or of whatever was completed last; None before any completed run."""
    if selection_hash is None:
        result = await session.execute(_LATEST_COMPLETED)
    else:
        result = await session.execute(_LATEST_COMPLETED_OF_SELECTION, {"selection_hash": selection_hash})
    return await _question(session, result.one_or_none())


async def item(session: AsyncSession, type_key: str, external_id: str) -> ItemRecord | None:
    """One item, with its state relative to the latest completed run that covers its collection."""
    latest = await session.execute(_LATEST_COMPLETED_COVERING, {"type_key": type_key})
    asked = await _question(session, latest.one_or_none())
    row = (await session.execute(_ITEM, {"type_key": type_key, "external_id": external_id})).one_or_none()
    return None if row is None else _item_record(row, asked)


async def _question(session: AsyncSession, run: Row[Any] | None) -> Question | None:
    if run is None:
        return None
    coverage = await session.execute(_COVERAGE, {"run_id": run.run_id})
    return Question(
        selection=Selection.model_validate(run.selection),
        run_id=run.run_id,
        run=RunCoverage(RunStatus(run.status), run.started_at, bool(run.error_codes)),
        collections={
            row.type_key: CollectionInRun(Outcome(row.outcome), ErrorCode(row.error_code) if row.error_code else None)
            for row in coverage
        },
    )


async def items(
    session: AsyncSession, asked: Question | None, type_keys: Sequence[str] | None = None, page: Page = EVERYTHING
) -> AsyncIterator[ItemRecord]:
    """The tenant's items, by type key and id, streamed, each with its state relative to the question."""
    parameters = {"type_keys": None if type_keys is None else list(type_keys), **page.parameters()}
    async for row in streamed(session, _ITEMS, parameters, ROWS_AT_A_TIME):
        yield _item_record(row, asked)


async def missing_items(
    session: AsyncSession, asked: Question, type_keys: Sequence[str] | None = None, page: Page = EVERYTHING
) -> AsyncIterator[ItemRecord]:
    """The items that are missing relative to the question, by type key and id, streamed."""
    covered = asked.selection.type_keys
    wanted = covered if type_keys is None else [key for key in covered if key in set(type_keys)]
    listed = [key for key in wanted if asked.is_listed(key)]
    not_listed = [key for key in wanted if not asked.is_listed(key)]
    parameters = {
        "listed": listed,
        "not_listed": not_listed,
        "started_at": asked.run.started_at,
        **page.parameters(),
    }
    async for row in streamed(session, _MISSING, parameters, ROWS_AT_A_TIME):
        record = _item_record(row, asked)
        if record.state is State.MISSING:
            yield record


async def items_first_seen_in(session: AsyncSession, asked: Question) -> list[ItemRecord]:
    """The items that the question's run saw for the first time, by type key and id."""
    parameters = {"type_keys": list(asked.selection.type_keys), "run_id": asked.run_id}
    return [_item_record(row, asked) for row in await session.execute(_FIRST_SEEN_IN, parameters)]


async def items_changed_in(session: AsyncSession, asked: Question) -> list[ItemRecord]:
    """The items that the question's run found changed, by type key and id."""
    parameters = {
        "type_keys": list(asked.selection.type_keys),
        "run_id": asked.run_id,
        "started_at": asked.run.started_at,
    }
    return [_item_record(row, asked) for row in await session.execute(_CHANGED_IN, parameters)]


def _item_record(row: Row[Any], asked: Question | None) -> ItemRecord:
    state = None
    if asked is not None and row.type_key in asked.selection.type_keys:
        state = item_state(
            row.last_seen_at,
            asked.run,
            asked.collections.get(row.type_key),
            confirmed=row.missing_confirmed_run_id == asked.run_id,
        )
    return ItemRecord(
        tenant_id=row.tenant_id,
        type_key=row.type_key,
        external_id=row.external_id,
        display_name=row.display_name,
        meta=row.meta if row.details_complete else {**row.meta, "warnings": _warned(row.meta)},
        content_hash=bytes(row.content_hash).hex(),
        first_seen_at=row.first_seen_at,
        last_seen_at=row.last_seen_at,
        last_seen_run_id=row.last_seen_run_id,
        state=state.state if state else None,
        confidence=state.confidence if state else None,
        evidence=state.evidence if state else None,
    )


def _warned(meta: dict[str, Any]) -> list[str]:
    """The warnings of an item whose current version lacks details."""
    return sorted([*meta.get("warnings", []), "details are incomplete"])


def _run_record(row: Row[Any]) -> RunRecord:
    return RunRecord(
        run_id=row.run_id,
        tenant_id=row.tenant_id,
        selection_hash=row.selection_hash,
        selection=Selection.model_validate(row.selection),
        workflow_id=row.workflow_id,
        status=RunStatus(row.status),
        queued_at=row.queued_at,
        started_at=row.started_at,
        finished_at=row.finished_at,
        counts=Counts(**{name: getattr(row, name) for name in COUNT_NAMES}),
        error_codes=[ErrorCode(code) for code in row.error_codes],
        collections={
            type_key: CollectionRecord.model_validate(collection)
            for type_key, collection in sorted(row.collections.items())
        },
    )
