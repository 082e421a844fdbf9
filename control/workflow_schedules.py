"""Schedules in Temporal that start one type of workflow on one task queue."""

from collections.abc import Callable
from typing import Generic, TypeVar

from pydantic import BaseModel
from temporalio.client import (
    Client,
    Schedule,
    ScheduleActionStartWorkflow,
    ScheduleAlreadyRunningError,
    ScheduleDescription,
    ScheduleState,
    ScheduleUpdate,
    ScheduleUpdateInput,
)
from temporalio.exceptions import ApplicationError

from activities.holders import Kind, held
from control.errors import RequestError
from payload_codec import PayloadKeyError
from temporal_errors import if_there

InputT = TypeVar("InputT", bound=BaseModel)


class WorkflowSchedules(Generic[InputT]):
    """Methods raise `RequestError` for a schedule that starts anything else."""

    def __init__(self, client: Client, kind: Kind, input_type: type[InputT]) -> None:
        self._client = client
        self._task_queue = kind.task_queue
        self._kind = kind
        self._input_type = input_type

    async def _put(
        self, schedule_id: str, schedule: Schedule, new_state: Callable[[ScheduleState], ScheduleState], *, is_due: bool
    ) -> bool:
        """Creates the schedule, started at once if `is_due`, or changes it; True if it is new."""

        def changed(there: ScheduleUpdateInput) -> ScheduleUpdate:
            self._refuse_other(there.description)
            schedule.state = new_state(there.description.schedule.state)
            return ScheduleUpdate(schedule)

        try:
            await self._client.create_schedule(schedule_id, schedule, trigger_immediately=is_due)
        except ScheduleAlreadyRunningError:
            await self._client.get_schedule_handle(schedule_id).update(changed)
            return False
        return True

    async def _described(self, schedule_id: str) -> ScheduleDescription | None:
        description = await if_there(self._client.get_schedule_handle(schedule_id).describe())
        if description is not None:
            self._refuse_other(description)
        return description

    async def _input(self, description: ScheduleDescription) -> InputT:
        action = description.schedule.action
        args = action.args if isinstance(action, ScheduleActionStartWorkflow) else []
        try:
            schedule_input: InputT
            (schedule_input,) = await description.data_converter.decode(args, [self._input_type])
        except PayloadKeyError:
            raise
        except (ApplicationError, RuntimeError, ValueError):
            raise RequestError(f"schedule {description.id}: its input is not valid") from None
        return schedule_input

    def _refuse_other(self, there: ScheduleDescription) -> None:
        if (holder := Kind.scheduled_by(there.schedule)) != self._kind:
            raise RequestError(held(f"schedule id {there.id}", self._client.namespace, holder, self._kind))
