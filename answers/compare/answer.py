"""One tenant against another, item by item."""

from collections import Counter
from collections.abc import AsyncIterator, Collection, Sequence

from answers.compare.collection import CollectionComparer
from answers.compare.counterparts import Counterpart as Counterpart
from answers.compare.counterparts import TargetId as TargetId
from answers.compare.counterparts import counterparts as counterparts
from answers.compare.counterparts import own_counterparts as own_counterparts
from answers.compare.documents import KnownPair as KnownPair
from answers.compare.documents import compared_documents as compared_documents
from answers.compare.golden_sessions import GoldenSessions as GoldenSessions
from answers.compare.golden_sessions import LastingSession as LastingSession
from answers.compare.kept_items import KeptItems as KeptItems
from answers.compare.records import (
    CollectionComparison,
    ComparisonCounts,
    ComparisonRecord,
    ItemComparison,
    ReferencedCollection,
)
from answers.compare.sides import SessionOf as SessionOf
from answers.compare.sides import Side as Side
from answers.compare.sides import side as side
from graph.catalog import load_catalog
from inventory.name_key import list_place


class Comparison:
    """Read `items`, then `record`."""

    def __init__(self, here: Side, there: Side, type_keys: Collection[str] | None = None) -> None:
        known = load_catalog().collections
        covered = here.coverage.keys() | there.coverage.keys()
        named = covered - load_catalog().logs if type_keys is None else type_keys
        self.type_keys: Sequence[str] = sorted(key for key in named if key in known)
        self._here = here
        self._there = there
        self._counts: dict[str, Counter[str]] = {}

    async def items(self) -> AsyncIterator[ItemComparison]:
        for type_key in self.type_keys:
            async for item in self.items_of(type_key):
                yield item

    async def items_of(self, type_key: str) -> AsyncIterator[ItemComparison]:
        """One collection's results by name; empty if a side does not tell its content."""
        if not self.is_compared(type_key):
            return
        counts = self._counts[type_key] = Counter()
        comparer = CollectionComparer(self._here, self._there, load_catalog().collections[type_key])
        for item in sorted([item async for item in comparer.items()], key=_place):
            counts[item.status] += 1
            yield item

    def is_compared(self, type_key: str) -> bool:
        return self._here.covered(type_key).is_answered and self._there.covered(type_key).is_answered

    def record(self) -> ComparisonRecord:
        known = load_catalog().collections
        return ComparisonRecord(
            here=self._here.tenant,
            there=self._there.tenant,
            asked_at=self._here.asked_at,
            counts=ComparisonCounts(**sum(self._counts.values(), Counter())),
            collections=[
                CollectionComparison(
                    type_key=key,
                    title=known[key].title,
                    category=known[key].category,
                    here=self._here.covered(key),
                    there=self._there.covered(key),
                    is_compared=self.is_compared(key),
                    counts=ComparisonCounts(**self._counts.get(key, Counter())),
                )
                for key in self.type_keys
            ],
            referenced=referenced(self._here, self._there),
            damaged=[*self._here.damaged, *self._there.damaged],
        )


def referenced(here: Side, there: Side) -> list[ReferencedCollection]:
    return [
        ReferencedCollection(type_key=key, here=here.covered(key), there=there.covered(key))
        for key in sorted(here.id_translations.asked_types | there.id_translations.asked_types)
    ]


def _place(item: ItemComparison) -> tuple[str, str, str]:
    first = (item.here or item.there)[0]
    return list_place(item.type_key, first.display_name, first.external_id)
