"""The basis of an empty answer, in lines for people."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime
from uuid import UUID

from answers.coverage.records import NAMED_COLLECTIONS, UnreadCollections
from answers.oldest_listing import OldestListing
from cli import output
from cli.output_options import output_options
from inventory.coverage import NEVER_READ, Coverage
from inventory.plurals import counted, first_of


def rests_on(listed: int, listed_from: datetime | None) -> str:
    """Such as `182 collections read to their end since 2026-03-01 10:00:00Z`."""
    if listed_from is None:
        return "no collection was read to its end"
    its = "its" if listed == 1 else "their"
    return f"{counted(listed, 'collection')} read to {its} end since {output.when(listed_from)}"


def by_reason(words: str, collections: Iterable[tuple[str, str]]) -> Iterator[str]:
    """A line for each reason, such as `not covered: groups (failed:graph_throttled)`.

    `collections`: pairs of type key and reason.
    """
    keys: dict[str, list[str]] = {}
    for type_key, reason in collections:
        keys.setdefault(reason, []).append(type_key)
    for reason, named in keys.items():
        yield f"{words}: {first_of(named, NAMED_COLLECTIONS)} ({reason})"


NAMED_TENANTS = 3

REASONS = 3
"""The most lines about what was not read."""


def say_unread(unread_collections: Sequence[UnreadCollections], name_of: Callable[[UUID], str] | None = None) -> None:
    """Tells what an answer leaves open: JSON lines, or lines on stderr that name the tenants if there are several."""
    if output_options().as_json:
        output.print_json(*unread_collections)
        return
    refused_first = sorted(
        unread_collections, key=lambda unread: (unread.reason == NEVER_READ, -len(unread.tenant_ids))
    )
    output.warn(*(_unread_line(unread, name_of) for unread in refused_first[:REASONS]))
    if len(unread_collections) > REASONS:
        output.warn(f"not read for {counted(len(unread_collections) - REASONS, 'more reason')}; --json names all")


def _unread_line(unread: UnreadCollections, name_of: Callable[[UUID], str] | None) -> str:
    tenants = "" if name_of is None else first_of(sorted(map(name_of, unread.tenant_ids)), NAMED_TENANTS)
    if not unread.type_keys:
        return f"never read at all: {tenants}"
    of_tenants = f" of {tenants}" if tenants else ""
    if unread.reason == NEVER_READ:
        return f"never read{of_tenants}: {first_of(unread.type_keys, NAMED_COLLECTIONS)}"
    return f"not read{of_tenants}: {unread.in_words}"


def say_oldest(oldest: OldestListing | None) -> None:
    """Tells it on stderr, or as a JSON line."""
    if oldest is None:
        return
    if output_options().as_json:
        output.print_json(oldest)
        return
    since = f"{output.when(oldest.read_from)}, before the newest run ({output.when(oldest.newest_run_at)})"
    output.stderr.print(f"oldest reading: {oldest.type_key}, {since}", style="dim")


def rests_on_coverage(collections: Iterable[Coverage]) -> str:
    began = [
        collection.listed_from
        for collection in collections
        if collection.is_current and collection.listed_from is not None
    ]
    return rests_on(len(began), min(began, default=None))
