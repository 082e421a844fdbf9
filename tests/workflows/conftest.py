import sysconfig
from collections.abc import AsyncIterator
from pathlib import Path

import pytest_asyncio
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.testing import WorkflowEnvironment

from tests.patience import PATIENCE
from workflows.search_attributes import ALL


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def skipping() -> AsyncIterator[WorkflowEnvironment]:
    """The dev server with time skipping: each workflow has a clock of its own, which jumps from timer to timer."""
    environment = await WorkflowEnvironment.start_time_skipping_v2(
        data_converter=pydantic_data_converter,
        dev_server_existing_path=str(Path(sysconfig.get_path("scripts")) / "temporal"),
        dev_server_extra_args=["--dynamic-config-value", "frontend.WorkflowTimeSkippingEnabled=true"],
        dev_server_startup_timeout=PATIENCE,
        search_attributes=ALL,
    )
    async with environment:
        yield environment


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def short() -> AsyncIterator[WorkflowEnvironment]:
    """A dev server that suggests to continue as new after sixty events."""
    environment = await WorkflowEnvironment.start_local(
        data_converter=pydantic_data_converter,
        dev_server_existing_path=str(Path(sysconfig.get_path("scripts")) / "temporal"),
        dev_server_extra_args=["--dynamic-config-value", "limit.historyCount.suggestContinueAsNew=60"],
        dev_server_startup_timeout=PATIENCE,
        search_attributes=ALL,
    )
    async with environment:
        yield environment
