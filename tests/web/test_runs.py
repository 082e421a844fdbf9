"""Runs on the web page: lists, a live run, start and cancellation through a real Temporal."""

import asyncio
import hashlib
import socket
from collections.abc import AsyncIterator
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from fastapi import FastAPI
from sqlalchemy import text
from temporalio import workflow
from temporalio.client import Client
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.service import RPCError
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from answers.runs import routes
from connections import UnreachableError
from control import live_runs as looks_at_runs
from control import queued_runs
from control.live_runs import LiveRuns
from control.queued_runs import QueuedRuns
from inventory.error_codes import EXPLANATIONS, ErrorCode
from inventory.outcomes import CollectionResult, Counts, Outcome, RunStatus
from inventory.people import Person, Role
from inventory.records import RunRecord
from inventory.selection import Selection
from local.temporal import EmbeddedTemporal
from storage.database import Database
from storage.runs import open_run
from tests.deadlines import DEADLINE_SECONDS, until_async
from tests.storage.support import SLOTS, begin, end, identity, land, observation, sync
from tests.web.asgi_stream import streamed
from tests.web.page_text import rows_of, text_of
from tests.web.support import CONTOSO, FABRIKAM, LOCATIONS, POLICIES, json_of, page_beside, signed_in_as, words_of
from web import live
from web.application import STATIC
from web.temporal import TemporalAccess
from workflows.messages import SyncInput, SyncProgress
from workflows.requests import CancelRequest, sync_workflow_id

Clients = dict[Role, httpx.AsyncClient]

VENDORED = {
    "htmx-4.0.1.min.js": "a0abb04f2f45a1f89d1d4844023245537e5e6014c87b144553e0607b4cc32130",
    "hx-sse-4.0.1.min.js": "18ef2761356ec1fe0bb6d92612315b37517a7c1e9856b661c5ae81fef239d103",
    "LICENSE-htmx.txt": "d3d2456f76414f2456104660ebd65aff1c04cd7966b942bdabd63f3cdb316a38",
}
"""SHA-256 of the files in the npm package of htmx.org 4.0.1."""

NOWHERE = {"target_host": "127.0.0.1:1"}


def form(**fields: str | list[str]) -> dict[str, str | list[str]]:
    return {"request_id": str(uuid4()), "reads": "some", "type": [POLICIES, LOCATIONS], **fields}


@workflow.defn(name="SyncWorkflow")
class StandIn:
    """A run that has read one of two collections and records cancel requests until its end signal."""

    def __init__(self) -> None:
        self.requests: list[CancelRequest] = []
        self.is_over = False

    @workflow.run
    async def run(self, _: SyncInput) -> list[CancelRequest]:
        await workflow.wait_condition(lambda: self.is_over)
        return self.requests

    @workflow.signal
    def cancel(self, request: CancelRequest) -> None:
        self.requests.append(request)

    @workflow.signal
    def end(self) -> None:
        self.is_over = True

    @workflow.query
    def progress(self) -> SyncProgress:
        return SyncProgress(
            status=RunStatus.RUNNING,
            counts=Counts(observed=7, created=7),
            collections={
                POLICIES: CollectionResult(outcome=Outcome.COMPLETE, pages=1, items=7),
                LOCATIONS: CollectionResult(),
            },
        )


@pytest.fixture
def app(
    database: Database, database_url: str, tenants_file: Path, queue: str, request: pytest.FixtureRequest
) -> FastAPI:
    """The page, with a Temporal only if the test uses its client."""
    address = NOWHERE["target_host"]
    if "client" in request.fixturenames:
        server: EmbeddedTemporal = request.getfixturevalue("temporal")
        address = server.address
    return page_beside(address, database, database_url, tenants_file, queue)


@pytest.fixture
async def client(temporal: EmbeddedTemporal) -> AsyncIterator[Client]:
    """A client of the page's Temporal; terminates the run that a test leaves."""
    client = await Client.connect(temporal.address, data_converter=pydantic_data_converter)
    yield client
    with suppress(RPCError):
        await client.get_workflow_handle(
            sync_workflow_id(CONTOSO, Selection(type_keys=(POLICIES, LOCATIONS)))
        ).terminate()


