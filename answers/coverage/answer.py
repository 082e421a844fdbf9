from collections.abc import Collection
from typing import NamedTuple
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from answers.coverage import queries
from answers.coverage.records import CollectionCoverageRecord, CoverageRecord, UnreadCollections
from graph.catalog import load_catalog
from inventory.coverage import Coverage
from inventory.error_codes import EXPLANATIONS, ErrorCode
from inventory.outcomes import Outcome
from storage.coverage import coverage as stored_coverage

ORDER = (Outcome.FAILED, Outcome.INCOMPLETE, Outcome.COMPLETE, Outcome.SKIPPED)


async def tenant_coverage(session: AsyncSession) -> CoverageRecord:
    covered = await stored_coverage(session)
    records = [_record(found) for found in covered.values()]
    return CoverageRecord(
        collections=sorted(
            records, key=lambda record: (ORDER.index(record.outcome), record.category, record.title.casefold())
        ),
        never_selected=sorted(load_catalog().collections.keys() - covered.keys()),
    )


async def coverage_with_failures(session: AsyncSession) -> CoverageRecord:
    """Adds `failing_since` to collections that were not read."""
    found = await tenant_coverage(session)
    since = {failing.type_key: failing.since for failing in await queries.failing_collections(session)}
    records = [record.model_copy(update={"failing_since": since.get(record.type_key)}) for record in found.collections]
    return found.model_copy(update={"collections": records})


class Extent(NamedTuple):
    """The collections in which a question looks: `type_keys`, or all for None.

    `expected`: those whose absence from all runs is a gap in the answer.
    """

    type_keys: frozenset[str] | None
    expected: frozenset[str]

    @classmethod
    def of(cls, type_keys: Collection[str] | None, *, with_settings: bool = False) -> "Extent":
        """`with_settings`: only collections whose items have settings. Nobody expects opt-in ones, unless named."""
        collections = load_catalog().collections
        expected = frozenset(load_catalog().everything() if type_keys is None else collections.keys() & set(type_keys))
        if not with_settings:
            return cls(None if type_keys is None else frozenset(type_keys), expected)
        settable = frozenset(key for key in collections if collections[key].has_settings)
        return cls(settable if type_keys is None else settable & set(type_keys), expected & settable)


async def unread_collections(
    session: AsyncSession, tenant_ids: Collection[UUID] | None, extent: Extent
) -> list[UnreadCollections]:
    """Collections that their latest run did not read to their end, or no run selected, by reason.

    Without `tenant_ids`, of visible tenants that were read.
    """
    return await queries.unread_collections(session, tenant_ids, extent.type_keys, extent.expected)


def _record(coverage_row: Coverage) -> CollectionCoverageRecord:
    collection = load_catalog().collections.get(coverage_row.type_key)
    lacks_permission = coverage_row.error_code is ErrorCode.GRAPH_PERMISSION_MISSING
    return CollectionCoverageRecord(
        **dict(coverage_row),
        title=load_catalog().title_of(coverage_row.type_key),
        category="" if collection is None else collection.category,
        remedy=None if coverage_row.error_code is None else EXPLANATIONS[coverage_row.error_code].remedy,
        permissions=sorted(collection.permissions) if collection is not None and lacks_permission else [],
    )
