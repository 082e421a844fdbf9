"""Graph's HTTP client, which can only read: it POSTs a `$batch` of GETs."""

import asyncio
import base64
import binascii
import re
import ssl
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit
from uuid import uuid4

import httpx
import orjson

from graph.bodies import Unpacking, UnreadableBodyError, parse
from graph.clock import ClockReading, clock_reading
from graph.cpu_executor import crunch
from graph.errors import (
    AnswerTooLargeError,
    BatchRefusedError,
    GraphRequestError,
    GraphUnreachedError,
    ReadFailure,
    classify,
)
from graph.large_reads import with_large_reads
from graph.links import relative_link
from graph.meter import GraphMeter
from graph.proxy import proxy_of
from graph.raw_pages import split
from graph.reachability import why_unreached
from graph.tenants import CLOUD_ENDPOINTS, TenantConfig
from graph.tokens import TokenSource
from graph.trust import ssl_context
from graph.vault import Vault
from inventory.error_codes import ErrorCode
from inventory.version import VERSION

BATCH_LIMIT = 20
"""Requests in one `$batch` (https://learn.microsoft.com/graph/json-batching)."""

REFUSED_TOKENS = 3
"""Refused tokens before a `$batch` fails: challenges to other batches may revoke a new token, too."""

DEADLINE_SECONDS = 100
"""The limit of a `$batch`, from connection to last byte."""

CONNECT_SECONDS = 10
"""The limit for a TCP connection, and again for TLS."""

RESPONSE_LIMIT_BYTES = 128 * 1024 * 1024
"""Larger answers are dropped; the caller then requests less."""

LARGE_BYTES = 8 * 1024 * 1024
"""A worker reads larger answers one at a time."""

PARSE_IN_THREAD_BYTES = 64 * 1024
"""Larger answers might block the event loop."""

_CLAIMS = re.compile(r'claims="([A-Za-z0-9+/=_-]{1,8192})"')


class GraphGet(NamedTuple):
    """`url` is relative to the version root, or a nextLink as Graph gave it."""

    key: str
    url: str


class GraphAnswer(NamedTuple):
    """Header names are in lower case; the body is parsed JSON or a `RawPage`."""

    status: int
    headers: Mapping[str, str]
    body: Any


class Admission:
    """A large answer's place in memory; a process has one."""

    def __init__(self, lock: asyncio.Lock) -> None:
        self._lock = lock
        self._held = False

    def needed(self, size_bytes: int) -> bool:
        return size_bytes > LARGE_BYTES and not self._held

    @property
    def is_taken(self) -> bool:
        return self._held

    async def acquire(self) -> None:
        await self._lock.acquire()
        self._held = True

    def end(self) -> None:
        if self._held:
            self._held = False
            self._lock.release()


