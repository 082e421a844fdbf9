"""Titles of items without a name."""

from typing import NamedTuple


class TitlePart(NamedTuple):
    path: str
    is_meta: bool = False


class TitleSource(NamedTuple):
    """Items of `type_key` that title the targets of their reference at `path`."""

    type_key: str
    path: str


class TitleRule(NamedTuple):
    """A title is made of `parts` in order, or from another item."""

    parts: tuple[TitlePart, ...] = ()
    source: TitleSource | None = None
