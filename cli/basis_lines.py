"""The basis of an empty answer, in lines for people."""

from collections.abc import Iterable, Iterator
from datetime import datetime

from cli import output
from inventory.coverage import Coverage
from inventory.plurals import counted


def rests_on(listed: int, listed_from: datetime | None) -> str:
    """Such as `182 collections read to their end since 2026-03-01 10:00:00Z`."""
    if listed_from is None:
        return "no collection was read to its end"
    its = "its" if listed == 1 else "their"
    return f"{counted(listed, 'collection')} read to {its} end since {output.when(listed_from)}"


NAMED_COLLECTIONS = 6
"""The most collections that a line names. JSON names all."""


def by_reason(words: str, collections: Iterable[tuple[str, str]]) -> Iterator[str]:
    """A line for each reason, such as `not covered: groups (failed:graph_throttled)`.

    `collections`: pairs of type key and reason.
    """
    keys: dict[str, list[str]] = {}
    for type_key, reason in collections:
        keys.setdefault(reason, []).append(type_key)
    for reason, named in keys.items():
        more = f" and {len(named) - NAMED_COLLECTIONS} more" if named[NAMED_COLLECTIONS:] else ""
        yield f"{words}: {', '.join(named[:NAMED_COLLECTIONS])}{more} ({reason})"


def rests_on_coverage(collections: Iterable[Coverage]) -> str:
    began = [
        collection.listed_from
        for collection in collections
        if collection.is_current and collection.listed_from is not None
    ]
    return rests_on(len(began), min(began, default=None))
