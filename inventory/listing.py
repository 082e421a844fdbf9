"""Completeness of a collection's listing."""

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import NamedTuple
from uuid import UUID

BEGINNING = UUID(int=0)
"""The position before a listing's first page."""


class PageLinks(NamedTuple):
    """Graph's answer to one URL of a listing."""

    position: UUID
    opens: Sequence[UUID]
    """Positions of linked pages: the next one, and each parent's first."""
    is_merged: bool
    """Whether the page's items are in the inventory."""


def position_of(url: str) -> UUID:
    """The beginning of the URL's SHA-256."""
    return UUID(bytes=hashlib.sha256(url.encode()).digest()[:16])


def is_listed_to_its_end(pages: Iterable[PageLinks]) -> bool:
    """Whether merged pages lead from the beginning to every end.

    A page may link elsewhere when read again: any of its answers may lead on, and one merged answer suffices.
    """
    answers = list(pages)
    merged = {page.position for page in answers if page.is_merged}
    waiting: dict[UUID, list[int]] = defaultdict(list)
    open_counts = []
    for number, page in enumerate(answers):
        opens = set(page.opens)
        open_counts.append(len(opens))
        for position in opens:
            waiting[position].append(number)
    done: set[UUID] = set()
    ended = [page.position for page in answers if not page.opens]
    while ended:
        position = ended.pop()
        if position in done or position not in merged:
            continue
        done.add(position)
        for number in waiting[position]:
            open_counts[number] -= 1
            if not open_counts[number]:
                ended.append(answers[number].position)
    return BEGINNING in done
