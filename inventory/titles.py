"""Titles of items without a name: by their references, or by another item."""

from typing import NamedTuple


class TitlePart(NamedTuple):
    """One part of a title: the name of the object that a reference at a path is to, or the value of a meta key."""

    path: str
    is_meta: bool = False


class TitleSource(NamedTuple):
    """Items that give their own titles to others: items of `type_key`, to the targets of their reference at `path`."""

    type_key: str
    path: str


class TitleRule(NamedTuple):
    """How the items of a collection are titled: by parts of their own, in this order, or from another item."""

    parts: tuple[TitlePart, ...] = ()
    source: TitleSource | None = None
