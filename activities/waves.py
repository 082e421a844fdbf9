"""The activity that reads a wave: batches side by side, and following pages within a budget."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from datetime import timedelta
from typing import Any, Generic, NamedTuple, TypeVar
from uuid import UUID
from weakref import WeakValueDictionary

from temporalio import activity
from temporalio.exceptions import ApplicationError

from activities.failures import application_error
from activities.messages.confirmation import ConfirmMissing, ConfirmMissingResult
from activities.messages.details import FetchDetails, FetchDetailsResult
from activities.messages.pages import CursorFailure, CursorRequest, FetchPages, FetchPagesResult
from activities.messages.waves import ConfirmedBatch, DetailBatch, PageBatch, ReadWave, ReadWaveResult
from inventory.error_codes import ErrorCode

WAVE_REQUESTS = 400
"""After this many requests, a wave follows no pages: if its worker dies, all are repeated. `--all` begins with 230."""

WAVE_BYTES = 32 * 1024 * 1024
"""After this many bytes, a wave follows no pages, since its documents wait in the database for their merge."""

WAVE_SECONDS = 10.0
"""After this, a wave follows no pages and waits for no turn: its results are unknown before its end."""

HANGING_SECONDS = 20.0
"""After so long without a further result, a wave returns its results and hands back hanging batches."""

RequestT = TypeVar("RequestT", FetchPages, ConfirmMissing, FetchDetails)
ResultT = TypeVar("ResultT")


class _Part(NamedTuple, Generic[ResultT]):
    """A batch's result or its final failure; neither if the batch is to be read again."""

    result: ResultT | None = None
    failure: CursorFailure | None = None


class _Budget:
    def __init__(self) -> None:
        self._requests = WAVE_REQUESTS
        self._bytes = WAVE_BYTES
        self._ends_at = time.monotonic() + WAVE_SECONDS

    def spend_requests(self, requests: int) -> None:
        self._requests -= requests

    def spend_bytes(self, fetched: FetchPagesResult) -> None:
        self._bytes -= sum(page.size_bytes for page in fetched.pages)

    def has_time(self, wait: timedelta) -> bool:
        return time.monotonic() + wait.total_seconds() < self._ends_at

    @property
    def is_used_up(self) -> bool:
        return self._requests <= 0 or self._bytes <= 0 or not self.has_time(timedelta(0))


