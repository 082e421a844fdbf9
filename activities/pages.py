"""The activity that reads a batch of pages and stages their objects."""

from collections.abc import Collection, Sequence
from uuid import UUID, uuid4

from sqlalchemy.ext.asyncio import AsyncSession
from temporalio import activity
from temporalio.exceptions import ApplicationError

from activities.digested_pages import DigestedPage
from activities.failures import batch_failure
from activities.graph_activities import GraphActivities
from activities.messages.merges import PromisedWave
from activities.messages.pages import FetchPages, FetchPagesResult, PageResult, ranks
from activities.page_observations import PageObservations, PageObserver
from activities.run_records import LEASE
from graph.client import Admission, GraphAnswer, GraphGet
from graph.cpu_executor import crunch
from graph.errors import AnswerTooLargeError, GraphRequestError, ReadFailure
from graph.tenants import TenantConfig
from inventory.error_codes import ErrorCode
from storage import listed_pages, raw_digests, runs, staging


class FetchActivities(GraphActivities):
    @activity.defn
    async def fetch_pages(self, request: FetchPages) -> FetchPagesResult:
        """Reads pages in one `$batch` and stages observations.

        Each attempt has a new fetch token, so a late attempt changes nothing. Pages of unknown collections, and links
        that Graph has not given to the run, fail alone.
        """
        refused = await self._requested.refused(request.tenant_id, request.run_id, request.api_version, request.cursors)
        if not refused:
            return await self._fetched(request)
        fetched = FetchPagesResult(fetch_token=uuid4(), rows=0, requests=0, pages=[])
        allowed = [cursor for cursor in request.cursors if (cursor.type_key, cursor.url) not in refused]
        if allowed:
            fetched = await self._fetched(request.model_copy(update={"cursors": allowed}))
        if fetched.paced is not None or fetched.too_large:
            return fetched
        read = iter(fetched.pages)
        pages = [
            next(read)
            if (failure := refused.get((cursor.type_key, cursor.url))) is None
            else PageResult(type_key=cursor.type_key, was_read=False, failure=failure)
            for cursor in request.cursors
        ]
        return fetched.model_copy(update={"pages": pages})

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
            page_observer = PageObserver(self._graph, self._catalog)
            digested = await crunch(tenant.id, page_observer.digested, request, answers, observers)
            same = await self._same(request, digested)
            try:
                reads = await crunch(tenant.id, page_observer.read, tenant, request, answers, observers, digested, same)
            except AnswerTooLargeError:
                return _too_large(request)
            failures = [read.page.failure for read in reads if read.page.failure is not None]
            await self._pace.heed(request.tenant_id, family, failures)
            return await self._staged(request, reads)

    async def _ask(
        self, tenant: TenantConfig, request: FetchPages, admission: Admission
    ) -> list[GraphAnswer | ReadFailure]:
        """A lasting failure of the batch becomes every page's."""
        gets = [GraphGet(key=str(number), url=cursor.url) for number, cursor in enumerate(request.cursors)]
        try:
            answers = await self._graph.read_batch(
                tenant, request.api_version, gets, admission, raw=request.due is not None
            )
        except AnswerTooLargeError:
            raise
        except GraphRequestError as error:
            return [batch_failure(error, request.told_after)] * len(gets)
        return [answers[get.key] for get in gets]

    async def _same(self, request: FetchPages, digested: Sequence[DigestedPage | None]) -> list[Collection[str]]:
        """Each page's ids of unchanged items, which need no reading."""
        settled_pages = {
            number: page
            for number, (cursor, page) in enumerate(zip(request.cursors, digested, strict=True))
            if page is not None and not (cursor.is_first_listing or cursor.is_read_again)
        }
        same: list[Collection[str]] = [()] * len(digested)
        if not settled_pages or request.due is None:
            return same
        refreshes = {key: (refresh.period, refresh.read_before) for key, refresh in request.due.refreshes.items()}
        ages = raw_digests.DetailAges(request.due.detail_refresh, refreshes)
        async with self._database.tenant(request.tenant_id, read_only=True) as session:
            pages = [page.items for page in settled_pages.values()]
            same_ids = await raw_digests.same_items(session, pages, ages, deep=request.due.deep)
        for number, ids in zip(settled_pages, same_ids, strict=True):
            same[number] = ids
        return same

    async def _staged(self, request: FetchPages, reads: list[PageObservations]) -> FetchPagesResult:
        by_rank: dict[int, list[PageObservations]] = {}
        for rank, read in zip(ranks(cursor.type_key for cursor in request.cursors), reads, strict=True):
            by_rank.setdefault(rank, []).append(read)
        async with self._database.tenant(request.tenant_id) as session:
            first, *more = [await self._staged_wave(session, request.run_id, wave) for wave in by_rank.values()]
            if not await runs.renew_lease(session, request.run_id, LEASE):
                raise ApplicationError("the run has ended", type=ErrorCode.RUN_ABANDONED, non_retryable=True)
        return FetchPagesResult(
            fetch_token=first.fetch_token,
            rows=first.rows,
            more_waves=more,
            requests=len(request.cursors),
            pages=[read.page for read in reads],
        )

    async def _staged_wave(
        self, session: AsyncSession, run_id: UUID, reads: Sequence[PageObservations]
    ) -> PromisedWave:
        fetch_token = uuid4()
        observations = [observation for read in reads for observation in read.observations]
        same = [read.same for read in reads if read.same is not None and read.same.external_ids]
        if observations or same:
            await staging.stage(session, run_id, fetch_token, observations, same)
        shown = [read.read_page for read in reads if read.read_page is not None]
        await listed_pages.record_pages(session, run_id, fetch_token, shown)
        return PromisedWave(
            fetch_token=fetch_token, rows=len(observations) + sum(len(items.external_ids) for items in same)
        )


def _too_large(request: FetchPages) -> FetchPagesResult:
    """Asks for fewer pages at once. Raises `AnswerTooLargeError` for a single page."""
    if len(request.cursors) == 1:
        raise AnswerTooLargeError
    requests = len(request.cursors)
    return FetchPagesResult(fetch_token=uuid4(), rows=0, requests=requests, pages=[], too_large=True)
