"""What crosses Temporal between the workflow and its activities: one model in, one model out.

Counts, cursors and codes only: no document, no name, no token. Fields are only ever added, with a default, since a
running workflow may still send yesterday's.
"""

from datetime import timedelta
from enum import StrEnum
from uuid import UUID

from pydantic import BaseModel, ConfigDict

from inventory.error_codes import ErrorCode
from inventory.outcomes import CollectionResult, ContextValue, Counts, RunStatus
from inventory.selection import Selection


class ActivityName(StrEnum):
    """The activities, by the names that histories know."""

    BEGIN_RUN = "begin_run"
    FETCH_PAGES = "fetch_pages"
    UPSERT_ITEMS = "upsert_items"
    RENEW_LEASE = "renew_lease"
    FINISH_RUN = "finish_run"


class Message(BaseModel):
    """Base of all messages: frozen, and open to fields that a newer sender adds."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class Run(Message):
    """Which run: its tenant, its id (the workflow's first execution run id), its workflow id, its selection."""

    tenant_id: UUID
    run_id: UUID
    workflow_id: str
    selection: Selection


class RunPolicy(Message):
    """How patient a run is, from the worker's configuration; part of the history, so a running run keeps its own."""

    queue_patience: timedelta = timedelta(hours=1)
    """How long a run waits for a slot."""
    cursor_attempts: int = 20
    """How many times one page is asked for."""
    graph_patience: timedelta = timedelta(hours=1)
    """How long one page is asked for, from its first failure, and one wave while Graph cannot be reached at all."""
    waves_in_flight: int = 4
    """How many waves of one run are fetched at once."""


class PlannedCollection(Message):
    """Where and with whom a collection is read. `wave_limit` is how many of its family one wave may hold."""

    type_key: str
    first_url: str
    api_version: str
    throttle_family: str
    wave_limit: int


class BeginRunResult(Message):
    """What opening the run came to; `plan` and `policy` hold once it is `running`."""

    opening: str
    plan: list[PlannedCollection] = []
    policy: RunPolicy = RunPolicy()


class CursorRequest(Message):
    """One page to read: a collection's first URL, or the nextLink it gave."""

    type_key: str
    url: str


class FetchPages(Message):
    """One wave: up to 20 pages of one API version and throttle family, of different collections."""

    tenant_id: UUID
    run_id: UUID
    api_version: str
    cursors: list[CursorRequest]
    graph_patience: timedelta = timedelta(hours=1)
    """How long to go on trying while Graph cannot be reached at all."""


class CursorFailure(Message):
    """Why one page was not read. `restart` asks for the listing to begin anew."""

    code: ErrorCode
    retryable: bool
    restart: bool = False
    retry_after: timedelta | None = None
    context: dict[str, ContextValue] = {}


class NamedInvalid(Message):
    """One bad object: what is wrong, where it stood on its page, and its id where it has a usable one."""

    reason: str
    position: int | None = None
    external_id: str | None = None


class PageResult(Message):
    """One page as it was read: how many items were staged, the nextLink, the bad objects (the first few named)."""

    type_key: str
    was_read: bool = True
    """False where Graph did not give the page; a failure beside a page that was read is about its nextLink."""
    items: int = 0
    next_url: str | None = None
    invalid: int = 0
    named_invalid: list[NamedInvalid] = []
    meta_dropped: int = 0
    failure: CursorFailure | None = None


class FetchPagesResult(Message):
    """One wave as it was fetched: `rows` are staged under `fetch_token`."""

    fetch_token: UUID
    rows: int
    requests: int
    pages: list[PageResult]


class UpsertItems(Message):
    """Merge the rows of one fetch token. `restarted`: collections whose listing began anew in this run."""

    tenant_id: UUID
    run_id: UUID
    fetch_token: UUID
    promised_rows: int
    restarted: list[str] = []


class UpsertItemsResult(Message):
    """What one merge did. With `lost` it did nothing: staged rows are gone, and the wave must be fetched again."""

    created: int = 0
    changed: int = 0
    unchanged: int = 0
    duplicates: dict[str, int] = {}
    """Items that this run had already seen on an earlier page, by type key."""
    duplicate_ids: list[tuple[str, str]] = []
    lost: bool = False


class RenewLease(Message):
    """Keep the run's slot while it waits."""

    tenant_id: UUID
    run_id: UUID


class RenewLeaseResult(Message):
    """Whether the run is still open."""

    open: bool


class FinishRun(Message):
    """Close the run's record."""

    run: Run
    status: RunStatus
    counts: Counts
    error_codes: list[ErrorCode]
    collections: dict[str, CollectionResult]
    cancel_requested_by: str | None = None
    cancel_reason: str | None = None


class FinishRunResult(Message):
    """The record as it stands closed."""

    status: RunStatus
    counts: Counts
