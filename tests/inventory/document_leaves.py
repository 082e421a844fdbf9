"""Edits of single leaves of JSON documents, for property tests."""

import copy
from collections.abc import Iterator
from typing import Any


def leaf_paths(value: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """The path of each scalar and of each empty list or object."""
    children = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    empty = True
    for step, child in children:
        empty = False
        yield from leaf_paths(child, (*path, step))
    if empty and path:
        yield path


def edited(document: dict[str, Any], path: tuple[str | int, ...], leaf: Any) -> dict[str, Any]:
    """A copy of the document with `leaf` at the path."""
    copied = copy.deepcopy(document)
    place: Any = copied
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = leaf
    return copied
