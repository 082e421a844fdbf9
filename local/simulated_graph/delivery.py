"""Answers over a bad connection: late, slow, or cut off."""

import asyncio
import socket
import struct
from typing import Any, cast

from starlette.responses import Response
from starlette.types import Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

from local.simulated_graph.messages import Delivery

_TRANSPORT = "simulated_graph.transport"
_DROPS = 10


class OpenProtocol(H11Protocol):
    """Gives the application its connection, which a fault may cut."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        inner = self.app

        async def with_transport(scope: Any, receive: Any, send: Any) -> None:
            await cast("Any", inner)({**scope, _TRANSPORT: transport}, receive, send)

        self.app = cast("Any", with_transport)


class DeliveredResponse(Response):
    def __init__(self, body: bytes, status: int, headers: dict[str, str], delivery: Delivery) -> None:
        super().__init__(body, status, headers)
        self._delivery = delivery

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await _wait(self._delivery.wait_seconds, receive)
        if self._delivery.cut == "before":
            await _cut(scope, receive)
            return
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        body = bytes(self.body)
        if self._delivery.cut == "inside":
            await send({"type": "http.response.body", "body": body[: len(body) // 2], "more_body": True})
            await _cut(scope, receive)
            return
        if self._delivery.drip_seconds:
            size = max(1, len(body) // _DROPS)
            while len(body) > size:
                await send({"type": "http.response.body", "body": body[:size], "more_body": True})
                body = body[size:]
                await _wait(self._delivery.drip_seconds / _DROPS, receive)
        await send({"type": "http.response.body", "body": body, "more_body": False})


async def _wait(seconds: float, receive: Receive) -> None:
    if seconds > 0:
        try:
            async with asyncio.timeout(seconds):
                await _gone(receive)
        except TimeoutError:
            return


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _cut(scope: Scope, receive: Receive) -> None:
    transport: asyncio.Transport = scope[_TRANSPORT]
    # Zero linger makes the close a reset; through TLS a client may see just an end.
    connection: socket.socket | None = transport.get_extra_info("socket")
    if connection is not None:  # None if the client has gone by itself.
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()
    # uvicorn must notice before the application returns, or it would want an answer.
    await _gone(receive)
