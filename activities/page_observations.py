"""Pages: their results for the workflow, and their rows to stage."""

from collections.abc import Collection as AnyCollection
from collections.abc import Sequence
from typing import NamedTuple

from activities.digested_pages import ChangedObjects, DigestedPage
from activities.messages.pages import NAMED_INVALID, CursorFailure, CursorRequest, FetchPages, InvalidItem, PageResult
from activities.observers import TenantObservers
from graph.catalog import Catalog
from graph.client import GraphAnswer, GraphClient
from graph.errors import ReadFailure, classify
from graph.links import UntrustedLinkError
from graph.pages import MalformedPageError, Page, read_page
from graph.raw_pages import RawPage
from graph.tenants import TenantConfig
from inventory.canonical import JsonValue
from inventory.error_codes import SKIPPING_CODES
from inventory.meta import PARENT_ID
from inventory.observation import Observation
from inventory.references import MAX_ID_LENGTH
from storage.listed_pages import ReadPage
from storage.staging import SameItems


class PageObservations(NamedTuple):
    page: PageResult
    observations: list[Observation]
    read_page: ReadPage | None = None
    """None if the page shows nothing about the collection."""
    same: SameItems | None = None


class PageObserver:
    """Parses objects with unknown digests. Hashes megabytes, so not for the event loop."""

    def __init__(self, graph: GraphClient, catalog: Catalog) -> None:
        self._graph = graph
        self._catalog = catalog

    def digested(
        self, request: FetchPages, answers: Sequence[GraphAnswer | ReadFailure], observers: TenantObservers
    ) -> list[DigestedPage | None]:
        """A page is None if it has no digests."""
        return [
            self._digested(cursor, answer, observers) for cursor, answer in zip(request.cursors, answers, strict=True)
        ]

    def _digested(
        self, cursor: CursorRequest, answer: GraphAnswer | ReadFailure, observers: TenantObservers
    ) -> DigestedPage | None:
        collection, digests = self._catalog.collections[cursor.type_key], observers.raw_digests(cursor.type_key)
        if digests is None or not collection.is_own_listing(cursor.url):
            return None
        if not isinstance(answer, GraphAnswer) or not isinstance(answer.body, RawPage):
            return None
        return DigestedPage.of(answer.body, collection, digests, collection.parent_id_of(cursor.url))

    def read(
        self,
        tenant: TenantConfig,
        request: FetchPages,
        answers: Sequence[GraphAnswer | ReadFailure],
        observers: TenantObservers,
        digested: Sequence[DigestedPage | None],
        same: Sequence[AnyCollection[str]],
    ) -> list[PageObservations]:
        """`same` holds each page's ids of unchanged items. Raises `AnswerTooLargeError`."""
        return [
            self._read_answer(
                tenant,
                request.api_version,
                cursor,
                answer,
                observers,
                None if page is None else page.without(unchanged),
            )
            for cursor, answer, page, unchanged in zip(request.cursors, answers, digested, same, strict=True)
        ]

    def _read_answer(
        self,
        tenant: TenantConfig,
        api_version: str,
        cursor: CursorRequest,
        answer: GraphAnswer | ReadFailure,
        observers: TenantObservers,
        changed: ChangedObjects | None,
    ) -> PageObservations:
        if isinstance(answer, GraphAnswer) and isinstance(answer.body, RawPage):
            answer = answer._replace(body=answer.body.parsed() if changed is None else changed.page)
        page = self._page(cursor, answer)
        if isinstance(page, ReadFailure):
            page_result = PageResult(type_key=cursor.type_key, was_read=False, failure=cursor_failure(page))
            refused = ReadPage(cursor.type_key, cursor.url, (), 0, page.code)
            return PageObservations(page_result, [], refused if page.code in SKIPPING_CODES else None)
        collection = self._catalog.collections[cursor.type_key]
        link_failure = None
        if page.next_link is not None:
            try:
                self._graph.check_link(tenant, api_version, page.next_link)
            except UntrustedLinkError as error:
                link_failure = CursorFailure(code=error.code, retryable=False)
        next_url = page.next_link if link_failure is None else None
        if not collection.is_own_listing(cursor.url):
            more_urls = [collection.child_url(parent_id) for parent_id in _ids(page.items)]
            return PageObservations(
                PageResult(type_key=cursor.type_key, next_url=next_url, more_urls=more_urls, failure=link_failure),
                [],
                ReadPage(cursor.type_key, cursor.url, [*_links(page.next_link), *more_urls], 0),
            )
        # Without its details, a document is not the stored one.
        observations, invalid = observers.observer(cursor.type_key).observe_page(
            page.items, with_references=cursor.is_first_listing and not collection.details
        )
        parent_id = collection.parent_id_of(cursor.url)
        if parent_id is not None:
            observations = [entry._replace(meta={**entry.meta, PARENT_ID: parent_id}) for entry in observations]
        same = None
        if changed is not None:
            observations, invalid, same = changed.digested(observations, invalid)
        items = len(observations) + (0 if same is None else len(same.external_ids))
        return PageObservations(
            PageResult(
                type_key=cursor.type_key,
                items=items,
                next_url=next_url,
                invalid=len(invalid),
                named_invalid=[
                    InvalidItem(reason=bad.reason, position=bad.position, external_id=bad.external_id)
                    for bad in invalid[:NAMED_INVALID]
                ],
                meta_dropped=sum(observation.meta_dropped for observation in observations),
                size_bytes=sum(len(observation.document) for observation in observations)
                + (0 if changed is None else changed.same_bytes),
                failure=link_failure,
            ),
            observations,
            ReadPage(cursor.type_key, cursor.url, _links(page.next_link), items),
            same,
        )

    def _page(self, cursor: CursorRequest, answer: GraphAnswer | ReadFailure) -> Page | ReadFailure:
        if isinstance(answer, ReadFailure):
            return answer
        collection = self._catalog.collections[cursor.type_key]
        permission = self._catalog.permission_of_listing(cursor.type_key, cursor.url)
        failure = classify(answer, permission=permission, delegated_only=collection.delegated_only)
        if failure is not None:
            return failure
        try:
            return read_page(
                answer,
                singleton=collection.singleton,
                left_out=collection.left_out_types,
                left_out_where=collection.left_out_where,
            )
        except MalformedPageError as error:
            return error.failure


def _links(next_link: str | None) -> list[str]:
    return [] if next_link is None else [next_link]


def _ids(parents: Sequence[JsonValue]) -> list[str]:
    ids = [parent.get("id") for parent in parents if isinstance(parent, dict)]
    return [
        external_id for external_id in ids if isinstance(external_id, str) and 0 < len(external_id) <= MAX_ID_LENGTH
    ]


def cursor_failure(failure: ReadFailure) -> CursorFailure:
    return CursorFailure(
        code=failure.code,
        retryable=failure.retryable,
        restart=failure.restart,
        retry_after=failure.retry_after,
        context=dict(failure.context),
    )