class WaveActivities:
    def __init__(
        self,
        fetch_pages: Callable[[FetchPages], Awaitable[FetchPagesResult]],
        confirm_missing: Callable[[ConfirmMissing], Awaitable[ConfirmMissingResult]],
        fetch_details: Callable[[FetchDetails], Awaitable[FetchDetailsResult]],
        at_once: int,
    ) -> None:
        """The worker reads `at_once` batches side by side, at most half of them for one tenant: its Graph may hang."""
        self._fetch_pages = fetch_pages
        self._confirm_missing = confirm_missing
        self._fetch_details = fetch_details
        self._places = asyncio.Semaphore(at_once)
        self._places_of_tenant = max(1, at_once // 2)
        self._tenants: WeakValueDictionary[UUID, asyncio.Semaphore] = WeakValueDictionary()

    @activity.defn
    async def read_wave(self, wave: ReadWave) -> ReadWaveResult:
        """Hands back batches that fail for now or hang. Raises a batch's error if none has a result.

        Each batch is idempotent; a repeated wave reads its pages under other fetch tokens.
        """
        tenant_places = self._tenants.setdefault(wave.tenant_id, asyncio.Semaphore(self._places_of_tenant))
        reading = _WaveReading(wave, tenant_places, self._places)
        pages: list[list[PageBatch]] = [[] for _ in wave.pages]
        confirmed = [_Part[ConfirmMissingResult]() for _ in wave.confirmations]
        details = [_Part[FetchDetailsResult]() for _ in wave.details]

        async def confirm(number: int, request: ConfirmMissing) -> None:
            confirmed[number] = await reading.part(self._confirm_missing, request)

        async def fetch_details(number: int, request: FetchDetails) -> None:
            details[number] = await reading.part(self._fetch_details, request)

        for request, read in zip(wave.pages, pages, strict=True):
            chain = _Chain(read, {(cursor.type_key, cursor.url) for cursor in request.cursors})
            reading.budget.spend_requests(len(request.cursors))
            reading.begin(self._read_pages(reading, request, chain))
        for numbered in enumerate(wave.confirmations):
            reading.begin(confirm(*numbered))
        for numbered_details in enumerate(wave.details):
            reading.begin(fetch_details(*numbered_details))
        await reading.come_to_an_end()
        if reading.errors and not reading.results:
            raise reading.errors[0]
        return ReadWaveResult(
            pages=pages,
            confirmations=[ConfirmedBatch(fetched=part.result, failure=part.failure) for part in confirmed],
            details=[DetailBatch(fetched=part.result, failure=part.failure) for part in details],
        )

    async def _read_pages(self, reading: "_WaveReading", request: FetchPages, chain: "_Chain") -> None:
        part = await reading.part(self._fetch_pages, request, reading.wait_for_turn)
        if part.result is None and part.failure is None:
            return
        chain.read.append(PageBatch(cursors=request.cursors, fetched=part.result, failure=part.failure))
        if part.result is None or not _goes_on(part.result):
            return
        reading.budget.spend_bytes(part.result)
        following = chain.unmet(_following(request.cursors, part.result))
        for first in range(0, len(following), request.limit):
            if reading.budget.is_used_up:
                return
            cursors = following[first : first + request.limit]
            reading.budget.spend_requests(len(cursors))
            reading.begin(self._read_pages(reading, request.model_copy(update={"cursors": cursors}), chain))


class _Chain:
    """A batch of pages, and the batches of following pages."""

    def __init__(self, read: list[PageBatch], met: set[tuple[str, str]]) -> None:
        self.read = read
        self._met = met

    def unmet(self, cursors: Sequence[CursorRequest]) -> list[CursorRequest]:
        """The cursors that are new to the chain; adds them to it."""
        unmet = []
        for cursor in cursors:
            page = (cursor.type_key, cursor.url)
            if page not in self._met:
                self._met.add(page)
                unmet.append(cursor)
        return unmet


class _WaveReading:
    def __init__(self, wave: ReadWave, tenant_places: asyncio.Semaphore, places: asyncio.Semaphore) -> None:
        self.budget = _Budget()
        self.results = 0
        self._latest_result = 0.0
        self.errors: list[ApplicationError] = []
        self._wave = wave
        self._tenant_places = tenant_places
        self._places = places
        self._own_places = asyncio.Semaphore(1 if wave.in_turn else wave.at_once)
        self._tasks: set[asyncio.Task[None]] = set()

    def begin(self, part: Coroutine[Any, Any, None]) -> None:
        self._tasks.add(asyncio.ensure_future(part))

    async def part(
        self,
        read: Callable[[RequestT], Awaitable[ResultT]],
        request: RequestT,
        again: Callable[[ResultT], Awaitable[bool]] | None = None,
    ) -> _Part[ResultT]:
        """Reads a batch once there is a place, and again as long as `again` returns true."""
        try:
            async with self._own_places:
                while True:
                    async with self._tenant_places, self._places:
                        result = await read(request)
                    if again is None or not await again(result):
                        break
        except Exception as error:  # noqa: BLE001 - an unforeseen error has its code, and does not end the other batches
            failure = application_error(error, request.graph_patience)
            if failure.type == ErrorCode.RUN_ABANDONED:
                raise failure from None
            if not failure.non_retryable:
                self.errors.append(failure)
                return _Part()
            self._count_result()
            context = failure.details[0] if failure.details else {}
            return _Part(failure=CursorFailure(code=ErrorCode(str(failure.type)), retryable=False, context=context))
        self._count_result()
        return _Part(result)

    def _count_result(self) -> None:
        self.results += 1
        self._latest_result = time.monotonic()

    async def come_to_an_end(self) -> None:
        """Waits for all parts, except hanging ones if there are results to return."""
        try:
            while self._go_on():
                hanging_at = self._latest_result + HANGING_SECONDS
                wait = hanging_at - time.monotonic() if self.results else None
                if wait is not None and wait <= 0:
                    return
                timeout = HANGING_SECONDS if wait is None else wait
                await asyncio.wait(self._tasks, timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)

    def _go_on(self) -> bool:
        for task in [task for task in self._tasks if task.done()]:
            self._tasks.remove(task)
            task.result()
        return bool(self._tasks)

    async def wait_for_turn(self, fetched: FetchPagesResult) -> bool:
        """Waits if the wave has time; returns whether it did."""
        if fetched.paced is None or not self._wave.in_turn or not self.budget.has_time(fetched.paced):
            return False
        await asyncio.sleep(fetched.paced.total_seconds())
        return True


def _goes_on(fetched: FetchPagesResult) -> bool:
    return (
        fetched.paced is None
        and not fetched.too_large
        and all(page.failure is None or page.failure.code is not ErrorCode.GRAPH_THROTTLED for page in fetched.pages)
    )


def _following(requests: Sequence[CursorRequest], fetched: FetchPagesResult) -> list[CursorRequest]:
    """The next pages. Nothing follows a page that failed or is read again."""
    return [
        cursor.model_copy(update={"url": url})
        for cursor, page in zip(requests, fetched.pages, strict=True)
        if page.failure is None and not cursor.is_read_again
        for url in [*([] if page.next_url is None else [page.next_url]), *page.more_urls]
    ]