@pytest.fixture
async def started(client: Client, clients: Clients) -> str:
    """The page of a run that an operator has started."""
    answer = await clients[Role.OPERATOR].post(f"/tenants/{CONTOSO}/sync", data=form(reason="a ticket"))
    assert answer.status_code == 303, answer.text
    return answer.headers["location"]


async def audit_records(database: Database) -> list[tuple[Any, ...]]:
    async with database.tenant(CONTOSO) as session:
        found = await session.execute(
            text("SELECT person, action, subject, reason FROM audit_record WHERE tenant_id IS NOT NULL ORDER BY at")
        )
        return [tuple(row) for row in found]


def test_vendored_scripts_match_their_published_hashes() -> None:
    folder = STATIC / "vendor"
    assert {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.iterdir()} == VENDORED


async def test_run_without_worker_is_queued_and_its_page_gives_the_reason(
    database: Database, clients: Clients, started: str, queue: str
) -> None:
    operator = clients[Role.OPERATOR]
    page = await words_of(operator, started)
    assert "queued" in page
    assert f"No worker is polling task queue &#39;{queue}&#39;; start one: python worker.py" in page
    record = await json_of(operator, f"/api{started}")
    assert record["selection"]["type_keys"] == [POLICIES, LOCATIONS]
    assert await audit_records(database) == [("the operator", "sync_requested", f"{POLICIES}, {LOCATIONS}", "a ticket")]
    assert "No worker is polling" in await words_of(operator, f"/tenants/{CONTOSO}/sync")
    chosen = (await words_of(operator, f"/tenants/{CONTOSO}/sync?like={record['run_id']}")).split("<label>")
    assert [part.partition('value="')[2].partition('"')[0] for part in chosen if " checked" in part] == [
        "some", POLICIES, LOCATIONS
    ]  # fmt: skip
    await words_of(operator, started.replace(str(CONTOSO), str(FABRIKAM)), 404)


async def test_lists_show_a_queued_run_without_worker(
    app: FastAPI, database: Database, clients: Clients, started: str
) -> None:
    reader, row = clients[Role.READER], f'<a href="{started}">'
    for address in ("/runs", f"/tenants/{CONTOSO}/runs", "/runs?status=queued"):
        await until_async(partial(_says, reader, address, row))
        page = await words_of(reader, address)
        assert "The newest 1 run" in page
        assert "Temporal does not answer" not in page
        assert await listed_ids(reader, address) == [started.rpartition("/")[2]] * 2
    for address in (f"/tenants/{FABRIKAM}/runs", "/runs?status=partial", "/runs?kind=watch"):
        assert row not in await words_of(reader, address)
        assert await listed_ids(reader, address) == []
    async with signed_in_as(app, database, Person(person_id="x", name="x", role=Role.READER), [FABRIKAM]) as other:
        assert row not in await words_of(other, "/runs")
        assert await listed_ids(other, "/runs") == []
    record = await json_of(reader, f"/api{started}")
    async with database.tenant(CONTOSO) as session:
        await open_run(session, identity(POLICIES, run_id=UUID(record["run_id"])), SLOTS)
    assert (await words_of(reader, "/runs")).count(row) == 1, "its record and Temporal's entry are one row"
    assert await listed_ids(reader, "/runs") == [record["run_id"]] * 2


async def listed_ids(client: httpx.AsyncClient, address: str) -> list[str]:
    """The ids in a list's JSON and in its file; checks that both know all queued runs."""
    path, _, query = address.partition("?")
    records, file = await client.get(f"/api{address}"), await client.get(f"{path}.csv?{query}")
    assert [answer.headers.get("queued-runs") for answer in (records, file)] == [None, None]
    rows = file.text.splitlines()[1:]
    return [record["run_id"] for record in records.json()] + [row.partition(",")[0] for row in rows]


async def test_lists_say_that_queued_runs_are_unknown_without_temporal(database: Database, clients: Clients) -> None:
    run = await begin(database, CONTOSO, POLICIES)
    for address in ("/runs", f"/tenants/{CONTOSO}/runs"):
        page = await words_of(clients[Role.READER], address)
        assert "Temporal does not answer, so queued runs that no worker has taken up are not shown" in page
        assert str(run.run_id) in page
        for twin in (f"/api{address}", f"{address}.csv"):
            answer = await clients[Role.READER].get(twin)
            assert (answer.headers["queued-runs"], str(run.run_id) in answer.text) == ("unknown", True)
    assert "Temporal" not in await words_of(clients[Role.READER], "/runs?status=partial")
    assert await listed_ids(clients[Role.READER], "/runs?status=partial") == []


