"""What crosses Temporal between the workflow and its activities: one model in, one model out.

Counts, cursors and codes only: no document, no name, no token. Fields are only ever added, with a default, since a
running workflow may still send yesterday's.
"""

from datetime import timedelta
from typing import Annotated
from uuid import UUID

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from inventory.backoff import KnownFailure
from inventory.error_codes import ErrorCode
from inventory.outcomes import CollectionResult, ContextValue, Counts, RunStatus
from inventory.portfolio import PortfolioCounts, RequestedTenants
from inventory.selection import RequestedSelection

MOST_CHARACTERS = 500
"""Of what a person writes. Temporal takes two megabytes, and a message that carries them on is refused for ever."""


def _cut(value: object) -> object:
    return value[: MOST_CHARACTERS - 1] + "…" if isinstance(value, str) and len(value) > MOST_CHARACTERS else value


ShortText = Annotated[str, BeforeValidator(_cut)]
"""What a person has written, cut where it is longer than `MOST_CHARACTERS`."""

WorkflowId = Annotated[str, Field(max_length=1000)]
"""As long as Temporal's servers allow."""


class Message(BaseModel):
    """Base of all messages: frozen, and open to fields that a newer sender adds."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class Run(Message):
    """Which run: its tenant, its id (the workflow's first execution run id), its workflow id, its selection."""

    tenant_id: UUID
    run_id: UUID
    workflow_id: WorkflowId
    selection: RequestedSelection


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
    family_pauses: bool = False
    """Whether a Retry-After pauses all of its throttle family. Not so in runs that release 0.1.0 began."""
    detail_refresh: timedelta = timedelta(days=7)
    """Within which time the details of every item are read again, though its list document is unchanged."""
    merges_together: bool = False
    """Whether waves that were fetched at about the same time are merged as one. Not so in runs of release 0.2.0."""
    keeps_timers: bool = False
    """Whether one timer serves several waits and not each has its own. Not so in runs of release 0.2.0."""
    detail_batches: int = 1
    """How many `$batch` requests one activity makes for details, one after the other. One in runs of release 0.2.0."""
    detail_items: int | None = None
    """How many items one wave takes on to read their details, so that others are left to waves beside it; None for all.
    None in runs that earlier releases began."""
    malformed_attempts: int | None = None
    """How many times a page is asked for whose answer is no page; None for `cursor_attempts`. None in runs of 0.3.0."""
    told_after: timedelta | None = None
    """How long an activity retries a wave that Graph fails as a whole before it tells the failure as that of each page;
    None for as long as `graph_patience`. None in runs of release 0.3.0."""
    keeps_place: bool = False
    """Whether a queued run keeps its place by `renew_lease`, and asks for the slot once its turn has come. Not so in
    runs of release 0.3.0, which ask `begin_run` each time."""


class PlannedCollection(Message):
    """Where and with whom a collection is read. `wave_limit` is how many of its family one wave may hold."""

    type_key: str
    first_url: str
    api_version: str
    throttle_family: str
    wave_limit: int
    confirmable: bool = False
    """Whether an item that is not listed is asked for by id. Not so in runs that release 0.1.0 began."""
    detailed: bool = False
    """Whether its items have details that the list does not show. Not so in runs that release 0.2.0 began."""
    is_first_listing: bool = False
    """Whether no run has listed it to its end yet: most of its items are new."""
    interval: timedelta | None = None
    """Where its family is asked one request at a time, how long after an answer the next one's turn comes.
    None in runs that earlier releases began."""
    known_failure: KnownFailure | None = None
    """How it failed in the tenant's latest runs. None in runs of release 0.3.0."""


class BeginRunResult(Message):
    """What opening the run came to; `plan` and `unknown` come once it is `running`.

    `ahead`: how many runs were queued before this one. `policy` comes with every answer: it says how long to queue.
    `unknown`: selected type keys that the worker does not know.
    """

    opening: str
    ahead: int = 0
    plan: list[PlannedCollection] = []
    policy: RunPolicy = RunPolicy()
    unknown: list[str] = []


class CursorRequest(Message):
    """One page to read: a collection's first URL, or the nextLink it gave."""

    type_key: str
    url: str
    is_first_listing: bool = False
    """Whether most of its items are new, so that it is worth reading what they refer to at once."""


class FetchPages(Message):
    """One wave: up to 20 pages of one API version and throttle family, of different collections."""

    tenant_id: UUID
    run_id: UUID
    api_version: str
    cursors: list[CursorRequest]
    graph_patience: timedelta = timedelta(hours=1)
    """How long to go on trying while Graph cannot be reached at all."""
    told_after: timedelta | None = None
    """See `RunPolicy.told_after`."""


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
    more_urls: list[str] = []
    """Further listings of the collection: one for each parent that the page shows."""
    size_bytes: int = 0
    """Of its documents. The next page is likely to be as large."""
    failure: CursorFailure | None = None


class FetchPagesResult(Message):
    """One wave as it was fetched: `rows` are staged under `fetch_token`."""

    fetch_token: UUID
    rows: int
    requests: int
    pages: list[PageResult]
    paced: timedelta | None = None
    """Set where Graph was not asked, since the throttle family's turn comes only so much later."""
    too_large: bool = False
    """Set where the answer to several pages was too large to be taken in at once."""


class PromisedWave(Message):
    """So many rows are staged under this token."""

    fetch_token: UUID
    rows: int


class UpsertItems(Message):
    """Merge the rows of one fetch token, and of further waves together with it.

    `restarted`: collections whose listing began anew in this run.
    `ended`: collections whose listing ends with these waves, and whose unlisted items are to be counted.
    `detailed`: those of which the items whose details are to be read are to be counted.
    """

    tenant_id: UUID
    run_id: UUID
    fetch_token: UUID
    promised_rows: int
    more_waves: list[PromisedWave] = []
    restarted: list[str] = []
    ended: list[str] = []
    detailed: list[str] = []
    detail_refresh: timedelta = timedelta(days=7)
    deep: bool = False
    """Whether the details of all items are read, also of those whose list document is unchanged."""


class UpsertItemsResult(Message):
    """What one merge did. With `lost` it did nothing: staged rows are gone, and the waves must be fetched again."""

    created: int = 0
    changed: int = 0
    unchanged: int = 0
    duplicates: dict[str, int] = {}
    """Items that this run had already seen on an earlier page, by type key."""
    duplicate_ids: list[tuple[str, str]] = []
    reread: dict[str, int] = {}
    """Items that this run had already seen before their listing began anew, by type key."""
    unlisted: dict[str, int] = {}
    """Items of ended collections that were present before the run and that it has not seen, by type key."""
    pending: dict[str, int] = {}
    """Items of detailed collections whose details are to be read, by type key."""
    lost: bool = False
    lost_tokens: list[UUID] = []
    """Those of several waves whose staged rows are gone; the others are merged."""


class ConfirmMissing(Message):
    """Ask by id for some items of these collections that are not listed: all of one API version and family."""

    tenant_id: UUID
    run_id: UUID
    api_version: str
    type_keys: list[str]
    limit: int
    graph_patience: timedelta
    told_after: timedelta | None = None


class Confirmed(Message):
    """One collection's share: how many items a GET by id found or answered with 404, and how many are still left."""

    found: int = 0
    gone: int = 0
    left: int = 0
    failure: CursorFailure | None = None
    """Why a GET came to nothing: the one that asks for most patience."""


class ConfirmMissingResult(Message):
    """What was confirmed, by type key."""

    requests: int = 0
    collections: dict[str, Confirmed] = {}
    paced: timedelta | None = None
    """Set where Graph was not asked, since the throttle family's turn comes only so much later."""


class DetailShare(Message):
    """Some of the items of a collection whose details are to be read: part `part` (from 0) of `of`."""

    type_key: str
    part: int = 0
    of: int = 1
    known_failure: KnownFailure | None = None
    """How details of the collection failed in the tenant's latest runs."""


class FetchDetails(Message):
    """Read details of some items of these shares: all of one API version and family.

    At most `limit` requests at once, and at most `batches` times. `wave_token` names the wave for all attempts at it.
    An item that Graph fails `attempts` times is given up: after `malformed_attempts` with an answer that is no page,
    and with a known failure of its share after the attempts that this one allows.
    """

    tenant_id: UUID
    run_id: UUID
    api_version: str
    wave_token: UUID
    shares: list[DetailShare]
    limit: int
    attempts: int
    graph_patience: timedelta
    batches: int = 1
    malformed_attempts: int | None = None
    told_after: timedelta | None = None


class DetailProgress(Message):
    """One share: how many items this wave completed or found gone, how many are left, and how many cannot be read."""

    read: int = 0
    gone: int = 0
    left: int = 0
    failed: int = 0
    moved: bool = False
    """Whether any request brought an item further."""
    failure: CursorFailure | None = None
    """Why requests came to nothing: the one that asks for most patience, or that ends the share."""
    cause: CursorFailure | None = None
    """Why an item was given up."""


class FetchDetailsResult(Message):
    """What one wave of details came to, by type key; `changed` items turned out to differ from their last version."""

    requests: int = 0
    changed: int = 0
    collections: dict[str, DetailProgress] = {}
    paced: timedelta | None = None
    """Set where Graph was not asked, since the throttle family's turn comes only so much later."""
    too_large: bool = False
    """Set where the answer to several requests was too large to be taken in at once."""


class RenewLease(Message):
    """Keep the run's slot while it waits or, with `queued`, its place in the queue."""

    tenant_id: UUID
    run_id: UUID
    queued: bool = False


class RenewLeaseResult(Message):
    """Whether the run is still open.

    `ahead`: how many runs were queued before a queued one. None if its turn has come or it is no longer queued, and
    from workers of release 0.3.0, which do not know: `begin_run` tells.
    """

    open: bool
    ahead: int | None = None


class FinishRun(Message):
    """Close the run's record."""

    run: Run
    status: RunStatus
    counts: Counts
    error_codes: list[ErrorCode]
    collections: dict[str, CollectionResult]
    cancel_requested_by: ShortText | None = None
    cancel_reason: ShortText | None = None


class FinishRunResult(Message):
    """The record as it stands closed."""

    status: RunStatus
    counts: Counts
    error_codes: list[ErrorCode] | None = None
    """None from workers of release 0.3.0, which record those that they are told."""


class SweepResult(Message):
    """One sweep: open runs with an expired lease, of which so many were closed as abandoned."""

    expired: int
    closed: int


class ForgottenOfTenant(Message):
    """How many versions of a tenant were forgotten, how many documents that only they referred to, how many runs."""

    tenant_id: UUID
    versions: int = 0
    documents: int = 0
    runs: int = 0

    def plus(self, *, versions: int = 0, documents: int = 0, runs: int = 0) -> "ForgottenOfTenant":
        """With what one more batch forgot."""
        counts = {"versions": self.versions + versions, "documents": self.documents + documents}
        return self.model_copy(update={**counts, "runs": self.runs + runs})


class InventoriedTenants(Message):
    """The tenants that have an inventory."""

    tenant_ids: list[UUID]


class ForgetVersions(Message):
    """Forget one batch of a tenant's versions, from the first item behind `after` (type key and id)."""

    tenant_id: UUID
    older_than: timedelta | None = None
    kept: int | None = None
    after: tuple[str, str] | None = None


class ForgetVersionsResult(Message):
    """One batch; `after` says where the next one begins, and None that there is none."""

    versions: int
    documents: int
    after: tuple[str, str] | None = None


class ForgetRuns(Message):
    """Forget one batch of a tenant's runs."""

    tenant_id: UUID
    older_than: timedelta


class ForgetRunsResult(Message):
    """One batch; `is_last` where no run is left to be forgotten."""

    runs: int
    is_last: bool


class PortfolioRun(Message):
    """Which portfolio run: its id (the workflow's first execution run id), its workflow id, what it covers.

    `schedule` names the schedule that started it, if one did.
    """

    portfolio_run_id: UUID
    workflow_id: WorkflowId
    selection: RequestedSelection
    chosen: RequestedTenants
    schedule: ShortText | None = None


class OpenPortfolioResult(Message):
    """The tenants chosen, and how many of them the worker's configuration would sync at once."""

    tenant_ids: list[UUID]
    at_once: int


class RunToFollow(Message):
    """A run that is under way. Without `run_id` it is whichever holds the workflow id, and was `joined`."""

    tenant_id: UUID
    workflow_id: WorkflowId
    run_id: UUID | None = None
    joined: bool = True


class FollowRuns(Message):
    """Look how far these runs are."""

    runs: list[RunToFollow]


class TenantOutcome(Message):
    """A tenant's run, and its status; `queued` or `running` where it has not ended."""

    tenant_id: UUID
    run_id: UUID | None = None
    status: RunStatus
    joined: bool = False
    error_codes: list[ErrorCode] = []
    """What is known of them without the run's record, which says all."""


class FollowRunsResult(Message):
    """The runs that were asked about, in that order."""

    outcomes: list[TenantOutcome]


class PortfolioEnding(Message):
    """How a portfolio run ends."""

    status: RunStatus
    counts: PortfolioCounts
    error_codes: list[ErrorCode] = []
    cancel_requested_by: ShortText | None = None
    cancel_reason: ShortText | None = None


class RecordPortfolio(Message):
    """Write down what became of some tenants and, with `ending`, of the portfolio run."""

    run: PortfolioRun
    outcomes: list[TenantOutcome] = []
    ending: PortfolioEnding | None = None


class RecordPortfolioResult(Message):
    """The distinct error codes of the tenants' runs, by their records."""

    error_codes: list[ErrorCode] = []
