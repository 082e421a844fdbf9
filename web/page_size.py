from collections.abc import Iterable, Mapping
from typing import Any

from fastapi import Request
from fastapi.responses import HTMLResponse

from web.layout import page

MOST_BYTES = 100_000
"""A slow line loads such a page at once."""


def fitting_page(request: Request, template: str, attempts: Iterable[Mapping[str, Any]], **values: Any) -> HTMLResponse:
    """The first page within `MOST_BYTES`, or the last. Attempts are dictionaries beside `values`."""
    answer = HTMLResponse()
    for attempt in attempts:
        answer = page(request, template, **values, **attempt)
        if len(answer.body) <= MOST_BYTES:
            break
    return answer
