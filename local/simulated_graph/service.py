"""The way of every request: who asks, the place for faults, the answer, the record."""

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta

from local.simulated_graph.batch import BatchError, batch_answer, inner_requests
from local.simulated_graph.content import Content
from local.simulated_graph.messages import (
    Answer,
    BeforeAnswer,
    GraphRequest,
    Kind,
    error,
    method_not_allowed,
)
from local.simulated_graph.reading import Reader
from local.simulated_graph.recording import Recorder
from local.simulated_graph.tokens import TokenError, TokenService


class Service:
    """Answers Graph's requests and the token endpoint's.

    `before_answer` is the seam for faults: whatever it returns is the answer. `latency` passes before each direct and
    each inner request is answered; those of one batch wait side by side.
    """

    def __init__(
        self, reader: Reader, tokens: TokenService, contents: Mapping[str, Content], latency: timedelta = timedelta(0)
    ) -> None:
        self.before_answer: BeforeAnswer | None = None
        self.recorder = Recorder()
        self._reader = reader
        self._tokens = tokens
        self._contents = contents
        self._latency = latency

    async def answer(self, request: GraphRequest) -> Answer:
        """The answer to one request, recorded."""
        refused: TokenError | None = None
        if request.kind is not Kind.TOKEN:
            try:
                request = replace(request, tenant_id=self._tokens.tenant_of(request.headers.get("authorization", "")))
            except TokenError as reason:
                refused = reason
        if self._latency and request.kind in {Kind.DIRECT, Kind.INNER}:
            await asyncio.sleep(self._latency.total_seconds())
        answer = self.before_answer(request) if self.before_answer else None
        if answer is None:
            answer = await self._usual_answer(request, refused)
        self.recorder.record(request, answer)
        return answer

    async def _usual_answer(self, request: GraphRequest, refused: TokenError | None) -> Answer:
        if request.kind is Kind.TOKEN:
            return self._token_answer(request)
        if refused is not None or request.tenant_id is None:
            return self._tokens.refusal(request, refused or TokenError("Access token is empty."))
        if request.kind is Kind.BATCH:
            return await self._batch_answer(request)
        if request.method != "GET":
            return method_not_allowed(request)
        return self._reader.answer(request, request.tenant_id, self._contents[request.tenant_id])

    def _token_answer(self, request: GraphRequest) -> Answer:
        tenant_id = request.path.split("/")[1]
        if request.path.endswith("/token"):
            return self._tokens.token(request, tenant_id) if request.method == "POST" else method_not_allowed(request)
        return self._tokens.discovery(request, tenant_id) if request.method == "GET" else method_not_allowed(request)

    async def _batch_answer(self, request: GraphRequest) -> Answer:
        if request.method != "POST":
            return method_not_allowed(request)
        try:
            requests = inner_requests(request)
        except BatchError as invalid:
            return error(request, 400, invalid.code, str(invalid))
        answers = await asyncio.gather(*map(self.answer, requests))
        return batch_answer(request, list(zip(requests, answers, strict=True)))
