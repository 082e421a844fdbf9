"""Two web processes on one database, as behind a proxy that uses both, share sessions, acts and access rules."""

from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, ExitStack
from pathlib import Path
from uuid import UUID, uuid4

import httpx
import pytest
from sqlalchemy import text
from temporalio.client import Client

from inventory.selection import Selection
from local.temporal import EmbeddedTemporal
from storage.database import Database
from storage.runs import open_run
from tests.deadlines import DEADLINE_SECONDS
from tests.storage.support import SLOTS, end, identity, land, observation
from tests.web.process import environment_of, forked
from tests.web.support import POLICIES
from web.sign_in import COOKIE
from workflows.requests import sync_workflow_id

TENANT = uuid4()
TENANT_NAME = "Contoso"


@pytest.fixture
def page_addresses(temporal: EmbeddedTemporal, database_url: str, tmp_path: Path) -> Iterator[list[dict[str, str]]]:
    """The addresses of both processes."""
    environment = environment_of(database_url, tmp_path, TENANT)
    environment |= {"TEMPORAL_ADDRESS": temporal.address, "TEMPORAL_TASK_QUEUE": f"queue-{TENANT}"}
    with ExitStack() as stack:
        processes = [stack.enter_context(forked(environment, tmp_path)) for _ in range(2)]
        yield [process.addresses() for process in processes]


@pytest.fixture
async def pages(page_addresses: list[dict[str, str]]) -> AsyncIterator[list[httpx.AsyncClient]]:
    """A browser at each process, both with the session of a person who signed in at the first process."""
    async with AsyncExitStack() as stack:
        clients = [
            await stack.enter_async_context(
                httpx.AsyncClient(
                    base_url=of_one["url"],
                    headers={"Origin": of_one["url"]},
                    timeout=DEADLINE_SECONDS,
                    trust_env=False,
                )
            )
            for of_one in page_addresses
        ]
        first, second = clients
        link = page_addresses[0]["sign_in_url"].partition("/sign-in/")[2]
        cookie = (await first.get(f"/sign-in/{link}")).headers["set-cookie"].partition(";")[0].partition("=")[2]
        assert (await second.get(f"/sign-in/{link}")).status_code == 403, "a link is used up at both"
        for client in clients:
            client.headers["Cookie"] = f"{COOKIE}={cookie}"
        yield clients


@pytest.mark.slow
async def test_acts_sessions_and_rules_hold_at_both_processes(
    pages: list[httpx.AsyncClient], database: Database, temporal: EmbeddedTemporal
) -> None:
    first, second = pages
    form = {"request_id": str(uuid4()), "reads": "some", "type": [POLICIES]}
    started = (await second.post(f"/tenants/{TENANT}/sync", data=form)).headers["location"]
    again = (await first.post(f"/tenants/{TENANT}/sync", data=form)).headers["location"]
    assert again == f"/tenants/{TENANT}/runs", "the same form acts once"
    async with database.tenant(TENANT) as session:
        acts = await session.execute(text("SELECT action FROM audit_record WHERE tenant_id IS NOT NULL"))
        assert list(acts.scalars()) == ["sync_requested"]
    run = identity(POLICIES, run_id=UUID(started.rpartition("/")[2]))
    async with first.stream("GET", f"{started}/live") as stream:
        parts = stream.aiter_text()
        streamed = await anext(parts)
        assert "queued" in streamed
        async with database.tenant(TENANT) as session:
            await open_run(session, run, SLOTS)
        await land(database, TENANT, run, [observation(POLICIES, "p1")])
        while "1 item: 1 created" not in streamed:
            streamed += await anext(parts)
        await end(database, TENANT, run)
        while "success" not in streamed:
            streamed += await anext(parts)
    client = await Client.connect(temporal.address)
    await client.get_workflow_handle(sync_workflow_id(TENANT, Selection(type_keys=(POLICIES,)))).terminate()

    assert TENANT_NAME in (await second.get("/")).text
    excluded = {"who": "admin", "what": "all", "is_excluded": "true", "reason": "a test", "confirmed": "yes"}
    answer = await first.post("/access", data={"request_id": str(uuid4()), **excluded})
    assert answer.status_code == 303, answer.text
    assert TENANT_NAME not in (await second.get("/")).text
    assert (await second.post("/sign-out")).status_code == 200
    assert [(await page.get("/")).status_code for page in pages] == [401, 401]
