"""The activity that reads one wave of pages from Graph and stages what they hold."""

import asyncio
from collections.abc import Mapping
from typing import NamedTuple
from uuid import uuid4

from temporalio import activity
from temporalio.exceptions import ApplicationError

from activities.failures import classified
from activities.heartbeats import beating
from activities.messages import (
    ActivityName,
    CursorFailure,
    CursorRequest,
    FetchPages,
    FetchPagesResult,
    NamedInvalid,
    PageResult,
)
from activities.run_records import LEASE
from activities.tenants import TenantsFile
from graph.catalog import Catalog
from graph.client import GraphAnswer, GraphClient, GraphGet
from graph.errors import ReadFailure, classify
from graph.links import UntrustedLinkError
from graph.pages import MalformedPageError, read_page
from graph.tenants import TenantConfig
from inventory.error_codes import ErrorCode
from inventory.observation import Observation, Observer
from storage import runs, staging
from storage.database import Database

NAMED_INVALID = 10
"""How many bad objects one page names; it counts all of them."""


class _Read(NamedTuple):
    page: PageResult
    observations: list[Observation]


class FetchActivities:
    """Every attempt stages under a fetch token of its own, so one that comes late changes nothing."""

    def __init__(
        self,
        graph: GraphClient,
        database: Database,
        catalog: Catalog,
        tenants: TenantsFile,
        sensitive_key: bytes | None,
    ) -> None:
        self._graph = graph
        self._database = database
        self._catalog = catalog
        self._tenants = tenants
        self._sensitive_key = sensitive_key

    @activity.defn(name=ActivityName.FETCH_PAGES)
    async def fetch_pages(self, request: FetchPages) -> FetchPagesResult:
        """Reads the wave's pages in one `$batch`, stages their observations and answers counts and cursors."""
        async with classified(graph_patience=request.graph_patience), beating():
            tenant = await self._tenants.get(request.tenant_id)
            if tenant is None:
                raise ApplicationError(
                    "the worker's tenants file does not name this tenant",
                    type=ErrorCode.AUTH_FAILED,
                    non_retryable=True,
                )
            gets = [GraphGet(key=cursor.type_key, url=cursor.url) for cursor in request.cursors]
            answers = await self._graph.read_batch(tenant, request.api_version, gets)
            reads = await asyncio.to_thread(self._read, tenant, request, answers)
            fetch_token = uuid4()
            observations = [observation for read in reads for observation in read.observations]
            async with self._database.tenant(request.tenant_id) as session:
                if observations:
                    await staging.stage(session, request.run_id, fetch_token, observations)
                if not await runs.renew_lease(session, request.run_id, LEASE):
                    raise ApplicationError("the run has ended", type=ErrorCode.RUN_ABANDONED, non_retryable=True)
            return FetchPagesResult(
                fetch_token=fetch_token,
                rows=len(observations),
                requests=len(gets),
                pages=[read.page for read in reads],
            )

    def _read(self, tenant: TenantConfig, request: FetchPages, answers: Mapping[str, GraphAnswer]) -> list[_Read]:
        return [
            self._read_answer(tenant, request.api_version, cursor, answers[cursor.type_key])
            for cursor in request.cursors
        ]

    def _read_answer(self, tenant: TenantConfig, api_version: str, cursor: CursorRequest, answer: GraphAnswer) -> _Read:
        """One page: a failure, or its observations. Hashing megabytes, so never on the event loop."""
        collection = self._catalog.collections[cursor.type_key]
        failure = classify(answer, permission=collection.permission)
        if failure is None:
            try:
                page = read_page(answer, singleton=collection.singleton, left_out=collection.left_out_types)
            except MalformedPageError as error:
                failure = error.failure
        if failure is not None:
            page_result = PageResult(type_key=cursor.type_key, was_read=False, failure=_cursor_failure(failure))
            return _Read(page_result, [])
        observer = Observer(collection.observation_rules, sensitive_key=self._sensitive_key)
        observations, invalid = observer.observe_page(page.items)
        link_failure = None
        if page.next_link is not None:
            try:
                self._graph.check_link(tenant, api_version, page.next_link)
            except UntrustedLinkError as error:
                link_failure = CursorFailure(code=error.code, retryable=False)
        return _Read(
            PageResult(
                type_key=cursor.type_key,
                items=len(observations),
                next_url=page.next_link if link_failure is None else None,
                invalid=len(invalid),
                named_invalid=[
                    NamedInvalid(reason=bad.reason, position=bad.position, external_id=bad.external_id)
                    for bad in invalid[:NAMED_INVALID]
                ],
                meta_dropped=sum(observation.meta_dropped for observation in observations),
                failure=link_failure,
            ),
            observations,
        )


def _cursor_failure(failure: ReadFailure) -> CursorFailure:
    return CursorFailure(
        code=failure.code,
        retryable=failure.retryable,
        restart=failure.restart,
        retry_after=failure.retry_after,
        context=dict(failure.context),
    )
