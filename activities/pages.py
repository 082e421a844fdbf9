"""The activity that reads one wave of pages from Graph and stages their objects."""

from collections.abc import Mapping
from uuid import uuid4

from temporalio import activity
from temporalio.exceptions import ApplicationError

from activities.allowed_requests import AllowedRequests
from activities.digested_pages import DigestedPage
from activities.failures import told
from activities.messages.pages import (
    FetchPages,
    FetchPagesResult,
    PageResult,
)
from activities.observers import Observers
from activities.page_observations import PageObservations, PageObserver
from activities.request_pace import Pace
from activities.run_records import LEASE
from activities.tenants import TenantsFile
from graph.catalog import Catalog
from graph.client import Admission, GraphAnswer, GraphClient, GraphGet
from graph.cpu_executor import crunch
from graph.errors import AnswerTooLargeError, GraphRequestError, ReadFailure
from graph.tenants import TenantConfig
from inventory.error_codes import ErrorCode
from storage import listed_pages, raw_digests, runs, staging
from storage.database import Database


class FetchActivities:
    """Every attempt stages under a fetch token of its own, so one that comes late changes nothing."""

    def __init__(
        self,
        graph: GraphClient,
        database: Database,
        catalog: Catalog,
        tenants: TenantsFile,
        observers: Observers,
    ) -> None:
        self._graph = graph
        self._database = database
        self._pace = Pace(database)
        self._catalog = catalog
        self._tenants = tenants
        self._observers = observers
        self._page_observer = PageObserver(graph, catalog)
        self._requested = AllowedRequests(database, catalog)

    @activity.defn
    async def fetch_pages(self, request: FetchPages) -> FetchPagesResult:
        """Reads the wave's pages in one `$batch`, stages their observations and answers counts and cursors.

        Pages that the worker's release does not know, or that Graph has not shown to the run, fail alone.
        """
        refused = await self._requested.refused(request.tenant_id, request.run_id, request.api_version, request.cursors)
        if not refused:
            return await self._fetched(request)
        fetched = FetchPagesResult(fetch_token=uuid4(), rows=0, requests=0, pages=[])
        allowed = [cursor for cursor in request.cursors if cursor.type_key not in refused]
        if allowed:
            fetched = await self._fetched(request.model_copy(update={"cursors": allowed}))
        if fetched.paced is not None or fetched.too_large:
            return fetched
        failed = [PageResult(type_key=key, was_read=False, failure=failure) for key, failure in refused.items()]
        return fetched.model_copy(update={"pages": [*fetched.pages, *failed]})

    async def _fetched(self, request: FetchPages) -> FetchPagesResult:
        tenant = await self._tenants.configured(request.tenant_id)
        observers = await self._observers.of_tenant(request.tenant_id)
        family = self._catalog.collections[request.cursors[0].type_key].throttle_family
        async with self._graph.admission() as admission:
            async with self._pace.turn(request.tenant_id, family) as wait:
                if wait:
                    return FetchPagesResult(fetch_token=uuid4(), rows=0, requests=0, pages=[], paced=wait)
                try:
                    answers = await self._ask(tenant, request, admission)
                except AnswerTooLargeError:
                    return _too_large(request)
            digested = await crunch(tenant.id, self._page_observer.digested, request, answers, observers)
            same = await self._same(request, digested)
            try:
                reads = await crunch(
                    tenant.id, self._page_observer.read, tenant, request, answers, observers, digested, same
                )
            except AnswerTooLargeError:
                return _too_large(request)
            failures = [read.page.failure for read in reads if read.page.failure is not None]
            await self._pace.heed(request.tenant_id, family, failures)
            return await self._staged(request, reads)

    async def _ask(
        self, tenant: TenantConfig, request: FetchPages, admission: Admission
    ) -> Mapping[str, GraphAnswer | ReadFailure]:
        """Graph's answer to each page. A lasting error of the batch as a whole is that of every page in it."""
        gets = [GraphGet(key=cursor.type_key, url=cursor.url) for cursor in request.cursors]
        try:
            return await self._graph.read_batch(
                tenant, request.api_version, gets, admission, raw=request.due is not None
            )
        except AnswerTooLargeError:
            raise
        except GraphRequestError as error:
            return dict.fromkeys((get.key for get in gets), told(error, request.told_after))

    async def _same(self, request: FetchPages, digested: Mapping[str, DigestedPage]) -> dict[str, set[str]]:
        """The ids of objects that need not be read, by type key: not those of a page that the merge has lost."""
        known = [
            digested[cursor.type_key]
            for cursor in request.cursors
            if cursor.type_key in digested and not (cursor.is_first_listing or cursor.is_read_again)
        ]
        if not known or request.due is None:
            return {}
        refreshes = {key: (refresh.period, refresh.read_before) for key, refresh in request.due.refreshes.items()}
        ages = raw_digests.DetailAges(request.due.detail_refresh, refreshes)
        async with self._database.tenant(request.tenant_id, read_only=True) as session:
            found = await raw_digests.same_items(session, [page.items for page in known], ages, deep=request.due.deep)
        return {page.items.type_key: ids for page, ids in zip(known, found, strict=True)}

    async def _staged(self, request: FetchPages, reads: list[PageObservations]) -> FetchPagesResult:
        fetch_token = uuid4()
        observations = [observation for read in reads for observation in read.observations]
        same = [read.same for read in reads if read.same is not None and read.same.external_ids]
        async with self._database.tenant(request.tenant_id) as session:
            if observations or same:
                await staging.stage(session, request.run_id, fetch_token, observations, same)
            if not await runs.renew_lease(session, request.run_id, LEASE):
                raise ApplicationError("the run has ended", type=ErrorCode.RUN_ABANDONED, non_retryable=True)
            shown = [read.shown for read in reads if read.shown is not None]
            await listed_pages.record_pages(session, request.run_id, fetch_token, shown)
        return FetchPagesResult(
            fetch_token=fetch_token,
            rows=len(observations) + sum(len(items.external_ids) for items in same),
            requests=len(request.cursors),
            pages=[read.page for read in reads],
        )


def _too_large(request: FetchPages) -> FetchPagesResult:
    """Asks for fewer pages at once. Raises the error of a page that is too large by itself."""
    if len(request.cursors) == 1:
        raise AnswerTooLargeError
    requests = len(request.cursors)
    return FetchPagesResult(fetch_token=uuid4(), rows=0, requests=requests, pages=[], too_large=True)
