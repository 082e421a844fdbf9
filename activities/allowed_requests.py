"""The requests that a message may make: the catalog's, and links that Graph has given to the run.

Anybody with access to the Temporal namespace can send messages, and a worker's token reads far more.
"""

from collections.abc import Iterable
from uuid import UUID

from activities.messages.pages import CursorFailure, CursorRequest
from graph.catalog import Catalog
from inventory.error_codes import ErrorCode
from storage import listed_pages
from storage.database import Database

Link = tuple[str, str]
"""A type key and a URL."""


class AllowedRequests:
    def __init__(self, database: Database, catalog: Catalog) -> None:
        self._database = database
        self._catalog = catalog

    def unknown(self, type_keys: Iterable[str], api_version: str) -> dict[str, CursorFailure]:
        """Failures of collections that this release does not read from the API version."""
        # A worker of another release planned the run, so the next attempt may reach such a worker.
        failure = CursorFailure(code=ErrorCode.UNKNOWN_COLLECTION, retryable=True)
        return {type_key: failure for type_key in type_keys if not self._is_read_from(type_key, api_version)}

    async def refused(
        self, tenant_id: UUID, run_id: UUID, api_version: str, cursors: Iterable[CursorRequest]
    ) -> dict[Link, CursorFailure]:
        requested = list(cursors)
        unknown = self.unknown([cursor.type_key for cursor in requested], api_version)
        links = {
            (cursor.type_key, cursor.url)
            for cursor in requested
            if cursor.type_key not in unknown and not self._is_own(cursor, tenant_id)
        }
        if links:
            async with self._database.tenant(tenant_id, read_only=True) as session:
                links -= await listed_pages.opened(session, run_id, links)
                if links and await listed_pages.are_unrecorded(session, run_id):
                    links = set()
        untrusted = CursorFailure(code=ErrorCode.GRAPH_UNTRUSTED_LINK, retryable=False)
        of_unknown = {
            (cursor.type_key, cursor.url): unknown[cursor.type_key]
            for cursor in requested
            if cursor.type_key in unknown
        }
        return {**of_unknown, **dict.fromkeys(links, untrusted)}

    def _is_read_from(self, type_key: str, api_version: str) -> bool:
        collection = self._catalog.collections.get(type_key)
        return collection is not None and collection.api_version == api_version

    def _is_own(self, cursor: CursorRequest, tenant_id: UUID) -> bool:
        """Whether the URL begins a listing, also under a parent."""
        if cursor.url == self._catalog.first_url(cursor.type_key, tenant_id):
            return True
        collection = self._catalog.collections[cursor.type_key]
        parent_id = collection.parent_id_of(cursor.url)
        return parent_id is not None and cursor.url == collection.child_url(parent_id)
