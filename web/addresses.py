"""Addresses of the page that is asked for, with other values in their query."""

from urllib.parse import urlencode

from fastapi import Request


def query_with(request: Request, **changed: str | None) -> str:
    """The query of a request with these values in place of its own; a value of None is left out, as are empty ones."""
    kept = [(name, value) for name, value in request.query_params.multi_items() if name not in changed and value]
    return "?" + urlencode([*kept, *((name, value) for name, value in changed.items() if value)])
