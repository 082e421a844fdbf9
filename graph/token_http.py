"""MSAL's HTTP. It carries the app's secret, so it goes to one host over TLS and follows nothing.

MSAL takes any object with `get` and `post` (https://msal-python.readthedocs.io, `http_client`).
"""

import ssl
import time
from collections.abc import Mapping
from datetime import timedelta
from types import TracebackType
from typing import NamedTuple
from urllib.parse import urlencode, urlsplit

import httpx

from graph.errors import retry_after_of
from graph.proxies import proxy_for
from inventory.patience import believable

CONNECT_SECONDS = 6
"""For one connection, which is tried twice."""

ANSWER_SECONDS = 20
"""For each wait for bytes of an answer."""

DEADLINE_SECONDS = 60
"""For a whole sign-in, which is up to three requests."""

ANSWER_LIMIT_BYTES = 1024 * 1024
"""Discovery documents have 2 KB, answers with a token up to 10."""


FORM = "application/x-www-form-urlencoded"


class RefusedRequestError(Exception):
    """A request that would take the secret elsewhere, or an answer that is none. The message is for people."""


class TokenAnswer(NamedTuple):
    """An answer as MSAL reads it."""

    status_code: int
    headers: Mapping[str, str]
    text: str

    def raise_for_status(self) -> None:
        """Called by MSAL for a fault of the authority's own. Raises `RefusedRequestError`."""
        if self.status_code >= 400:
            raise RefusedRequestError("the authority has a fault of its own")


class TokenHttp:
    """A context manager, for one sign-in. With `host` it asks that host only, over TLS.

    Without one it asks where MSAL finds a managed identity: an address of the machine or of the cloud it runs in.
    """

    def __init__(self, context: ssl.SSLContext, host: str | None) -> None:
        self.retry_after: timedelta | None = None
        self._host = host
        self._ends = time.monotonic() + DEADLINE_SECONDS
        self._http = httpx.Client(
            transport=httpx.HTTPTransport(
                verify=context,
                trust_env=False,
                retries=1,
                proxy=None if host is None else proxy_for(f"https://{host}"),
            ),
            headers={"Accept-Encoding": "identity"},
            follow_redirects=False,
            trust_env=False,
        )

    def __enter__(self) -> "TokenHttp":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._http.close()

    def get(
        self,
        url: str,
        params: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        **_: object,
    ) -> TokenAnswer:
        """Called by MSAL. Raises `RefusedRequestError`, and httpx's errors."""
        return self._ask("GET", url, params, headers)

    def post(
        self,
        url: str,
        params: Mapping[str, str] | None = None,
        data: Mapping[str, str | bytes] | None = None,
        headers: Mapping[str, str] | None = None,
        **_: object,
    ) -> TokenAnswer:
        """Called by MSAL. Raises `RefusedRequestError`, and httpx's errors."""
        return self._ask("POST", url, params, headers, data)

    def close(self) -> None:
        """Called by MSAL when it is done; the context manager closes."""

    def _ask(
        self,
        method: str,
        url: str,
        params: Mapping[str, str] | None,
        headers: Mapping[str, str] | None,
        data: Mapping[str, str | bytes] | None = None,
    ) -> TokenAnswer:
        asked = urlsplit(url)
        if self._host is not None and (asked.scheme, asked.netloc) != ("https", self._host):
            raise RefusedRequestError(
                f"the authority {self._host} names an address of another host for tokens; check the tenant's cloud"
            )
        request = self._http.build_request(
            method,
            url,
            params=params,
            headers={**(headers or {}), **({} if data is None else {"Content-Type": FORM})},
            content=None if data is None else urlencode(data),
            timeout=httpx.Timeout(min(ANSWER_SECONDS, self._left()), connect=min(CONNECT_SECONDS, self._left())),
        )
        response = self._http.send(request, stream=True)
        try:
            if response.is_redirect:
                raise RefusedRequestError(f"{asked.netloc} redirects to elsewhere, where no secret is sent")
            if response.headers.get("content-encoding", "identity").lower() != "identity":
                raise RefusedRequestError(f"{asked.netloc} answers in a coding that was not asked for")
            text = self._read(response).decode(errors="replace")
        finally:
            response.close()
        answer = TokenAnswer(response.status_code, dict(response.headers), text)
        self.retry_after = believable(retry_after_of(answer.headers)) if answer.status_code in (429, 503) else None
        return answer

    def _read(self, response: httpx.Response) -> bytes:
        body = bytearray()
        for chunk in response.iter_raw():
            body += chunk
            if len(body) > ANSWER_LIMIT_BYTES:
                raise RefusedRequestError("an answer is too large to be a token's")
            self._left()
        return bytes(body)

    def _left(self) -> float:
        """Seconds until the deadline. Raises `httpx.TimeoutException` past it."""
        left = self._ends - time.monotonic()
        if left <= 0:
            raise httpx.ReadTimeout(f"the sign-in takes longer than {DEADLINE_SECONDS} seconds")
        return left
