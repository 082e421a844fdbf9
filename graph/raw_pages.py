"""Pages with objects as JSON text, so that unchanged ones need not be parsed."""

from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import msgspec

from graph.bodies import MOST_VALUES, parse
from graph.errors import AnswerTooLargeError
from inventory.canonical import TYPE


class RawPage(msgspec.Struct, frozen=True):
    objects: list[msgspec.Raw]
    next_link: str | None
    text: msgspec.Raw

    def parsed(self) -> Any:
        return parse(bytes(self.text))


class _Response(msgspec.Struct):
    id: str
    status: int
    headers: dict[str, Any] | None = None
    body: msgspec.Raw = msgspec.Raw(b"null")


class _Batch(msgspec.Struct):
    responses: list[_Response]


class _Listing(msgspec.Struct):
    value: list[msgspec.Raw]
    next_link: str | None = msgspec.field(name="@odata.nextLink", default=None)


_BATCH = msgspec.json.Decoder(_Batch)
_LISTING = msgspec.json.Decoder(_Listing)
_UNREADABLE = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)


def split(body: bytes | bytearray) -> Any:
    """Reads as `bodies.parse`, but successful listings become `RawPage`s. Raises `AnswerTooLargeError`."""
    if len(body) > MOST_VALUES and body.count(b",") > MOST_VALUES:
        raise AnswerTooLargeError
    try:
        batch = _BATCH.decode(body)
    except _UNREADABLE:
        return parse(body)
    bodies = [_page(response) for response in batch.responses]
    whole = [response.body for response, page in zip(batch.responses, bodies, strict=True) if page is None]
    parsed = parse_all(whole)
    if parsed is None:
        return parse(body)
    following = iter(parsed)
    return {
        "responses": [
            {
                "id": response.id,
                "status": response.status,
                "headers": response.headers,
                "body": next(following) if page is None else page,
            }
            for response, page in zip(batch.responses, bodies, strict=True)
        ]
    }


def parse_all(texts: Sequence[msgspec.Raw]) -> list[Any] | None:
    """The values of JSON texts, bounded together by `bodies.parse`; None if one is no JSON."""
    values = parse(b"[" + b",".join(texts) + b"]")
    return values if isinstance(values, list) and len(values) == len(texts) else None


def heads(page: RawPage, id_field: str) -> list[tuple[Any, Any]]:
    """Each object's id and `@odata.type`: any JSON values, None if missing."""
    decode = _decoder(id_field)
    return [_head(decode, text) for text in page.objects]


def _head(decode: Callable[[msgspec.Raw], Any], text: msgspec.Raw) -> tuple[Any, Any]:
    try:
        head = decode(text)
    except _UNREADABLE:
        return None, None
    return head.external_id, head.kind


@cache
def _decoder(id_field: str) -> Callable[[msgspec.Raw], Any]:
    fields = [
        ("external_id", Any, msgspec.field(name=id_field, default=None)),
        ("kind", Any, msgspec.field(name=TYPE, default=None)),
    ]
    return msgspec.json.Decoder(msgspec.defstruct("Head", fields)).decode


def _page(response: _Response) -> RawPage | None:
    if not 200 <= response.status < 300:
        return None
    try:
        listing = _LISTING.decode(response.body)
    except _UNREADABLE:
        return None
    return RawPage(listing.value, listing.next_link, response.body)
