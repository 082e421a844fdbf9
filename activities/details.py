"""The activity that reads the details of listed items."""

import time
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any, NamedTuple
from uuid import uuid5

from sqlalchemy.ext.asyncio import AsyncSession
from temporalio import activity
from temporalio.exceptions import ApplicationError

from activities.document_gaps import completed
from activities.failures import batch_failure
from activities.graph_activities import GraphActivities
from activities.messages.details import DetailProgress, FetchDetails, FetchDetailsResult
from activities.messages.pages import CursorFailure
from activities.observers import TenantObservers
from activities.page_observations import cursor_failure
from activities.run_records import LEASE
from graph.client import Admission, GraphAnswer, GraphGet
from graph.cpu_executor import crunch
from graph.details import DetailReading, OpenCall
from graph.errors import AnswerTooLargeError, GraphRequestError, ReadFailure
from graph.links import UntrustedLinkError
from graph.tenants import TenantConfig
from inventory.error_codes import ErrorCode
from inventory.exact_json import JsonObject, decode
from inventory.meta import edit_in
from inventory.observation import Observation, Observer
from inventory.outcomes import ContextValue
from inventory.stale import StalePart
from storage import details, runs
from storage import merge as merging
from storage.details import LastVersion, PendingDetails, Share

BATCHES_SECONDS = 15
"""After this time no batch begins, to stay within the activity's timeout."""

MERGED_TOGETHER = 4
"""Batches whose answers are merged together: a merge costs as much as the requests of a batch."""

TOGETHER_SECONDS = 5
"""After this time no batch joins the merge, so that the wave does not take a slow Graph to hang."""

SHARED_CODES = frozenset(
    {ErrorCode.GRAPH_PERMISSION_MISSING, ErrorCode.GRAPH_UNAUTHORIZED, ErrorCode.GRAPH_NOT_LICENSED}
)
"""If all requests of a share fail with these, the share ends: others would fail, too."""


class _Item:
    def __init__(self, pending: PendingDetails, reading: DetailReading, observer: Observer) -> None:
        self.pending = pending
        self.reading = reading
        self.observer = observer
        self.moved = False
        self.failed = False
        """Whether a request failed for now, other than by throttling."""
        self.given_up: CursorFailure | None = None
        self.observation: Observation | None = None
        self.stale: Sequence[StalePart] = ()
        self.last: LastVersion | None = None
        """The last version, if some calls were given up."""

    @property
    def is_partial(self) -> bool:
        """Whether only parts are unread that the last version may supply (`document_gaps`)."""
        has_gaps = bool(self.reading.unread or self.reading.absent)
        return self.reading.is_at_end and has_gaps and self.given_up is None

    @property
    def cause(self) -> CursorFailure | None:
        first = next((unread for unread in self.reading.unread if not self.reading.is_answer(unread)), None)
        if self.given_up is not None or first is None:
            return self.given_up
        return CursorFailure(code=first.code, retryable=False, context=dict(first.failure.context))


class _Asked(NamedTuple):
    item: _Item
    call: OpenCall


