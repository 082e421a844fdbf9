import time
from datetime import timedelta

from starlette.types import ASGIApp, Message, Receive, Scope, Send
from temporalio.common import MetricMeter

METHODS = frozenset({"GET", "HEAD", "POST", "OPTIONS"})
"""Others share one label, so that clients cannot create labels."""


class Metrics:
    """Middleware that counts answers and measures the time until each begins.

    The route is a pattern such as `/tenants/{tenant_id}`, so labels hold no id, name or query.
    """

    def __init__(self, app: ASGIApp, meter: MetricMeter) -> None:
        self._app = app
        self._answers = meter.create_counter(
            "tenant_inventory_web_requests", "Requests to the web page, by method, route and HTTP status."
        )
        self._durations = meter.create_histogram_timedelta(
            "tenant_inventory_web_request_duration", "From a request to the first byte of its answer, by route."
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began = time.monotonic()
        status: int | None = None

        async def send_counted(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                self._count(scope, status, began)
            await send(message)

        try:
            await self._app(scope, receive, send_counted)
        except Exception:
            # Starlette's outermost layer answers it with status 500.
            if status is None:
                self._count(scope, 500, began)
            raise

    def _count(self, scope: Scope, status: int, began: float) -> None:
        route = getattr(scope.get("route"), "path", None) or "none"
        method = scope["method"] if scope["method"] in METHODS else "other"
        self._answers.add(1, {"method": method, "route": route, "status": str(status)})
        self._durations.record(timedelta(seconds=time.monotonic() - began), {"route": route})
