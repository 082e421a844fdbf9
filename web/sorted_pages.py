"""Pages of sorted lists. A page begins after a sort key, so rows may come and go."""

import json
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from operator import itemgetter
from typing import Annotated, Generic, NamedTuple, TypeVar

from fastapi import Query

from web.scope import NoSuchPageError

RowT = TypeVar("RowT")

Place = tuple[str, ...]
"""A row's unique sort key."""

PLACE_CHARACTERS = 80


After = Annotated[str, Query(description="Go on here, as the address of the next page says.", max_length=2000)]


class SortedPage(NamedTuple, Generic[RowT]):
    """Some of `total` rows. `goes_on`: the next page's `after`; None on the last page."""

    rows: list[RowT]
    total: int
    goes_on: str | None


def sorted_page(
    rows: Iterable[RowT], place_of: Callable[[RowT], Sequence[str]], after: str, most: int
) -> SortedPage[RowT]:
    """The first `most` rows after the place in `after` (JSON). Raises `NoSuchPageError`."""
    placed = [(tuple(part[:PLACE_CHARACTERS] for part in place_of(row)), row) for row in rows]
    placed.sort(key=itemgetter(0))
    times = Counter[Place]()
    placed_rows: list[tuple[Place, RowT]] = []
    for place, row in placed:
        placed_rows.append(((*place, f"{times[place]:06}"), row))
        times[place] += 1
    begins = _place(after)
    following = [(place, row) for place, row in placed_rows if begins is None or place > begins]
    goes_on = json.dumps(following[most - 1][0], ensure_ascii=False) if len(following) > most else None
    return SortedPage([row for _, row in following[:most]], len(placed_rows), goes_on)


def _place(text: str) -> Place | None:
    if not text:
        return None
    try:
        place = json.loads(text)
    except (ValueError, RecursionError):
        place = None
    if not isinstance(place, list) or not all(isinstance(part, str) for part in place):
        raise NoSuchPageError("no page of the list begins there; go back to its first page")
    return tuple(place)
