"""Activities that play a script in place of Graph and PostgreSQL, to test decisions of the workflow alone.

Tests in `tests/end_to_end` use the real parts.
"""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import timedelta
from uuid import uuid4

from temporalio import activity

from activities.messages.confirmation import ConfirmedShare, ConfirmMissing, ConfirmMissingResult
from activities.messages.details import DetailProgress, FetchDetails, FetchDetailsResult
from activities.messages.merges import PromisedWave, UpsertItems, UpsertItemsResult
from activities.messages.pages import CursorFailure, FetchPages, FetchPagesResult, PageResult, ranks
from activities.messages.runs import (
    BeginRunResult,
    FinishRun,
    FinishRunResult,
    PlannedCollection,
    RenewLease,
    RenewLeaseResult,
    Run,
    RunPolicy,
)
from activities.waves import WAVE_BYTES, WaveActivities
from inventory.backoff import KnownFailure

Page = int | CursorFailure
"""The number of items on a page, or the reason for its failure."""


@dataclass
class Script:
    """Graph's answers: the pages of each collection's listing, in the order of the requests."""

    pages: dict[str, list[Page]]
    policy: RunPolicy = field(default_factory=RunPolicy)
    families: dict[str, str] = field(default_factory=dict)
    intervals: dict[str, timedelta] = field(default_factory=dict)
    """For families with turns: the time from an answer to the next turn."""
    wave_limit: int = 20
    openings: list[str] = field(default_factory=list)
    before_fetch: Callable[[FetchPages], Awaitable[None]] | None = None
    before_upsert: Callable[[UpsertItems], Awaitable[None]] | None = None
    before_finish: Callable[[FinishRun], Awaitable[None]] | None = None
    parents: dict[str, int] = field(default_factory=dict)
    """The number of parents on a collection's first page, which has no items: each has a listing of one page."""
    losses: int = 0
    part_losses: int = 0
    """The number of merges of several waves that find the last wave's rows lost."""
    one_page_a_wave: bool = False
    """Whether each page reaches the size limit of a wave."""
    loops: bool = False
    confirmable: bool = True
    unlisted: dict[str, int] = field(default_factory=dict)
    """Unlisted items per collection; each request settles two."""
    confirm_failures: list[CursorFailure] = field(default_factory=list)
    first_listings: frozenset[str] = frozenset()
    known_failures: dict[str, KnownFailure] = field(default_factory=dict)
    pending: dict[str, int] = field(default_factory=dict)
    """Items per collection with details to read; each request reads three of a part."""
    detail_failures: list[CursorFailure | None] = field(default_factory=list)
    """The failure of each wave of details in turn; None for a successful wave."""
    given_up: list[CursorFailure] = field(default_factory=list)
    large_details_from: int = 99
    """Answers to waves of so many requests for details, or more, are too large."""
    paced: list[timedelta] = field(default_factory=list)
    too_large_from: int = 99
    """Answers to waves of so many pages, or more, are too large."""
    notifies: bool = False

    under_parents: set[str] = field(default_factory=set)
    fetches: list[FetchPages] = field(default_factory=list)
    upserts: list[UpsertItems] = field(default_factory=list)
    confirms: list[ConfirmMissing] = field(default_factory=list)
    details: list[FetchDetails] = field(default_factory=list)
    confirming: asyncio.Event = field(default_factory=asyncio.Event)
    detailing: asyncio.Event = field(default_factory=asyncio.Event)
    second_page: asyncio.Event = field(default_factory=asyncio.Event)
    parts: dict[tuple[str, int], int] = field(default_factory=dict)
    renewals: int = 0
    finished: list[FinishRun] = field(default_factory=list)
    steps: list[str] = field(default_factory=list)
    """Ended merges, and begun confirmations and waves of details, in order."""

    @activity.defn(name="begin_run")
    async def begin_run(self, run: Run) -> BeginRunResult:
        opening = self.openings.pop(0) if self.openings else "running"
        plan = [
            PlannedCollection(
                type_key=key,
                first_url=f"/{key}",
                api_version="beta",
                throttle_family=self.families.get(key, "family"),
                wave_limit=self.wave_limit,
                confirmable=self.confirmable,
                detailed=key in self.pending,
                is_first_listing=key in self.first_listings,
                interval=self.intervals.get(self.families.get(key, "family")),
                known_failure=self.known_failures.get(key),
            )
            for key in run.selection.type_keys
        ]
        return BeginRunResult(opening=opening, plan=plan, policy=self.policy)

    @activity.defn(name="fetch_pages")
    async def fetch_pages(self, request: FetchPages) -> FetchPagesResult:
        self.fetches.append(request)
        if len(self.fetches) == 2:
            self.second_page.set()
        if self.paced:
            return FetchPagesResult(fetch_token=uuid4(), rows=0, requests=0, pages=[], paced=self.paced.pop(0))
        if self.before_fetch is not None:
            await self.before_fetch(request)
        if len(request.cursors) >= self.too_large_from:
            return FetchPagesResult(fetch_token=uuid4(), rows=0, requests=0, pages=[], too_large=True)
        pages = [self._page(cursor.type_key) for cursor in request.cursors]
        rows: Counter[int] = Counter()
        for rank, page in zip(ranks(page.type_key for page in pages), pages, strict=True):
            rows[rank] += page.items
        first, *more = [PromisedWave(fetch_token=uuid4(), rows=rows[rank]) for rank in range(len(rows))]
        return FetchPagesResult(**dict(first), more_waves=more, requests=len(pages), pages=pages)

    def _page(self, type_key: str) -> PageResult:
        script = self.pages[type_key]
        page = script[0] if self.loops else script.pop(0)
        if isinstance(page, CursorFailure):
            return PageResult(type_key=type_key, was_read=False, failure=page)
        if type_key in self.parents:
            parents = self.parents.pop(type_key)
            self.under_parents.add(type_key)
            return PageResult(type_key=type_key, more_urls=[f"/{type_key}/{number}" for number in range(parents)])
        if type_key in self.under_parents:
            return PageResult(type_key=type_key, items=page)
        has_next = self.loops or any(not isinstance(later, CursorFailure) for later in script)
        return PageResult(
            type_key=type_key,
            items=page,
            next_url=f"/{type_key}?token={'same' if self.loops else len(script)}" if has_next else None,
            size_bytes=WAVE_BYTES if self.one_page_a_wave else 0,
        )

    @activity.defn(name="upsert_items")
    async def upsert_items(self, request: UpsertItems) -> UpsertItemsResult:
        self.upserts.append(request)
        if self.before_upsert is not None:
            await self.before_upsert(request)
        if self.losses:
            self.losses -= 1
            return self._left(request).model_copy(update={"lost": True})
        waves = [request.promised_rows, *(wave.rows for wave in request.more_waves)]
        lost = []
        if self.part_losses and request.more_waves:
            self.part_losses -= 1
            lost = [request.more_waves[-1].fetch_token]
            waves.pop()
        return self._left(request).model_copy(update={"created": sum(waves), "lost_tokens": lost})

    def _left(self, request: UpsertItems) -> UpsertItemsResult:
        self.steps.append("merged")
        return UpsertItemsResult(
            unlisted={key: self.unlisted.get(key, 0) for key in request.ended},
            pending={key: self.pending[key] for key in request.detailed},
        )

    @activity.defn(name="confirm_missing")
    async def confirm_missing(self, request: ConfirmMissing) -> ConfirmMissingResult:
        self.confirms.append(request)
        self.confirming.set()
        self.steps.append("confirm")
        failure = self.confirm_failures.pop(0) if self.confirm_failures else None
        answer = {}
        for key in request.type_keys:
            settled = 0 if failure else min(2, self.unlisted[key])
            self.unlisted[key] -= settled
            answer[key] = ConfirmedShare(
                found=settled // 2, gone=settled - settled // 2, left=self.unlisted[key], failure=failure
            )
        return ConfirmMissingResult(requests=2, collections=answer)

    @activity.defn(name="fetch_details")
    async def fetch_details(self, request: FetchDetails) -> FetchDetailsResult:
        self.details.append(request)
        self.detailing.set()
        self.steps.append("details")
        if request.limit >= self.large_details_from:
            return FetchDetailsResult(requests=request.limit, too_large=True)
        failure = self.detail_failures.pop(0) if self.detail_failures else None
        cause = self.given_up.pop(0) if self.given_up and failure is None else None
        progress = {}
        for share in request.shares:
            of_part = self.parts.setdefault((share.type_key, share.part), -(-self.pending[share.type_key] // share.of))
            read = 0 if failure else min(3, of_part)
            self.parts[share.type_key, share.part] -= read
            progress[share.type_key] = DetailProgress(
                read=read,
                left=self.parts[share.type_key, share.part],
                failed=1 if cause else 0,
                moved=read > 0,
                failure=failure,
                cause=cause,
            )
        return FetchDetailsResult(requests=3, changed=0, collections=progress)

    @activity.defn(name="renew_lease")
    async def renew_lease(self, request: RenewLease) -> RenewLeaseResult:
        if request.queued:
            waits = self.openings[:1] == ["waiting_for_slot"]
            if waits:
                self.openings.pop(0)
            return RenewLeaseResult(open=True, ahead=0 if waits else None)
        self.renewals += 1
        return RenewLeaseResult(open=True)

    @activity.defn(name="finish_run")
    async def finish_run(self, request: FinishRun) -> FinishRunResult:
        self.finished.append(request)
        if self.before_finish is not None:
            await self.before_finish(request)
        return FinishRunResult(status=request.status, counts=request.counts, notifies=self.notifies)

    def activities(self) -> list[Callable[..., Awaitable[object]]]:
        return [
            self.begin_run,
            WaveActivities(self.fetch_pages, self.confirm_missing, self.fetch_details, at_once=8).read_wave,
            self.fetch_pages,
            self.upsert_items,
            self.confirm_missing,
            self.fetch_details,
            self.renew_lease,
            self.finish_run,
        ]


async def until_cancelled(_: object) -> None:
    """Heartbeats until the activity is cancelled."""
    while True:
        activity.heartbeat()
        await asyncio.sleep(0.05)
