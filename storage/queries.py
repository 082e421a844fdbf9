"""What the command line shows: run records, items with their state, missing items."""

from collections.abc import AsyncIterator, Sequence
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import TextClause, text
from sqlalchemy.ext.asyncio import AsyncSession

from inventory.missing import CollectionInRun, RunCoverage, State, item_state
from inventory.outcomes import Outcome
from inventory.records import ItemRecord, RunRecord
from inventory.selection import Selection
from inventory.user_errors import UserError
from storage.completed_runs import completed
from storage.counts import COUNT_NAMES
from storage.rows import Shape, Values, fetch, fetch_one, fetch_stream

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
    f'coalesce(live.{name}, run.{name}) AS "counts.{name}"' if name in _LIVE_NAMES else f'{name} AS "counts.{name}"'
    for name in COUNT_NAMES
)

_RUNS = f"""
SELECT
    run_id, tenant_id, selection_hash, selection, workflow_id, status, queued_at, started_at, finished_at,
    error_codes, {_COUNTS},
    (
        SELECT coalesce(json_object_agg(type_key, json_build_object(
            'outcome', outcome, 'pages', c.pages, 'items', items, 'error_code', error_code, 'context', context
        ) ORDER BY type_key COLLATE "C"), '{{}}')
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


def _latest_completed(condition: str) -> TextClause:
    return text(f"""
SELECT run_id, selection, status AS "run.status", started_at AS "run.started_at",
    cardinality(error_codes) > 0 AS "run.has_errors",
    (
        SELECT coalesce(json_object_agg(
            type_key, json_build_object('outcome', outcome, 'error_code', error_code)
        ), '{{}}')
        FROM sync_run_collection AS c WHERE c.run_id = sync_run.run_id
    ) AS collections
FROM sync_run
WHERE {completed()} AND {condition}
ORDER BY started_at DESC LIMIT 1
""")


_LATEST_COMPLETED = _latest_completed("true")

_LATEST_COMPLETED_OF_SELECTION = _latest_completed("selection_hash = :selection_hash")

_LATEST_COMPLETED_COVERING = _latest_completed(
    "EXISTS (SELECT FROM sync_run_collection AS c WHERE c.run_id = sync_run.run_id AND c.type_key = :type_key)"
)

_SELECTION_HASHES = text("""
SELECT DISTINCT selection_hash FROM sync_run WHERE starts_with(selection_hash, :prefix) ORDER BY 1 LIMIT 2
""")

_ITEM_COLUMNS = """
    tenant_id, type_key, external_id, display_name, meta, encode(content_hash, 'hex') AS content_hash, first_seen_at,
    last_seen_at, last_seen_run_id, missing_confirmed_run_id, details_complete
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
    found = await fetch(session, _RUN, RunRecord, {"run_id": run_id})
    if len(found) > 1:
        tenants = ", ".join(str(run.tenant_id) for run in found)
        raise AmbiguousRunError(f"several tenants have a run {run_id}: {tenants}; list each one's by `runs TENANT`")
    return found[0] if found else None


async def recent_runs(session: AsyncSession, limit: int) -> list[RunRecord]:
    """The newest runs first; of all tenants in a portfolio session."""
    return await fetch(session, _RECENT_RUNS, RunRecord, {"limit": limit})


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
        return await fetch_one(session, _LATEST_COMPLETED, Question)
    return await fetch_one(session, _LATEST_COMPLETED_OF_SELECTION, Question, {"selection_hash": selection_hash})


async def item(session: AsyncSession, type_key: str, external_id: str) -> ItemRecord | None:
    """One item, with its state relative to the latest completed run that covers its collection."""
    asked = await fetch_one(session, _LATEST_COMPLETED_COVERING, Question, {"type_key": type_key})
    named = {"type_key": type_key, "external_id": external_id}
    return await fetch_one(session, _ITEM, ItemRecord, named, shape=_with_state(asked))


async def items(
    session: AsyncSession, asked: Question | None, type_keys: Sequence[str] | None = None, page: Page = EVERYTHING
) -> AsyncIterator[ItemRecord]:
    """The tenant's items, by type key and id, streamed, each with its state relative to the question."""
    parameters = {"type_keys": None if type_keys is None else list(type_keys), **page.parameters()}
    shape = _with_state(asked)
    async for record in fetch_stream(
        session, _ITEMS, ItemRecord, parameters, rows_at_a_time=ROWS_AT_A_TIME, shape=shape
    ):
        yield record


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
    shape = _with_state(asked)
    async for record in fetch_stream(
        session, _MISSING, ItemRecord, parameters, rows_at_a_time=ROWS_AT_A_TIME, shape=shape
    ):
        if record.state is State.MISSING:
            yield record


async def items_first_seen_in(session: AsyncSession, asked: Question) -> list[ItemRecord]:
    """The items that the question's run saw for the first time, by type key and id."""
    parameters = {"type_keys": list(asked.selection.type_keys), "run_id": asked.run_id}
    return await fetch(session, _FIRST_SEEN_IN, ItemRecord, parameters, shape=_with_state(asked))


async def items_changed_in(session: AsyncSession, asked: Question) -> list[ItemRecord]:
    """The items that the question's run found changed, by type key and id."""
    parameters = {
        "type_keys": list(asked.selection.type_keys),
        "run_id": asked.run_id,
        "started_at": asked.run.started_at,
    }
    return await fetch(session, _CHANGED_IN, ItemRecord, parameters, shape=_with_state(asked))


def _with_state(asked: Question | None) -> Shape:
    """Adds the state of an item relative to the question."""

    def shape(row: Values) -> Values:
        confirmed_in, is_whole = row.pop("missing_confirmed_run_id"), row.pop("details_complete")
        if not is_whole:
            row["meta"] = {**row["meta"], "warnings": _warned(row["meta"])}
        if asked is None or row["type_key"] not in asked.selection.type_keys:
            return {**row, "state": None, "confidence": None, "evidence": None}
        collection = asked.collections.get(row["type_key"])
        state = item_state(row["last_seen_at"], asked.run, collection, confirmed=confirmed_in == asked.run_id)
        return {**row, **state._asdict()}

    return shape


def _warned(meta: dict[str, Any]) -> list[str]:
    """The warnings of an item whose current version lacks details."""
    return sorted([*meta.get("warnings", []), "details are incomplete"])
