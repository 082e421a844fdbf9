"""Addresses of the page that is asked for, with other values in their query."""

import json
from collections.abc import Sequence
from urllib.parse import urlencode

from fastapi import Request

from web.scope import NoSuchPageError


def query_with(request: Request, **changed: str | None) -> str:
    """The query of a request with these values in place of its own; a value of None is left out, as are empty ones."""
    kept = [(name, value) for name, value in request.query_params.multi_items() if name not in changed and value]
    return "?" + urlencode([*kept, *((name, value) for name, value in changed.items() if value)])


def place_text(place: Sequence[str]) -> str:
    """A place in a sorted list, as addresses have it."""
    return json.dumps(list(place), ensure_ascii=False)


def place_of(text: str, length: int) -> tuple[str, ...] | None:
    """The place that an address names, None for the beginning. Raises `NoSuchPageError`."""
    if not text:
        return None
    try:
        place = json.loads(text)
        is_place = isinstance(place, list) and len(place) == length and all(map(_is_text, place))
    except (ValueError, RecursionError):
        is_place = False
    if not is_place:
        raise NoSuchPageError("no page of the list begins there; go back to its first page")
    return tuple(place)


def _is_text(part: object) -> bool:
    """Whether PostgreSQL can compare it with a text. JSON may hold characters that are none."""
    return isinstance(part, str) and "\0" not in part and part.encode(errors="replace") == part.encode(errors="ignore")
