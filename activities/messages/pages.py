"""The argument and result of `fetch_pages`."""

from collections import Counter
from collections.abc import Iterable
from datetime import timedelta
from uuid import UUID

from activities.messages.base import Message
from activities.messages.merges import DetailRefresh, PromisedWave
from inventory.error_codes import ErrorCode
from inventory.outcomes import ContextValue


class CursorRequest(Message):
    """A page to read. `url` is a listing's first URL or a nextLink."""

    type_key: str
    url: str
    is_first_listing: bool = False
    """Most items are new, so their references are read at once."""
    is_read_again: bool = False
    """Its staged rows were lost; the pages after it have been read."""


class DetailsDue(Message):
    """When details are read again; see `UpsertItems`."""

    detail_refresh: timedelta = timedelta(days=7)
    refreshes: dict[str, DetailRefresh] = {}
    deep: bool = False


class FetchPages(Message):
    """Up to 20 pages of one API version and throttle family."""

    tenant_id: UUID
    run_id: UUID
    api_version: str
    cursors: list[CursorRequest]
    graph_patience: timedelta = timedelta(hours=1)
    """How long to retry an unreachable Graph."""
    told_after: timedelta | None = None
    """See `RunPolicy.told_after`."""
    limit: int = 1
    """The family's most requests in a `$batch`."""
    due: DetailsDue | None = None
    """Set if unchanged objects need not be read. If one changes before the merge, the page is requested anew."""


def ranks(type_keys: Iterable[str]) -> list[int]:
    """For each page, the number of earlier pages of the same collection."""
    before: Counter[str] = Counter()
    ranks_in_type = []
    for type_key in type_keys:
        ranks_in_type.append(before[type_key])
        before[type_key] += 1
    return ranks_in_type


class CursorFailure(Message):
    """Why a page was not read. `restart`: its listing must begin anew."""

    code: ErrorCode
    retryable: bool
    restart: bool = False
    retry_after: timedelta | None = None
    context: dict[str, ContextValue] = {}


NAMED_INVALID = 10
"""The most bad objects that a page or a collection names; all are counted."""


class InvalidItem(Message):
    """An object that cannot be stored. `position` is its place on the page."""

    reason: str
    position: int | None = None
    external_id: str | None = None


class PageResult(Message):
    """`items` is the number of staged items."""

    type_key: str
    was_read: bool = True
    """False if Graph did not give the page. If it was read, `failure` is about its nextLink."""
    items: int = 0
    next_url: str | None = None
    invalid: int = 0
    named_invalid: list[InvalidItem] = []
    meta_dropped: int = 0
    more_urls: list[str] = []
    """The listing of each parent on the page."""
    size_bytes: int = 0
    """The size of the documents, which predicts the next page's."""
    failure: CursorFailure | None = None


class FetchPagesResult(Message):
    """The pages, in the order of the cursors; from release 0.3.0, in another order, one page of each collection.

    A fetch token stages one page of a collection: a collection's second page is staged under the first of `more_waves`,
    and so on (`ranks`).
    """

    fetch_token: UUID
    rows: int
    more_waves: list[PromisedWave] = []
    requests: int
    pages: list[PageResult]
    paced: timedelta | None = None
    """How long the throttle family must wait; nothing was sent."""
    too_large: bool = False
    """Whether the next request must have fewer pages."""
