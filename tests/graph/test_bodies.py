"""Small answers that expand to much data: unpacking and parsing are bounded."""

import asyncio
import gzip
import json
import threading
import tracemalloc
import zlib
from collections.abc import Awaitable, Callable, Iterator, Mapping
from functools import partial
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from graph import bodies, client
from graph.bodies import CUT_DEPTH, MOST_CONTAINERS, MOST_NUMBERS, MOST_VALUES, cut_deep, parse
from graph.client import GraphAnswer, GraphClient
from graph.cpu_executor import THREADS, crunch
from graph.errors import AnswerTooLargeError, GraphRequestError
from graph.tenants import TenantConfig
from inventory.error_codes import ErrorCode
from local.simulated_graph import Answer, GraphRequest, Kind, SimulatedGraph
from tests.deadlines import DEADLINE_SECONDS
from tests.graph.clients import GROUPS

zipped = partial(gzip.compress, mtime=0)
"""Without a time, so that the ids of tests, which contain the bytes, stay the same."""

ANSWER = b'{"responses": [{"id": "0", "status": 200, "body": {"value": []}}]}'
LONG_NUMBER = b"12345678901234567890"
"""The fast parser would lose a digit of it, so the text is parsed number by number."""

Reading = Callable[[], Awaitable[Mapping[str, GraphAnswer]]]


@pytest.fixture(scope="module")
def shared_graph() -> Iterator[SimulatedGraph]:
    with SimulatedGraph(tenants=1, items_per_collection=1) as graph:
        yield graph


@pytest.fixture
def reading(client: GraphClient, tenant: TenantConfig) -> Reading:
    """Reads one batch."""
    return lambda: client.read_batch(tenant, "v1.0", GROUPS)


def answer_with(graph: SimulatedGraph, body: bytes, coding: str | None) -> None:
    def answer(request: GraphRequest) -> Answer | None:
        if request.kind is not Kind.BATCH:
            return None
        assert request.headers["accept-encoding"] == "gzip"
        return Answer(200, body, {} if coding is None else {"Content-Encoding": coding})

    graph.before_answer = answer


@pytest.mark.parametrize(
    ("body", "coding"),
    [(ANSWER, None), (ANSWER, "identity"), (zipped(ANSWER), "gzip"), (zipped(ANSWER), "GZIP"), (b"", None)],
)
async def test_an_answer_comes_plain_or_as_gzip(
    graph: SimulatedGraph, reading: Reading, body: bytes, coding: str | None
) -> None:
    answer_with(graph, body, coding)
    if body:
        assert (await reading())["groups"].body == {"value": []}
    else:
        with pytest.raises(GraphRequestError, match="not JSON"):
            await reading()


@pytest.mark.parametrize(
    ("body", "coding"),
    [
        (zipped(zipped(ANSWER)), "gzip, gzip"),
        (zipped(zipped(ANSWER)), "gzip,gzip"),
        (zipped(ANSWER), "gzip, identity"),
        (zlib.compress(ANSWER), "deflate"),
        (ANSWER, "br"),
        (ANSWER, "zstd"),
        (ANSWER, "gzip"),
        (zipped(ANSWER)[:-9], "gzip"),
        (zipped(ANSWER) + b"x", "gzip"),
        (zipped(ANSWER) + zipped(ANSWER), "gzip"),
        (b"", "gzip"),
    ],
)
async def test_other_codings_and_broken_gzip_are_malformed(
    graph: SimulatedGraph, reading: Reading, body: bytes, coding: str
) -> None:
    answer_with(graph, body, coding)
    with pytest.raises(GraphRequestError, match="the answer") as failed:
        await reading()
    assert failed.value.code is ErrorCode.GRAPH_MALFORMED_RESPONSE


@pytest.mark.parametrize("times", [1, 2])
async def test_unpacking_stops_at_the_size_limit(
    graph: SimulatedGraph,
    reading: Reading,
    monkeypatch: pytest.MonkeyPatch,
    times: int,
) -> None:
    limit = 4 * bodies.PIECE_BYTES
    body = b"0" * 64 * limit
    for _ in range(times):
        body = zipped(body)
    monkeypatch.setattr(client, "RESPONSE_LIMIT_BYTES", limit)
    answer_with(graph, body, ", ".join(["gzip"] * times))
    tracemalloc.start()
    try:
        with pytest.raises(GraphRequestError) as failed:
            await reading()
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert isinstance(failed.value, AnswerTooLargeError) == (times == 1)
    assert failed.value.code is ErrorCode.GRAPH_MALFORMED_RESPONSE
    assert peak < 4 * limit


