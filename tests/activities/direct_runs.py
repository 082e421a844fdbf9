"""Runs without Temporal: the activities of one run after another, on the simulated Graph and a database."""

from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any, NamedTuple
from uuid import UUID, uuid4

import psycopg
from psycopg.rows import dict_row
from sqlalchemy import text
from temporalio.testing import ActivityEnvironment

from activities.confirmation import ConfirmActivities
from activities.details import DetailActivities
from activities.messages.confirmation import ConfirmMissing
from activities.messages.details import DetailShare, FetchDetails
from activities.messages.merges import PromisedWave, UpsertItems
from activities.messages.pages import CursorRequest, DetailsDue, FetchPages, FetchPagesResult
from activities.messages.runs import FinishRun, PlannedCollection, Run, RunPolicy
from activities.observers import Observers, SensitivityRules
from activities.pages import FetchActivities
from activities.run_records import RunLimits, RunRecordActivities
from activities.tenants import TenantsFile
from activities.upsert import UpsertActivities
from graph.catalog import load_catalog
from graph.client import GraphClient
from inventory.outcomes import CollectionResult, Counts, Outcome, RunStatus
from inventory.selection import Selection
from inventory.wrapping_keys import WrappingKeys
from local.simulated_graph import SimulatedGraph
from local.state import State
from storage.database import Database

HOUR = timedelta(hours=1)

LEFT_ALONE = text("SELECT coalesce(sum(same_items), 0)::int FROM staged_observation WHERE fetch_token = :fetch_token")


class ReadOptions(NamedTuple):
    """How a run reads."""

    deep: bool = False
    detail_refresh: timedelta = timedelta(days=7)
    merges_together: bool = True
    """Whether all pages of a collection are merged at once."""
    pages_at_once: int = 1
    """How many pages of a collection one batch may read."""