async def test_lists_wait_briefly_for_temporal_and_use_its_late_answer(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queued_runs, "PAGE_WAITS_SECONDS", 0.0)
    count, may_answer = 0, asyncio.Event()

    async def unrecorded(*_: object, **__: object) -> list[RunRecord]:
        nonlocal count
        count += 1
        await may_answer.wait()
        return []

    monkeypatch.setattr(queued_runs, "unrecorded_runs", unrecorded)
    looks = QueuedRuns(database, TemporalAccess(lambda: NOWHERE).client, "queue")
    assert await asyncio.gather(*(looks.look(5) for _ in range(200))) == [None] * 200
    may_answer.set()
    monkeypatch.setattr(queued_runs, "PAGE_WAITS_SECONDS", DEADLINE_SECONDS)
    assert await looks.look(5) == []
    assert count == 1


async def test_page_shows_workflow_progress_and_sends_one_cancellation(
    database: Database, clients: Clients, started: str, queue: str, client: Client
) -> None:
    operator = clients[Role.OPERATOR]
    record = await json_of(operator, f"/api{started}")
    handle = client.get_workflow_handle(record["workflow_id"])
    async with Worker(client, task_queue=queue, workflows=[StandIn], workflow_runner=UnsandboxedWorkflowRunner()):
        await until_async(lambda: _says(operator, started, "1 of 2 collections ended"))
        page = await words_of(operator, started)
        assert "7 items: 7 created" in page
        assert "not ended" in page
        assert f'action="{started}/cancel"' in page
        sent = {"request_id": str(uuid4()), "reason": "wrong tenant"}
        assert (await operator.post(f"{started}/cancel", data=sent)).status_code == 400, "not confirmed"
        sent["confirmed"] = "yes"
        for _ in range(2):
            assert (await operator.post(f"{started}/cancel", data=sent)).headers["location"] == started
        await handle.signal("end")
        (request,) = await handle.result()
    assert (request["reason"], request["requested_by"], request["run_id"]) == (
        "wrong tenant",
        "the operator",
        record["run_id"],
    )
    assert [entry[1] for entry in await audit_records(database)] == ["sync_requested", "sync_cancelled"]


async def _says(client: httpx.AsyncClient, address: str, words: str) -> bool:
    return words in (await client.get(address)).text


async def test_second_form_joins_the_run_and_repeated_form_does_nothing(
    database: Database, clients: Clients, client: Client
) -> None:
    operator = clients[Role.OPERATOR]
    sent = form(deep="true")
    first = (await operator.post(f"/tenants/{CONTOSO}/sync", data=sent)).headers["location"]
    again = (await operator.post(f"/tenants/{CONTOSO}/sync", data=sent)).headers["location"]
    other = (await operator.post(f"/tenants/{CONTOSO}/sync", data=form())).headers["location"]
    assert (again, other) == (f"/tenants/{CONTOSO}/runs", first)
    assert [entry[1] for entry in await audit_records(database)] == ["deep_read_requested", "sync_requested"]
    record = await json_of(operator, f"/api{first}")
    events = [event async for event in client.get_workflow_handle(record["workflow_id"]).fetch_history_events()]
    payloads = events[0].workflow_execution_started_event_attributes.input.payloads
    (sync_input,) = await client.data_converter.decode(payloads, [SyncInput])
    assert (sync_input.deep, sync_input.tenant_id) == (True, CONTOSO)


async def test_start_without_temporal_is_recorded_as_not_done(database: Database, clients: Clients) -> None:
    operator = clients[Role.OPERATOR]
    answer = await operator.post(f"/tenants/{CONTOSO}/sync", data=form())
    assert answer.status_code == 503
    assert "Temporal does not answer at 127.0.0.1:1" in answer.text
    subjects = [entry[2] for entry in await audit_records(database)]
    assert subjects[0] == f"{POLICIES}, {LOCATIONS}"
    assert subjects[1].startswith(f"not done: {POLICIES}, {LOCATIONS} (Temporal does not answer")
    assert "Temporal does not answer" in await words_of(operator, f"/tenants/{CONTOSO}/sync")


