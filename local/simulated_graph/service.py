"""Answers every request: caller, faults, answer, record."""

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from itertools import count
from math import ceil
from random import Random

from local.simulated_graph.batch import BatchError, batch_answer, inner_requests
from local.simulated_graph.budgets import Budgets, family_of
from local.simulated_graph.content import Content
from local.simulated_graph.fault_answers import delivery, instead, throttled
from local.simulated_graph.fault_changes import Change
from local.simulated_graph.faults import FaultKind, Faults
from local.simulated_graph.get_answers import Reader
from local.simulated_graph.licences import Licences
from local.simulated_graph.messages import (
    Answer,
    BeforeAnswer,
    Delivery,
    GraphRequest,
    Kind,
    error,
    method_not_allowed,
)
from local.simulated_graph.permissions import Grants, refusal
from local.simulated_graph.request_log import Recorder
from local.simulated_graph.tokens import ClaimsChallengeError, TokenError, TokenService
from local.simulated_graph.waits import Early, Waits

_PAGES = frozenset({Kind.DIRECT, Kind.INNER})


@dataclass(frozen=True, slots=True)
class _Made:
    answer: Answer
    fault: str | None = None
    early: Early | None = None


class Service:
    """Answers requests to Graph and the token endpoint, first by `before_answer`.

    `latency` passes before each direct and inner request; those of a batch wait side by side. With `latency_spread`,
    `latency` is the median of log-normal delays whose logarithms have this standard deviation.
    """

    def __init__(
        self,
        reader: Reader,
        tokens: TokenService,
        contents: Mapping[str, Content],
        grants: Mapping[str, Grants],
        licences: Mapping[str, Licences],
        faults: Faults,
        budgets: Budgets,
        waits: Waits,
        latency: timedelta = timedelta(0),
        latency_spread: float = 0.0,
    ) -> None:
        self.before_answer: BeforeAnswer | None = None
        self.recorder = Recorder()
        self._reader = reader
        self._tokens = tokens
        self._contents = contents
        self._grants = grants
        self._licences = licences
        self._faults = faults
        self._budgets = budgets
        self._waits = waits
        self._latency = latency
        self._latency_spread = latency_spread
        self._delays = Random(0)  # noqa: S311 - the same delays each time
        self._readings = count(1)

    async def answer(self, request: GraphRequest) -> Answer:
        refused: TokenError | None = None
        if request.kind is not Kind.TOKEN:
            try:
                request = replace(request, tenant_id=self._tokens.tenant_of(request.headers.get("authorization", "")))
            except TokenError as reason:
                refused = reason
        if self._latency and request.kind in _PAGES:
            await asyncio.sleep(self._latency.total_seconds() * self._delays.lognormvariate(0, self._latency_spread))
        answer = self.before_answer(request) if self.before_answer else None
        made = _Made(answer) if answer is not None else await self._made(request, refused)
        number = self.recorder.record(request, made.answer, made.fault)
        if made.early is not None and request.tenant_id is not None:
            self._waits.violated(number, request.tenant_id, request.address, made.early)
        return made.answer

    async def _made(self, request: GraphRequest, refused: TokenError | None) -> _Made:
        way = self._delivery(request)
        if way is not None and way[0].cut == "before":
            return _Made(Answer(0, delivery=way[0]), way[1])
        if refused is not None:
            made = self._refusal(request, refused)
        else:
            made = self._throttled(request) or self._instead(request) or await self._changed(request)
        if way is None:
            self._tell(request, made)
            return made
        self._never_heard(request)
        return _Made(replace(made.answer, delivery=way[0]), way[1], made.early)

    def _delivery(self, request: GraphRequest) -> tuple[Delivery, str] | None:
        for active in self._faults.covering(request):
            way = delivery(active.fault)
            if way is not None and self._faults.fires(active.id):
                return way, active.fault.kind.value
        return None

    def _refusal(self, request: GraphRequest, refused: TokenError) -> _Made:
        fault = None
        if isinstance(refused, ClaimsChallengeError):
            fault = FaultKind.UNAUTHORIZED_CLAIMS_CHALLENGE
            self._faults.followed(fault)
        return _Made(self._tokens.refusal(request, refused), fault)

    def _throttled(self, request: GraphRequest) -> _Made | None:
        tenant_id = request.tenant_id
        if tenant_id is None or request.kind is Kind.TOKEN:
            return None
        if request.kind is Kind.BATCH:
            early = self._waits.early_batch(tenant_id, _addresses(request), request.arrived)
            return _Made(throttled(request, early.retry_after), early=early) if early else None
        now = time.monotonic()
        exceeded = self._budgets.spend(tenant_id, request.path, now)
        early = self._waits.early(tenant_id, request.address, family_of(request.path), request.arrived)
        if early is not None:
            return _Made(throttled(request, early.retry_after), early=early)
        if exceeded is None:
            return None
        if exceeded.retry_after_seconds is None:
            return _Made(throttled(request, None))
        retry_after = str(max(1, ceil(exceeded.retry_after_seconds)))
        self._waits.set_family(tenant_id, exceeded.family, retry_after, now)
        return _Made(throttled(request, retry_after))

    def _instead(self, request: GraphRequest) -> _Made | None:
        for active in self._faults.covering(request):
            answer = instead(active.fault, request, active.injected, self._tokens)
            if answer is not None and self._faults.fires(active.id):
                if active.fault.kind is FaultKind.UNAUTHORIZED_CLAIMS_CHALLENGE and request.tenant_id is not None:
                    self._tokens.challenge(request.tenant_id)
                return _Made(answer, active.fault.kind.value)
        return None

    async def _changed(self, request: GraphRequest) -> _Made:
        made = _Made(await self._usual_answer(request))
        for active in self._faults.covering(request):
            change = Change(request, made.answer, self._reader.base_url, self._read_otherwise)
            answer = change.apply(active.fault)
            if answer is not None and self._faults.fires(active.id):
                made = _Made(answer, active.fault.kind.value)
        if made.fault is not None:
            self._never_heard(request)
        return made

    def _read_otherwise(self, request: GraphRequest, *, shift: int = 0, other_tenant: bool = False) -> Answer:
        tenant_id = request.tenant_id or ""
        others = (owner for owner in self._contents if owner != tenant_id)
        reads = next(others, f"other than {tenant_id}") if other_tenant else tenant_id
        content = self._contents[tenant_id]
        return self._reader.answer(request, reads, content, shift=shift, reading=next(self._readings))

    def _tell(self, request: GraphRequest, made: _Made) -> None:
        """Binds the client to the given `Retry-After`."""
        retry_after = made.answer.headers.get("Retry-After")
        if request.tenant_id is None or made.early or made.answer.status not in {429, 503} or retry_after is None:
            return
        now = time.monotonic()
        if request.kind in _PAGES:
            self._waits.set(request.tenant_id, request.address, retry_after, now)
        elif request.kind is Kind.BATCH:
            for address in _addresses(request):
                self._waits.set(request.tenant_id, address, retry_after, now, whole_batch=True)

    def _never_heard(self, request: GraphRequest) -> None:
        """Drops the waits in a spoilt batch answer, which bind nobody."""
        if request.kind is Kind.BATCH and request.tenant_id is not None:
            addresses = _addresses(request)
            self._waits.forget(
                request.tenant_id, [*addresses, *(family_of(address.partition("?")[0]) for address in addresses)]
            )

    async def _usual_answer(self, request: GraphRequest) -> Answer:
        if request.kind is Kind.TOKEN or request.tenant_id is None:
            return self._token_answer(request)
        if request.kind is Kind.BATCH:
            return await self._batch_answer(request)
        if request.method != "GET":
            return method_not_allowed(request)
        content = self._contents[request.tenant_id]
        answer = self._reader.answer(request, request.tenant_id, content, reading=next(self._readings))
        # A request for something that no Graph has fails first.
        if answer.status == 400:
            return answer
        if not self._grants[request.tenant_id].allow(request):
            return refusal(request)
        return self._licences[request.tenant_id].refusal(request) or answer

    def _token_answer(self, request: GraphRequest) -> Answer:
        tenant_id = request.path.split("/")[1]
        if request.path.endswith("/token"):
            return self._tokens.token(request, tenant_id) if request.method == "POST" else method_not_allowed(request)
        if request.method != "GET":
            return method_not_allowed(request)
        if request.path.endswith("/authorize"):
            return self._tokens.sign_ins.authorize(request, tenant_id)
        return self._tokens.keys() if request.path.endswith("/keys") else self._tokens.discovery(request, tenant_id)

    async def _batch_answer(self, request: GraphRequest) -> Answer:
        if request.method != "POST":
            return method_not_allowed(request)
        try:
            requests = inner_requests(request)
        except BatchError as invalid:
            return error(request, 400, invalid.code, str(invalid))
        answers = await asyncio.gather(*map(self.answer, requests))
        return batch_answer(request, list(zip(requests, answers, strict=True)))


def _addresses(batch: GraphRequest) -> list[str]:
    try:
        return [request.address for request in inner_requests(batch)]
    except BatchError:
        return []
