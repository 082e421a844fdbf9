"""A wave: concurrent batches, following pages, isolated failures, and waits that it leaves to the run."""

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable
from datetime import timedelta
from uuid import UUID, uuid4

import pytest
from temporalio.exceptions import ApplicationError
from temporalio.testing import ActivityEnvironment

from activities import waves
from activities.messages.confirmation import ConfirmMissing, ConfirmMissingResult
from activities.messages.details import FetchDetails, FetchDetailsResult
from activities.messages.pages import CursorFailure, CursorRequest, FetchPages, FetchPagesResult, PageResult
from activities.messages.waves import ReadWave, ReadWaveResult
from activities.waves import WAVE_BYTES, WAVE_REQUESTS, WaveActivities
from graph.errors import GraphUnreachedError
from inventory.error_codes import ErrorCode
from tests.deadlines import DEADLINE_SECONDS

TENANT, RUN = uuid4(), uuid4()
FOREVER = timedelta(days=1)
THROTTLED = CursorFailure(code=ErrorCode.GRAPH_THROTTLED, retryable=True)

Answer = Callable[[FetchPages], Awaitable[FetchPagesResult]]


def batch(*type_keys: str, limit: int = 20, **cursor: bool) -> FetchPages:
    """The first pages of collections."""
    cursors = [CursorRequest(type_key=key, url=f"/{key}", **cursor) for key in type_keys]
    return FetchPages(tenant_id=TENANT, run_id=RUN, api_version="beta", cursors=cursors, limit=limit)


def fetched(*pages: PageResult, **result: object) -> FetchPagesResult:
    values = {"fetch_token": uuid4(), "rows": 0, "requests": len(pages), "pages": list(pages), **result}
    return FetchPagesResult.model_validate(values)


def listing(pages: int, **page: object) -> Answer:
    """Answers as Graph with listings of so many pages."""

    async def answer(request: FetchPages) -> FetchPagesResult:
        results = []
        for cursor in request.cursors:
            number = int(cursor.url.partition("?")[2] or 1)
            next_url = f"/{cursor.type_key}?{number + 1}" if number < pages else None
            results.append(PageResult.model_validate({"type_key": cursor.type_key, "next_url": next_url, **page}))
        return fetched(*results)

    return answer


async def no_confirmation(_request: ConfirmMissing) -> ConfirmMissingResult:
    raise AssertionError


async def no_details(_request: FetchDetails) -> FetchDetailsResult:
    raise AssertionError


async def read(answer: Answer, *batches: FetchPages, at_once: int = 8, in_turn: bool = False) -> ReadWaveResult:
    """The result of a wave of these batches."""
    wave = ReadWave(tenant_id=TENANT, pages=list(batches), at_once=at_once, in_turn=in_turn, graph_patience=FOREVER)
    reading = WaveActivities(answer, no_confirmation, no_details, at_once=20)
    async with asyncio.timeout(DEADLINE_SECONDS):
        return await ActivityEnvironment().run(reading.read_wave, wave)


def urls(result: ReadWaveResult) -> list[list[list[str]]]:
    return [[[cursor.url for cursor in pages.cursors] for pages in chain] for chain in result.pages]


async def test_following_pages_are_read_in_the_same_wave() -> None:
    result = await read(listing(3), batch("a", "b"), batch("c"))
    assert urls(result) == [
        [["/a", "/b"], ["/a?2", "/b?2"], ["/a?3", "/b?3"]],
        [["/c"], ["/c?2"], ["/c?3"]],
    ]


async def test_listings_under_parents_are_read_in_full_batches_concurrently() -> None:
    under_way = 0
    all_begun = asyncio.Event()

    async def answer(request: FetchPages) -> FetchPagesResult:
        nonlocal under_way
        is_first = request.cursors[0].url == "/a"
        if not is_first:
            under_way += 1
            if under_way == 3:
                all_begun.set()
            await all_begun.wait()
        parents = [f"/a/{number}" for number in range(5)] if is_first else []
        return fetched(*(PageResult(type_key="a", more_urls=parents) for _ in request.cursors))

    result = await read(answer, batch("a", limit=2))
    ((first, *others),) = urls(result)
    assert (first, sorted(others)) == (["/a"], [["/a/0", "/a/1"], ["/a/2", "/a/3"], ["/a/4"]])


