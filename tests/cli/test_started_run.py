from types import SimpleNamespace
from typing import Any
from uuid import uuid4

import pytest
from pydantic import SecretStr

from cli import started_run
from configuration import Settings
from control.runs import StartedRun
from inventory.outcomes import RunStatus
from storage import queries
from storage.database import Database
from tests.storage.support import begin, end
from workflows.requests import SyncRequest


async def test_the_record_is_first_read_while_the_run_is_under_way(
    database: Database, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So that the second read, after the run's end, needs no new connection."""
    tenant_id, events = uuid4(), list[str]()
    opened = await begin(database, tenant_id, "groups")

    async def run_record(*arguments: Any) -> Any:
        events.append("read")
        return await queries.run_record(*arguments)

    async def result() -> None:
        await end(database, tenant_id, opened)
        events.append("ended")

    handle: Any = SimpleNamespace(result=result)
    client: Any = None
    monkeypatch.setattr(started_run, "queries", SimpleNamespace(run_record=run_record))
    record = await started_run.followed(
        Settings(database_url=SecretStr(database_url)),
        client,
        StartedRun(opened.run_id, opened.workflow_id, joined=False, handle=handle),
        SyncRequest(tenant_id=tenant_id, selection=opened.selection),
        "Contoso",
        wait=True,
        quiet=True,
    )
    assert events == ["read", "ended"]
    assert record.status is RunStatus.SUCCESS
