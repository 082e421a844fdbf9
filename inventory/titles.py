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
    """Makes a title of `parts` in order, or takes it from another item."""

    parts: tuple[TitlePart, ...] = ()
    source: TitleSource | None = None
