"""Several batches of details, whose answers are merged together."""

from collections.abc import Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from itertools import chain, repeat
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from temporalio.testing import ActivityEnvironment

from activities import details
from activities.details import MERGED_TOGETHER
from activities.messages.details import FetchDetailsResult
from graph import client as graph_client
from local.simulated_graph import Fault, FaultKind, Kind, SimulatedGraph
from storage.database import Database
from tests.activities.test_damaged_pending_items import POLICIES, details_of, list_policies, versions
from tests.activities.test_unknown_collections import OlderWorker, older_worker

LIMIT = 2
PAUSE = timedelta(seconds=7)

Interrupt = Callable[[SimulatedGraph, OlderWorker, pytest.MonkeyPatch], object]
"""Interrupts the second batch of a wave."""


def throttle(graph: SimulatedGraph, _worker: OlderWorker, _patch: pytest.MonkeyPatch) -> None:
    graph.faults.add(Fault(kind=FaultKind.THROTTLED, path="/settings", count=1))


def pause(_graph: SimulatedGraph, worker: OlderWorker, patch: pytest.MonkeyPatch) -> None:
    turn, waits = worker.detailing._pace.turn, chain([timedelta(0)], repeat(PAUSE))

    @asynccontextmanager
    async def paused(*named: Any) -> Any:
        async with turn(*named):
            yield next(waits)

    patch.setattr(worker.detailing._pace, "turn", paused)


def answer_too_much(graph: SimulatedGraph, _worker: OlderWorker, patch: pytest.MonkeyPatch) -> None:
    batches = iter(range(100))

    def limited(request: Any) -> None:
        if request.kind is Kind.BATCH and next(batches) == 1:
            patch.setattr(graph_client, "RESPONSE_LIMIT_BYTES", 10)

    graph.before_answer = limited


def answer_at_large(_graph: SimulatedGraph, _worker: OlderWorker, patch: pytest.MonkeyPatch) -> None:
    patch.setattr(graph_client, "LARGE_BYTES", 10)


def answer_slowly(_graph: SimulatedGraph, _worker: OlderWorker, patch: pytest.MonkeyPatch) -> None:
    patch.setattr(details, "TOGETHER_SECONDS", 0)


async def fetch(worker: OlderWorker, wave_token: Any) -> FetchDetailsResult:
    request = details_of(worker.run).model_copy(
        update={"limit": LIMIT, "batches": MERGED_TOGETHER, "wave_token": wave_token}
    )
    return await ActivityEnvironment().run(worker.detailing.fetch_details, request)


async def test_the_answers_of_several_batches_are_merged_together(
    graph: SimulatedGraph, database: Database, tmp_path: Path
) -> None:
    async with older_worker(graph, database, tmp_path, (POLICIES,)) as worker:
        rows = await list_policies(worker, database)
        earlier = len(graph.requests(Kind.BATCH))
        fetched = await fetch(worker, uuid4())
    assert fetched.requests == LIMIT * MERGED_TOGETHER
    assert len(graph.requests(Kind.BATCH)) - earlier == MERGED_TOGETHER
    progress = fetched.collections[POLICIES]
    assert progress.read + progress.left == rows
    assert progress.read == list((await versions(database, worker.run.tenant_id)).values()).count(1)


@pytest.mark.parametrize("interrupt", [throttle, pause, answer_too_much, answer_at_large, answer_slowly])
async def test_details_of_the_first_batch_are_kept_if_the_second_fails(
    graph: SimulatedGraph,
    database: Database,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    interrupt: Interrupt,
) -> None:
    async with older_worker(graph, database, tmp_path, (POLICIES,)) as worker:
        rows = await list_policies(worker, database)
        with monkeypatch.context() as patch:
            interrupt(graph, worker, patch)
            wave_token = uuid4()
            fetched = await fetch(worker, wave_token)
            assert (fetched.requests, fetched.paced, fetched.too_large) == (LIMIT, None, False)
            assert await fetch(worker, wave_token) == fetched, "a repeated attempt sends no request"
        graph.before_answer = None
        read = fetched.collections[POLICIES].read
        while (further := await fetch(worker, uuid4())).collections[POLICIES].left:
            read += further.collections[POLICIES].read
        read += further.collections[POLICIES].read
    assert read == rows
    assert set((await versions(database, worker.run.tenant_id)).values()) == {1}


async def test_an_item_that_is_gone_before_its_details_are_read_has_a_version_and_is_no_failure(
    graph: SimulatedGraph, database: Database, tmp_path: Path
) -> None:
    async with older_worker(graph, database, tmp_path, (POLICIES,)) as worker:
        rows = await list_policies(worker, database)
        key = next(iter(await versions(database, worker.run.tenant_id)))
        graph.tenants[0].remove("deviceManagement/configurationPolicies", key)
        fetched = [await fetch(worker, uuid4())]
        while fetched[-1].collections[POLICIES].left:
            fetched.append(await fetch(worker, uuid4()))
    progress = [part.collections[POLICIES] for part in fetched]
    assert sum(part.gone for part in progress) == 1
    assert sum(part.read for part in progress) == rows - 1
    assert [part.cause for part in progress if part.cause is not None] == []
    assert set((await versions(database, worker.run.tenant_id)).values()) == {1}
