"""A page's stream while it is sent: httpx's ASGI transport returns an answer only after its end."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
from starlette.types import ASGIApp, Message

from tests.deadlines import DEADLINE_SECONDS


class Stream:
    """An answer that is still being sent."""

    def __init__(self) -> None:
        self._messages: asyncio.Queue[Message] = asyncio.Queue()
        self.left = asyncio.Event()

    async def send(self, message: Message) -> None:
        """Receives a message from the application."""
        await self._messages.put(message)

    async def _next(self) -> Message:
        async with asyncio.timeout(DEADLINE_SECONDS):
            return await self._messages.get()

    async def status(self) -> int:
        """The answer's status, which its first message has."""
        status: int = (await self._next())["status"]
        return status

    async def event(self) -> str | None:
        """The next event, without keep-alive comments; None at the end."""
        while True:
            message = await self._next()
            text: str = message.get("body", b"").decode()
            if text and not text.startswith(":"):
                return text
            if not message.get("more_body"):
                return None


@asynccontextmanager
async def streamed(app: ASGIApp, client: httpx.AsyncClient, path: str) -> AsyncIterator[Stream]:
    """The answer to a GET of a signed-in client; leaving the block closes the browser."""
    stream = Stream()
    request = client.build_request("GET", path)
    scope = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": "GET",
        "scheme": "https",
        "path": request.url.path,
        "raw_path": request.url.raw_path,
        "query_string": request.url.query,
        "root_path": "",
        "headers": [(name.lower(), value) for name, value in request.headers.raw],
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 443),
    }
    is_sent = False

    async def receive() -> Message:
        nonlocal is_sent
        if not is_sent:
            is_sent = True
            return {"type": "http.request", "body": b"", "more_body": False}
        await stream.left.wait()
        return {"type": "http.disconnect"}

    async def answer() -> None:
        await app(scope, receive, stream.send)

    task = asyncio.create_task(answer())
    try:
        yield stream
    finally:
        stream.left.set()
        async with asyncio.timeout(DEADLINE_SECONDS):
            await task
