"""Run records, items with their state, and missing items."""

from collections.abc import AsyncGenerator, Collection, Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import TextClause, func, select, text
from sqlalchemy.ext.asyncio import AsyncSession

from inventory.error_codes import ErrorCode
from inventory.missing import CollectionInRun, Confidence, EvidenceKind, RunCoverage, State, confidence_of, item_state
from inventory.outcomes import COUNT_NAMES, Outcome, RunKind, RunStatus
from inventory.records import ItemRecord, MissingRecord, RunRecord
from inventory.selection import Selection
from inventory.user_errors import UserError
from storage.absences import IS_CONFIRMED
from storage.completed_runs import completed
from storage.models.base import among, table, using
from storage.models.runs import CollectionCoverage, SyncRun
from storage.name_order import ITEM_OF_KEY, NAMED_KEYS, NamePlace
from storage.rows import Shape, Values, fetch, fetch_one, fetch_stream

_RUN, _COVERAGE = table(SyncRun), table(CollectionCoverage)


class AmbiguousRunError(UserError):
    """Several tenants have a run of this id."""


class CollectionBasis(NamedTuple):
    """The completed run that decides for a collection; `collection` is None if the run recorded nothing of it."""

    run_id: UUID
    run: RunCoverage
    collection: CollectionInRun | None

    @property
    def is_listed(self) -> bool:
        return self.collection is not None and self.collection.outcome is Outcome.COMPLETE

    @property
    def is_skipped(self) -> bool:
        """The tenant cannot have the collection, which is no error."""
        return self.collection is not None and self.collection.outcome is Outcome.SKIPPED

    @property
    def confidence(self) -> Confidence:
        return confidence_of(self.run, self.collection)

    @property
    def reason(self) -> str:
        """Why the collection is not listed, such as `incomplete:graph_throttled`."""
        outcome, code = (Outcome.INCOMPLETE, None) if self.collection is None else self.collection
        return f"{outcome}:{code}" if code else str(outcome)


class Question(NamedTuple):
    """The completed run that decides for each collection: the selection's latest.

    Without a selection, it is the collection's latest, so a small run never empties an answer.
    """

    selection: Selection | None
    collections: dict[str, CollectionBasis]

    @property
    def latest(self) -> CollectionBasis:
        return max(self.collections.values(), key=lambda basis: basis.run.started_at)


class UnreadCollectionBasis(NamedTuple):
    """A collection that was not read to its end. `items` counts its unread items.

    `listed_at`: the end of the last run that did read it to its end.
    """

    type_key: str
    basis: CollectionBasis
    items: int
    listed_at: datetime | None


class SelectionRun(NamedTuple):
    """The latest completed run of a selection."""

    selection: Selection
    run_id: UUID
    run: RunCoverage
    collections: dict[str, CollectionInRun]

    def question(self) -> Question:
        keys = self.selection.type_keys
        return Question(
            self.selection,
            {key: CollectionBasis(self.run_id, self.run, self.collections.get(key)) for key in keys},
        )


class CoveredCollection(NamedTuple):
    """A collection, and the latest completed run that covers it."""

    type_key: str
    run_id: UUID
    run: RunCoverage
    collection: CollectionInRun


class Page(NamedTuple):
    """At most `limit` items of a list, behind the place `after`."""

    limit: int | None = None
    after: NamePlace = NamePlace("", "", "")

    def parameters(self) -> dict[str, object]:
        return {"limit": self.limit, **{f"after_{field}": value for field, value in self.after._asdict().items()}}


EVERYTHING = Page()

_LIVE_NAMES = ("observed", "created", "changed", "unchanged")
"""Counts that are sums over an open run's merges; the others are recorded at its end."""

_COUNTS = ", ".join(
    f'coalesce(live.{name}, run.{name}) AS "counts.{name}"' if name in _LIVE_NAMES else f'{name} AS "counts.{name}"'
    for name in COUNT_NAMES
)

_RUNS = f"""
SELECT
    run_id, tenant_id, selection_hash, selection, selection_name, workflow_id, status, queued_at, started_at,
    finished_at, error_codes, kind, {_COUNTS},
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
        CROSS JOIN LATERAL jsonb_to_record(wave.result) AS counts (created bigint, changed bigint, unchanged bigint)
    WHERE run.finished_at IS NULL AND (wave.tenant_id, wave.run_id) = (run.tenant_id, run.run_id)
) AS live ON true
"""

_ONE_RUN = text(f"{_RUNS} WHERE run_id = :run_id")

