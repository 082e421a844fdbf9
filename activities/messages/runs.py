"""The messages that open, keep and close a run."""

from datetime import timedelta
from uuid import UUID

from activities.messages.base import Message, SelectionName, ShortText, WorkflowId
from activities.messages.merges import DetailRefresh
from inventory.backoff import KnownFailure
from inventory.error_codes import ErrorCode
from inventory.outcomes import CollectionResult, Counts, RunStatus
from inventory.selection import RequestedSelection


class Run(Message):
    """`run_id` is the workflow's first execution run id."""

    tenant_id: UUID
    run_id: UUID
    workflow_id: WorkflowId
    selection: RequestedSelection
    selection_name: SelectionName | None = None


class RunPolicy(Message):
    """Limits from the worker's configuration, kept in the history."""

    queue_patience: timedelta = timedelta(hours=1)
    """The longest wait for a slot."""
    cursor_attempts: int = 20
    """The most requests for a page."""
    graph_patience: timedelta = timedelta(hours=1)
    """The retry time of a page after its first failure, and of a wave while Graph cannot be reached."""
    waves_in_flight: int = 4
    """The most batches read side by side, and the most merges. A wave was one batch when this was named."""
    detail_refresh: timedelta = timedelta(days=7)
    """The time within which every item's details are read again."""
    detail_batches: int = 1
    """The most `$batch` requests of one `FetchDetails`."""
    detail_items: int | None = None
    """The most items of one `FetchDetails`; None for all, as in runs of 0.3.0."""
    malformed_attempts: int | None = None
    """The most requests for a page whose answers are no page; None for `cursor_attempts`, as in runs of 0.3.0."""
    told_after: timedelta | None = None
    """After this time, an activity reports a failing batch as each page's failure; None for `graph_patience`, as in
    runs of 0.3.0."""


class PlannedCollection(Message):
    """How to read a collection. `wave_limit`: the most requests of its throttle family in a batch."""

    type_key: str
    first_url: str
    api_version: str
    throttle_family: str
    wave_limit: int
    confirmable: bool = False
    detailed: bool = False
    is_first_listing: bool = False
    """Whether no run has listed it to its end."""
    interval: timedelta | None = None
    """The time from an answer to the next turn, in a family with turns. None in runs of 0.3.0."""
    refresh: DetailRefresh | None = None
    """When details are read again without a sign in the list. None in runs of 0.3.0."""
    known_failure: KnownFailure | None = None
    """Its failure in the latest runs. None in runs of 0.3.0."""


class BeginRunResult(Message):
    """`plan`, `unknown` and the names are set once the run is `running`; `policy` always.

    `ahead`: the number of runs queued before it. `unknown`: selected type keys that the worker does not know.
    """

    opening: str
    ahead: int = 0
    plan: list[PlannedCollection] = []
    policy: RunPolicy = RunPolicy()
    unknown: list[str] = []
    tenant_name: ShortText | None = None
    selection_name: ShortText | None = None


class RenewLease(Message):
    """Keeps the run's slot or, with `queued`, its place in the queue."""

    tenant_id: UUID
    run_id: UUID
    queued: bool = False


class RenewLeaseResult(Message):
    """`ahead` is the number of runs queued before this one.

    It is None if the run's turn has come, if it is not queued, or from a worker of release 0.3.0; then `begin_run`
    decides.
    """

    open: bool
    ahead: int | None = None


class FinishRun(Message):
    run: Run
    status: RunStatus
    counts: Counts
    error_codes: list[ErrorCode]
    collections: dict[str, CollectionResult]
    cancel_requested_by: ShortText | None = None
    cancel_reason: ShortText | None = None


class FinishRunResult(Message):
    status: RunStatus
    counts: Counts
    error_codes: list[ErrorCode] | None = None
    """None from workers of 0.3.0, which record the codes of the request."""
    notifies: bool = False
    """False in older histories."""
