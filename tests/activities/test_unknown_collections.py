"""Waves of a run that a later release planned, on a worker that does not know all of its collections."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import NamedTuple
from uuid import UUID, uuid4

from sqlalchemy import text
from temporalio.testing import ActivityEnvironment

from activities.confirmation import ConfirmActivities
from activities.details import DetailActivities
from activities.messages.confirmation import ConfirmMissing
from activities.messages.details import DetailShare, FetchDetails
from activities.messages.pages import CursorRequest, FetchPages
from activities.messages.runs import FinishRun, Run, RunPolicy
from activities.observers import Observers, SensitivityRules
from activities.pages import FetchActivities
from activities.run_records import RunLimits, RunRecordActivities
from activities.tenants import TenantsFile
from graph.catalog import Catalog, load_catalog
from graph.client import GraphClient
from inventory.error_codes import ErrorCode
from inventory.outcomes import CollectionResult, Counts, Outcome, RunStatus
from inventory.selection import Selection
from local.simulated_graph import SimulatedGraph
from local.state import State
from storage import listed_pages
from storage.database import Database
from tests.storage.support import ONE_CREATED, record_wave

PENDING = text(
    "INSERT INTO pending_item"
    " (run_id, type_key, external_id, shard, list_hash, list_document, list_document_size)"
    " VALUES (:run_id, :type_key, 'one', 0, '\\x00'::bytea, '\\x00'::bytea, 1)"
)

KNOWN, UNKNOWN = "groups", "ofALaterRelease"
HOUR = timedelta(hours=1)


class OlderWorker(NamedTuple):
    """The activities of a worker, and a run that has begun."""

    fetching: FetchActivities
    confirming: ConfirmActivities
    detailing: DetailActivities
    records: RunRecordActivities
    run: Run
    catalog: Catalog


@asynccontextmanager
async def older_worker(
    graph: SimulatedGraph, database: Database, folder: Path, type_keys: tuple[str, ...] = (KNOWN, UNKNOWN)
) -> AsyncIterator[OlderWorker]:
    tenant, state = graph.tenants[0], State(folder)
    state.write_tenants([tenant.entry()])
    catalog, tenants = load_catalog(), TenantsFile(state.tenants_file)
    observers = Observers(catalog, SensitivityRules(), database)
    run = Run(
        tenant_id=UUID(tenant.id),
        run_id=uuid4(),
        workflow_id="sync/test",
        selection=Selection(type_keys=type_keys),
    )
    async with GraphClient.from_endpoints(
        base_url=graph.base_url, authority_url=graph.authority_url, ca_file=graph.ca_file
    ) as client:
        records = RunRecordActivities(database, catalog, tenants, observers, RunLimits(), RunPolicy())
        await ActivityEnvironment().run(records.begin_run, run)
        yield OlderWorker(
            FetchActivities(client, database, catalog, tenants, observers),
            ConfirmActivities(client, database, catalog, tenants, observers),
            DetailActivities(client, database, catalog, tenants, observers),
            records,
            run,
            catalog,
        )


async def test_an_older_worker_reads_the_known_collections_of_a_wave(
    graph: SimulatedGraph, database: Database, tmp_path: Path
) -> None:
    async with older_worker(graph, database, tmp_path) as older:
        planned = older.catalog.collections[KNOWN]
        known = CursorRequest(type_key=KNOWN, url=planned.first_url(older.run.tenant_id))
        unknown = CursorRequest(type_key=UNKNOWN, url="/of/a/later/release")
        for cursors in ([unknown, known], [known, unknown], [unknown]):
            wave = FetchPages(
                tenant_id=older.run.tenant_id,
                run_id=older.run.run_id,
                api_version=planned.api_version,
                cursors=cursors,
            )
            fetched = await ActivityEnvironment().run(older.fetching.fetch_pages, wave)
            pages = {page.type_key: page for page in fetched.pages}
            assert set(pages) == {cursor.type_key for cursor in cursors}
            failure = pages[UNKNOWN].failure
            assert failure is not None
            assert (failure.code, failure.retryable) == (ErrorCode.UNKNOWN_COLLECTION, True)
            assert not pages[UNKNOWN].was_read
            if KNOWN in pages:
                assert pages[KNOWN].was_read
                assert fetched.rows == pages[KNOWN].items > 0


async def test_items_of_an_unknown_collection_are_neither_confirmed_nor_given_up(
    graph: SimulatedGraph, database: Database, tmp_path: Path
) -> None:
    async with older_worker(graph, database, tmp_path) as older:
        request = ConfirmMissing(
            tenant_id=older.run.tenant_id,
            run_id=older.run.run_id,
            api_version="v1.0",
            type_keys=[UNKNOWN, KNOWN],
            limit=20,
            graph_patience=HOUR,
        )
        confirmed = await ActivityEnvironment().run(older.confirming.confirm_missing, request)
        failure = confirmed.collections[UNKNOWN].failure
        assert failure is not None
        assert (failure.code, failure.retryable) == (ErrorCode.UNKNOWN_COLLECTION, True)
        assert KNOWN not in confirmed.collections or confirmed.collections[KNOWN].failure is None


async def test_details_of_an_unknown_collection_wait_for_a_worker_that_knows_it(
    graph: SimulatedGraph, database: Database, tmp_path: Path
) -> None:
    async with older_worker(graph, database, tmp_path) as older:
        async with database.tenant(older.run.tenant_id) as session:
            await session.execute(PENDING, {"run_id": older.run.run_id, "type_key": UNKNOWN})
        request = FetchDetails(
            tenant_id=older.run.tenant_id,
            run_id=older.run.run_id,
            api_version="v1.0",
            wave_token=uuid4(),
            shares=[DetailShare(type_key=UNKNOWN), DetailShare(type_key=KNOWN)],
            limit=20,
            attempts=20,
            graph_patience=HOUR,
        )
        fetched = await ActivityEnvironment().run(older.detailing.fetch_details, request)
        progress = fetched.collections[UNKNOWN]
        assert progress.failure is not None
        assert (progress.left, progress.failure.code) == (1, ErrorCode.UNKNOWN_COLLECTION)
        assert (fetched.collections[KNOWN].left, fetched.collections[KNOWN].failure) == (0, None)


async def test_an_older_worker_closes_a_run_with_unknown_collections(
    graph: SimulatedGraph, database: Database, tmp_path: Path
) -> None:
    async with older_worker(graph, database, tmp_path) as older:
        async with database.tenant(older.run.tenant_id) as session:
            first_urls = {KNOWN: "/known", UNKNOWN: "/unknown"}
            await listed_pages.open_listings(session, older.run.run_id, first_urls)
            pages = [listed_pages.ReadPage(type_key, url, (), 0) for type_key, url in first_urls.items()]
            await listed_pages.record_pages(session, older.run.run_id, uuid4(), pages)
        await record_wave(database, older.run.tenant_id, older.run.run_id, ONE_CREATED)
        complete = CollectionResult(outcome=Outcome.COMPLETE)
        finish = FinishRun(
            run=older.run,
            status=RunStatus.SUCCESS,
            counts=Counts(),
            error_codes=[],
            collections={KNOWN: complete, UNKNOWN: complete},
        )
        assert (await ActivityEnvironment().run(older.records.finish_run, finish)).status is RunStatus.SUCCESS