class DetailActivities(GraphActivities):
    @activity.defn
    async def fetch_details(self, request: FetchDetails) -> FetchDetailsResult:
        """Makes calls in one `$batch` after another, and merges items that become whole.

        Ends early if no further batch helps now. PostgreSQL keeps the progress, so no attempt repeats another's work.
        """
        refused = self._requested.unknown([share.type_key for share in request.shares], request.api_version)
        readable = [share for share in request.shares if share.type_key not in refused]
        fetched = FetchDetailsResult()
        if readable:
            fetched = await self._fetched(request.model_copy(update={"shares": readable}))
        unknown = [share for share in request.shares if share not in readable]
        if not unknown or fetched.paced is not None or fetched.too_large:
            return fetched
        shares = [Share(share.type_key, share.part, share.of) for share in unknown]
        async with self._database.tenant(request.tenant_id, read_only=True) as session:
            remaining = await details.left(session, request.run_id, shares)
        failed = {key: DetailProgress(left=share.items, failure=refused[key]) for key, share in remaining.items()}
        return fetched.model_copy(update={"collections": {**fetched.collections, **failed}})

    async def _fetched(self, request: FetchDetails) -> FetchDetailsResult:
        tenant = await self._tenants.configured(request.tenant_id)
        began = time.monotonic()
        further = done = await self._fetch_together(tenant, request)
        for number in range(MERGED_TOGETHER, request.batches, MERGED_TOGETHER):
            if not _goes_on(further) or time.monotonic() - began > BATCHES_SECONDS:
                break
            rest = {"wave_token": uuid5(request.wave_token, str(number)), "batches": request.batches - number}
            further = await self._fetch_together(tenant, request.model_copy(update=rest))
            done = _together(done, further)
        return done

    async def _fetch_together(self, tenant: TenantConfig, request: FetchDetails) -> FetchDetailsResult:
        shares = [Share(share.type_key, share.part, share.of) for share in request.shares]
        async with self._database.tenant(request.tenant_id, read_only=True) as session:
            earlier = await merging.recorded(session, request.run_id, request.wave_token)
            most = request.limit * min(MERGED_TOGETHER, request.batches)
            pending = [] if earlier else await details.some_pending(session, request.run_id, shares, most)
        if earlier is not None:
            return FetchDetailsResult.model_validate(earlier)
        observers = await self._observers.of_tenant(request.tenant_id)
        items, sends = await crunch(tenant.id, self._opened, tenant, request, pending, observers)
        for item in items:
            if item.given_up is not None and item.given_up.code is ErrorCode.STORAGE_DAMAGED:
                activity.logger.warning(
                    "damaged: the pending details of %s %s", item.pending.type_key, item.pending.external_id
                )
        if not sends:
            await self._complete_partial(request, items)
            return await self._recorded(request, shares, items, {})
        family = self._catalog.collections[sends[0].item.pending.type_key].throttle_family
        began, answered = time.monotonic(), 0
        failures: list[tuple[str, CursorFailure]] = []
        async with self._graph.admission() as admission:
            while answered < len(sends) and not failures and not admission.is_taken:
                if answered and time.monotonic() - began > TOGETHER_SECONDS:
                    break
                batch = sends[answered : answered + request.limit]
                async with self._pace.turn(request.tenant_id, family) as wait:
                    if wait:
                        if answered:
                            break
                        return FetchDetailsResult(paced=wait)
                    try:
                        answers = await self._ask(tenant, request, batch, admission)
                    except AnswerTooLargeError as error:
                        if answered:
                            break
                        if len(batch) > 1:
                            return FetchDetailsResult(requests=len(batch), too_large=True)
                        answers = [ReadFailure(error.code)]
                failures = await crunch(tenant.id, self._take_in, tenant, request, batch, answers)
                answered += len(batch)
            await self._complete_partial(request, items)
            await self._pace.heed(request.tenant_id, family, [failure for _, failure in failures])
            return await self._recorded(request, shares, items, _by_share(sends[:answered], failures), answered)

    def _opened(
        self,
        tenant: TenantConfig,
        request: FetchDetails,
        pending: Sequence[PendingDetails],
        observers: TenantObservers,
    ) -> tuple[list[_Item], list[_Asked]]:
        limit = request.limit * min(MERGED_TOGETHER, request.batches)
        items: list[_Item] = []
        sends: list[_Asked] = []
        for pending_item in pending:
            if len(sends) >= limit:
                break
            item = self._item(pending_item, observers)
            items.append(item)
            while (untrusted := self._untrusted(tenant, request, item)) is not None:
                call, failure = untrusted
                item.reading.give_up(call, failure)
            if item.given_up is None:
                sends += [_Asked(item, call) for call in item.reading.open[: limit - len(sends)]]
                self._complete(item)
        return items, sends

    def _item(self, pending: PendingDetails, observers: TenantObservers) -> _Item:
        """The item with its progress; given up if its row is damaged: the next run lists it again."""
        collection = self._catalog.collections[pending.type_key]
        canonicalizer, observer = observers.canonicalizer(pending.type_key), observers.observer(pending.type_key)
        try:
            document: Any = decode(pending.list_document)
            # Raises `TypeError` unless it is an object.
            listed = {**document}
            graph_id = str(listed.get(collection.id_field) or pending.external_id)
            reading = DetailReading(collection, canonicalizer, graph_id, listed, pending.progress)
            return _Item(pending, reading, observer)
        except (ValueError, LookupError, TypeError, RecursionError):
            item = _Item(pending, DetailReading(collection, canonicalizer, pending.external_id, {}), observer)
            item.given_up = CursorFailure(code=ErrorCode.STORAGE_DAMAGED, retryable=False)
            return item

    async def _ask(
        self, tenant: TenantConfig, request: FetchDetails, sends: Sequence[_Asked], admission: Admission
    ) -> list[GraphAnswer | ReadFailure]:
        gets = [GraphGet(str(number), sent.call.url) for number, sent in enumerate(sends)]
        try:
            answers = await self._graph.read_batch(tenant, request.api_version, gets, admission)
        except AnswerTooLargeError:
            raise
        except GraphRequestError as error:
            return [batch_failure(error, request.told_after)] * len(sends)
        return [answers[get.key] for get in gets]

    def _take_in(
        self,
        tenant: TenantConfig,
        request: FetchDetails,
        sends: Sequence[_Asked],
        answers: Sequence[GraphAnswer | ReadFailure],
    ) -> list[tuple[str, CursorFailure]]:
        """Returns failures with their type keys. Hashes megabytes, so not for the event loop."""
        failures: list[tuple[str, CursorFailure]] = []
        for sent, answer in zip(sends, answers, strict=True):
            item = sent.item
            failure = answer if isinstance(answer, ReadFailure) else item.reading.take(sent.call, answer)
            call = sent.call
            if failure is None and (untrusted := self._untrusted(tenant, request, item)) is not None:
                call, failure = untrusted
            if failure is None:
                item.moved = True
                continue
            failed = cursor_failure(failure._replace(restart=False))
            failures.append((item.pending.type_key, failed))
            if failure.retryable and failure.code is not ErrorCode.GRAPH_THROTTLED:
                item.failed = True
            is_last = item.failed and (
                item.pending.attempts + 1 >= _attempts(request, item.pending.type_key, failure.code)
            )
            if is_last or not failure.retryable:
                item.reading.give_up(call, failure)
        for item in {id(sent.item): sent.item for sent in sends}.values():
            self._complete(item)
        return failures

    def _untrusted(
        self, tenant: TenantConfig, request: FetchDetails, item: _Item
    ) -> tuple[OpenCall, ReadFailure] | None:
        for call in item.reading.open:
            try:
                if call.page > 1:
                    self._graph.check_link(tenant, request.api_version, call.url)
            except UntrustedLinkError as error:
                return call, ReadFailure(error.code)
        return None

    async def _complete_partial(self, request: FetchDetails, items: Sequence[_Item]) -> None:
        """Fills gaps of items with failed calls from their last versions."""
        stale = [item for item in items if item.is_partial and item.observation is None]
        if not stale:
            return
        async with self._database.tenant(request.tenant_id, read_only=True) as session:
            last = await details.last_versions(session, [item.pending for item in stale])
        for item in stale:
            item.last = last.get((item.pending.type_key, item.pending.external_id))
        await crunch(request.tenant_id, self._complete_with_last, stale)

    def _complete_with_last(self, items: Sequence[_Item]) -> None:
        for item in items:
            self._complete_stale(item)

    def _complete_stale(self, item: _Item) -> None:
        made = None if item.last is None else completed(item.reading, item.last)
        if made is not None:
            item.stale = made.stale
            self._observe(item, made.document)

    def _complete(self, item: _Item) -> None:
        if item.reading.is_whole and not item.is_partial and item.given_up is None:
            self._observe(item, item.reading.whole())

    def _observe(self, item: _Item, document: JsonObject) -> None:
        observations, invalid = item.observer.observe_page(
            [document], with_references=True, edit=edit_in(item.pending.meta), has_details=True
        )
        if invalid:
            context: dict[str, ContextValue] = {"invalid": invalid[0].reason}
            item.given_up = CursorFailure(code=ErrorCode.GRAPH_MALFORMED_RESPONSE, retryable=False, context=context)
            return
        item.observation = observations[0]._replace(list_hash=item.pending.list_hash, stale_parts=item.stale)

    async def _recorded(
        self,
        request: FetchDetails,
        shares: Sequence[Share],
        items: Sequence[_Item],
        failures: Mapping[str, CursorFailure],
        requests: int = 0,
    ) -> FetchDetailsResult:
        """Merges finished items, keeps others' progress and records the wave, in one transaction.

        An item with stale parts stays pending as failed, unless the tenant cannot have the details.
        """
        whole = [item for item in items if item.observation is not None and not item.stale]
        stale = [item for item in items if item.observation is not None and item.stale]
        gone_items = [item for item in items if item.reading.gone]
        failed = [item for item in items if item not in whole and not item.reading.gone]
        # Computed before a connection is held.
        noted = await crunch(request.tenant_id, lambda: [_noted(item) for item in failed])
        async with self._database.tenant(request.tenant_id) as session:
            earlier = await merging.claim(session, request.run_id, request.wave_token)
            if earlier is not None:
                return FetchDetailsResult.model_validate(earlier)
            stale = await self._unmoved(session, stale)
            done = [*whole, *(item for item in stale if item.cause is None)]
            observations = [item.observation for item in (*whole, *stale) if item.observation is not None]
            changed = 0
            if observations:
                changed = await merging.merge_whole(
                    session,
                    request.run_id,
                    request.wave_token,
                    observations,
                    comparison=self._observers.comparison(request.tenant_id),
                )
            await details.drop(session, request.run_id, [item.pending for item in done])
            await details.drop_gone(session, request.run_id, [item.pending for item in gone_items])
            merged = {id(item) for item in stale}
            failures_of = [_failure_of(item, is_merged=id(item) in merged) for item in failed]
            await details.note(session, request.run_id, noted, failures_of)
            remaining = await details.left(session, request.run_id, shares)
            if not await runs.renew_lease(session, request.run_id, LEASE):
                raise ApplicationError("the run has ended", type=ErrorCode.RUN_ABANDONED, non_retryable=True)
            read_of, gone_of = (Counter(item.pending.type_key for item in some) for some in (done, gone_items))
            moved = {item.pending.type_key for item in items if item.moved}
            causes = {
                item.pending.type_key: item.cause
                for item in failed
                if item.cause is not None and not item.reading.may_be_gone
            }
            result = FetchDetailsResult(
                requests=requests,
                changed=changed,
                collections={
                    share.type_key: DetailProgress(
                        read=read_of[share.type_key],
                        gone=gone_of[share.type_key],
                        left=remaining[share.type_key].items if share.type_key in remaining else 0,
                        failed=remaining[share.type_key].failed if share.type_key in remaining else 0,
                        moved=share.type_key in moved,
                        failure=failures.get(share.type_key),
                        cause=causes.get(share.type_key),
                    )
                    for share in shares
                },
            )
            await merging.record(session, request.run_id, request.wave_token, result.model_dump(mode="json"))
        return result

    async def _unmoved(self, session: AsyncSession, items: Sequence[_Item]) -> list[_Item]:
        """Items whose stale parts still come from their current versions."""
        if not items:
            return []
        now = await details.lock_versions(session, [item.pending for item in items])
        return [
            item
            for item in items
            if item.last is not None
            and now.get((item.pending.type_key, item.pending.external_id)) == item.last.version_number
        ]


