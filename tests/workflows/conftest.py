import sysconfig
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest_asyncio
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.testing import TimeSkippingConfig, WorkflowEnvironment

from tests.deadlines import DEADLINE
from workflows.search_attributes import ALL

SKIPPING = {
    "frontend.WorkflowTimeSkippingEnabled": "true",
    # A timer fires up to this much late, and a test has many timers. The default is a second.
    "history.timerProcessorMaxTimeShift": '"10ms"',
}

SKIPS = TimeSkippingConfig(max_session_skip_count=10_000)
"""After this many skips, a run really waits."""


def server(**dynamic_config: str) -> dict[str, Any]:
    """The arguments of a dev server with these settings."""
    return {
        "data_converter": pydantic_data_converter,
        "dev_server_existing_path": str(Path(sysconfig.get_path("scripts")) / "temporal"),
        "dev_server_extra_args": [
            argument
            for key, value in dynamic_config.items()
            for argument in ("--dynamic-config-value", f"{key}={value}")
        ],
        "dev_server_startup_timeout": DEADLINE,
        "search_attributes": ALL,
    }


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def time_skipping() -> AsyncIterator[WorkflowEnvironment]:
    """The dev server with time skipping: each workflow has a clock of its own, which jumps from timer to timer."""
    async with await WorkflowEnvironment.start_time_skipping_v2(ts_config=SKIPS, **server(**SKIPPING)) as environment:
        yield environment


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def short_history() -> AsyncIterator[WorkflowEnvironment]:
    """A dev server that suggests to continue as new after sixty events."""
    settings = {"limit.historyCount.suggestContinueAsNew": "60"}
    async with await WorkflowEnvironment.start_local(**server(**settings)) as environment:
        yield environment


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def time_skipping_short_history() -> AsyncIterator[WorkflowEnvironment]:
    """A dev server with time skipping that suggests to continue as new after sixty events.

    When a run continues as new, the server may skip the time skipped so far again. Add timers up instead.
    """
    settings = {**SKIPPING, "limit.historyCount.suggestContinueAsNew": "60"}
    async with await WorkflowEnvironment.start_time_skipping_v2(ts_config=SKIPS, **server(**settings)) as environment:
        yield environment
