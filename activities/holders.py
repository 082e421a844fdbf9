"""Holders of workflow ids. Another deployment, with its own task queue, can hold an id of the namespace."""

from typing import NamedTuple

from temporalio.client import Schedule, ScheduleActionStartWorkflow, WorkflowExecution

from inventory.bounds import SHOWN_CHARACTERS

SYNC_WORKFLOW = "SyncWorkflow"
PORTFOLIO_WORKFLOW = "PortfolioWorkflow"
WATCH_WORKFLOW = "WatchWorkflow"
NOTIFY_WORKFLOW = "NotifyWorkflow"


class Kind(NamedTuple):
    workflow_type: str
    task_queue: str

    @classmethod
    def of(cls, execution: WorkflowExecution) -> "Kind":
        return cls(execution.workflow_type, execution.task_queue)

    @classmethod
    def scheduled_by(cls, schedule: Schedule) -> "Kind | None":
        """None if the schedule's action starts no workflow."""
        action = schedule.action
        if not isinstance(action, ScheduleActionStartWorkflow):
            return None
        return cls(str(action.workflow), action.task_queue)

    def in_words(self) -> str:
        """Shortened, without control characters."""
        return f"{self.workflow_type[:SHOWN_CHARACTERS]!r} on task queue {self.task_queue[:SHOWN_CHARACTERS]!r}"


def held(subject: str, namespace: str, holder: Kind | None, kind: Kind) -> str:
    """A sentence that names the holder of `what` and a remedy."""
    held_id = f"{subject} in namespace {namespace!r} is held by {holder.in_words() if holder else 'something else'}"
    if holder is not None and holder.workflow_type == kind.workflow_type:
        return (
            f"{held_id}, not by this deployment's task queue {kind.task_queue!r}: set TEMPORAL_TASK_QUEUE to work"
            " with that deployment, or TEMPORAL_NAMESPACE to a namespace of this one's own"
        )
    return (
        f"{held_id}, which is no {kind.workflow_type}: end or delete it, or set TEMPORAL_NAMESPACE to a namespace"
        " of this deployment's own"
    )