def _attempts(request: FetchDetails, type_key: str, code: ErrorCode) -> int:
    """The number of failures, the last with this code, after which an item is given up."""
    limits = [request.attempts]
    known = next(share.known_failure for share in request.shares if share.type_key == type_key)
    if known is not None and known.code is code and known.retry_limits is not None:
        limits.append(known.retry_limits.attempts)
    if code is ErrorCode.GRAPH_MALFORMED_RESPONSE and request.malformed_attempts is not None:
        limits.append(request.malformed_attempts)
    return min(limits)


def _goes_on(done: FetchDetailsResult) -> bool:
    collections = done.collections.values()
    return (
        done.paced is None
        and not done.too_large
        and any(progress.left for progress in collections)
        and all(progress.failure is None for progress in collections)
    )


def _together(before: FetchDetailsResult, further: FetchDetailsResult) -> FetchDetailsResult:
    requests = before.requests + further.requests
    if further.paced is not None or further.too_large:
        return before.model_copy(update={"requests": requests})
    collections = {
        type_key: progress.model_copy(
            update={
                "read": progress.read + before.collections[type_key].read,
                "gone": progress.gone + before.collections[type_key].gone,
                "moved": progress.moved or before.collections[type_key].moved,
                "cause": before.collections[type_key].cause or progress.cause,
            }
        )
        for type_key, progress in further.collections.items()
    }
    return FetchDetailsResult(requests=requests, changed=before.changed + further.changed, collections=collections)


