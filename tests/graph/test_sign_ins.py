"""One sign-in serves all waves that need a tenant's token, and delays no other tenant."""

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from itertools import count
from types import SimpleNamespace

import pytest

from graph import sign_ins
from graph.errors import GraphRequestError
from graph.sign_ins import Grant, TenantTokens
from inventory.error_codes import ErrorCode

HOUR = timedelta(hours=1)
PATIENT_SECONDS = 120
"""A failing test ends after it; a passing test does not reach it."""


class Authority:
    """Grants numbered tokens, or fails, as soon as `answers` is set."""

    def __init__(self) -> None:
        self.asked: list[str | None] = []
        self.answers = threading.Event()
        self.answers.set()
        self.failure: BaseException | None = None
        self.lifetime = HOUR
        self._numbers = count(1)

    def __call__(self, claims: str | None) -> Grant:
        self.asked.append(claims)
        assert self.answers.wait(PATIENT_SECONDS)
        if self.failure is not None:
            raise self.failure
        return Grant(f"token {next(self._numbers)}", self.lifetime)


@pytest.fixture
def authority() -> Iterator[Authority]:
    authority = Authority()
    yield authority
    authority.answers.set()


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Callable[[timedelta], None]:
    """Lets time pass."""
    passed = [0.0]
    monkeypatch.setattr(sign_ins, "time", SimpleNamespace(monotonic=lambda: time.monotonic() + passed[0]))

    def pass_by(span: timedelta) -> None:
        passed[0] += span.total_seconds()

    return pass_by


def unreachable(retry_after: timedelta | None = None) -> GraphRequestError:
    return GraphRequestError(ErrorCode.AUTH_FAILED, "not reached", retryable=True, retry_after=retry_after)


async def test_callers_share_one_sign_in(authority: Authority) -> None:
    tokens = TenantTokens(authority)
    assert set(await asyncio.gather(*(tokens.token() for _ in range(20)))) == {"token 1"}
    assert authority.asked == [None]


async def test_callers_share_one_failure(authority: Authority) -> None:
    authority.failure = unreachable()
    tokens = TenantTokens(authority)
    failures = await asyncio.gather(*(tokens.token() for _ in range(20)), return_exceptions=True)
    assert {str(failure) for failure in failures} == {"not reached"}
    assert authority.asked == [None]


async def test_refused_token_is_renewed_once_for_all_callers(authority: Authority) -> None:
    tokens = TenantTokens(authority)
    old = await tokens.token()
    assert set(await asyncio.gather(*(tokens.token(refused=old) for _ in range(8)))) == {"token 2"}
    assert await tokens.token(refused=old) == "token 2"
    assert len(authority.asked) == 2


async def test_a_challenge_gets_a_token_with_its_claims(authority: Authority) -> None:
    tokens = TenantTokens(authority)
    old = await tokens.token()
    authority.answers.clear()
    expired = asyncio.create_task(tokens.token(refused=old))
    challenged = asyncio.create_task(tokens.token("claims", refused=old))
    await asyncio.sleep(0)
    authority.answers.set()
    assert (await expired, await challenged) == ("token 2", "token 3")
    assert authority.asked == [None, None, "claims"]


async def test_callers_of_a_hanging_authority_time_out(authority: Authority, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sign_ins, "WAIT_SECONDS", 0.01)
    authority.answers.clear()
    tokens = TenantTokens(authority)
    for _ in range(3):
        with pytest.raises(GraphRequestError, match="no answer for") as failed:
            await tokens.token()
        assert (failed.value.code, failed.value.retryable) == (ErrorCode.AUTH_FAILED, True)
    monkeypatch.setattr(sign_ins, "WAIT_SECONDS", PATIENT_SECONDS)
    authority.answers.set()
    assert await tokens.token() == "token 1", "its result serves all callers"
    assert authority.asked == [None], "only the hanging sign-in was sent"


async def test_failure_is_shared_for_as_long_as_it_took(
    authority: Authority, clock: Callable[[timedelta], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sign_ins, "WAIT_SECONDS", PATIENT_SECONDS)
    authority.failure = unreachable()
    authority.answers.clear()
    tokens = TenantTokens(authority)
    first = asyncio.create_task(tokens.token())
    await asyncio.sleep(0)
    clock(timedelta(seconds=40))
    authority.answers.set()
    for attempt in (first, tokens.token()):
        with pytest.raises(GraphRequestError, match="not reached"):
            await attempt
    assert len(authority.asked) == 1
    clock(timedelta(seconds=60))
    authority.failure = None
    assert await tokens.token() == "token 1"


async def test_retry_after_of_the_authority_holds_for_all(
    authority: Authority, clock: Callable[[timedelta], None]
) -> None:
    authority.failure = unreachable(timedelta(minutes=5))
    tokens = TenantTokens(authority)
    for _ in range(3):
        with pytest.raises(GraphRequestError):
            await tokens.token()
    assert len(authority.asked) == 1
    clock(timedelta(minutes=5))
    authority.failure = None
    assert await tokens.token() == "token 1"


async def test_a_token_serves_while_it_is_renewed(authority: Authority, clock: Callable[[timedelta], None]) -> None:
    tokens = TenantTokens(authority)
    await tokens.token()
    clock(HOUR - timedelta(minutes=4))
    authority.answers.clear()
    assert {await tokens.token() for _ in range(5)} == {"token 1"}
    renewal = tokens._under_way
    assert renewal is not None
    authority.failure = unreachable()
    authority.answers.set()
    await renewal.ended
    assert len(authority.asked) == 2
    assert await tokens.token() == "token 1", "a failed renewal keeps the valid token"
    clock(timedelta(minutes=4))
    with pytest.raises(GraphRequestError, match="not reached"):
        await tokens.token()


async def test_duration_of_failures_is_reported_and_reset_by_a_success(
    authority: Authority, clock: Callable[[timedelta], None]
) -> None:
    tokens = TenantTokens(authority)

    async def failing_for() -> timedelta:
        authority.failure = unreachable()
        with pytest.raises(GraphRequestError) as failed:
            await tokens.token(refused="token 1")
        clock(timedelta(minutes=5))
        return failed.value.failing_for

    assert await failing_for() == timedelta(0)
    assert await failing_for() >= timedelta(minutes=5)
    clock(timedelta(hours=1))
    assert await failing_for() == timedelta(0), "an old failure is not remembered"
    await failing_for()
    authority.failure = None
    assert await tokens.token() == "token 1"
    assert await failing_for() == timedelta(0)


async def test_a_defect_reaches_the_caller_as_it_is(authority: Authority) -> None:
    authority.failure = KeyError("defect")
    with pytest.raises(KeyError):
        await TenantTokens(authority).token()