@pytest.mark.parametrize(
    "body",
    [
        b"[" * (MOST_CONTAINERS + 1),
        b"[" * (MOST_CONTAINERS + 1) + b"]" * (MOST_CONTAINERS + 1),
        b"[" + b"[]," * MOST_CONTAINERS + b"[]]",
        b'{"":[' * MOST_CONTAINERS + b"]}" * MOST_CONTAINERS,
        b'["' + b'a","' * MOST_VALUES + b'"]',
        b"[" + b"1," * MOST_NUMBERS + LONG_NUMBER + b"]",
        b"[" + b"1e1," * MOST_NUMBERS + LONG_NUMBER + b"]",
        b'["\\ud800",' + b"1.5," * MOST_NUMBERS + b"1]",
        b"[[" + b"1.5," * MOST_NUMBERS + b"1]," + b"[" * 2000 + b"]" * 2000 + b"]",
    ],
    ids=lambda text: text[:8].hex(),
)
def test_json_beyond_the_parsing_limits_is_too_large(body: bytes) -> None:
    with pytest.raises(AnswerTooLargeError):
        parse(body)


@pytest.mark.parametrize(
    "tail",
    [
        b'"' + b'\\"' * 2_000_000,
        b'"' * 4_000_001,
        b'"\\',
        b'"' + b"\\" * 4_000_001,
        b"x" * 4_000_000,
        b']"a"' * 500_000,
    ],
    ids=lambda text: text[:8].hex(),
)
def test_unterminated_text_is_scanned_once(tail: bytes) -> None:
    """A parser that starts again at each character takes days."""
    assert parse(b"[" * (2 * CUT_DEPTH) + b"[" * 1000 + tail) is None


def test_json_within_the_parsing_limits_is_read() -> None:
    assert len(parse(b"[" + b"{}," * (MOST_CONTAINERS - 2) + b"{}]")) == MOST_CONTAINERS - 1
    assert len(parse(b"[" + b"1.5," * (MOST_NUMBERS - 1) + LONG_NUMBER + b"]")) == MOST_NUMBERS
    assert len(parse(b"[" + b"1.5," * (2 * MOST_NUMBERS) + b"1]")) == 2 * MOST_NUMBERS + 1


@given(st.recursive(st.text('[]{}"\\,:é', max_size=4) | st.integers(), lambda inner: st.lists(inner, max_size=3)))
def test_only_too_deep_values_are_cut(value: object) -> None:
    text = json.dumps(value).encode()
    assert cut_deep(text) == text
    around = CUT_DEPTH - 1
    deep = json.dumps(["kept", "x" * 3, [value, [1, [2]]]]).encode()
    cut = json.loads(cut_deep(b"[" * around + deep + b"]" * around))
    for _ in range(around):
        (cut,) = cut
    assert cut == ["kept", "xxx", None]


async def test_no_tenant_waits_for_anothers_work() -> None:
    """One tenant has more jobs than there are threads, and they end only after the other tenant's job."""
    done = threading.Event()
    running: list[int] = []

    def long_work(number: int) -> None:
        running.append(number)
        assert done.wait(DEADLINE_SECONDS)

    greedy = uuid4()
    works = [asyncio.create_task(crunch(greedy, long_work, number)) for number in range(THREADS + 1)]
    await asyncio.sleep(0)
    try:
        async with asyncio.timeout(DEADLINE_SECONDS):
            works[0].cancel()
            await crunch(uuid4(), lambda: None)
            assert running in ([], [0]), "a turn ends with its work, not with its caller"
    finally:
        done.set()
    await asyncio.wait(works)
    assert running == list(range(THREADS + 1))


async def test_failed_work_does_not_block_the_tenant() -> None:
    tenant = uuid4()

    def fail() -> None:
        raise KeyError("defect")

    for _ in range(2):
        with pytest.raises(KeyError):
            await crunch(tenant, fail)