def _by_share(sends: Sequence[_Asked], failures: Sequence[tuple[str, CursorFailure]]) -> dict[str, CursorFailure]:
    """The failure that decides how each share continues: with one of `SHARED_CODES`, else with the longest wait."""
    asked_of = Counter(sent.item.pending.type_key for sent in sends)
    failures_of: dict[str, list[CursorFailure]] = {}
    for type_key, failure in failures:
        failures_of.setdefault(type_key, []).append(failure)
    deciding: dict[str, CursorFailure] = {}
    for type_key, met in failures_of.items():
        retryable = [failure for failure in met if failure.retryable]
        if len(met) == asked_of[type_key] and all(failure.code in SHARED_CODES for failure in met):
            deciding[type_key] = met[0]
        elif retryable:
            deciding[type_key] = max(retryable, key=lambda failure: failure.retry_after or timedelta(0))
    return deciding


def _noted(item: _Item) -> PendingDetails:
    progress = item.reading.progress() if item.moved or item.reading.unread else item.pending.progress
    return item.pending._replace(progress=progress, attempts=item.pending.attempts + item.failed)


def _failure_of(item: _Item, *, is_merged: bool) -> dict[str, Any] | None:
    cause = item.cause
    is_over = is_merged or item.given_up is not None or (item.is_partial and item.observation is None)
    if cause is None or not is_over:
        return None
    parts = {"parts": [part.model_dump(mode="json") for part in item.stale]} if item.stale else {}
    return {"code": cause.code, **cause.context, **parts}
