"""Conditions that hold at every moment, and conditions that hold at the end."""

import asyncio
from collections.abc import Iterable
from itertools import pairwise
from uuid import UUID

from sqlalchemy import text

from graph.catalog import load_catalog
from inventory.missing import Confidence, State
from inventory.outcomes import RunStatus
from inventory.records import RunRecord
from inventory.selection import Selection
from local.simulated_graph import SimulatedTenant
from storage import queries
from storage.database import Database
from tests.simulated_items import content_hashes as tenant_content_hashes
from tests.simulated_items import listing_documents

Item = tuple[str, str]
MARK = "chaos-secret"
"""Part of every name that an edit gives; no history and no log may contain it."""


async def content_hashes(tenant: SimulatedTenant, selection: Selection) -> dict[Item, str]:
    """Content hashes of the tenant's current items."""
    return await asyncio.to_thread(tenant_content_hashes, tenant, selection.type_keys)


def _listed(tenant: SimulatedTenant, type_keys: Iterable[str]) -> set[Item]:
    catalog = load_catalog().collections
    return {
        (key, str(document[catalog[key].id_field]))
        for key in type_keys
        for document in listing_documents(tenant, catalog[key])
    }


async def listed_items(tenant: SimulatedTenant, selection: Selection) -> set[Item]:
    """The items that the tenant lists now."""
    return await asyncio.to_thread(_listed, tenant, selection.type_keys)


async def falsely_missing(database: Database, tenant: SimulatedTenant, selection: Selection) -> list[str]:
    """Items that exist and are reported missing with high confidence."""
    before = await listed_items(tenant, selection)
    async with database.tenant(UUID(tenant.id), read_only=True) as session:
        question = await queries.question(session, selection.hash())
        missing = (
            []
            if question is None
            else [
                (item.type_key, item.external_id)
                async for item in queries.missing_items(session, question)
                if item.confidence is Confidence.HIGH
            ]
        )
    if not missing:
        return []
    after = await listed_items(tenant, selection)
    return [f"{item} exists and is reported missing with high confidence" for item in missing if item in before & after]


async def inventory_equals_tenant(
    database: Database, tenant: SimulatedTenant, selection: Selection, run_id: UUID
) -> list[str]:
    """After a clean run, items and hashes equal the tenant's, and all other items are missing with high confidence."""
    expected = await content_hashes(tenant, selection)
    violations: list[str] = []
    async with database.tenant(UUID(tenant.id), read_only=True) as session:
        record = await queries.run_record(session, run_id)
        question = await queries.question(session, selection.hash())
        items = [item async for item in queries.items(session, question)]
        marks = {"type_keys": list(selection.type_keys), "run_id": run_id}
        violations += [f"the absence of {tuple(row)} is wrong" for row in await session.execute(_BAD_ABSENCES, marks)]
    if record is None or record.status is not RunStatus.SUCCESS or record.error_codes:
        return [f"the clean run did not succeed: {_in_short(record)}"]
    if question is None or question.latest.run_id != run_id:
        return ["the clean run is not what missing is derived from"]
    stored = {(item.type_key, item.external_id): item for item in items if item.type_key in selection.type_keys}
    for key, content_hash in expected.items():
        item = stored.pop(key, None)
        if item is None:
            violations.append(f"{key} is not in the inventory")
        elif item.content_hash != content_hash:
            violations.append(f"{key} has another content than the tenant")
        elif (item.state, item.confidence) != (State.PRESENT, Confidence.HIGH):
            violations.append(f"{key} exists and is {item.state} ({item.confidence}, {item.evidence})")
    for key, item in stored.items():
        known = "confirmed" if load_catalog().collections[key[0]].confirmable else item.evidence
        if (item.state, item.confidence, item.evidence) != (State.MISSING, Confidence.HIGH, known):
            violations.append(f"{key} does not exist and is {item.state} ({item.confidence}, {item.evidence})")
    counts = record.counts
    if counts.observed != len(expected) or counts.observed != counts.created + counts.changed + counts.unchanged:
        violations.append(f"counts do not add up to {len(expected)}: {counts}")
    return violations


async def records_are_sound(database: Database, tenant: SimulatedTenant) -> list[str]:
    """Every run is closed, a cancelled run names its canceller, and runs of one selection never overlap."""
    violations = []
    async with database.tenant(UUID(tenant.id), read_only=True) as session:
        records = await queries.recent_runs(session, 1000)
        cancels = {
            row.run_id: row.cancel_requested_by
            for row in await session.execute(text("SELECT run_id, cancel_requested_by FROM sync_run"))
        }
    violations += [f"run {_in_short(record)} was left open" for record in records if record.finished_at is None]
    violations += [
        f"run {record.run_id} is cancelled and does not say by whom"
        for record in records
        if record.status is RunStatus.CANCELLED and not cancels[record.run_id]
    ]
    ordered = sorted(
        (record for record in records if record.started_at is not None),
        key=lambda record: (record.selection_hash, record.started_at),
    )
    for earlier, later in pairwise(ordered):
        if earlier.selection_hash == later.selection_hash and earlier.finished_at is not None:
            assert later.started_at is not None
            if later.started_at < earlier.finished_at:
                violations.append(f"runs {earlier.run_id} and {later.run_id} of one selection overlap")
    return violations


_BAD_VERSIONS = text("""
SELECT type_key, external_id FROM (
    SELECT type_key, external_id, version_number, content_hash,
        row_number() OVER item AS position, lag(content_hash) OVER item AS before
    FROM item_version WINDOW item AS (PARTITION BY type_key, external_id ORDER BY version_number)
) AS version
WHERE position <> version_number OR content_hash = before
UNION ALL
SELECT type_key, external_id FROM inventory_item AS item
WHERE NOT EXISTS (
    SELECT FROM item_version AS version
    WHERE (version.type_key, version.external_id, version.version_number, version.content_hash)
        = (item.type_key, item.external_id, item.version_number, item.content_hash)
)
""")

_BAD_ABSENCES = text("""
SELECT type_key, external_id FROM inventory_item AS item
WHERE absent_from IS DISTINCT FROM (
    SELECT max(absent_from) FROM item_absence AS absence
    WHERE (absence.type_key, absence.external_id) = (item.type_key, item.external_id) AND came_back_at IS NULL
) OR absent_from < last_seen_at
OR type_key = ANY (:type_keys) AND absent_from IS NULL AND last_seen_at < (
    SELECT started_at FROM sync_run WHERE run_id = :run_id
)
""")

_LEFT_OVERS = text("""
SELECT (SELECT count(*) FROM staged_observation) AS staged, (SELECT count(*) FROM merged_wave) AS waves,
    (SELECT count(*) FROM pending_item) AS pending
""")


async def versions_are_sound(database: Database, tenant: SimulatedTenant) -> list[str]:
    """Versions count from 1 without a gap, consecutive versions differ, and staging is empty."""
    async with database.tenant(UUID(tenant.id), read_only=True) as session:
        violations = [f"the versions of {tuple(row)} are wrong" for row in await session.execute(_BAD_VERSIONS)]
        rest = (await session.execute(_LEFT_OVERS)).one()
    if any(rest):
        violations.append(
            f"{rest.staged} staged rows, {rest.waves} merged waves, {rest.pending} pending items are left behind"
        )
    return violations


def _in_short(record: RunRecord | None) -> str:
    if record is None:
        return "no record"
    codes = {
        key: (collection.outcome.value, collection.error_code, collection.context)
        for key, collection in record.collections.items()
        if collection.error_code
    }
    return f"{record.run_id} {record.status} {record.error_codes} {codes}"
