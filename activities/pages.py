"""The activity that reads one wave of pages from Graph and stages their objects."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple
from uuid import uuid4

from temporalio import activity
from temporalio.exceptions import ApplicationError

from activities.allowed_requests import AllowedRequests
from activities.failures import told
from activities.messages.pages import (
    NAMED_INVALID,
    CursorFailure,
    CursorRequest,
    FetchPages,
    FetchPagesResult,
    InvalidItem,
    PageResult,
)
from activities.observers import Observers, TenantObservers
from activities.request_pace import Pace
from activities.run_records import LEASE
from activities.tenants import TenantsFile
from graph.catalog import Catalog
from graph.client import Admission, GraphAnswer, GraphClient, GraphGet
from graph.cpu_executor import crunch
from graph.errors import AnswerTooLargeError, GraphRequestError, ReadFailure, classify
from graph.links import UntrustedLinkError
from graph.pages import MalformedPageError, read_page
from graph.tenants import TenantConfig
from inventory.canonical import JsonValue
from inventory.error_codes import SKIPPING_CODES, ErrorCode
from inventory.meta import PARENT_ID
from inventory.observation import Observation
from inventory.references import MAX_ID_LENGTH
from storage import listed_pages, runs, staging
from storage.database import Database
from storage.listed_pages import ReadPage


class _Read(NamedTuple):
    page: PageResult
    observations: list[Observation]
    shown: ReadPage | None = None
    """The record of the page; None if it shows nothing about the collection."""


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
                    if len(request.cursors) == 1:
                        raise
                    requests = len(request.cursors)
                    return FetchPagesResult(fetch_token=uuid4(), rows=0, requests=requests, pages=[], too_large=True)
            reads = await crunch(tenant.id, self._read, tenant, request, answers, observers)
            failures = [read.page.failure for read in reads if read.page.failure is not None]
            await self._pace.heed(request.tenant_id, family, failures)
            return await self._staged(request, reads)

    async def _ask(
        self, tenant: TenantConfig, request: FetchPages, admission: Admission
    ) -> Mapping[str, GraphAnswer | ReadFailure]:
        """Graph's answer to each page. A lasting error of the batch as a whole is that of every page in it."""
        gets = [GraphGet(key=cursor.type_key, url=cursor.url) for cursor in request.cursors]
        try:
            return await self._graph.read_batch(tenant, request.api_version, gets, admission)
        except AnswerTooLargeError:
            raise
        except GraphRequestError as error:
            return dict.fromkeys((get.key for get in gets), told(error, request.told_after))

    async def _staged(self, request: FetchPages, reads: list[_Read]) -> FetchPagesResult:
        fetch_token = uuid4()
        observations = [observation for read in reads for observation in read.observations]
        async with self._database.tenant(request.tenant_id) as session:
            if observations:
                await staging.stage(session, request.run_id, fetch_token, observations)
            if not await runs.renew_lease(session, request.run_id, LEASE):
                raise ApplicationError("the run has ended", type=ErrorCode.RUN_ABANDONED, non_retryable=True)
            shown = [read.shown for read in reads if read.shown is not None]
            await listed_pages.record_pages(session, request.run_id, fetch_token, shown)
        return FetchPagesResult(
            fetch_token=fetch_token,
            rows=len(observations),
            requests=len(request.cursors),
            pages=[read.page for read in reads],
        )

    def _read(
        self,
        tenant: TenantConfig,
        request: FetchPages,
        answers: Mapping[str, GraphAnswer | ReadFailure],
        observers: TenantObservers,
    ) -> list[_Read]:
        return [
            self._read_answer(tenant, request.api_version, cursor, answers[cursor.type_key], observers)
            for cursor in request.cursors
        ]

    def _read_answer(
        self,
        tenant: TenantConfig,
        api_version: str,
        cursor: CursorRequest,
        answer: GraphAnswer | ReadFailure,
        observers: TenantObservers,
    ) -> _Read:
        """One page: a failure, or its observations. Hashing megabytes, so never on the event loop."""
        collection = self._catalog.collections[cursor.type_key]
        permission = self._catalog.permission_of_listing(cursor.type_key, cursor.url)
        failure = (
            answer
            if isinstance(answer, ReadFailure)
            else classify(answer, permission=permission, delegated_only=collection.delegated_only)
        )
        if not isinstance(answer, ReadFailure) and failure is None:
            try:
                page = read_page(
                    answer,
                    singleton=collection.singleton,
                    left_out=collection.left_out_types,
                    left_out_where=collection.left_out_where,
                )
            except MalformedPageError as error:
                failure = error.failure
        if failure is not None:
            page_result = PageResult(type_key=cursor.type_key, was_read=False, failure=cursor_failure(failure))
            refused = ReadPage(cursor.type_key, cursor.url, (), 0, failure.code)
            return _Read(page_result, [], refused if failure.code in SKIPPING_CODES else None)
        link_failure = None
        if page.next_link is not None:
            try:
                self._graph.check_link(tenant, api_version, page.next_link)
            except UntrustedLinkError as error:
                link_failure = CursorFailure(code=error.code, retryable=False)
        next_url = page.next_link if link_failure is None else None
        if not collection.is_own_listing(cursor.url):
            more_urls = [collection.child_url(parent_id) for parent_id in _ids(page.items)]
            return _Read(
                PageResult(type_key=cursor.type_key, next_url=next_url, more_urls=more_urls, failure=link_failure),
                [],
                ReadPage(cursor.type_key, cursor.url, [*_links(page.next_link), *more_urls], 0),
            )
        # A document that lacks its details is not the one that is stored.
        observations, invalid = observers.observer(cursor.type_key).observe_page(
            page.items, with_references=cursor.is_first_listing and not collection.details
        )
        parent_id = collection.parent_id_of(cursor.url)
        if parent_id is not None:
            observations = [entry._replace(meta={**entry.meta, PARENT_ID: parent_id}) for entry in observations]
        return _Read(
            PageResult(
                type_key=cursor.type_key,
                items=len(observations),
                next_url=next_url,
                invalid=len(invalid),
                named_invalid=[
                    InvalidItem(reason=bad.reason, position=bad.position, external_id=bad.external_id)
                    for bad in invalid[:NAMED_INVALID]
                ],
                meta_dropped=sum(observation.meta_dropped for observation in observations),
                size_bytes=sum(len(observation.document) for observation in observations),
                failure=link_failure,
            ),
            observations,
            ReadPage(cursor.type_key, cursor.url, _links(page.next_link), len(observations)),
        )


def _links(next_link: str | None) -> list[str]:
    return [] if next_link is None else [next_link]


def _ids(parents: Sequence[JsonValue]) -> list[str]:
    """The usable ids among the parents of a page."""
    ids = [parent.get("id") for parent in parents if isinstance(parent, dict)]
    return [
        external_id for external_id in ids if isinstance(external_id, str) and 0 < len(external_id) <= MAX_ID_LENGTH
    ]


def cursor_failure(failure: ReadFailure) -> CursorFailure:
    """The failure of a read, as the workflow receives it."""
    return CursorFailure(
        code=failure.code,
        retryable=failure.retryable,
        restart=failure.restart,
        retry_after=failure.retry_after,
        context=dict(failure.context),
    )
