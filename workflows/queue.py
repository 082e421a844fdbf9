"""The queue for a slot: how a run waits in it, and what each question costs its history."""

from collections.abc import Callable
from datetime import datetime, timedelta
from random import Random
from typing import Protocol, TypeVar

from temporalio import workflow
from temporalio.exceptions import ApplicationError

with workflow.unsafe.imports_passed_through():
    from pydantic import BaseModel, ConfigDict

    from activities.messages import ActivityName, BeginRunResult, RenewLease, RenewLeaseResult, Run
    from inventory.error_codes import ErrorCode
    from inventory.outcomes import RunStatus
    from workflows import policies
    from workflows.cancellation import heed_cancellation
    from workflows.policies import ActivityLimits

ResultT = TypeVar("ResultT", bound=BaseModel)

WAITING_FOR_SLOT = "waiting_for_slot"
"""The answer to a run that has its place in the queue. Another run of its selection may keep it from having one."""

SHORTEST_GAP = timedelta(seconds=10)
LONGEST_GAP = timedelta(minutes=1)
"""With jitter well within `storage.runs.Slots.queue_lease`, past which others pass a run that does not ask."""

GAP_FOR_EACH_AHEAD = timedelta(seconds=0.5)

JITTER = 0.2
"""Runs that were queued together do not ask together."""


class QueuePlace(BaseModel):
    """Since when a run waits for its slot, and how the queue has moved. Carried over when the run continues as new."""

    model_config = ConfigDict(extra="ignore")

    since: datetime
    ahead: int
    """How many runs were queued before this one, when it last asked."""
    unmoved_since: datetime
    """Since when that has been so."""

    def told(self, ahead: int, now: datetime) -> "QueuePlace":
        """The place, now that so many runs are ahead."""
        return self if ahead == self.ahead else self.model_copy(update={"ahead": ahead, "unmoved_since": now})

    def gap(self, now: datetime, random: Random) -> timedelta:
        """How long to wait before asking again: a fifth of the time that the queue has stood still, within bounds.

        So a slot that becomes free is left unused for ten seconds, or for a fifth of the time that its run has been
        waiting for it, and never for more than about a minute. A run with many ahead of it asks once a minute.
        """
        gap = max(SHORTEST_GAP, (now - self.unmoved_since) / 5) + self.ahead * GAP_FOR_EACH_AHEAD
        return min(gap, LONGEST_GAP) * (1 - JITTER + 2 * JITTER * random.random())


class RunActivity(Protocol):
    """Executes an activity of the run."""

    async def __call__(
        self, name: ActivityName, message: BaseModel, result: type[ResultT], limits: ActivityLimits, summary: str, /
    ) -> ResultT:
        """Its answer."""


class Queue:
    """Opens a run once it has its slot. Every wait is a durable timer, and most questions are short ones.

    A question by `begin_run` repeats the selection in the history, six kilobytes of the whole catalog; a question by
    `renew_lease` is 1.4 kilobytes with its timer.
    """

    def __init__(
        self, run: Run, place: QueuePlace | None, activity: RunActivity, on_wait: Callable[[str], None]
    ) -> None:
        self.place = place
        self._run = run
        self._activity = activity
        self._on_wait = on_wait

    async def open(self) -> BeginRunResult | None:
        """What the run begins with; None if the run is to continue as new first, and keep its place.

        Raises `ApplicationError`: `concurrency_limit` after the patience, `run_abandoned` if the record is closed.
        """
        while True:
            begun = await self._activity(
                ActivityName.BEGIN_RUN, self._run, BeginRunResult, policies.DATABASE, "open the run"
            )
            if begun.opening == RunStatus.RUNNING:
                return begun
            if begun.opening == "ended":
                raise ApplicationError("the record was closed meanwhile", type=ErrorCode.RUN_ABANDONED)
            ahead: int | None = begun.ahead
            while ahead is not None:
                heed_cancellation()
                wait = self._wait(begun, ahead)
                if begun.policy.keeps_place and workflow.info().is_continue_as_new_suggested():
                    return None
                await workflow.sleep(wait, summary=begun.opening)
                keeps_place = begun.policy.keeps_place and begun.opening == WAITING_FOR_SLOT
                ahead = await self._keep_place() if keeps_place else None

    def _wait(self, begun: BeginRunResult, ahead: int) -> timedelta:
        """How long to wait with so many runs ahead. Raises `ApplicationError` once the patience is used up."""
        now, random = workflow.now(), workflow.random()
        place = self.place or QueuePlace(since=now, ahead=ahead, unmoved_since=now)
        self.place = place = place.told(ahead, now)
        left = begun.policy.queue_patience - (now - place.since)
        if left <= timedelta(0):
            raise ApplicationError("no slot came free", type=ErrorCode.CONCURRENCY_LIMIT)
        self._on_wait(f"{begun.opening}, {ahead} ahead" if ahead else begun.opening)
        if not begun.policy.keeps_place:
            return policies.QUEUE_POLL * (0.5 + random.random())
        return min(left, place.gap(now, random))

    async def _keep_place(self) -> int | None:
        """How many runs are ahead; None once `begin_run` is to be asked for the slot."""
        keep = RenewLease(tenant_id=self._run.tenant_id, run_id=self._run.run_id, queued=True)
        kept = await self._activity(
            ActivityName.RENEW_LEASE, keep, RenewLeaseResult, policies.DATABASE, "keep the place in the queue"
        )
        return kept.ahead
