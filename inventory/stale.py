"""Details of items that could not be read."""

import re
from collections.abc import Iterable, Sequence
from datetime import datetime

from pydantic import BaseModel

from inventory.error_codes import ErrorCode

_PROPERTY = re.compile(r"[.\[]")
"""Ends the document's property in a path."""

NAMED_PARTS = 3
"""Parts that a line names; it counts the rest."""


class StalePart(BaseModel, frozen=True):
    """A detail of an item that could not be read, or of one of its members (`member_detail`).

    `detail` is a property of the document, null for the whole item. `read_at`: the last reading; null if there was
    none, so the document lacks it. `error_code` is null if a run ended before it asked.
    """

    detail: str | None = None
    member_detail: str | None = None
    member_id: str | None = None
    member_name: str | None = None
    error_code: ErrorCode | None = None
    http_status: int | None = None
    read_at: datetime | None = None

    @property
    def place(self) -> tuple[str | None, str | None, str | None]:
        return self.detail, self.member_detail, self.member_id

    def is_about(self, path: str) -> bool:
        name = _PROPERTY.split(path, maxsplit=1)[0]
        return self.detail in (None, name) and (self.member_detail is None or f".{self.member_detail}" in path)

    @property
    def in_words(self) -> str:
        """Such as `settings could not be read (graph_unavailable, HTTP 500)`."""
        subject = self.detail or "details"
        if self.member_detail is not None:
            subject = f'{self.member_detail} of "{self.member_name or self.member_id}"'
        if self.error_code is None:
            return f"{subject} were not read"
        status = "" if self.http_status is None else f", HTTP {self.http_status}"
        return f"{subject} could not be read ({self.error_code}{status})"


class Staleness(BaseModel, frozen=True):
    """The staleness of an item's current version: since when it may be out of date, and the parts that could not be
    read.
    """

    since: datetime
    parts: list[StalePart] = []

    @property
    def why(self) -> str:
        return why(self.parts)

    def is_about(self, path: str) -> bool:
        return any(part.is_about(path) for part in self.parts)


def why(parts: Sequence[StalePart]) -> str:
    more = len(parts) - NAMED_PARTS
    named = [part.in_words for part in parts[:NAMED_PARTS]] + ([f"{more} more parts"] if more > 0 else [])
    return "; ".join(named) or "details were not read"


def lacking(parts: Iterable[StalePart]) -> list[StalePart]:
    """The parts that were never read."""
    return [part for part in parts if part.read_at is None]
