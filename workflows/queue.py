"""The queue for a slot."""

from collections.abc import Callable
from datetime import timedelta
from typing import Protocol

from temporalio import workflow
from temporalio.exceptions import ApplicationError

with workflow.unsafe.imports_passed_through():
    from activities import definitions
    from activities.messages.runs import BeginRunResult, RenewLease, Run
    from inventory.error_codes import ErrorCode
    from inventory.outcomes import RunStatus
    from workflows import policies
    from workflows.cancellable import Activity, MessageT, ResultT
    from workflows.cancellation import heed_cancellation
    from workflows.patches import KEEPS_PLACE
    from workflows.policies import ActivityLimits
    from workflows.queue_place import QueuePlace

WAITING_FOR_SLOT = "waiting_for_slot"
"""The opening of a run in the queue. Otherwise, it waits for an earlier run of its selection."""


class RunActivity(Protocol):
    async def __call__(
        self, definition: Activity[MessageT, ResultT], message: MessageT, limits: ActivityLimits, summary: str, /
    ) -> ResultT:
        """Returns the activity's result."""


class Queue:
    """Opens a run once it has its slot.

    It polls by `renew_lease`, which adds 1.4 kilobytes to the history: `begin_run` repeats the selection, up to six.
    """

    def __init__(
        self, run: Run, place: QueuePlace | None, activity: RunActivity, on_wait: Callable[[str], None]
    ) -> None:
        self.place = place
        self._run = run
        self._activity = activity
        self._on_wait = on_wait

    async def open(self) -> BeginRunResult | None:
        """The opened run; None if the run must first continue as new with its place.

        Raises `ApplicationError`: `concurrency_limit` at the end of the queue time, `run_abandoned` if the record is
        closed.
        """
        while True:
            begun = await self._activity(definitions.begin_run, self._run, policies.DATABASE, "open the run")
            if begun.opening == RunStatus.RUNNING:
                return begun
            if begun.opening == "ended":
                raise ApplicationError("the record was closed meanwhile", type=ErrorCode.RUN_ABANDONED)
            ahead: int | None = begun.ahead
            while ahead is not None:
                heed_cancellation()
                wait = self._wait(begun, ahead)
                if workflow.patched(KEEPS_PLACE) and workflow.info().is_continue_as_new_suggested():
                    return None
                await workflow.sleep(wait, summary=begun.opening)
                keeps_place = workflow.patched(KEEPS_PLACE) and begun.opening == WAITING_FOR_SLOT
                ahead = await self._keep_place() if keeps_place else None

    def _wait(self, begun: BeginRunResult, ahead: int) -> timedelta:
        """Raises `ApplicationError` at the end of the queue time."""
        now, random = workflow.now(), workflow.random()
        place = self.place or QueuePlace(since=now, ahead=ahead, unmoved_since=now)
        self.place = place = place.moved_to(ahead, now)
        remaining = begun.policy.queue_patience - (now - place.since)
        if remaining <= timedelta(0):
            raise ApplicationError("no slot came free", type=ErrorCode.CONCURRENCY_LIMIT)
        self._on_wait(f"{begun.opening}, {ahead} ahead" if ahead else begun.opening)
        if not workflow.patched(KEEPS_PLACE):
            return policies.QUEUE_POLL * (0.5 + random.random())
        return min(remaining, place.gap(now, random))

    async def _keep_place(self) -> int | None:
        """The number of runs ahead; None if `begin_run` should ask for the slot."""
        keep = RenewLease(tenant_id=self._run.tenant_id, run_id=self._run.run_id, queued=True)
        kept = await self._activity(definitions.renew_lease, keep, policies.DATABASE, "keep the place in the queue")
        return kept.ahead
