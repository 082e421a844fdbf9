"""Pages of listings."""

from collections.abc import Container, Mapping
from typing import Any, NamedTuple

from graph.errors import Answer, ReadFailure
from inventory.canonical import JsonValue
from inventory.error_codes import ErrorCode


class Page(NamedTuple):
    items: list[JsonValue]
    next_link: str | None


class MalformedPageError(ValueError):
    """A success that is no page, perhaps a proxy's; retried briefly."""

    def __init__(self, answer: Answer) -> None:
        super().__init__("the answer is not a page of a listing")
        context = {"http_status": answer.status}
        self.failure = ReadFailure(ErrorCode.GRAPH_MALFORMED_RESPONSE, retryable=True, context=context)


def read_page(
    answer: Answer,
    *,
    singleton: bool = False,
    left_out: Container[str] = (),
    left_out_where: Mapping[str, str | bool] | None = None,
) -> Page:
    """The page in a successful answer. Raises `MalformedPageError`.

    Objects with an `@odata.type` of `left_out`, or a property value of `left_out_where`, are left out.
    """
    body: Any = answer.body
    if not isinstance(body, dict):
        raise MalformedPageError(answer)
    if singleton:
        return Page([body], None)
    items, next_link = body.get("value"), body.get("@odata.nextLink")
    if not isinstance(items, list) or not (next_link is None or isinstance(next_link, str)):
        raise MalformedPageError(answer)
    kept = [item for item in items if _type_of(item) not in left_out and not _has_one_of(item, left_out_where or {})]
    return Page(kept, next_link)


def _has_one_of(item: Any, values: Mapping[str, str | bool]) -> bool:
    return isinstance(item, dict) and any(
        item.get(name) == value and isinstance(item[name], type(value)) for name, value in values.items()
    )


def _type_of(item: Any) -> Any:
    kind = item.get("@odata.type") if isinstance(item, dict) else None
    return kind if isinstance(kind, str) else None


def is_gone(answer: Answer) -> bool:
    """Whether Graph, not a proxy, answered 404."""
    return answer.status == 404 and isinstance(answer.body, dict) and isinstance(answer.body.get("error"), dict)


def is_found(answer: Answer, id_field: str, external_id: str) -> bool:
    """Whether a GET by id shows that object. Graph's ids ignore case."""
    found = answer.body.get(id_field) if isinstance(answer.body, dict) else None
    return 200 <= answer.status < 300 and isinstance(found, str) and found.lower() == external_id.lower()
