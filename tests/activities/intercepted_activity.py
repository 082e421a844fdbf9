"""An activity as a worker runs it: with the interceptor around it."""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any, TypeVar, cast

from temporalio.testing import ActivityEnvironment
from temporalio.worker import ActivityInboundInterceptor, ExecuteActivityInput

from activities.interceptor import ActivityInterceptor

ResultT = TypeVar("ResultT")


class _Innermost(ActivityInboundInterceptor):
    async def execute_activity(self, input: ExecuteActivityInput) -> Any:  # noqa: A002 - the SDK's name
        return await input.fn(*input.args)


async def intercepted(
    environment: ActivityEnvironment, method: Callable[..., Awaitable[ResultT]], *arguments: object
) -> ResultT:
    """The activity's result. Raises the exception that Temporal would get."""
    environment.info = replace(environment.info, activity_type=method.__name__)
    outermost = ActivityInterceptor().intercept_activity(_Innermost(cast("ActivityInboundInterceptor", None)))
    activity_input = ExecuteActivityInput(fn=method, args=arguments, executor=None, headers={})
    answer: ResultT = await environment.run(outermost.execute_activity, activity_input)
    return answer
