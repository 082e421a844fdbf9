"""The interceptor around every activity of a worker."""

import asyncio
import json
import logging
from dataclasses import replace
from datetime import timedelta
from io import StringIO
from types import SimpleNamespace
from uuid import uuid4

import pytest
from temporalio.exceptions import ApplicationError
from temporalio.testing import ActivityEnvironment

from activities import definitions
from activities.interceptor import RETRIES_EVERYTHING
from inventory.error_codes import ErrorCode
from inventory.log_lines import JsonLine
from tests.activities.intercepted_activity import intercepted


async def test_the_worker_heartbeats_until_the_activity_ends() -> None:
    beats = asyncio.Semaphore(0)
    environment = ActivityEnvironment()
    environment.info = replace(environment.info, heartbeat_timeout=timedelta(milliseconds=50))
    environment.on_heartbeat = lambda *_: beats.release()

    async def succeed() -> str:
        for _ in range(3):
            await beats.acquire()
        return "done"

    before = asyncio.all_tasks()
    assert await intercepted(environment, succeed) == "done"
    assert asyncio.all_tasks() == before, "heartbeats end with the activity"


@pytest.mark.parametrize("name", ["fetch_pages", *RETRIES_EVERYTHING])
async def test_a_defect_ends_every_activity_except_those_that_retry_everything(name: str) -> None:
    assert hasattr(definitions, name)
    environment = ActivityEnvironment()
    environment.info = replace(environment.info, attempt=1000)

    async def fail() -> None:
        raise KeyError("defect")

    fail.__name__ = name
    with pytest.raises(ApplicationError) as failed:
        await intercepted(environment, fail)
    assert failed.value.type == ErrorCode.UNEXPECTED_ERROR
    assert failed.value.non_retryable == (name not in RETRIES_EVERYTHING)


async def test_every_log_record_names_the_activity_its_run_and_its_tenant() -> None:
    written = StringIO()
    handler = logging.StreamHandler(written)
    handler.setFormatter(JsonLine())
    logger = logging.getLogger("a_library")
    logger.propagate = False
    logger.handlers = [handler]
    tenant_id, run_id = uuid4(), uuid4()

    async def warns(message: object) -> None:
        logger.warning("look")

    for message in (
        SimpleNamespace(tenant_id=tenant_id, run_id=run_id),
        SimpleNamespace(run=SimpleNamespace(tenant_id=tenant_id, run_id=run_id)),
    ):
        await intercepted(ActivityEnvironment(), warns, message)
    records = [json.loads(line) for line in written.getvalue().splitlines()]
    assert len(records) == 2
    for record in records:
        assert record["activity"] == "warns"
        assert (record["tenant_id"], record["run_id"]) == (str(tenant_id), str(run_id))
