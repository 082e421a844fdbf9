"""What a worker puts around every activity."""

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest
from temporalio.exceptions import ApplicationError
from temporalio.testing import ActivityEnvironment

from activities import definitions
from activities.interceptor import RETRIES_EVERYTHING
from inventory.error_codes import ErrorCode
from tests.activities.intercepted import intercepted


async def test_the_worker_beats_until_the_activity_has_ended() -> None:
    beats = asyncio.Semaphore(0)
    environment = ActivityEnvironment()
    environment.info = replace(environment.info, heartbeat_timeout=timedelta(milliseconds=50))
    environment.on_heartbeat = lambda *_: beats.release()

    async def works() -> str:
        for _ in range(3):
            await beats.acquire()
        return "done"

    before = asyncio.all_tasks()
    assert await intercepted(environment, works) == "done"
    assert asyncio.all_tasks() == before, "nothing goes on beating"


@pytest.mark.parametrize("name", ["fetch_pages", *RETRIES_EVERYTHING])
async def test_a_defect_ends_every_activity_but_the_one_that_closes_the_record(name: str) -> None:
    assert hasattr(definitions, name)
    environment = ActivityEnvironment()
    environment.info = replace(environment.info, attempt=1000)

    async def breaks() -> None:
        raise KeyError("defect")

    breaks.__name__ = name
    with pytest.raises(ApplicationError) as failed:
        await intercepted(environment, breaks)
    assert failed.value.type == ErrorCode.UNEXPECTED_ERROR
    assert failed.value.non_retryable == (name not in RETRIES_EVERYTHING)
