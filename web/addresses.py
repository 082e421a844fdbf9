from urllib.parse import urlencode

from fastapi import Request


def query_with(request: Request, **changed: str | None) -> str:
    """The request's query string with changed values, without empty ones."""
    kept = [(name, value) for name, value in request.query_params.multi_items() if name not in changed and value]
    return "?" + urlencode([*kept, *((name, value) for name, value in changed.items() if value)])
