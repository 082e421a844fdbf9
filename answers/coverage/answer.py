from sqlalchemy.ext.asyncio import AsyncSession

from answers.coverage.queries import failing_collections
from answers.coverage.records import CollectionCoverageRecord, CoverageRecord
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
        collections=sorted(records, key=lambda record: (ORDER.index(record.outcome), record.category, record.title)),
        never_selected=sorted(load_catalog().collections.keys() - covered.keys()),
    )


async def coverage_with_failures(session: AsyncSession) -> CoverageRecord:
    """Adds `failing_since` to collections that were not read."""
    found = await tenant_coverage(session)
    since = {failing.type_key: failing.since for failing in await failing_collections(session)}
    records = [record.model_copy(update={"failing_since": since.get(record.type_key)}) for record in found.collections]
    return found.model_copy(update={"collections": records})


def _record(found: Coverage) -> CollectionCoverageRecord:
    collection = load_catalog().collections.get(found.type_key)
    lacks_permission = found.error_code is ErrorCode.GRAPH_PERMISSION_MISSING
    return CollectionCoverageRecord(
        **dict(found),
        title=load_catalog().title_of(found.type_key),
        category="" if collection is None else collection.category,
        remedy=None if found.error_code is None else EXPLANATIONS[found.error_code].remedy,
        permissions=sorted(collection.permissions) if collection is not None and lacks_permission else [],
    )