class GraphClient:
    """An async context manager; a process has one."""

    def __init__(
        self,
        tokens: TokenSource,
        context: ssl.SSLContext,
        *,
        base_url: str | None = None,
        proxy: httpx.Proxy | None = None,
        meter: GraphMeter | None = None,
    ) -> None:
        self._tokens = tokens
        self._meter = meter or GraphMeter()
        self._base_url = base_url
        self.clock: ClockReading | None = None
        """Graph's clock, by the latest answer."""
        self._large_answer = asyncio.Lock()
        limits = httpx.Limits(max_connections=64, max_keepalive_connections=32)
        transport = httpx.AsyncHTTPTransport(verify=context, trust_env=False, proxy=proxy, limits=limits)
        self._http = httpx.AsyncClient(
            transport=with_large_reads(transport),
            trust_env=False,
            timeout=httpx.Timeout(DEADLINE_SECONDS, connect=CONNECT_SECONDS),
            follow_redirects=False,
            headers={
                "User-Agent": f"TenantInventory/{VERSION}",
                "Accept": "application/json",
                "Accept-Encoding": "gzip",
            },
        )

    @classmethod
    def from_endpoints(
        cls,
        *,
        base_url: str | None,
        authority_url: str | None,
        ca_file: Path | None,
        proxy_url: str | None = None,
        vault_url: str | None = None,
        meter: GraphMeter | None = None,
    ) -> "GraphClient":
        """Defaults are the clouds' own endpoints. Raises `TrustError`."""
        context = ssl_context(ca_file)
        proxy = proxy_of(proxy_url, context)
        vault = None if vault_url is None else Vault(vault_url, context, proxy_url)
        tokens = TokenSource(context, authority_url=authority_url, proxy=proxy, vault=vault)
        return cls(tokens, context, base_url=base_url, proxy=proxy, meter=meter)

    async def __aenter__(self) -> "GraphClient":
        return self

    async def __aexit__(self, *raised: object) -> None:
        await self._http.aclose()

    @asynccontextmanager
    async def admission(self) -> AsyncIterator[Admission]:
        """Keep it open until all that was made from the answer is freed."""
        admission = Admission(self._large_answer)
        try:
            yield admission
        finally:
            admission.end()

    async def sign_in(self, tenant: TenantConfig) -> None:
        """Raises `GraphRequestError`."""
        await self._tokens.token(tenant)

    def check_link(self, tenant: TenantConfig, api_version: str, link: str) -> None:
        """Raises `UntrustedLinkError`."""
        relative_link(link, self._root(tenant), api_version)

    async def read_batch(
        self,
        tenant: TenantConfig,
        api_version: str,
        gets: Sequence[GraphGet],
        admission: Admission | None = None,
        *,
        raw: bool = False,
    ) -> dict[str, GraphAnswer]:
        """Reads 1 to 20 pages; every key has an answer, served or not.

        With `raw`, a listing page's body is a `RawPage`. With an `admission`, the caller keeps a large answer's place.
        A 401 inside the batch is repeated once, with a fresh token and the challenge's claims.

        Raises `UntrustedLinkError` before sending; `GraphRequestError` if the whole batch failed: `BatchRefusedError`
        if Graph refused it, `AnswerTooLargeError` if its answer is too large.
        """
        if not 1 <= len(gets) <= BATCH_LIMIT or len({get.key for get in gets}) != len(gets):
            raise ValueError(f"a batch has 1 to {BATCH_LIMIT} requests with keys of their own")
        if admission is None:
            async with self.admission() as admission:
                return await self.read_batch(tenant, api_version, gets, admission, raw=raw)
        root = self._root(tenant)
        requests = {
            get.key: relative_link(get.url, root, api_version) if "://" in get.url[:10] else get.url for get in gets
        }
        token = await self._tokens.token(tenant)
        answers: dict[str, GraphAnswer] = {}
        pending, refused_tokens = requests, 0
        while True:
            outer, inner = await self._post(tenant, api_version, pending, token, admission, split if raw else parse)
            answers |= inner
            if outer.status == 200:
                refused = {key: url for key, url in pending.items() if answers[key].status == 401}
                if not refused or pending is not requests:
                    return answers
                challenged, pending = answers[next(iter(refused))], refused
            else:
                refused_tokens += 1
                if outer.status != 401 or refused_tokens == REFUSED_TOKENS:
                    raise _batch_error(outer)
                challenged = outer
            token = await self._tokens.token(tenant, _claims(challenged), refused=token)

    def _root(self, tenant: TenantConfig) -> str:
        return self._base_url or CLOUD_ENDPOINTS[tenant.cloud].graph_url

    async def _post(
        self,
        tenant: TenantConfig,
        api_version: str,
        requests: Mapping[str, str],
        token: str,
        admission: Admission,
        read: Callable[[bytes | bytearray], Any],
    ) -> tuple[GraphAnswer, dict[str, GraphAnswer]]:
        inner = [
            {
                "id": str(number),
                "method": "GET",
                "url": url,
                "headers": {
                    "client-request-id": str(uuid4()),
                    "Prefer": "include-unknown-enum-members",
                    "Accept": "application/json",
                },
            }
            for number, url in enumerate(requests.values())
        ]
        url = f"{self._root(tenant)}/{api_version}/$batch"
        began = time.monotonic()
        status: int | None = None
        answers: dict[str, GraphAnswer] = {}
        try:
            outer = await self._exchange(tenant, url, orjson.dumps({"requests": inner}), token, admission, read)
            status = outer.status
            if status == 200:
                answers = _inner_answers(outer, list(requests))
            return outer, answers
        finally:
            duration = timedelta(seconds=time.monotonic() - began)
            self._meter.batch_answered(status, duration, [answer.status for answer in answers.values()])

    async def _exchange(
        self,
        tenant: TenantConfig,
        url: str,
        content: bytes,
        token: str,
        admission: Admission,
        read: Callable[[bytes | bytearray], Any],
    ) -> GraphAnswer:
        headers = {
            "Authorization": f"Bearer {token}",
            "Content-Type": "application/json",
            "client-request-id": str(uuid4()),
        }
        try:
            async with asyncio.timeout(DEADLINE_SECONDS) as deadline:
                return await self._send(tenant, url, content, headers, admission, deadline, read)
        except (httpx.HTTPError, TimeoutError, ssl.SSLError) as error:
            reason = f"Graph: {why_unreached(error, urlsplit(url).netloc)}"
            raise GraphUnreachedError(reason) from None

    async def _send(
        self,
        tenant: TenantConfig,
        url: str,
        content: bytes,
        headers: Mapping[str, str],
        admission: Admission,
        deadline: asyncio.Timeout,
        read: Callable[[bytes | bytearray], Any],
    ) -> GraphAnswer:
        try:
            async with self._http.stream("POST", url, content=content, headers=headers) as response:
                received_at = time.monotonic()
                unpacking = Unpacking(response.headers.get_list("content-encoding", split_commas=True))
                body = bytearray()
                async for packed in response.aiter_raw():
                    for piece in unpacking.pieces(packed):
                        body += piece
                        if len(body) > RESPONSE_LIMIT_BYTES:
                            raise AnswerTooLargeError
                        if admission.needed(len(body)):
                            # The deadline does not count the wait for a place in memory.
                            deadline.reschedule(None)
                            await admission.acquire()
                            deadline.reschedule(asyncio.get_running_loop().time() + DEADLINE_SECONDS)
                        # A received part may unpack to a thousandfold, and other tasks wait for the loop.
                        await asyncio.sleep(0)
                unpacking.end()
        except UnreadableBodyError as error:
            raise _malformed(str(error)) from None
        answer_headers = {name.lower(): value for name, value in response.headers.items()}
        self.clock = clock_reading(answer_headers.get("date"), received_at)
        if len(body) < PARSE_IN_THREAD_BYTES:
            parsed = read(bytes(body))
        else:
            parsed = await crunch(tenant.id, read, body)
        if parsed is None and response.status_code == 200:
            raise _malformed("the answer is not JSON")
        return GraphAnswer(response.status_code, answer_headers, parsed)


