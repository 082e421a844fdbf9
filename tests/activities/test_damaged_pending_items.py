"""Items whose stored rows a disk or a person has damaged before their details are read."""

from pathlib import Path
from uuid import UUID, uuid4

import pytest
from sqlalchemy import text
from temporalio.testing import ActivityEnvironment

from activities.messages.details import DetailShare, FetchDetails
from activities.messages.pages import CursorRequest, FetchPages
from activities.messages.runs import FinishRun, Run
from inventory.error_codes import ErrorCode
from inventory.outcomes import CollectionResult, Counts, Outcome, RunStatus
from local.simulated_graph import SimulatedGraph
from storage import merge as merging
from storage.compression import compress
from storage.database import Database
from tests.activities.test_unknown_collections import HOUR, OlderWorker, older_worker

POLICIES = "configurationPolicies"

DAMAGE = """
UPDATE pending_item SET {} WHERE external_id = (SELECT min(external_id) FROM pending_item) RETURNING external_id
"""


async def list_policies(worker: OlderWorker, database: Database) -> int:
    """Lists the policies; returns the number with details to read."""
    run, planned = worker.run, worker.catalog.collections[POLICIES]
    cursors = [CursorRequest(type_key=POLICIES, url=planned.first_url(run.tenant_id))]
    wave = FetchPages(tenant_id=run.tenant_id, run_id=run.run_id, api_version=planned.api_version, cursors=cursors)
    fetched = await ActivityEnvironment().run(worker.fetching.fetch_pages, wave)
    async with database.tenant(run.tenant_id) as session:
        await merging.merge(session, run.run_id, fetched.fetch_token, promised_rows=fetched.rows, detail_refresh=HOUR)
    return fetched.rows


def details_of(run: Run) -> FetchDetails:
    return FetchDetails(
        tenant_id=run.tenant_id,
        run_id=run.run_id,
        api_version="beta",
        wave_token=uuid4(),
        shares=[DetailShare(type_key=POLICIES)],
        limit=20,
        attempts=20,
        graph_patience=HOUR,
        batches=100,
    )


async def versions(database: Database, tenant_id: UUID) -> dict[str, int]:
    async with database.tenant(tenant_id, read_only=True) as session:
        rows = await session.execute(text("SELECT external_id, version_number FROM inventory_item"))
        return {row.external_id: row.version_number for row in rows}


@pytest.mark.parametrize(
    "garbage",
    [
        {"list_document": b"garbage"},
        {"list_document": compress(b"garbage")},
        {"list_document": compress(b"[]")},
        {"progress": b"garbage"},
        {"progress": compress(b"{}")},
    ],
    ids=["list document", "text", "list", "progress", "no progress"],
)
async def test_an_item_with_a_damaged_row_fails_alone(
    graph: SimulatedGraph, database: Database, tmp_path: Path, garbage: dict[str, bytes]
) -> None:
    async with older_worker(graph, database, tmp_path, (POLICIES,)) as worker:
        run = worker.run
        rows = await list_policies(worker, database)
        async with database.tenant(run.tenant_id) as session:
            damage = text(DAMAGE.format(", ".join(f"{column} = :{column}" for column in garbage)))
            damaged: str = (await session.execute(damage, garbage)).scalar_one()
        fetched = await ActivityEnvironment().run(worker.detailing.fetch_details, details_of(run))
        progress = fetched.collections[POLICIES]
        assert (progress.read, progress.failed, progress.left) == (rows - 1, 1, 0)
        assert progress.cause is not None
        assert progress.cause.code is ErrorCode.STORAGE_DAMAGED
        finish = FinishRun(
            run=run,
            status=RunStatus.PARTIAL,
            counts=Counts(),
            error_codes=[ErrorCode.DETAIL_INCOMPLETE],
            collections={POLICIES: CollectionResult(outcome=Outcome.COMPLETE, error_code=ErrorCode.DETAIL_INCOMPLETE)},
        )
        await ActivityEnvironment().run(worker.records.finish_run, finish)
        after = await versions(database, run.tenant_id)
        assert [key for key, version in after.items() if not version] == [damaged], (
            "a damaged document makes no version"
        )
    async with older_worker(graph, database, tmp_path, (POLICIES,)) as worker:
        assert await list_policies(worker, database) == rows
        fetched = await ActivityEnvironment().run(worker.detailing.fetch_details, details_of(worker.run))
        assert fetched.collections[POLICIES].read == 1, "the next run reads the item"
        assert set((await versions(database, run.tenant_id)).values()) == {1}
