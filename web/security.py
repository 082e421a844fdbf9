from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from web.place import WebPlace

HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; connect-src 'self'; style-src 'self';"
    " img-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
}
"""https://owasp.org/www-project-secure-headers/"""

HSTS_SECONDS = 365 * 24 * 3600

HEALTH = "/healthz"
"""Tells everybody only that the process answers."""

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})


class Security:
    """Middleware that adds `HEADERS`, and refuses cross-site writes and requests that bypass the proxy."""

    def __init__(self, app: ASGIApp, place: WebPlace, shared_prefix: str = "", shared_with: str | None = None) -> None:
        """The origin `shared_with` may post below `shared_prefix`."""
        self._app = app
        self._shared_prefix = shared_prefix
        self._shared_with = shared_with
        self._place = place
        https = {"Strict-Transport-Security": f"max-age={HSTS_SECONDS}"} if place.is_https else {}
        self._headers = {**HEADERS, **https}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in self._headers.items():
                    headers.setdefault(name, value)
            await send(message)

        await self._answer(scope)(scope, receive, send_with_headers)

    def _answer(self, scope: Scope) -> ASGIApp:
        if scope["path"] == HEALTH:
            return PlainTextResponse("ok\n")
        headers = Headers(scope=scope)
        if not self._place.lets_in(scope["client"][0] if scope["client"] else None):
            return PlainTextResponse("the page is asked through its proxy", 403)
        if scope["method"] not in SAFE_METHODS and not (is_same_origin(headers) or self._shares(scope, headers)):
            return PlainTextResponse("this request comes from another site", 403)
        return self._app

    def _shares(self, scope: Scope, headers: Headers) -> bool:
        return (
            self._shared_with is not None
            and scope["path"].startswith(f"{self._shared_prefix}/")
            and headers.get("origin") == self._shared_with
        )


def is_same_origin(headers: Headers) -> bool:
    """Whether the browser says that this site made the request.

    https://developer.mozilla.org/docs/Web/HTTP/Reference/Headers/Sec-Fetch-Site
    """
    site = headers.get("sec-fetch-site")
    if site is not None:
        return site == "same-origin"
    origin = headers.get("origin")
    return origin is not None and urlsplit(origin).netloc == headers.get("host")