def _inner_answers(outer: GraphAnswer, keys: Sequence[str]) -> dict[str, GraphAnswer]:
    """Raises `GraphRequestError` if an answer is missing, repeated or unreadable."""
    responses = outer.body.get("responses") if isinstance(outer.body, dict) else None
    if not isinstance(responses, list):
        raise _malformed("the batch's answer has no responses")
    answers: dict[str, GraphAnswer] = {}
    for response in responses:
        number, status = (response.get("id"), response.get("status")) if isinstance(response, dict) else (None, None)
        known = isinstance(number, str) and number.isdecimal() and len(number) < 4 and int(number) < len(keys)
        if not known or not isinstance(status, int) or keys[int(str(number))] in answers:
            raise _malformed("the batch's answer holds a response that was not asked for")
        headers = response.get("headers")
        answers[keys[int(str(number))]] = GraphAnswer(
            status,
            {name.lower(): str(value) for name, value in headers.items() if isinstance(value, str | int | float)}
            if isinstance(headers, dict)
            else {},
            response.get("body"),
        )
    if len(answers) != len(keys):
        raise _malformed("the batch's answer lacks a response")
    return answers


def _claims(answer: GraphAnswer) -> str | None:
    """https://learn.microsoft.com/entra/identity-platform/claims-challenge"""
    challenge = answer.headers.get("www-authenticate", "")
    match = _CLAIMS.search(challenge) if "insufficient_claims" in challenge else None
    if match is None:
        return None
    encoded = match.group(1).replace("-", "+").replace("_", "/")
    try:
        claims = base64.b64decode(encoded + "=" * (-len(encoded) % 4), validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        return None
    return claims if isinstance(parse(claims.encode()), dict) else None


def _batch_error(outer: GraphAnswer) -> GraphRequestError:
    failure = classify(outer)
    return (
        _malformed("the batch's answer has an unknown status")
        if failure is None
        else BatchRefusedError(failure, f"Graph refused the batch with HTTP {outer.status}")
    )


def _malformed(message: str) -> BatchRefusedError:
    return BatchRefusedError(ReadFailure(ErrorCode.GRAPH_MALFORMED_RESPONSE, retryable=True), message)
