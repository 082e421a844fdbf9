"""Queries of baselines, their gaps and pins."""

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple, cast
from uuid import UUID

from sqlalchemy import delete, func, select, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from answers.drift.records import BaselineCollectionRecord, BaselineRecord
from answers.drift.rules import BaselineKind
from answers.drift.tables import Baseline, BaselineCollection, BaselineGap
from inventory.coverage import Coverage
from inventory.outcomes import Outcome
from storage.completed_runs import completed
from storage.details import HOLD_DOCUMENTS
from storage.documents import ITEMS_THEN
from storage.models.base import table, using
from storage.models.items import InventoryItem, ItemVersionPin
from storage.rows import Values, fetch

_BASELINE, _COLLECTION, _GAP = table(Baseline), table(BaselineCollection), table(BaselineGap)
_PINNED_BY = "baseline "
_ITEM, _PIN = table(InventoryItem), table(ItemVersionPin)


class NewBaseline(NamedTuple):
    name: str
    kind: BaselineKind
    at: datetime
    run_id: UUID | None
    other_tenant_id: UUID | None
    set_by: str
    reason: str | None


class Gap(NamedTuple):
    """An item that a baseline does not wholly know. `LeftOutItem` explains the values of `why`."""

    type_key: str
    external_id: str
    display_name: str | None
    meta: dict[str, Any]
    why: str


# For a run: the collections that it selected. For a moment: each collection, by the latest run by then with it.
_COVER = text(f"""
INSERT INTO baseline_collection (baseline, type_key, outcome, error_code, run_id, read_at)
SELECT DISTINCT ON (c.type_key) :name, c.type_key, c.outcome, c.error_code, r.run_id, r.finished_at
FROM sync_run_collection AS c JOIN sync_run AS r USING (tenant_id, run_id)
WHERE {completed("r")} AND r.finished_at <= :at
    AND (CAST(:run_id AS uuid) IS NULL OR r.run_id = CAST(:run_id AS uuid))
ORDER BY c.type_key, r.started_at DESC
""")

_PIN_AND_NOTE_GAPS = text(f"""
WITH there AS ({ITEMS_THEN}),
-- One statement pins the known versions and notes the gaps, so both are of one moment.
pinned AS (
    INSERT INTO item_version_pin (type_key, external_id, version_number, pinned_by, reason)
    SELECT type_key, external_id, version_number, :pinned_by, :reason FROM there WHERE is_known
)
INSERT INTO baseline_gap (baseline, type_key, external_id, why)
SELECT :name, type_key, external_id,
    CASE WHEN is_forgotten THEN 'forgotten' WHEN NOT is_known THEN 'unread' ELSE 'presumed' END
FROM there WHERE is_presumed OR NOT is_known
""")

_COVER_BY_TENANT = text("""
INSERT INTO baseline_collection (baseline, type_key, outcome, error_code, run_id, read_at)
SELECT :name, type_key, outcome, error_code, run_id, read_at
FROM unnest(CAST(:type_keys AS text[]), CAST(:outcomes AS text[]), CAST(:error_codes AS text[]),
    CAST(:run_ids AS uuid[]), CAST(:moments AS timestamptz[])) AS one (type_key, outcome, error_code, run_id, read_at)
""")

_NOTE_GAPS = text("""
INSERT INTO baseline_gap (baseline, type_key, external_id, why)
SELECT :name, type_key, external_id, why
FROM unnest(CAST(:type_keys AS text[]), CAST(:external_ids AS text[]), CAST(:reasons AS text[]))
    AS one (type_key, external_id, why)
""")

_LATEST_ENDED = text("""
SELECT run_id FROM sync_run WHERE finished_at IS NOT NULL ORDER BY finished_at DESC, run_id DESC LIMIT 1
""")

_BASELINES = text(f"""
SELECT tenant_id, name, kind, at, run_id, other_tenant_id, set_by, set_at, reason, evaluated_at,
    (SELECT count(*) FROM item_version_pin WHERE pinned_by = '{_PINNED_BY}' || b.name) AS pinned,
    gaps.forgotten, gaps.unread, gaps.presumed
FROM baseline AS b CROSS JOIN LATERAL (
    SELECT count(*) FILTER (WHERE why = 'forgotten') AS forgotten, count(*) FILTER (WHERE why = 'unread') AS unread,
        count(*) FILTER (WHERE why = 'presumed') AS presumed
    FROM baseline_gap WHERE baseline = b.name
) AS gaps
WHERE CAST(:name AS text) IS NULL OR name = :name
ORDER BY name
""")


async def set_baseline(session: AsyncSession, new: NewBaseline) -> None:
    """Sets or replaces a baseline, and pins its versions."""
    await session.execute(HOLD_DOCUMENTS)
    row = insert(_BASELINE).values(new._asdict()).inline()
    new_fields = (*new._fields, "set_at", "evaluated_at", "evaluated_after")
    replaced = {name: row.excluded[name] for name in new_fields if name != "name"}
    key = [_BASELINE.c.tenant_id, _BASELINE.c.name]
    await session.execute(row.on_conflict_do_update(index_elements=key, set_=replaced))
    await _unpin(session, new.name)
    await _forget_collections(session, new.name)
    await _forget_gaps(session, new.name)
    if new.kind is BaselineKind.TENANT:
        return
    names = {"name": new.name, "at": new.at}
    await session.execute(_COVER, {**names, "run_id": new.run_id})
    complete = (_COLLECTION.c.baseline == new.name, _COLLECTION.c.outcome == Outcome.COMPLETE)
    covered = (await session.execute(select(_COLLECTION.c.type_key).where(*complete))).scalars().all()
    pins = {"pinned_by": pinned_by(new.name), "reason": new.reason, "type_keys": covered}
    await session.execute(_PIN_AND_NOTE_GAPS, {**names, **pins})


