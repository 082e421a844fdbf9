"""What a SyncWorkflow takes, answers and can be told."""

from uuid import UUID

from activities.messages import Message
from inventory.error_codes import ErrorCode
from inventory.outcomes import CollectionResult, Counts, RunStatus
from inventory.selection import Selection
from workflows.frontier import Frontier


def sync_workflow_id(tenant_id: UUID, selection: Selection) -> str:
    """The workflow id: one run per tenant and selection at a time."""
    return f"sync/{tenant_id}/{selection.hash()}"


class SyncInput(Message):
    """A selection of one tenant; `frontier` is how far the run has come, where it continues as new."""

    tenant_id: UUID
    selection: Selection
    frontier: Frontier | None = None


class CancelRequest(Message):
    """The cancel signal: who asks, and why. Both are kept in the run record."""

    reason: str | None = None
    requested_by: str | None = None


class SyncProgress(Message):
    """The answer of the `progress` query."""

    status: RunStatus
    waiting_for: str | None = None
    counts: Counts
    collections: dict[str, CollectionResult]


class SyncResult(Message):
    """How the run ended."""

    run_id: UUID
    status: RunStatus
    counts: Counts
    error_codes: list[ErrorCode]
