"""A tenant's token. Each sign-in has its own thread, so that a slow authority blocks no other tenant."""

import asyncio
import errno
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from typing import NamedTuple

from graph.errors import GraphRequestError
from inventory.backoff import believable
from inventory.error_codes import ErrorCode

WAIT_SECONDS = 10
"""A caller holds one of few slots while it waits for a sign-in."""

RENEWAL_SECONDS = 300
"""The time before a token's end at which it is renewed."""

RECENT_SECONDS = 600
"""Older failures say nothing about present sign-ins."""


class Grant(NamedTuple):
    """A token; its lifetime counts from the request."""

    token: str
    lifetime: timedelta


class _Held(NamedTuple):
    token: str
    claims: str | None
    renew_at: float
    ends_at: float

    def answers(self, claims: str | None, refused: str | None) -> bool:
        return self.token != refused and claims in (None, self.claims) and time.monotonic() < self.ends_at


class _UnderWay:
    def __init__(self) -> None:
        self.began = time.monotonic()
        self.ended = asyncio.get_running_loop().create_future()
        self.failure: BaseException | None = None


class TenantTokens:
    def __init__(self, sign_in: Callable[[str | None], Grant]) -> None:
        """`sign_in` blocks, returns a token with the claims, and raises `GraphRequestError`."""
        self._sign_in = sign_in
        self._held: _Held | None = None
        self._under_way: _UnderWay | None = None
        self._failure: GraphRequestError | None = None
        self._failure_ends = 0.0
        self._failing_since: float | None = None
        self._failed_at = 0.0

    async def token(self, claims: str | None = None, refused: str | None = None) -> str:
        """A token with these claims that is not the refused one. Raises `GraphRequestError`.

        Callers share one sign-in and its failure. After a retryable failure, the next sign-in waits as long as the
        authority asked for, and at least as long as the failed one took.
        """
        while True:
            held = self._held if self._held is not None and self._held.answers(claims, refused) else None
            if held is not None and time.monotonic() < held.renew_at:
                return held.token
            sign_in = self._under_way
            if sign_in is None and (self._failure is None or time.monotonic() >= self._failure_ends):
                sign_in = self._begin(claims)
            if held is not None:
                return held.token
            if sign_in is not None:
                await self._ending_of(sign_in)
            elif self._failure is not None:
                raise self._met(self._failure)

    async def _ending_of(self, sign_in: _UnderWay) -> None:
        """Raises the sign-in's failure, or a retryable one if it takes too long."""
        rest = sign_in.began + WAIT_SECONDS - time.monotonic()
        await asyncio.wait([sign_in.ended], timeout=max(0.0, rest))
        if not sign_in.ended.done():
            message = f"sign-in: no answer for {WAIT_SECONDS} seconds; check the network, the firewall and the proxy"
            raise self._met(GraphRequestError(ErrorCode.AUTH_FAILED, message, retryable=True))
        if isinstance(sign_in.failure, GraphRequestError):
            raise self._met(sign_in.failure)
        if sign_in.failure is not None:
            raise sign_in.failure

    def _met(self, failure: GraphRequestError) -> GraphRequestError:
        now = time.monotonic()
        if self._failing_since is None or now - self._failed_at > RECENT_SECONDS:
            self._failing_since = now
        self._failed_at = now
        failure.failing_for = timedelta(seconds=now - self._failing_since)
        return failure.with_traceback(None)

    def _begin(self, claims: str | None) -> _UnderWay:
        sign_in = self._under_way = _UnderWay()
        loop = asyncio.get_running_loop()

        def work() -> None:
            outcome: Grant | BaseException
            try:
                outcome = self._sign_in(claims)
            except BaseException as error:  # noqa: BLE001 - raised to the callers, not in the thread
                outcome = error
            with suppress(RuntimeError):  # The loop is closed: the process ends.
                loop.call_soon_threadsafe(self._end, sign_in, claims, outcome)

        try:
            threading.Thread(target=work, name="sign-in", daemon=True).start()
        except RuntimeError:
            self._end(sign_in, claims, OSError(errno.EAGAIN, "the machine has no thread left"))
        return sign_in

    def _end(self, sign_in: _UnderWay, claims: str | None, outcome: Grant | BaseException) -> None:
        self._under_way = None
        self._failure = None
        if isinstance(outcome, Grant):
            seconds = outcome.lifetime.total_seconds()
            renew_after = max(seconds - RENEWAL_SECONDS, seconds / 2)
            self._held = _Held(outcome.token, claims, sign_in.began + renew_after, sign_in.began + seconds)
            self._failing_since = None
        else:
            sign_in.failure = outcome
            if isinstance(outcome, GraphRequestError) and outcome.retryable:
                self._remember(outcome, took=time.monotonic() - sign_in.began)
        if not sign_in.ended.done():
            sign_in.ended.set_result(None)

    def _remember(self, failure: GraphRequestError, *, took: float) -> None:
        retry_after = believable(failure.retry_after) or timedelta(0)
        self._failure = failure
        self._failure_ends = time.monotonic() + max(took, retry_after.total_seconds())