async def _unpin(session: AsyncSession, name: str) -> None:
    await session.execute(delete(_PIN).where(_PIN.c.pinned_by == pinned_by(name)))


async def _forget_collections(session: AsyncSession, name: str) -> None:
    await session.execute(delete(_COLLECTION).where(_COLLECTION.c.baseline == name))


async def _forget_gaps(session: AsyncSession, name: str) -> None:
    await session.execute(delete(_GAP).where(_GAP.c.baseline == name))


async def cover_by_tenant(session: AsyncSession, name: str, coverage: Sequence[Coverage]) -> None:
    """Stores the baseline tenant's present coverage as the baseline's."""
    await _forget_collections(session, name)
    values = {
        "name": name,
        "type_keys": [collection.type_key for collection in coverage],
        "outcomes": [str(collection.outcome) for collection in coverage],
        "error_codes": [collection.error_code and str(collection.error_code) for collection in coverage],
        "run_ids": [collection.run_id for collection in coverage],
        "moments": [collection.listed_at or collection.run_started_at for collection in coverage],
    }
    await session.execute(_COVER_BY_TENANT, values)


async def note_gaps(session: AsyncSession, name: str, gaps: Sequence[tuple[str, str, str]]) -> None:
    """Replaces the baseline's gaps by these (type key, id, reason)."""
    await _forget_gaps(session, name)
    type_keys, external_ids, reasons = ([gap[place] for gap in gaps] for place in range(3))
    values = {"name": name, "type_keys": type_keys, "external_ids": external_ids, "reasons": reasons}
    await session.execute(_NOTE_GAPS, values)


async def drop_baseline(session: AsyncSession, name: str) -> bool:
    """Also removes findings and pins, but keeps decisions; False if there is no baseline."""
    await _unpin(session, name)
    dropped = delete(_BASELINE).where(_BASELINE.c.name == name).returning(_BASELINE.c.name)
    return (await session.execute(dropped)).first() is not None


async def lock_baseline(session: AsyncSession, name: str) -> None:
    """Makes evaluations of the baseline run one by one."""
    await session.execute(select(_BASELINE.c.name).where(_BASELINE.c.name == name).with_for_update())


async def latest_ended_run(session: AsyncSession) -> UUID | None:
    return cast("UUID | None", (await session.execute(_LATEST_ENDED)).scalar_one_or_none())


async def claim_evaluation(session: AsyncSession, name: str, after: str) -> bool:
    """Locks a baseline; False if its last evaluation noted the same `after`, or another session has the lock."""
    behind = (_BASELINE.c.name == name, _BASELINE.c.evaluated_after.is_distinct_from(after))
    claimed = select(_BASELINE.c.name).where(*behind).with_for_update(skip_locked=True)
    return (await session.execute(claimed)).first() is not None


async def note_evaluation(session: AsyncSession, name: str, after: str) -> None:
    evaluated = update(_BASELINE).where(_BASELINE.c.name == name)
    await session.execute(evaluated.values(evaluated_at=func.now(), evaluated_after=after))


async def baselines(session: AsyncSession, name: str | None = None) -> list[BaselineRecord]:
    """All baselines, or the one called `name`; sorted."""
    collections = await _collections(session, name)

    def with_coverage(row: Values) -> Values:
        of_baseline = collections[row["name"]]
        return {
            **row,
            "covered": [collection.type_key for collection in of_baseline if collection.outcome is Outcome.COMPLETE],
            "not_covered": [collection for collection in of_baseline if collection.outcome is not Outcome.COMPLETE],
        }

    return await fetch(session, _BASELINES, BaselineRecord, {"name": name}, shape=with_coverage)


async def baseline_collections(session: AsyncSession, name: str) -> dict[str, BaselineCollectionRecord]:
    """Collections' coverage at the baseline's moment, by type key."""
    return {collection.type_key: collection for collection in (await _collections(session, name))[name]}


async def gaps(session: AsyncSession, name: str) -> list[Gap]:
    found = (
        select(*_GAP.c["type_key", "external_id"], *_ITEM.c["display_name", "meta"], _GAP.c.why)
        .join_from(_GAP, _ITEM, using(_GAP, _ITEM, "tenant_id", "type_key", "external_id"))
        .where(_GAP.c.baseline == name)
        .order_by(_GAP.c.type_key, _GAP.c.external_id)
    )
    return await fetch(session, found, Gap)


async def pinned_versions(session: AsyncSession, name: str) -> dict[str, dict[str, int]]:
    """Version numbers by collection and item; 0 for an item without a version."""
    found: dict[str, dict[str, int]] = defaultdict(dict)
    for gap in await gaps(session, name):
        found[gap.type_key][gap.external_id] = 0
    pins = select(*_PIN.c["type_key", "external_id", "version_number"]).where(_PIN.c.pinned_by == pinned_by(name))
    for row in await session.execute(pins):
        found[row.type_key][row.external_id] = row.version_number
    return found


def pinned_by(name: str) -> str:
    return f"{_PINNED_BY}{name}"


async def _collections(session: AsyncSession, name: str | None) -> dict[str, list[BaselineCollectionRecord]]:
    found: dict[str, list[BaselineCollectionRecord]] = defaultdict(list)
    statement = select(*_COLLECTION.c["baseline", *BaselineCollectionRecord.model_fields]).order_by(
        _COLLECTION.c.type_key
    )
    if name is not None:
        statement = statement.where(_COLLECTION.c.baseline == name)
    for row in (await session.execute(statement)).mappings():
        found[row["baseline"]].append(BaselineCollectionRecord.model_validate(row))
    return found
