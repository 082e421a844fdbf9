"""Live pages: their changing part as server-sent events, without a database connection between looks."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from typing import NamedTuple

from fastapi.sse import ServerSentEvent

from inventory.user_errors import UnavailableError, UserError
from web.site import Site

STREAM_SECONDS = 180.0
"""The longest stream. The browser then asks, and is authenticated, again."""

STOP_FOLLOWING = '<div id="live" hx-swap-oob="delete"></div>'
"""Removes the element that follows the page (macro `parts.follow`)."""


class LivePart(NamedTuple):
    """`is_over`: the part will not change again."""

    html: str
    is_over: bool


async def live_parts(
    site: Site, first: LivePart, look: Callable[[], Awaitable[LivePart]], seconds: float
) -> AsyncIterator[ServerSentEvent]:
    """The first part, then each change, found by a look every `seconds`, until the part is over."""
    clock = asyncio.get_running_loop().time
    ends_at = clock() + STREAM_SECONDS
    part, sent = first, ""
    while True:
        if part.is_over:
            yield ServerSentEvent(raw_data=STOP_FOLLOWING + part.html)
            return
        if part.html != sent:
            yield ServerSentEvent(raw_data=part.html)
            sent = part.html
        if clock() >= ends_at:
            return
        with suppress(TimeoutError):
            await asyncio.wait_for(site.closing.wait(), seconds)
            return
        try:
            part = await look()
        except (UserError, UnavailableError):
            return  # The browser asks again, after growing waits.
