"""Pages and skiptokens: opaque, encoded twice in a nextLink, valid only for their query."""

import base64
import hashlib
import hmac
import json
from typing import NamedTuple
from urllib.parse import quote, unquote, unquote_plus, urlsplit

from local.simulated_graph.query import Query, QueryError


class Sizes(NamedTuple):
    """A page's default and largest number of rows."""

    default: int
    largest: int


class Page(NamedTuple):
    """Rows `start` to `stop` (exclusive)."""

    start: int
    stop: int
    next_link: str | None


class _Position(NamedTuple):
    row: int
    page: int


class Pager:
    """Cuts listings into pages. Skiptokens have the settings catalog's form.

    A skiptoken holds a position, no snapshot: rows that come or go before it shift the rest, as in Graph. `page_size`
    overrides every size; after each `empty_page_every` pages comes an empty one.
    """

    def __init__(self, secret: str, page_size: int | None = None, empty_page_every: int = 0) -> None:
        self._key = hashlib.sha256(secret.encode()).digest()
        self._page_size = page_size
        self._empty_page_every = empty_page_every

    def page(self, address: str, tenant_id: str, query: Query, rows: int, sizes: Sizes, shift: int = 0) -> Page:
        """The page at `address` (without query), moved by `shift` rows. Raises `QueryError` for a bad skiptoken."""
        scope = f"{tenant_id} {urlsplit(address).path}?{unquote_plus(query.other_options)}"
        position = _Position(0, 0) if query.skiptoken is None else self._read(query.skiptoken, scope)
        position = position._replace(row=max(0, position.row + shift))
        default, largest = (self._page_size, self._page_size) if self._page_size else sizes
        size = min(query.top or default, largest)
        every = self._empty_page_every
        if every and position.page % (every + 1) == every:
            size = 0
        stop = position.row + size
        if stop >= rows:
            return Page(position.row, stop, None)
        token = quote(self._write(_Position(stop, position.page + 1), scope), safe="")
        options = f"{query.other_options}&" if query.other_options else ""
        return Page(position.row, stop, f"{address}?{options}$skiptoken={token}")

    def _write(self, position: _Position, scope: str) -> str:
        payload = json.dumps(position).encode()
        composite = base64.urlsafe_b64encode(self._signature(payload, scope) + payload).decode()
        return quote(f'[cosmosdb][{{"compositeToken":"{composite}"}}]', safe="")

    def _read(self, token: str, scope: str) -> _Position:
        """`token` is decoded once from the query. Raises `QueryError`."""
        try:
            composite = json.loads(unquote(token).removeprefix("[cosmosdb][").removesuffix("]"))["compositeToken"]
            signed = base64.urlsafe_b64decode(composite)
            position = _Position(*json.loads(signed[hashlib.sha256().digest_size :]))
        except (ValueError, TypeError, KeyError):
            raise QueryError("Invalid Skip Token") from None
        if not hmac.compare_digest(self._write(position, scope).encode(), token.encode()):
            raise QueryError("Invalid Skip Token")
        return position

    def _signature(self, payload: bytes, scope: str) -> bytes:
        return hmac.digest(self._key, scope.encode() + b"\0" + payload, "sha256")