async def test_pages_of_one_collection_are_matched_to_cursors_by_position() -> None:
    async def answer(request: FetchPages) -> FetchPagesResult:
        more = {"/a": ["/a/0", "/a/1", "/a/2"]}
        following = {"/a/1": "/a/1?2"}
        return fetched(
            *(
                PageResult(
                    type_key="a", more_urls=more.get(cursor.url, []), next_url=following.get(cursor.url), failure=None
                )
                for cursor in request.cursors
            )
        )

    assert urls(await read(answer, batch("a"))) == [[["/a"], ["/a/0", "/a/1", "/a/2"], ["/a/1?2"]]]


async def test_an_error_on_a_following_page_ends_the_wave() -> None:
    async def answer(request: FetchPages) -> FetchPagesResult:
        if request.cursors[0].url == "/a?2":
            raise ApplicationError("no", type=ErrorCode.RUN_ABANDONED, non_retryable=True)
        return await listing(2)(request)

    with pytest.raises(ApplicationError) as raised:
        await read(answer, batch("a"))
    assert raised.value.type == ErrorCode.RUN_ABANDONED


async def test_pages_after_a_reread_page_are_not_read_again() -> None:
    assert urls(await read(listing(3), batch("a", is_read_again=True))) == [[["/a"]]]


async def test_a_paging_loop_is_left_to_the_run() -> None:
    async def answer(request: FetchPages) -> FetchPagesResult:
        return fetched(PageResult(type_key="a", next_url="/a?2" if request.cursors[0].url != "/a?2" else "/a"))

    assert urls(await read(answer, batch("a"))) == [[["/a"], ["/a?2"]]]


@pytest.mark.parametrize("page", [{"size_bytes": WAVE_BYTES}, {"failure": THROTTLED, "was_read": False}])
async def test_a_wave_follows_no_page_after_its_size_limit_or_a_throttle(page: dict[str, object]) -> None:
    assert urls(await read(listing(3, **page), batch("a"))) == [[["/a"]]]


async def test_a_wave_makes_a_bounded_number_of_requests() -> None:
    (chain,) = (await read(listing(10 * WAVE_REQUESTS), batch("a"))).pages
    assert len(chain) == WAVE_REQUESTS


async def test_a_failed_batch_is_handed_back_and_delays_no_other() -> None:
    async def answer(request: FetchPages) -> FetchPagesResult:
        if request.cursors[0].type_key == "broken":
            raise GraphUnreachedError("nobody answers")
        return await listing(2)(request)

    assert urls(await read(answer, batch("broken"), batch("a"))) == [[], [["/a"], ["/a?2"]]]
    with pytest.raises(ApplicationError, match="nobody answers") as raised:
        await read(answer, batch("broken"))
    assert (raised.value.type, raised.value.non_retryable) == (ErrorCode.GRAPH_UNAVAILABLE, False)


async def test_a_non_retryable_batch_fails_alone_but_an_abandoned_run_ends_all() -> None:
    async def answer(request: FetchPages) -> FetchPagesResult:
        code = request.cursors[0].type_key
        if code == "a":
            return await listing(1)(request)
        raise ApplicationError("no", {"reason": "no"}, type=code, non_retryable=True)

    (failed,), (a,) = (await read(answer, batch("auth_failed"), batch("a"))).pages
    assert failed.failure == CursorFailure(code=ErrorCode.AUTH_FAILED, retryable=False, context={"reason": "no"})
    assert a.fetched is not None
    with pytest.raises(ApplicationError) as raised:
        await read(answer, batch("run_abandoned"), batch("a"))
    assert raised.value.type == ErrorCode.RUN_ABANDONED


async def test_a_limited_number_of_batches_is_read_concurrently() -> None:
    under_way, most = 0, 0
    full = asyncio.Event()

    async def answer(request: FetchPages) -> FetchPagesResult:
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        if under_way == 3:
            full.set()
        await full.wait()
        under_way -= 1
        return await listing(1)(request)

    await read(answer, *(batch(str(number)) for number in range(9)), at_once=3)
    assert most == 3