# The kind is part of the text: with a parameter, PostgreSQL would not use the index of one kind.
_RECENT_RUNS = {
    kind: text(f"""{_RUNS}
WHERE queued_at <= coalesce(CAST(:after_at AS timestamptz), 'infinity')
    AND (queued_at < coalesce(CAST(:after_at AS timestamptz), 'infinity') OR run_id > CAST(:after_run_id AS uuid))
    AND (CAST(:status AS text) IS NULL OR status = :status) AND kind = '{kind}'
ORDER BY queued_at DESC, run_id LIMIT :limit
""")
    for kind in RunKind
}

_LATEST_COMPLETED_OF_SELECTION = text(f"""
SELECT run_id, selection, status AS "run.status", started_at AS "run.started_at",
    cardinality(error_codes) > 0 AS "run.has_errors",
    (
        SELECT coalesce(json_object_agg(
            type_key, json_build_object('outcome', outcome, 'error_code', error_code)
        ), '{{}}')
        FROM sync_run_collection AS c WHERE c.run_id = sync_run.run_id
    ) AS collections
FROM sync_run
WHERE {completed()} AND selection_hash = :selection_hash
ORDER BY started_at DESC LIMIT 1
""")

# As text, since `_MISSING` is text and the other statements select the same columns.
_ITEM_COLUMNS = """
    tenant_id, type_key, external_id, display_name, meta, encode(content_hash, 'hex') AS content_hash, first_seen_at,
    last_seen_at, last_seen_run_id, missing_confirmed_at, absent_from, details_complete, details_read_at, graph_id,
    coalesce(found_by_id_run_id = last_seen_run_id, false) AS found_by_id, stale_since AS "stale.since",
    stale_parts AS "stale.parts"
"""

COVERED_ITEM_COLUMNS = f"""
    {_ITEM_COLUMNS}, covered_by, covered_status, covered_from, covered_with_errors, covered_outcome, covered_error_code
"""
"""Columns of an item and of the latest completed run of its collection (`with_covered_state`)."""

_FOLLOWS = "(type_key, name_key, external_id) > (:after_type_key, :after_name_key, :after_external_id)"


def _in_order(type_keys: str) -> str:
    """Reads the index from the first to the last of the collections, since a list of keys has no order."""
    keys = f"unnest(CAST({type_keys} AS text[])) AS key"
    return f"""item_name.type_key = ANY ({type_keys})
        AND item_name.type_key BETWEEN (SELECT min(key) FROM {keys}) AND (SELECT max(key) FROM {keys})"""


def _items(condition: str) -> TextClause:
    return text(f"""
    SELECT {_ITEM_COLUMNS} FROM (
        SELECT {NAMED_KEYS} FROM item_name WHERE {condition} AND {_FOLLOWS}
        ORDER BY type_key, name_key, external_id LIMIT :limit
    ) AS named {ITEM_OF_KEY}
    ORDER BY of_type, of_name, of_id
    """)


_ALL_ITEMS, _ITEMS_OF_TYPES = _items("true"), _items(_in_order(":type_keys"))

_ITEM = text(f"""
SELECT {_ITEM_COLUMNS} FROM inventory_item WHERE (type_key, external_id) = (:type_key, :external_id)
""")

# The evidence of `item_state`.
_EVIDENCE = f"""CASE
    WHEN {IS_CONFIRMED} THEN '{EvidenceKind.CONFIRMED}'
    WHEN type_key = ANY (:listed) OR :whatever_selection AND absent_from IS NOT NULL THEN '{EvidenceKind.NOT_LISTED}'
    ELSE '{EvidenceKind.NOT_READ}'
END"""

# When the run that decides for an item's collection started.
_STARTED_AT = "(CAST(:started_at AS timestamptz[]))[array_position(CAST(:type_keys AS text[]), type_key)]"

# Items that complete listings did not show are found by the index of their mark, and sorted, since they are few. In a
# collection that was not listed to its end all items may be missing, so reading in order soon fills a page.
_MISSING = text(f"""
SELECT missing.*, absence.noticed_at AS first_missed_at, absence.run_id AS first_missed_run_id
FROM (
    (
        SELECT {_ITEM_COLUMNS}, name_key FROM inventory_item CROSS JOIN LATERAL (
            SELECT name_key FROM item_name AS name
            WHERE (name.tenant_id, name.type_key, name.external_id)
                = (inventory_item.tenant_id, inventory_item.type_key, inventory_item.external_id) LIMIT 1
        ) AS named
        WHERE absent_from IS NOT NULL AND type_key = ANY (:listed) AND last_seen_at < {_STARTED_AT}
            AND {_EVIDENCE} = ANY (CAST(:evidence AS text[])) AND {_FOLLOWS}
        ORDER BY type_key, name_key, external_id LIMIT :limit
    )
    UNION ALL
    (
        SELECT {_ITEM_COLUMNS}, of_name AS name_key FROM (
            SELECT {NAMED_KEYS} FROM item_name WHERE {_in_order(":not_listed")} AND {_FOLLOWS}
            ORDER BY type_key, name_key, external_id
        ) AS named {ITEM_OF_KEY}
        WHERE last_seen_at < {_STARTED_AT} AND {_EVIDENCE} = ANY (CAST(:evidence AS text[]))
        ORDER BY of_type, of_name, of_id LIMIT :limit
    )
) AS missing LEFT JOIN item_absence AS absence USING (tenant_id, type_key, external_id, absent_from)
ORDER BY type_key, name_key, external_id LIMIT :limit
""")

