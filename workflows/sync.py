"""SyncWorkflow: one selection of one tenant, read from Graph into the inventory."""

import asyncio
from collections.abc import Coroutine, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from temporalio import workflow
from temporalio.common import SearchAttributeUpdate
from temporalio.exceptions import ActivityError, ApplicationError, FailureError, is_cancelled_exception

with workflow.unsafe.imports_passed_through():
    from activities import definitions
    from activities.messages.confirmation import ConfirmMissingResult
    from activities.messages.details import FetchDetailsResult
    from activities.messages.merges import PromisedWave, UpsertItems
    from activities.messages.pages import CursorFailure, FetchPagesResult, PageResult, ranks
    from activities.messages.runs import FinishRun, RenewLease, Run
    from activities.messages.waves import PageBatch, ReadWaveResult
    from inventory.error_codes import ErrorCode
    from inventory.outcomes import RunStatus, error_codes, run_status
    from inventory.plurals import counted
    from workflows import policies, search_attributes
    from workflows.cancellable import Activity, CancellableWorkflow, MessageT, ResultT, reap, settled, shortened
    from workflows.cancellation import heed_cancellation, uncancellable
    from workflows.cursor import Cursor
    from workflows.failures import context_of, error_code_of
    from workflows.frontier import Frontier
    from workflows.identity import refuse_other_id
    from workflows.messages import NotifyInput, SyncInput, SyncProgress, SyncResult
    from workflows.notify import start_notify
    from workflows.patches import COUNTED_EARLY, WAVES_OF_FAMILIES
    from workflows.queue import Queue
    from workflows.report import details
    from workflows.requests import CancelRequest
    from workflows.wave_requests import confirmation_request, detail_request, in_words, page_request, wave_request


class StagedWave(NamedTuple):
    """The pages under one fetch token, with their cursors."""

    cursors: list[Cursor]
    pages: list[PageResult]
    promised: PromisedWave


