"""The activity that asks for unlisted items by id."""

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import timedelta

from temporalio import activity

from activities.failures import batch_failure
from activities.graph_activities import GraphActivities
from activities.items_by_id import ShownById
from activities.messages.confirmation import ConfirmedShare, ConfirmMissing, ConfirmMissingResult
from activities.messages.pages import CursorFailure
from activities.page_observations import cursor_failure
from activities.run_records import LEASE
from graph.catalog import ThrottleFamily
from graph.client import Admission, GraphAnswer, GraphGet
from graph.cpu_executor import crunch
from graph.errors import GraphRequestError, ReadFailure, classify
from graph.pages import is_found, is_gone
from graph.tenants import TenantConfig
from inventory.error_codes import ErrorCode
from inventory.meta import PARENT_ID
from inventory.observation import Observation
from storage import confirmations as confirming
from storage import details, runs
from storage import merge as merging
from storage.confirmations import UnlistedItem


class ConfirmActivities(GraphActivities):
    @activity.defn
    async def confirm_missing(self, request: ConfirmMissing) -> ConfirmMissingResult:
        """GETs the first unlisted items in one `$batch`: 200 makes an item seen, 404 confirms that it is missing.

        A second `$batch` reads found items anew, unless a turn allows one request. A repeated attempt skips settled
        items.
        """
        unknown = self._requested.unknown(request.type_keys, request.api_version)
        known = [key for key in request.type_keys if key not in unknown]
        confirmed = ConfirmMissingResult()
        if known:
            confirmed = await self._confirmed(request.model_copy(update={"type_keys": known}))
        if not unknown or confirmed.paced is not None:
            return confirmed
        async with self._database.tenant(request.tenant_id, read_only=True) as session:
            remaining = await confirming.count_unlisted(session, request.run_id, list(unknown))
        failed = {key: ConfirmedShare(left=remaining.get(key, 0), failure=failure) for key, failure in unknown.items()}
        return confirmed.model_copy(update={"collections": {**confirmed.collections, **failed}})

    async def _confirmed(self, request: ConfirmMissing) -> ConfirmMissingResult:
        tenant = await self._tenants.configured(request.tenant_id)
        async with self._database.tenant(request.tenant_id, read_only=True) as session:
            items = await confirming.some_unlisted(session, request.run_id, request.type_keys, request.limit)
        if not items:
            return ConfirmMissingResult()
        family = self._catalog.collections[items[0].type_key].throttle_family
        async with self._graph.admission() as admission:
            async with self._pace.turn(request.tenant_id, family) as wait:
                if wait:
                    return ConfirmMissingResult(paced=wait)
                answers = await self._ask(tenant, request, items, admission)
            failures = {item: self._failure(item, answer) for item, answer in answers.items()}
            known = [failure for failure in failures.values() if failure is not None]
            await self._pace.heed(request.tenant_id, family, known)
            existing = {item: answers[item] for item, failure in failures.items() if failure is None}
            existing = {item: answer for item, answer in existing.items() if _is_there(answer)}
            again = 0
            if existing and not _in_turn(family):
                again = len(existing)
                existing = await self._ask_again(tenant, request, list(existing), admission)
            read_anew = await self._read_anew(tenant, existing) if existing else {}
            result = await self._recorded(request, answers, failures, read_anew)
            return result.model_copy(update={"requests": result.requests + again})

    async def _ask(
        self, tenant: TenantConfig, request: ConfirmMissing, items: Sequence[UnlistedItem], admission: Admission
    ) -> dict[UnlistedItem, GraphAnswer | ReadFailure]:
        gets = [GraphGet(str(number), self._url(item)) for number, item in enumerate(items)]
        try:
            answers = await self._graph.read_batch(tenant, request.api_version, gets, admission)
        except GraphRequestError as error:
            return dict.fromkeys(items, batch_failure(error, request.told_after))
        return {item: answers[get.key] for item, get in zip(items, gets, strict=True)}

    def _url(self, item: UnlistedItem) -> str:
        collection = self._catalog.collections[item.type_key]
        as_listed = _in_turn(collection.throttle_family)
        return (collection.whole_item_url if as_listed else collection.item_url)(
            item.graph_id or item.external_id, item.parent_id
        )

    async def _ask_again(
        self, tenant: TenantConfig, request: ConfirmMissing, items: Sequence[UnlistedItem], admission: Admission
    ) -> dict[UnlistedItem, GraphAnswer | ReadFailure]:
        urls = {
            item: self._catalog.collections[item.type_key].whole_item_url(
                item.graph_id or item.external_id, item.parent_id
            )
            for item in items
        }
        gets = [GraphGet(str(number), url) for number, url in enumerate(urls.values())]
        try:
            answers = await self._graph.read_batch(tenant, request.api_version, gets, admission)
        except GraphRequestError:
            return {}
        return {item: answers[get.key] for item, get in zip(items, gets, strict=True)}

    async def _read_anew(
        self, tenant: TenantConfig, answers: Mapping[UnlistedItem, GraphAnswer | ReadFailure]
    ) -> dict[UnlistedItem, Observation]:
        """Found items as if they had been listed. An item with a list that may wrongly be empty keeps its content."""
        observers = await self._observers.of_tenant(tenant.id)
        async with self._database.tenant(tenant.id, read_only=True) as session:
            last = await details.last_versions(session, list(answers))

        def observed() -> dict[UnlistedItem, Observation]:
            read = {}
            for item, answer in answers.items():
                id_field = self._catalog.collections[item.type_key].id_field
                if isinstance(answer, GraphAnswer) and is_found(answer, id_field, item.external_id):
                    observer = observers.observer(item.type_key)
                    valid, _ = observer.observe_page([answer.body])
                    differs = ShownById.of(
                        self._catalog.collections[item.type_key], valid, last.get((item.type_key, item.external_id))
                    )
                    if differs.emptied:
                        continue
                    if differs.more or differs.filled:
                        valid, _ = observer.observe_page([differs.as_listed(answer.body)])
                    if valid:
                        read[item] = _as_listed(valid[0], item)
            return read

        return await crunch(tenant.id, observed)

    def _failure(self, item: UnlistedItem, answer: GraphAnswer | ReadFailure) -> CursorFailure | None:
        if isinstance(answer, ReadFailure):
            return cursor_failure(answer)
        collection = self._catalog.collections[item.type_key]
        if is_gone(answer) or is_found(answer, collection.id_field, item.external_id):
            return None
        failure = classify(answer, permission=collection.permission)
        if failure is None or answer.status == 404:
            context = {"http_status": answer.status}
            failure = ReadFailure(ErrorCode.GRAPH_MALFORMED_RESPONSE, retryable=True, context=context)
        # There is no listing to begin anew.
        return cursor_failure(failure._replace(restart=False))

    async def _recorded(
        self,
        request: ConfirmMissing,
        answers: Mapping[UnlistedItem, GraphAnswer | ReadFailure],
        failures: Mapping[UnlistedItem, CursorFailure | None],
        read_anew: Mapping[UnlistedItem, Observation],
    ) -> ConfirmMissingResult:
        settled = [item for item, failure in failures.items() if failure is None]
        gone = [item for item in settled if not _is_there(answers[item])]
        existing = [item for item in settled if _is_there(answers[item])]
        async with self._database.tenant(request.tenant_id) as session:
            await confirming.record_found(session, request.run_id, [item for item in existing if item not in read_anew])
            await confirming.record_gone(session, request.run_id, gone)
            if read_anew:
                await merging.merge_found(
                    session,
                    request.run_id,
                    list(read_anew.values()),
                    comparison=self._observers.comparison(request.tenant_id),
                )
            await confirming.mark_found_by_id(session, request.run_id, existing)
            pending = await details.count_pending(session, request.run_id, request.type_keys) if read_anew else {}
            remaining = await confirming.count_unlisted(session, request.run_id, request.type_keys)
            await runs.renew_lease(session, request.run_id, LEASE)
        existing_of, gone_of = (Counter(item.type_key for item in items) for items in (existing, gone))
        return ConfirmMissingResult(
            requests=len(answers),
            collections={
                type_key: ConfirmedShare(
                    found=existing_of[type_key],
                    gone=gone_of[type_key],
                    left=remaining.get(type_key, 0),
                    pending=pending.get(type_key, 0),
                    failure=_most_patient(
                        [
                            failure
                            for item, failure in failures.items()
                            if failure is not None and item.type_key == type_key
                        ]
                    ),
                )
                for type_key in request.type_keys
            },
        )


def _in_turn(family: ThrottleFamily) -> bool:
    return family.interval is not None


def _as_listed(observation: Observation, item: UnlistedItem) -> Observation:
    meta = {**observation.meta, PARENT_ID: item.parent_id} if item.parent_id else observation.meta
    return observation._replace(external_id=item.external_id, meta=meta)


def _is_there(answer: GraphAnswer | ReadFailure) -> bool:
    return isinstance(answer, GraphAnswer) and answer.status != 404


def _most_patient(failures: Sequence[CursorFailure]) -> CursorFailure | None:
    """The failure that decides when to ask again: a final one, else the one with the longest Retry-After."""
    return max(failures, key=lambda failure: (not failure.retryable, failure.retry_after or timedelta(0)), default=None)