async def test_requests_after_a_silent_temporal_fail_at_once() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        access = TemporalAccess(lambda: {"target_host": f"127.0.0.1:{silent.getsockname()[1]}"})
        first = asyncio.ensure_future(access.client())
        await asyncio.sleep(0)
        first.cancel()
        with pytest.raises(asyncio.CancelledError):
            await first
        with pytest.raises(UnreachableError, match="does not answer"):
            await access.client()


async def test_readers_may_not_start_or_cancel_runs(database: Database, clients: Clients) -> None:
    run = await begin(database, CONTOSO, POLICIES)
    address = f"/tenants/{CONTOSO}/runs/{run.run_id}"
    for role, client in clients.items():
        may = role.includes(Role.OPERATOR)
        assert (await client.get(f"/tenants/{CONTOSO}/sync")).status_code == (200 if may else 403)
        assert ("Cancel this run" in await words_of(client, address)) is may
        assert ("Start a run" in await words_of(client, f"/tenants/{CONTOSO}/runs")) is may
    for path in (f"/tenants/{CONTOSO}/sync", f"{address}/cancel"):
        assert (await clients[Role.READER].post(path, data=form())).status_code == 403
    assert await audit_records(database) == []


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"type": []}, "at least one collection"),
        ({"type": ["conditionalAccessPolicy"]}, "did you mean"),
        ({"category": "no-such"}, "category &#39;no-such&#39;"),
        ({"reason": "a\nb"}, "control character"),
    ],
)
async def test_invalid_form_starts_no_run(
    database: Database, clients: Clients, fields: dict[str, Any], words: str
) -> None:
    answer = await clients[Role.OPERATOR].post(f"/tenants/{CONTOSO}/sync", data=form(**fields))
    assert answer.status_code == 400
    assert words in answer.text
    assert await audit_records(database) == []