class DirectRuns:
    """The activities of a worker on one database."""

    def __init__(
        self, graph: SimulatedGraph, client: GraphClient, database: Database, folder: Path, key: str | None
    ) -> None:
        catalog, tenants = load_catalog(), TenantsFile(State(folder).tenants_file)
        observers = Observers(
            catalog, SensitivityRules(WrappingKeys(key) if key else None, is_comparable=True), database
        )
        self.tenant_id = UUID(graph.tenants[0].id)
        self.catalog = catalog
        self.records = RunRecordActivities(database, catalog, tenants, observers, RunLimits(), RunPolicy())
        self.fetching = FetchActivities(client, database, catalog, tenants, observers)
        self.merging = UpsertActivities(database, observers)
        self._confirming = ConfirmActivities(client, database, catalog, tenants, observers)
        self._detailing = DetailActivities(client, database, catalog, tenants, observers)
        self.lost = 0
        """Merges whose waves were lost."""
        self.left_alone = 0
        """Unchanged objects that were skipped."""
        self._database = database

    async def run(self, type_keys: Sequence[str], *, short: bool, options: ReadOptions = ReadOptions()) -> Counter[str]:  # noqa: B008
        """Runs a selection to its end and returns its counts; `short` skips unchanged objects."""
        run = Run(
            tenant_id=self.tenant_id,
            run_id=uuid4(),
            workflow_id="sync/test",
            selection=Selection(type_keys=tuple(type_keys)),
        )
        result = await ActivityEnvironment().run(self.records.begin_run, run)
        counts: Counter[str] = Counter()
        results = {}
        for planned in result.plan:
            own = await self._collection(run, planned, short=short, options=options)
            counts += own
            results[planned.type_key] = CollectionResult(
                outcome=Outcome.COMPLETE, pages=own["pages"], items=own["observed"]
            )
        known = {name: counts[name] for name in Counts.model_fields}
        finish = FinishRun(
            run=run, status=RunStatus.SUCCESS, counts=Counts(**known), error_codes=[], collections=results
        )
        await ActivityEnvironment().run(self.records.finish_run, finish)
        return counts

    async def _collection(
        self, run: Run, planned: PlannedCollection, *, short: bool, options: ReadOptions
    ) -> Counter[str]:
        refreshes = {planned.type_key: planned.refresh} if planned.refresh and not options.detail_refresh else {}
        due = (
            DetailsDue(detail_refresh=options.detail_refresh, refreshes=refreshes, deep=options.deep) if short else None
        )
        urls, waves = [planned.first_url], list[tuple[list[str], FetchPagesResult]]()
        counts: Counter[str] = Counter()
        while urls:
            batch, urls = urls[: options.pages_at_once], urls[options.pages_at_once :]
            fetched = await self._fetched(run, planned, batch, due)
            for page in fetched.pages:
                urls += [*page.more_urls, *([] if page.next_url is None else [page.next_url])]
                counts.update(pages=1, requests=1, observed=page.items, invalid=page.invalid)
                counts.update(f"invalid at {bad.position}: {bad.reason}" for bad in page.named_invalid)
            waves.append((batch, fetched))
        groups = [waves] if options.merges_together else [[wave] for wave in waves]
        while groups:
            group = groups.pop(0)
            if not await self._merged(
                run, planned, [fetched for _, fetched in group], counts, options, is_last=not groups
            ):
                self.lost += 1
                # The following pages too: of an id that several pages show, the page that is read last counts.
                again = [urls for read in (group, *groups) for urls, _ in read]
                groups = [[(urls, await self._fetched(run, planned, urls, None))] for urls in again]
        await self._confirm(run, planned, counts)
        await self._read_details(run, planned, counts)
        return counts

    async def _fetched(
        self, run: Run, planned: PlannedCollection, urls: Sequence[str], due: DetailsDue | None
    ) -> FetchPagesResult:
        cursors = [
            CursorRequest(type_key=planned.type_key, url=url, is_first_listing=planned.is_first_listing) for url in urls
        ]
        fetch = FetchPages(
            tenant_id=run.tenant_id, run_id=run.run_id, api_version=planned.api_version, cursors=cursors, due=due
        )
        fetched = await ActivityEnvironment().run(self.fetching.fetch_pages, fetch)
        assert fetched.paced is None
        assert [page.failure for page in fetched.pages] == [None] * len(urls)
        async with self._database.tenant(self.tenant_id, read_only=True) as session:
            for token in (fetched.fetch_token, *(wave.fetch_token for wave in fetched.more_waves)):
                left_alone = (await session.execute(LEFT_ALONE, {"fetch_token": token})).scalar_one()
                self.left_alone += left_alone
        return fetched

    async def _merged(
        self,
        run: Run,
        planned: PlannedCollection,
        waves: Sequence[FetchPagesResult],
        counts: Counter[str],
        options: ReadOptions,
        *,
        is_last: bool,
    ) -> bool:
        """Merges some pages; False if their waves were lost."""
        completed = [planned.type_key] if is_last else []
        more_waves = [PromisedWave(fetch_token=wave.fetch_token, rows=wave.rows) for wave in waves[1:]]
        merge = UpsertItems(
            tenant_id=run.tenant_id,
            run_id=run.run_id,
            fetch_token=waves[0].fetch_token,
            promised_rows=waves[0].rows,
            more_waves=more_waves + [wave for fetched in waves for wave in fetched.more_waves],
            ended=completed if planned.confirmable else [],
            detailed=completed if planned.detailed else [],
            detail_refresh=options.detail_refresh,
            refreshes={planned.type_key: planned.refresh} if planned.refresh and not options.detail_refresh else {},
            deep=options.deep,
        )
        merged = await ActivityEnvironment().run(self.merging.upsert_items, merge)
        if merged.lost:
            return False
        counts.update(created=merged.created, changed=merged.changed, unchanged=merged.unchanged)
        counts.update({f"duplicates: {key}": times for key, times in merged.duplicates.items()})
        counts.update(f"duplicate {external_id}" for _, external_id in merged.duplicate_ids)
        counts.update({f"unlisted: {key}": times for key, times in merged.unlisted.items()})
        counts.update({f"pending: {key}": times for key, times in merged.pending.items()})
        assert not merged.lost_tokens
        return True

    async def _confirm(self, run: Run, planned: PlannedCollection, counts: Counter[str]) -> None:
        is_unfinished = planned.confirmable
        while is_unfinished:
            request = ConfirmMissing(
                tenant_id=run.tenant_id,
                run_id=run.run_id,
                api_version=planned.api_version,
                type_keys=[planned.type_key],
                limit=20,
                graph_patience=HOUR,
            )
            confirmed = await ActivityEnvironment().run(self._confirming.confirm_missing, request)
            share = confirmed.collections.get(planned.type_key)
            counts.update(requests=confirmed.requests)
            if share is not None:
                assert share.failure is None
                counts.update(found=share.found, gone=share.gone)
            is_unfinished = share is not None and share.left > 0

    async def _read_details(self, run: Run, planned: PlannedCollection, counts: Counter[str]) -> None:
        is_unfinished = planned.detailed
        while is_unfinished:
            request = FetchDetails(
                tenant_id=run.tenant_id,
                run_id=run.run_id,
                api_version=planned.api_version,
                wave_token=uuid4(),
                shares=[DetailShare(type_key=planned.type_key)],
                limit=20,
                attempts=3,
                graph_patience=HOUR,
            )
            fetched = await ActivityEnvironment().run(self._detailing.fetch_details, request)
            progress = fetched.collections[planned.type_key]
            counts.update(requests=fetched.requests, changed=fetched.changed, read=progress.read)
            counts["unchanged"] -= fetched.changed
            is_unfinished = progress.left > 0


