"""Pages stay small: content that does not fit stands on another page."""

from collections.abc import Iterable, Mapping
from typing import Any

from fastapi import Request
from fastapi.responses import HTMLResponse

from web.layout import page

MOST_BYTES = 100_000
"""Loads and shows at once on a slow line."""


def fitting_page(request: Request, template: str, attempts: Iterable[Mapping[str, Any]], **shown: Any) -> HTMLResponse:
    """The first small enough attempt, or the last. Attempts add to `shown`."""
    answer = HTMLResponse()
    for attempt in attempts:
        answer = page(request, template, **shown, **attempt)
        if len(answer.body) <= MOST_BYTES:
            break
    return answer
