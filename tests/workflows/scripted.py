"""Activities that play a script in place of Graph and PostgreSQL, for what only the workflow decides.

What needs the real parts is tested with them in `tests/end_to_end`.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from uuid import uuid4

from temporalio import activity

from activities.messages import (
    ActivityName,
    BeginRunResult,
    CursorFailure,
    FetchPages,
    FetchPagesResult,
    FinishRun,
    FinishRunResult,
    PageResult,
    PlannedCollection,
    RenewLease,
    RenewLeaseResult,
    Run,
    RunPolicy,
    UpsertItems,
    UpsertItemsResult,
)

Page = int | CursorFailure
"""How many items a page holds, or why it is not given."""


@dataclass
class Script:
    """What Graph would answer: per collection the pages of its listing, in the order that they are asked for."""

    pages: dict[str, list[Page]]
    policy: RunPolicy = field(default_factory=RunPolicy)
    openings: list[str] = field(default_factory=list)
    before_fetch: Callable[[FetchPages], Awaitable[None]] | None = None
    before_upsert: Callable[[UpsertItems], Awaitable[None]] | None = None
    losses: int = 0
    loops: bool = False

    fetches: list[FetchPages] = field(default_factory=list)
    upserts: list[UpsertItems] = field(default_factory=list)
    renewals: int = 0
    finished: list[FinishRun] = field(default_factory=list)

    @activity.defn(name=ActivityName.BEGIN_RUN)
    async def begin_run(self, run: Run) -> BeginRunResult:
        opening = self.openings.pop(0) if self.openings else "running"
        plan = [
            PlannedCollection(
                type_key=key, first_url=f"/{key}", api_version="beta", throttle_family="family", wave_limit=20
            )
            for key in run.selection.type_keys
        ]
        return BeginRunResult(opening=opening, plan=plan, policy=self.policy)

    @activity.defn(name=ActivityName.FETCH_PAGES)
    async def fetch_pages(self, request: FetchPages) -> FetchPagesResult:
        self.fetches.append(request)
        if self.before_fetch is not None:
            await self.before_fetch(request)
        pages = [self._page(cursor.type_key) for cursor in request.cursors]
        return FetchPagesResult(
            fetch_token=uuid4(), rows=sum(page.items for page in pages), requests=len(pages), pages=pages
        )

    def _page(self, type_key: str) -> PageResult:
        script = self.pages[type_key]
        page = script[0] if self.loops else script.pop(0)
        if isinstance(page, CursorFailure):
            return PageResult(type_key=type_key, was_read=False, failure=page)
        more = self.loops or any(not isinstance(later, CursorFailure) for later in script)
        return PageResult(
            type_key=type_key,
            items=page,
            next_url=f"/{type_key}?token={'same' if self.loops else len(script)}" if more else None,
        )

    @activity.defn(name=ActivityName.UPSERT_ITEMS)
    async def upsert_items(self, request: UpsertItems) -> UpsertItemsResult:
        self.upserts.append(request)
        if self.before_upsert is not None:
            await self.before_upsert(request)
        if self.losses:
            self.losses -= 1
            return UpsertItemsResult(lost=True)
        return UpsertItemsResult(created=request.promised_rows)

    @activity.defn(name=ActivityName.RENEW_LEASE)
    async def renew_lease(self, _: RenewLease) -> RenewLeaseResult:
        self.renewals += 1
        return RenewLeaseResult(open=True)

    @activity.defn(name=ActivityName.FINISH_RUN)
    async def finish_run(self, request: FinishRun) -> FinishRunResult:
        self.finished.append(request)
        return FinishRunResult(status=request.status, counts=request.counts)

    def activities(self) -> list[Callable[..., Awaitable[object]]]:
        return [self.begin_run, self.fetch_pages, self.upsert_items, self.renew_lease, self.finish_run]


async def until_cancelled(_: object) -> None:
    """Works, beating, until the activity is cancelled."""
    while True:
        activity.heartbeat()
        await asyncio.sleep(0.05)