@pytest.fixture
def short_look_timeout(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(routes, "LOOK_SECONDS", 0.02)


@pytest.mark.usefixtures("short_look_timeout")
async def test_live_page_follows_the_run_to_its_end(app: FastAPI, database: Database, clients: Clients) -> None:
    run = await begin(database, CONTOSO, POLICIES)
    address = f"/tenants/{CONTOSO}/runs/{run.run_id}"
    reader = clients[Role.READER]
    page = await words_of(reader, address)
    assert f'hx-sse:connect="{address}/live"' in page
    assert f'<a href="{address}">load it again</a>' in page, "without script"
    assert "incomplete" not in page, "a collection of an open run has no outcome yet"
    async with streamed(app, reader, f"{address}/live") as stream:
        assert await stream.status() == 200
        assert "0 items" in (await stream.event() or "")
        await land(database, CONTOSO, run, [observation(POLICIES, "p1")])
        assert "1 item: 1 created" in (await stream.event() or "")
        await end(database, CONTOSO, run)
        last = await stream.event() or ""
        assert "success" in last
        assert '<div id="live" hx-swap-oob="delete">' in last, "the page stops its updates"
        assert await stream.event() is None
    assert "hx-sse" not in await words_of(reader, address)
    await words_of(reader, f"/tenants/{FABRIKAM}/runs/{run.run_id}/live", 404)


@pytest.mark.usefixtures("short_look_timeout")
async def test_stream_ends_after_its_time_limit_and_when_the_browser_leaves(
    app: FastAPI, database: Database, clients: Clients, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = await begin(database, CONTOSO, POLICIES)
    address = f"/tenants/{CONTOSO}/runs/{run.run_id}/live"
    async with streamed(app, clients[Role.READER], address) as stream:
        assert await stream.status() == 200
        assert await stream.event()
    monkeypatch.setattr(live, "STREAM_SECONDS", 0.0)
    async with streamed(app, clients[Role.READER], address) as stream:
        assert await stream.status() == 200
        assert await stream.event()
        assert await stream.event() is None


async def test_silent_worker_is_queried_once(
    database: Database, clients: Clients, started: str, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_id = UUID(started.rpartition("/")[2])
    queries = 0

    async def frozen(*_: object) -> str:
        nonlocal queries
        queries += 1
        await asyncio.sleep(0.02)
        return "no worker answers"

    monkeypatch.setattr(looks_at_runs, "run_progress", frozen)
    monkeypatch.setattr(looks_at_runs, "PAGE_WAITS_SECONDS", 0.01)
    monkeypatch.setattr(looks_at_runs, "SILENCE_SECONDS", DEADLINE_SECONDS)
    async with database.tenant(CONTOSO) as session:
        await open_run(session, identity(POLICIES, run_id=run_id), SLOTS)

    async def connect() -> Client:
        return client

    live_runs = LiveRuns(database, connect, "queue")
    assert [(await live_runs.look(CONTOSO, run_id)).trouble for _ in range(3)] == ["no worker answers"] * 3
    assert queries == 1


async def test_runs_are_paginated_and_filtered_by_status(database: Database, clients: Clients) -> None:
    reader = clients[Role.READER]
    expected_ids: set[UUID] = set()
    for number in range(routes.PAGE + 3):
        tenant_id = CONTOSO if number % 2 else FABRIKAM
        run = await begin(database, tenant_id, POLICIES)
        expected_ids.add(run.run_id)
        await end(database, tenant_id, run, RunStatus.PARTIAL if number < 2 else RunStatus.SUCCESS)
    listed: list[str] = []
    address: str | None = "/runs"
    while address is not None:
        page = await words_of(reader, address)
        listed += [part.partition('"')[0] for part in page.split("/runs/")[1:]]
        follows = page.partition('rel="next" href="')[2].partition('"')[0].replace("&amp;", "&")
        address = f"/runs{follows}" if follows else None
    assert (len(listed), set(listed)) == (len(expected_ids), {str(run_id) for run_id in expected_ids})
    assert (await words_of(reader, "/runs?status=partial")).count("/runs/") == 2
    partial = await json_of(reader, "/api/runs?status=partial")
    records = await json_of(reader, "/api/runs?limit=3")
    after = records[1]["run_id"]
    (third,) = (await reader.get("/api/runs", params={"limit": 1, "after": after})).json()
    assert third == records[2]
    link = (await reader.get("/api/runs?limit=2&status=success")).headers["link"]
    assert link == f'</api/runs?limit=2&status=success&after={records[1]["run_id"]}>; rel="next"'
    lines = (await reader.get("/runs.csv?status=partial")).text.splitlines()
    assert [line.partition(",")[0] for line in lines] == ["run_id", *(record["run_id"] for record in partial)]
    of_contoso = await json_of(reader, f"/api/tenants/{CONTOSO}/runs?limit=1000")
    assert {record["tenant_id"] for record in of_contoso} == {str(CONTOSO)}


async def test_run_page_shows_failed_collection_and_links_to_changes(database: Database, clients: Clients) -> None:
    await sync(
        database,
        CONTOSO,
        [],
        POLICIES,
        status=RunStatus.FAILED,
        outcomes={POLICIES: (Outcome.FAILED, ErrorCode.GRAPH_THROTTLED)},
    )
    (record,) = await json_of(clients[Role.READER], f"/api/tenants/{CONTOSO}/runs")
    page = await words_of(clients[Role.READER], f"/tenants/{CONTOSO}/runs/{record['run_id']}")
    assert rows_of(page) == ["Conditional Access policies ✕ failed 0 0 graph_throttled"]
    assert f"graph_throttled {' '.join(EXPLANATIONS[ErrorCode.GRAPH_THROTTLED])}" in text_of(page)
    assert f"/tenants/{CONTOSO}/changes?run={record['run_id']}" in page


async def test_run_page_sorts_collections_by_the_titles_that_it_shows(database: Database, clients: Clients) -> None:
    await sync(database, CONTOSO, [], "administrativeUnits", "directoryRoles")
    (record,) = await json_of(clients[Role.READER], f"/api/tenants/{CONTOSO}/runs")
    page = await words_of(clients[Role.READER], f"/tenants/{CONTOSO}/runs/{record['run_id']}")
    assert [row.partition(" ✓")[0] for row in rows_of(page)] == ["Activated directory roles", "Administrative units"]
