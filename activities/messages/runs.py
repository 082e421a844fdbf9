"""Messages that open, keep and close a run."""

from datetime import timedelta
from uuid import UUID

from activities.messages.base import Message, SelectionName, ShortText, WorkflowId
from activities.messages.merges import DetailRefresh
from inventory.backoff import KnownFailure
from inventory.error_codes import ErrorCode
from inventory.outcomes import CollectionResult, Counts, RunStatus
from inventory.selection import RequestedSelection


class Run(Message):
    """A run's tenant, id (the workflow's first execution run id), workflow id and selection.

    `selection_name` is the starter's name for the selection.
    """

    tenant_id: UUID
    run_id: UUID
    workflow_id: WorkflowId
    selection: RequestedSelection
    selection_name: SelectionName | None = None


class RunPolicy(Message):
    """A run's patience, from the worker's configuration and kept in the history."""

    queue_patience: timedelta = timedelta(hours=1)
    """How long a run waits for a slot."""
    cursor_attempts: int = 20
    """How often one page is requested."""
    graph_patience: timedelta = timedelta(hours=1)
    """The retry time of a page after its first failure, and of a wave while Graph cannot be reached."""
    waves_in_flight: int = 4
    """Waves of one run that are fetched at once."""
    detail_refresh: timedelta = timedelta(days=7)
    """The time within which every item's details are read again, even without a sign in its list."""
    detail_batches: int = 1
    """`$batch` requests for details in one activity, one after the other."""
    detail_items: int | None = None
    """The most items whose details one wave reads, leaving others to waves beside it; None for all. None in runs of
    0.3.0.
    """
    malformed_attempts: int | None = None
    """Requests of a page whose answer is no page; None for `cursor_attempts`, and in runs of 0.3.0."""
    told_after: timedelta | None = None
    """How long an activity retries a failing wave before it reports the failure as each page's; None for
    `graph_patience`, and in runs of 0.3.0.
    """


class PlannedCollection(Message):
    """How a collection is read. `wave_limit`: how many of its family a wave may hold."""

    type_key: str
    first_url: str
    api_version: str
    throttle_family: str
    wave_limit: int
    confirmable: bool = False
    detailed: bool = False
    """Whether its items have details beyond the list."""
    is_first_listing: bool = False
    """Whether no run has listed it to its end, so most items are new."""
    interval: timedelta | None = None
    """The time from an answer to the next turn, in a family with turns. None in runs of 0.3.0."""
    refresh: DetailRefresh | None = None
    """When details are due without a sign in the list. None in runs of 0.3.0."""
    known_failure: KnownFailure | None = None
    """How it failed in the latest runs. None in runs of 0.3.0."""


class BeginRunResult(Message):
    """An attempt to open a run; `plan`, `unknown` and the names come once it is `running`.

    `ahead`: runs queued before it. `policy` comes always, since it says how long to queue. `unknown`: selected type
    keys that the worker does not know.
    """

    opening: str
    ahead: int = 0
    plan: list[PlannedCollection] = []
    policy: RunPolicy = RunPolicy()
    unknown: list[str] = []
    tenant_name: ShortText | None = None
    selection_name: ShortText | None = None


class RenewLease(Message):
    """Keep the run's slot or, with `queued`, its place in the queue."""

    tenant_id: UUID
    run_id: UUID
    queued: bool = False


class RenewLeaseResult(Message):
    """Whether the run is open.

    `ahead`: runs queued before a queued one. None if its turn has come, it is not queued, or the worker is of release
    0.3.0: `begin_run` tells.
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
    """The closed record."""

    status: RunStatus
    counts: Counts
    error_codes: list[ErrorCode] | None = None
    """None from workers of 0.3.0, which record all that the message claims."""
    notifies: bool = False
    """Whether the worker sends notifications. False in histories before there were any."""
