"""Numbers of found items by property."""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from sqlalchemy.ext.asyncio import AsyncSession

from answers.item_filter import ItemFilter, platforms
from answers.item_states import state_of
from answers.search.answer import Sought, groups_of_found
from answers.search.records import ItemGroup
from graph.catalog import kind_of, load_catalog
from inventory.records import ItemRecord

MOST_COUNTED = 5_000

KINDS = 12
"""Kinds that are shown, most frequent first."""


class Facet(NamedTuple):
    """Numbers of items by value, under the other filters. `left_out`: values not shown."""

    parameter: str
    counts: Sequence[tuple[str, int]]
    left_out: int = 0


class Facets(NamedTuple):
    """`is_cut`: more items exist than were counted."""

    facets: Sequence[Facet]
    is_cut: bool


async def facets(session: AsyncSession, sought: Sought) -> Facets:
    """Raises `UnknownSettingError`."""
    groups = await groups_of_found(session, sought, MOST_COUNTED + 1)
    is_cut = sum(group.items for group in groups) > MOST_COUNTED
    chosen = sought.items
    candidates = [
        _facet("platform", groups, chosen._replace(platform=None), lambda item: platforms(item.type_key, item.meta)),
        _kinds(groups, chosen._replace(kind=None)),
        _facet("category", groups, chosen, _categories),
        _facet("state", groups, chosen._replace(state=None), _states),
    ]
    return Facets([facet for facet in candidates if facet.counts], is_cut)


def _facet(
    parameter: str,
    groups: Iterable[ItemGroup],
    other_filters: ItemFilter,
    values_of: Callable[[ItemRecord], Iterable[str]],
) -> Facet:
    counts: Counter[str] = Counter()
    for group in groups:
        if other_filters.wants(group.item):
            for value in values_of(group.item):
                counts[value] += group.items
    return Facet(parameter, sorted(counts.items(), key=_most_first))


def _kinds(groups: Iterable[ItemGroup], other_filters: ItemFilter) -> Facet:
    counts: Counter[str] = Counter()
    for group in groups:
        if other_filters.wants(group.item):
            counts[kind_of(group.item.type_key, group.item.meta)] += group.items
    most_frequent = sorted(counts.items(), key=_most_first)[:KINDS]
    kinds = [
        (kind, sum(items for name, items in counts.items() if kind.casefold() in name.casefold()))
        for kind, _ in most_frequent
    ]
    return Facet("kind", sorted(kinds, key=_most_first), len(counts) - len(most_frequent))


def _most_first(entry: tuple[str, int]) -> tuple[int, str]:
    return -entry[1], entry[0]


def _categories(item: ItemRecord) -> Iterable[str]:
    collection = load_catalog().collections.get(item.type_key)
    return [] if collection is None else [collection.category]


def _states(item: ItemRecord) -> Iterable[str]:
    state = state_of(item)
    return [] if state is None else [state]