_COUNT_NOT_READ = text(f"""
SELECT c.type_key, c.listed_at, c.listed_run_id, (
    SELECT count(*) FROM inventory_item
    WHERE type_key = c.type_key AND last_seen_at < {_STARTED_AT}
        AND NOT {IS_CONFIRMED} AND NOT (:whatever_selection AND absent_from IS NOT NULL)
) AS items
FROM collection_coverage AS c WHERE c.type_key = ANY (:type_keys) ORDER BY c.type_key
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
    """An open run's counts are the sums of its merges. Raises `AmbiguousRunError`, in portfolio sessions only."""
    records = await fetch(session, _ONE_RUN, RunRecord, {"run_id": run_id})
    if len(records) > 1:
        tenants = ", ".join(str(run.tenant_id) for run in records)
        raise AmbiguousRunError(
            f"several tenants have a run {run_id}: {tenants}; `python starter.py runs TENANT` lists one tenant's"
        )
    return records[0] if records else None


class RunPlace(NamedTuple):
    queued_at: datetime
    run_id: UUID


async def recent_runs(
    session: AsyncSession,
    limit: int,
    after: RunPlace | None = None,
    status: RunStatus | None = None,
    kind: RunKind = RunKind.SYNC,
) -> list[RunRecord]:
    """Runs of a kind and status (None: any), newest first, behind `after`; all tenants' in a portfolio session."""
    after_at, after_run_id = after or (None, None)
    parameters = {"limit": limit, "after_at": after_at, "after_run_id": after_run_id, "status": status}
    return await fetch(session, _RECENT_RUNS[kind], RunRecord, parameters)


async def question(session: AsyncSession, selection_hash: str | None = None) -> Question | None:
    """Covers a selection, or all covered collections; None before any completed run."""
    if selection_hash is None:
        return await _question_of_all(session)
    latest = await fetch_one(session, _LATEST_COMPLETED_OF_SELECTION, SelectionRun, {"selection_hash": selection_hash})
    return None if latest is None else latest.question()


async def _question_of_all(session: AsyncSession, type_keys: Sequence[str] | None = None) -> Question | None:
    latest = select(
        _COVERAGE.c.type_key,
        _COVERAGE.c.run_id,
        _RUN.c.status.label("run.status"),
        _RUN.c.started_at.label("run.started_at"),
        (func.cardinality(_RUN.c.error_codes) > 0).label("run.has_errors"),
        _COVERAGE.c.outcome.label("collection.outcome"),
        _COVERAGE.c.error_code.label("collection.error_code"),
    ).join_from(_COVERAGE, _RUN, using(_COVERAGE, _RUN, "tenant_id", "run_id"))
    if type_keys is not None:
        latest = latest.where(among(_COVERAGE.c.type_key, type_keys))
    collections = await fetch(session, latest.order_by(_COVERAGE.c.type_key), CoveredCollection)
    if not collections:
        return None
    return Question(None, {row.type_key: CollectionBasis(row.run_id, row.run, row.collection) for row in collections})


async def item(session: AsyncSession, type_key: str, external_id: str) -> ItemRecord | None:
    """The item's state is by the latest completed run that covers its collection."""
    question = await _question_of_all(session, [type_key])
    named = {"type_key": type_key, "external_id": external_id}
    return await fetch_one(session, _ITEM, ItemRecord, named, shape=_with_state(question))


async def items(
    session: AsyncSession, question: Question | None, type_keys: Sequence[str] | None = None, page: Page = EVERYTHING
) -> AsyncGenerator[ItemRecord, None]:
    """Streams items in the order of lists, each with its state."""
    chosen = {} if type_keys is None else {"type_keys": list(type_keys)}
    statement = _ITEMS_OF_TYPES if chosen else _ALL_ITEMS
    shape = _with_state(question)
    async for record in fetch_stream(session, statement, ItemRecord, {**chosen, **page.parameters()}, shape=shape):
        yield record


async def missing_items(
    session: AsyncSession,
    question: Question,
    type_keys: Sequence[str] | None = None,
    page: Page = EVERYTHING,
    *,
    evidence: Collection[EvidenceKind] = tuple(EvidenceKind),
    confidence: Confidence | None = None,
) -> AsyncGenerator[MissingRecord, None]:
    """Streams missing items in the order of lists."""
    bases = {
        key: basis
        for key, basis in question.collections.items()
        if (type_keys is None or key in type_keys) and confidence in (None, basis.confidence)
    }
    parameters = {
        "listed": [key for key, basis in bases.items() if basis.is_listed],
        "not_listed": [key for key, basis in bases.items() if not basis.is_listed],
        "type_keys": list(bases),
        "started_at": [basis.run.started_at for basis in bases.values()],
        "whatever_selection": question.selection is None,
        "evidence": list(evidence),
        **page.parameters(),
    }
    with_state = _with_state(question)

    def shape(row: Values) -> Values:
        del row["name_key"]
        return with_state(row)

    async for record in fetch_stream(session, _MISSING, MissingRecord, parameters, shape=shape):
        if record.state is State.MISSING:
            yield record


async def collections_not_read(
    session: AsyncSession, question: Question, type_keys: Sequence[str] | None = None
) -> list[UnreadCollectionBasis]:
    unread = {
        key: basis
        for key, basis in question.collections.items()
        if not basis.is_listed and (type_keys is None or key in type_keys)
    }
    parameters = {
        "type_keys": list(unread),
        "started_at": [basis.run.started_at for basis in unread.values()],
        "whatever_selection": question.selection is None,
    }
    return [
        UnreadCollectionBasis(row.type_key, unread[row.type_key], row.items, row.listed_at)
        for row in await session.execute(_COUNT_NOT_READ, parameters)
    ]


async def items_first_seen_in(session: AsyncSession, question: Question) -> list[ItemRecord]:
    """Items that the question's latest run saw first, by type key and id."""
    parameters = {"type_keys": list(question.collections), "run_id": question.latest.run_id}
    return await fetch(session, _FIRST_SEEN_IN, ItemRecord, parameters, shape=_with_state(question))


async def items_changed_in(session: AsyncSession, question: Question) -> list[ItemRecord]:
    """Items that the question's latest run found changed, by type key and id."""
    latest = question.latest
    parameters = {
        "type_keys": list(question.collections),
        "run_id": latest.run_id,
        "started_at": latest.run.started_at,
    }
    return await fetch(session, _CHANGED_IN, ItemRecord, parameters, shape=_with_state(question))


def with_covered_state(row: Values, question: Question | None = None) -> Values:
    """Adds an item's state by the question, else by the row's run. The row has `COVERED_ITEM_COLUMNS`."""
    run_id, outcome, code = row.pop("covered_by"), row.pop("covered_outcome"), row.pop("covered_error_code")
    status, started_at, has_errors = (
        row.pop("covered_status"), row.pop("covered_from"), row.pop("covered_with_errors")
    )  # fmt: skip
    if question is not None or run_id is None:
        return _with_state(question)(row)
    run = RunCoverage(RunStatus(status), started_at, has_errors)
    collection = CollectionInRun(Outcome(outcome), None if code is None else ErrorCode(code))
    return _with_state(Question(None, {row["type_key"]: CollectionBasis(run_id, run, collection)}))(row)


def _with_state(question: Question | None) -> Shape:
    def shape(row: Values) -> Values:
        confirmed_at, absent_from = row.pop("missing_confirmed_at"), row.pop("absent_from")
        found_by_id = row.pop("found_by_id")
        row["kind"] = row["title"] = None  # `answers.item_kinds` fills them from the catalog
        if not row.pop("details_complete"):
            warnings = [*row["meta"].get("warnings", []), "details are incomplete"]
            row["meta"] = {**row["meta"], "warnings": sorted(warnings)}
        basis = None if question is None else question.collections.get(row["type_key"])
        if question is None or basis is None:
            return {**row, "state": None, "confidence": None, "evidence": None}
        state = item_state(
            row["last_seen_at"],
            basis.run,
            basis.collection,
            found_by_id=found_by_id,
            confirmed=confirmed_at is not None and confirmed_at > row["last_seen_at"],
            unlisted_before=question.selection is None and absent_from is not None,
        )
        return {**row, **state._asdict()}

    return shape