@workflow.defn
class SyncWorkflow(CancellableWorkflow):
    """Opens the run, reads every collection to its end in waves, and closes the record.

    After a cancellation, merged items stay and the record is closed.
    """

    @workflow.init
    def __init__(self, sync: SyncInput) -> None:
        super().__init__(sync.tenant_id)
        self._run = Run(
            tenant_id=sync.tenant_id,
            run_id=self._first_run_id,
            workflow_id=workflow.info().workflow_id,
            selection=sync.selection,
            selection_name=sync.selection_name,
        )
        self._deep = sync.deep
        self._frontier = sync.frontier or Frontier()
        self._opened = sync.frontier is not None
        self._queue = Queue(self._run, sync.place, self._activity, self._wait_in_queue)
        self._status = RunStatus.RUNNING if self._opened else RunStatus.QUEUED
        self._waiting_for: str | None = None
        self._names: Sequence[SearchAttributeUpdate[str]] = ()
        self._fetches: list[asyncio.Task[None]] = []
        self._listing: list[asyncio.Task[None]] = []
        """The fetches that read pages."""
        self._staged: list[StagedWave] = []
        self._upserts: list[asyncio.Task[None]] = []
        self._timer: asyncio.Task[None] | None = None
        self._timer_ends = workflow.now()

    @workflow.run
    async def run(self, sync: SyncInput) -> SyncResult:
        """Raises `ApplicationError` with the first error code if the run failed."""
        refuse_other_id(sync.workflow_id)
        try:
            is_done = await self._is_done(self._read())
        except FailureError as error:
            return await self._close_broken(error_code_of(error))
        if not is_done:
            return await self._close_cancelled()
        if not self._opened:
            workflow.continue_as_new(sync.model_copy(update={"place": self._queue.place}))
        if self._frontier.cursors:
            workflow.continue_as_new(sync.model_copy(update={"frontier": self._frontier, "place": None}))
        return await self._close(run_status(self._frontier.results.values()))

    @workflow.query
    def progress(self) -> SyncProgress:
        return SyncProgress(
            status=self._status,
            waiting_for=self._waiting_for,
            counts=self._frontier.counts,
            collections=self._frontier.results,
        )

    async def _read(self) -> None:
        if self._cancel_request is not None:
            raise asyncio.CancelledError
        if not self._opened:
            await self._open()
        if not self._opened:
            return
        try:
            await self._read_waves()
        # No `finally`: it would also run when a worker evicts the workflow, where nothing can be awaited.
        except asyncio.CancelledError:
            await uncancellable(self._see_through(merging=True))
            raise
        except FailureError:
            await uncancellable(self._see_through(merging=False))
            raise

    async def _see_through(self, *, merging: bool) -> None:
        """Cancels fetches, merges staged waves if `merging`, and waits for all merges; ignores failures."""
        if self._timer is not None:
            self._timer.cancel()
        for fetch in self._fetches:
            fetch.cancel()
        await settled(self._fetches)
        if merging and self._staged:
            self._start_merge()
        await settled(self._upserts)

    async def _open(self) -> None:
        """Queues until the run has its slot, or it is time to continue as new."""
        begun = await self._queue.open()
        heed_cancellation()
        if begun is None:
            return
        self._frontier = Frontier.of(begun.plan, begun.policy, begun.unknown)
        self._opened = True
        self._waiting_for = None
        self._names = search_attributes.names(begun.tenant_name, begun.selection_name)
        self._set_status(RunStatus.RUNNING)

    def _wait_in_queue(self, waiting_for: str) -> None:
        self._waiting_for = waiting_for
        self._tell()

    async def _read_waves(self) -> None:
        while True:
            self._reap()
            draining = workflow.info().is_continue_as_new_suggested()
            if not draining:
                self._start_fetches()
            if self._staged and self._is_worth_merging():
                self._start_merge()
            self._tell()
            in_flight = len(self._fetches) + len(self._upserts)
            if in_flight == 0 and (draining or not self._frontier.cursors):
                return
            if in_flight:
                await self._wait_for_wave(draining)
            else:
                await self._wait_for_cursor()

    def _start_fetches(self) -> None:
        if not workflow.patched(WAVES_OF_FAMILIES):
            self._start_fetches_of_families()
            return
        while len(self._upserts) < self._frontier.policy.waves_in_flight and (
            # A family with turns has its own wave, and delays no other.
            len(self._fetches) < policies.WAVES_AT_ONCE + len(self._frontier.taken)
        ):
            batches = self._frontier.take_batches(workflow.now())
            if not batches:
                return
            self._start(batches[0], self._read_wave(batches))

    def _start_fetches_of_families(self) -> None:
        limit = self._frontier.policy.waves_in_flight
        while len(self._fetches) < limit and len(self._upserts) < limit:
            wave = self._frontier.take_wave(workflow.now())
            if not wave:
                return
            self._start(wave, self._step(wave))

    def _start(self, cursors: Sequence[Cursor], reading: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(reading)
        self._fetches.append(task)
        if not (cursors[0].confirming or cursors[0].detailing):
            self._listing.append(task)

    async def _read_wave(self, batches: list[list[Cursor]]) -> None:
        wave = wave_request(self._run, self._frontier, batches, deep=self._deep)
        limits = policies.wave_limits(self._frontier.policy.graph_patience)
        try:
            read = await self._activity(definitions.read_wave, wave, limits, in_words(batches))
        except ActivityError as error:
            if is_cancelled_exception(error):
                raise
            for batch in batches:
                self._fail_wave(batch, error)
        else:
            self._take_in(batches, read)
        self._frontier.give_back(batches[0], workflow.now())

    def _take_in(self, batches: Sequence[list[Cursor]], read: ReadWaveResult) -> None:
        for batch, following in zip(batches, read.pages, strict=False):
            self._take_in_pages(batch, following)
        for batch, confirmed in zip(batches, read.confirmations, strict=False):
            if confirmed.fetched is not None:
                self._take_in_confirmed(batch, confirmed.fetched)
            else:
                self._take_in_failed(batch, confirmed.failure)
        for batch, details_read in zip(batches, read.details, strict=False):
            if details_read.fetched is not None:
                self._take_in_details(batch, details_read.fetched)
            else:
                self._take_in_failed(batch, details_read.failure)

    def _take_in_pages(self, batch: list[Cursor], read: Sequence[PageBatch]) -> None:
        """Takes in a batch's pages, then the following ones, whose cursors the first have put on the frontier."""
        if not read:
            self._frontier.cursors += batch
        for number, pages in enumerate(read):
            cursors = (
                [self._frontier.take_page(cursor.type_key, cursor.url) for cursor in pages.cursors] if number else batch
            )
            if pages.fetched is not None:
                self._take_in_fetched(cursors, pages.fetched)
            else:
                self._take_in_failed(cursors, pages.failure)

    def _take_in_failed(self, batch: Sequence[Cursor], failure: CursorFailure | None) -> None:
        """Without a failure, the batch was not read, and waits for another wave."""
        if failure is None:
            self._frontier.cursors += batch
            return
        for cursor in batch:
            self._frontier.fold_failure(cursor, failure, workflow.now(), workflow.random())

    async def _step(self, wave: list[Cursor]) -> None:
        if wave[0].confirming:
            await self._confirm(wave)
        elif wave[0].detailing:
            await self._fetch_details(wave)
        else:
            await self._fetch(wave)
        self._frontier.give_back(wave, workflow.now())

    def _reap(self) -> None:
        self._listing = [task for task in self._listing if not task.done()]
        reap(self._fetches)
        reap(self._upserts)

    async def _wait_for_wave(self, draining: bool) -> None:
        wait = None if draining else self._frontier.next_wait(workflow.now())
        tasks = [*self._fetches, *self._upserts]
        if wait is not None:
            tasks.append(self._timer_until(wait.due, wait.summary))
        await workflow.wait(tasks, return_when=asyncio.FIRST_COMPLETED)

    def _timer_until(self, due: datetime, summary: str) -> asyncio.Task[None]:
        """The timer under way if it ends by `due`, else a new one."""
        if self._timer is not None and not self._timer.done():
            if self._timer_ends <= due:
                return self._timer
            self._timer.cancel()
        self._timer_ends = due
        self._timer = asyncio.create_task(workflow.sleep(due - workflow.now(), summary=shortened(summary)))
        return self._timer

    async def _wait_for_cursor(self) -> None:
        """Waits with nothing in flight, and renews the lease."""
        first = self._frontier.next_wait(workflow.now())
        if first is None:
            return
        self._waiting_for = first.summary
        self._tell()
        wait = first.due - workflow.now()
        if wait > policies.LEASE_RENEWAL:
            renew = RenewLease(tenant_id=self._run.tenant_id, run_id=self._run.run_id)
            await self._activity(definitions.renew_lease, renew, policies.DATABASE, "keep the slot while waiting")
            heed_cancellation()
            wait = policies.LEASE_RENEWAL
        await workflow.wait([self._timer_until(workflow.now() + wait, first.summary)])
        self._waiting_for = None

    async def _fetch(self, wave: list[Cursor]) -> None:
        names = ", ".join(f"{cursor.type_key} p{cursor.page}" for cursor in wave)
        request = page_request(self._run, self._frontier, wave, deep=self._deep)
        fetched = await self._answered(definitions.fetch_pages, wave, request, names)
        if fetched is not None:
            self._take_in_fetched(wave, fetched)

    async def _answered(
        self, fetch: Activity[MessageT, ResultT], wave: list[Cursor], request: MessageT, names: str
    ) -> ResultT | None:
        """The activity's result; None if it failed, and with it the wave."""
        limits = policies.fetch_limits(self._frontier.policy.graph_patience)
        try:
            return await self._activity(fetch, request, limits, names)
        except ActivityError as error:
            if is_cancelled_exception(error):
                raise
            self._fail_wave(wave, error)
            return None

    def _take_in_fetched(self, wave: list[Cursor], fetched: FetchPagesResult) -> None:
        self._frontier.counts.requests += fetched.requests
        if self._put_back(wave, fetched):
            return
        pages = _in_order(wave, fetched.pages)
        for cursor, page in zip(wave, pages, strict=True):
            self._frontier.fold_page(cursor, page, workflow.now(), workflow.random())
        first = PromisedWave(fetch_token=fetched.fetch_token, rows=fetched.rows)
        for rank, promised in enumerate([first, *fetched.more_waves]):
            of_rank = zip(wave, pages, ranks(cursor.type_key for cursor in wave), strict=True)
            read = [(cursor, page) for cursor, page, own in of_rank if own == rank and page.was_read]
            self._stage(StagedWave([cursor for cursor, _ in read], [page for _, page in read], promised))

    def _stage(self, wave: StagedWave) -> None:
        is_ended = self._frontier.ended_with(wave.cursors) or any(cursor.losses for cursor in wave.cursors)
        if wave.promised.rows or is_ended:
            self._frontier.begin_merging(wave.cursors)
            self._staged.append(wave)

    def _is_worth_merging(self) -> bool:
        """Whether no further pages are being read, or much is staged."""
        rows = sum(wave.promised.rows for wave in self._staged)
        return not self._listing or rows >= policies.MERGE_ROWS or len(self._staged) >= policies.MERGE_WAVES

    def _start_merge(self) -> None:
        waves, self._staged = self._staged, []
        self._upserts.append(asyncio.create_task(self._upsert(waves)))

    def _put_back(self, wave: Sequence[Cursor], fetched: FetchPagesResult | FetchDetailsResult) -> bool:
        """Puts the cursors back if Graph was not asked or answered too much at once; returns whether it did."""
        if fetched.too_large:
            self._frontier.fold_too_large(wave)
        elif fetched.paced is not None:
            for cursor in wave:
                self._frontier.fold_paced(cursor, fetched.paced, workflow.now())
        else:
            return False
        return True

    async def _confirm(self, wave: list[Cursor]) -> None:
        request = confirmation_request(self._run, self._frontier, wave)
        names = "confirm " + ", ".join(request.type_keys)
        confirmed = await self._answered(definitions.confirm_missing, wave, request, names)
        if confirmed is not None:
            self._take_in_confirmed(wave, confirmed)

    def _take_in_confirmed(self, wave: Sequence[Cursor], confirmed: ConfirmMissingResult) -> None:
        self._frontier.counts.requests += confirmed.requests
        for cursor in wave:
            if confirmed.paced is not None:
                self._frontier.fold_paced(cursor, confirmed.paced, workflow.now())
            else:
                self._frontier.fold_confirmed(cursor, confirmed, workflow.now(), workflow.random())

    async def _fetch_details(self, wave: list[Cursor]) -> None:
        request = detail_request(self._run, self._frontier, wave)
        names = "details of " + ", ".join(cursor.type_key for cursor in wave)
        fetched = await self._answered(definitions.fetch_details, wave, request, names)
        if fetched is not None:
            self._take_in_details(wave, fetched)

    def _take_in_details(self, wave: Sequence[Cursor], fetched: FetchDetailsResult) -> None:
        self._frontier.counts.requests += fetched.requests
        self._frontier.counts.changed += fetched.changed
        self._frontier.counts.unchanged -= fetched.changed
        if self._put_back(wave, fetched):
            return
        for cursor in wave:
            self._frontier.fold_details(cursor, fetched, workflow.now(), workflow.random())

    def _fail_wave(self, wave: list[Cursor], error: ActivityError) -> None:
        failure = CursorFailure(code=error_code_of(error), retryable=False, context=context_of(error))
        for cursor in wave:
            self._frontier.fold_failure(cursor, failure, workflow.now(), workflow.random())

    async def _upsert(self, waves: Sequence[StagedWave]) -> None:
        """Queues pages again whose staged rows PostgreSQL lost in a crash."""
        cursors = [cursor for wave in waves for cursor in wave.cursors]
        first, *more = [wave.promised for wave in waves]
        rows = sum(wave.promised.rows for wave in waves)
        ended = self._frontier.ended_with(cursors)
        detailed = self._frontier.detailed(ended)
        if (beside := self._frontier.merging_beside(cursors, detailed)) and workflow.patched(COUNTED_EARLY):
            self._frontier.counted_early += beside
        request = UpsertItems(
            tenant_id=self._run.tenant_id,
            run_id=self._run.run_id,
            fetch_token=first.fetch_token,
            promised_rows=first.rows,
            more_waves=more,
            restarted=self._frontier.restarted,
            ended=self._frontier.confirmable(ended),
            detailed=detailed,
            detail_refresh=self._frontier.policy.detail_refresh,
            refreshes=self._frontier.refreshes(cursors),
            deep=self._deep,
        )
        upserted = await self._activity(definitions.upsert_items, request, policies.DATABASE, counted(rows, "item"))
        self._frontier.fold_upsert(upserted)
        for wave in waves:
            if upserted.lost or wave.promised.fetch_token in upserted.lost_tokens:
                self._frontier.fold_lost(wave.cursors, wave.pages, policies.LOST_WAVE_ATTEMPTS)
            else:
                self._frontier.end_merging(wave.cursors)

    async def _close_cancelled(self) -> SyncResult:
        """Re-raises Temporal's own cancellation."""
        self._frontier.cancel_open()
        result = await self._close(RunStatus.CANCELLED, ErrorCode.CANCELLED, self._requested_cancellation())
        if self._cancel_request is None:
            raise asyncio.CancelledError
        return result

    async def _close_broken(self, code: ErrorCode) -> SyncResult:
        self._frontier.fail_open(code)
        return await self._close(RunStatus.FAILED, code)

    async def _close(
        self, status: RunStatus, run_error: ErrorCode | None = None, cancel: CancelRequest | None = None
    ) -> SyncResult:
        codes = error_codes(self._frontier.results.values(), run_error)
        finish = FinishRun(
            run=self._run,
            status=status,
            counts=self._frontier.counts,
            error_codes=codes,
            collections=self._frontier.results,
            cancel_requested_by=cancel.requested_by if cancel else None,
            cancel_reason=cancel.reason if cancel else None,
        )
        finished = await uncancellable(
            self._activity(definitions.finish_run, finish, policies.CLOSE, f"close as {status}")
        )
        self._frontier.counts = finished.counts
        codes = codes if finished.error_codes is None else finished.error_codes
        if finished.notifies:
            notify_input = NotifyInput(tenant_id=self._run.tenant_id, run_ids=[self._run.run_id])
            await uncancellable(start_notify(notify_input, str(self._run.run_id)))
        self._set_status(finished.status, codes)
        if finished.status is RunStatus.FAILED:
            first = run_error or (codes[0] if codes else ErrorCode.UNEXPECTED_ERROR)
            raise ApplicationError(f"the run failed: {', '.join(codes)}", type=first, non_retryable=True)
        return SyncResult(run_id=self._run.run_id, status=finished.status, counts=finished.counts, error_codes=codes)

    def _set_status(self, status: RunStatus, codes: Sequence[ErrorCode] = ()) -> None:
        self._status = status
        self._waiting_for = None
        workflow.upsert_search_attributes(
            [
                search_attributes.TENANT_ID.value_set(str(self._run.tenant_id)),
                *self._names,
                search_attributes.SELECTION_HASH.value_set(self._run.selection.hash()),
                search_attributes.RUN_STATUS.value_set(status),
                search_attributes.ERROR_CODES.value_set(list(codes)),
            ]
        )
        self._tell()

    def _tell(self) -> None:
        workflow.set_current_details(details(self._status, self._waiting_for, self._frontier))


def _in_order(wave: Sequence[Cursor], pages: Sequence[PageResult]) -> list[PageResult]:
    type_keys = [cursor.type_key for cursor in wave]
    if [page.type_key for page in pages] == type_keys:
        return list(pages)
    by_type = {page.type_key: page for page in pages}
    return [by_type[type_key] for type_key in type_keys]