async def test_a_hanging_batch_is_handed_back_when_the_others_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waves, "HANGING_SECONDS", 0.2)
    cancelled = asyncio.Event()

    async def answer(request: FetchPages) -> FetchPagesResult:
        if request.cursors[0].url in ("/hanging", "/late?2"):
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                cancelled.set()
                raise
        return await listing(2)(request)

    result = await read(answer, batch("hanging"), batch("late"), batch("a"))
    assert urls(result) == [[], [["/late"]], [["/a"], ["/a?2"]]]
    assert cancelled.is_set()


async def test_a_wave_waits_for_the_turns_of_its_family() -> None:
    requests: dict[str, int] = defaultdict(int)

    async def answer(request: FetchPages) -> FetchPagesResult:
        (cursor,) = request.cursors
        requests[cursor.url] += 1
        if requests[cursor.url] == 1:
            return fetched(paced=timedelta(milliseconds=1))
        return await listing(1)(request)

    result = await read(answer, batch("a", limit=1), batch("b", limit=1), in_turn=True)
    assert [chain[0].fetched is not None and chain[0].fetched.paced for chain in result.pages] == [None, None]
    assert requests == {"/a": 2, "/b": 2}
    requests.clear()
    ((back,),) = (await read(answer, batch("a"))).pages
    assert back.fetched is not None
    assert back.fetched.paced == timedelta(milliseconds=1), "a paused family is handed back at once"
    requests.clear()


async def test_a_family_with_turns_is_read_one_batch_at_a_time() -> None:
    under_way, most = 0, 0

    async def answer(request: FetchPages) -> FetchPagesResult:
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        for _ in range(10):
            await asyncio.sleep(0)  # another batch could begin
        under_way -= 1
        return await listing(2)(request)

    result = await read(answer, *(batch(str(number)) for number in range(5)), in_turn=True)
    assert urls(result) == [[[f"/{number}"], [f"/{number}?2"]] for number in range(5)]
    assert most == 1


async def test_a_wave_does_not_wait_for_a_turn_that_comes_too_late() -> None:
    async def answer(_request: FetchPages) -> FetchPagesResult:
        return fetched(paced=timedelta(hours=1))

    ((back,),) = (await read(answer, batch("a", limit=1), in_turn=True)).pages
    assert back.fetched is not None
    assert back.fetched.paced == timedelta(hours=1)


async def test_a_cancelled_wave_ends_its_batches() -> None:
    began, ended = asyncio.Event(), asyncio.Event()

    async def answer(_request: FetchPages) -> FetchPagesResult:
        began.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()
        raise AssertionError

    reading = asyncio.create_task(read(answer, batch("a")))
    await began.wait()
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading
    assert ended.is_set()


async def test_a_hanging_tenant_leaves_half_of_the_places_to_others() -> None:
    other = uuid4()
    begun = 0
    hanging = asyncio.Event()

    async def answer(request: FetchPages) -> FetchPagesResult:
        nonlocal begun
        if request.tenant_id == TENANT:
            begun += 1
            if begun == 2:
                hanging.set()
            await asyncio.Event().wait()
        return await listing(1)(request)

    def wave(tenant_id: UUID, number: int) -> ReadWave:
        pages = [batch("a").model_copy(update={"tenant_id": tenant_id}) for _ in range(number)]
        return ReadWave(tenant_id=tenant_id, pages=pages, at_once=8, graph_patience=FOREVER)

    reading = WaveActivities(answer, no_confirmation, no_details, at_once=4)
    waiting = [asyncio.create_task(ActivityEnvironment().run(reading.read_wave, wave(TENANT, 8))) for _ in range(2)]
    async with asyncio.timeout(DEADLINE_SECONDS):
        await hanging.wait()
        assert urls(await ActivityEnvironment().run(reading.read_wave, wave(other, 3))) == [[["/a"]]] * 3
        assert begun == 2
    for wave_of_tenant in waiting:
        wave_of_tenant.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)