@asynccontextmanager
async def direct_runs(
    graph: SimulatedGraph, database_url: str, folder: Path, *, key: str | None
) -> AsyncIterator[DirectRuns]:
    """The activities on a database; `key` is the operator's for sensitive values."""
    tenant = graph.tenants[0]
    names = ("id", "name", "client_id", "client_secret")
    State(folder).write_tenants([{name: str(getattr(tenant, name)) for name in names}])
    async with (
        Database(database_url) as database,
        GraphClient.from_endpoints(
            base_url=graph.base_url, authority_url=graph.authority_url, ca_file=graph.ca_file
        ) as client,
    ):
        yield DirectRuns(graph, client, database, folder, key)


TABLES = {
    "inventory_item": "type_key, external_id",
    "item_version": "type_key, external_id, version_number",
    "document": "content_hash",
    "item_settings": "type_key, external_id",
    "collection_setting": "type_key, setting",
    "item_reference": "type_key, external_id, position",
    "item_name": "type_key, external_id",
    "unread_item": "type_key, external_id",
    "item_absence": "type_key, external_id, absent_from",
    "collection_coverage": "type_key",
    "sync_run_collection": "run_id, type_key",
    "staged_item": "type_key, external_id",
}
DIGESTS = {"raw_digest", "raw_digest_at", "list_hash"}
"""Not compared: the list hash of a cut expansion holds links that differ at each request. Its effects are compared."""


def rows(database_url: str) -> dict[str, list[dict[str, Any]]]:
    """The rows of these tables, without raw digests; runs by their number, moments by the last run begun."""
    with psycopg.connect(database_url, row_factory=dict_row) as connection:
        runs = connection.execute("SELECT run_id, started_at FROM sync_run ORDER BY started_at").fetchall()
        run_of = {run["run_id"]: number for number, run in enumerate(runs)}

        def plain(value: Any) -> Any:
            if isinstance(value, UUID):
                return run_of.get(value, str(value))
            if hasattr(value, "tzinfo"):
                return f"in run {sum(run['started_at'] <= value for run in runs)}"
            return value

        found = {}
        for table, order in TABLES.items():
            of_table = connection.execute(f"SELECT * FROM {table} ORDER BY {order}").fetchall()
            plain_rows = [
                {name: plain(value) for name, value in row.items() if name not in DIGESTS} for row in of_table
            ]
            found[table] = sorted(plain_rows, key=repr) if table == "sync_run_collection" else plain_rows
        return found
