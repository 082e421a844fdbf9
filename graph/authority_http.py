"""MSAL's HTTP: to the authority alone, without redirects, within a deadline and a size.

The authority's discovery document names the URL that gets the secret, so each request's origin is checked.
"""

import ssl
import time
from collections.abc import Collection, Mapping
from datetime import timedelta
from typing import Any, NamedTuple, Self
from urllib.parse import urlencode

import httpx

from graph.errors import retry_after_of
from inventory.backoff import believable

CONNECT_SECONDS = 6
"""The limit of one attempt to connect; there are two."""

ANSWER_SECONDS = 20
"""The limit of each wait for bytes of an answer."""

DEADLINE_SECONDS = 60
"""The limit of a whole sign-in."""

ANSWER_LIMIT_BYTES = 1024 * 1024


class RefusedExchangeError(Exception):
    """The message names hosts and quotes no answer."""


class AuthorityAnswer(NamedTuple):
    """Has the attributes that MSAL reads. Header names are in lower case."""

    status_code: int
    headers: Mapping[str, str]
    text: str


class AuthorityHttp:
    """One sign-in's HTTP client for MSAL."""

    def __init__(
        self, context: ssl.SSLContext, authority_urls: Collection[str] | None, *, proxy: httpx.Proxy | None = None
    ) -> None:
        """`authority_urls`: the allowed URLs; None for a managed identity, whose address comes from no answer."""
        self._origins = None if authority_urls is None else {_origin(httpx.URL(url)) for url in authority_urls}
        self._ends = time.monotonic() + DEADLINE_SECONDS
        self._http = httpx.Client(
            transport=httpx.HTTPTransport(verify=context, trust_env=False, retries=1, proxy=proxy),
            trust_env=False,
            follow_redirects=False,
        )
        self.retry_after: timedelta | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *raised: object) -> None:
        self.close()

    def close(self) -> None:
        self._http.close()

    def get(self, url: str, params: Any = None, headers: Mapping[str, str | None] | None = None) -> AuthorityAnswer:
        """Raises `RefusedExchangeError` and `httpx.HTTPError`."""
        return self._exchange("GET", url, params, headers or {}, None)

    def post(
        self, url: str, params: Any = None, data: Any = None, headers: Mapping[str, str | None] | None = None
    ) -> AuthorityAnswer:
        form = {"Content-Type": "application/x-www-form-urlencoded"}
        # MSAL passes assertions as bytes, of which httpx would send Python's `repr`.
        return self._exchange("POST", url, params, {**form, **(headers or {})}, urlencode(data or {}).encode())

    def _exchange(
        self, method: str, address: str, params: Any, headers: Mapping[str, str | None], content: bytes | None
    ) -> AuthorityAnswer:
        url = self._allowed(address)
        timeout = httpx.Timeout(min(ANSWER_SECONDS, self._left()), connect=min(CONNECT_SECONDS, self._left()))
        sent = {name: value for name, value in headers.items() if value is not None}
        # An uncompressed answer cannot grow.
        sent["Accept-Encoding"] = "identity"
        with self._http.stream(
            method, url, params=params or None, headers=sent, content=content, timeout=timeout
        ) as response:
            if 300 <= response.status_code < 400:
                raise RefusedExchangeError(f"{url.host} answers with a redirect, which is not followed")
            if response.headers.get("content-encoding", "identity").strip().lower() != "identity":
                raise RefusedExchangeError(f"the answer of {url.host} is encoded, which was not asked for")
            body = bytearray()
            for piece in response.iter_raw():
                body += piece
                if len(body) > ANSWER_LIMIT_BYTES:
                    raise RefusedExchangeError(f"the answer of {url.host} is too large")
                self._left()
        answer_headers = {name.lower(): value for name, value in response.headers.items()}
        patient = response.status_code in (429, 503)
        self.retry_after = believable(retry_after_of(answer_headers)) if patient else None
        return AuthorityAnswer(response.status_code, answer_headers, body.decode(errors="replace"))

    def _left(self) -> float:
        """Raises `httpx.TimeoutException` after the deadline."""
        seconds = self._ends - time.monotonic()
        if seconds <= 0:
            raise httpx.TimeoutException(f"the sign-in takes longer than {DEADLINE_SECONDS} seconds")
        return seconds

    def _allowed(self, address: str) -> httpx.URL:
        try:
            url = httpx.URL(address)
        except (httpx.InvalidURL, TypeError):
            raise RefusedExchangeError("the authority names an address that is none") from None
        if self._origins is not None and (url.userinfo or _origin(url) not in self._origins):
            raise RefusedExchangeError(
                "the authority names a token endpoint that is not its own, to which no credential is sent; "
                "check the tenant's cloud"
            )
        return url


def _origin(url: httpx.URL) -> tuple[str, str, int | None]:
    return url.scheme, url.host, url.port
