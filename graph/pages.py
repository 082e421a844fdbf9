"""One page of a listing, read out of an answer."""

from collections.abc import Container
from typing import Any, NamedTuple

from graph.errors import Answer, ReadFailure
from inventory.canonical import JsonValue
from inventory.error_codes import ErrorCode


class Page(NamedTuple):
    """The objects of a page as Graph gave them, and the link to the next one."""

    items: list[JsonValue]
    next_link: str | None


class MalformedPageError(ValueError):
    """A success that is not a page. It may be a passing fault of what stands in between, so it is tried again."""

    def __init__(self, answer: Answer) -> None:
        super().__init__("the answer is not a page of a listing")
        context = {"http_status": answer.status}
        self.failure = ReadFailure(ErrorCode.GRAPH_MALFORMED_RESPONSE, retryable=True, context=context)


def read_page(answer: Answer, *, singleton: bool = False, left_out: Container[str] = ()) -> Page:
    """The page of a successful answer. `left_out`: `@odata.type`s that belong to another entry of the catalog.

    Raises `MalformedPageError`.
    """
    body: Any = answer.body
    if not isinstance(body, dict):
        raise MalformedPageError(answer)
    if singleton:
        return Page([body], None)
    items, next_link = body.get("value"), body.get("@odata.nextLink")
    if not isinstance(items, list) or not (next_link is None or isinstance(next_link, str)):
        raise MalformedPageError(answer)
    return Page([item for item in items if _type_of(item) not in left_out], next_link)


def _type_of(item: Any) -> Any:
    kind = item.get("@odata.type") if isinstance(item, dict) else None
    return kind if isinstance(kind, str) else None
