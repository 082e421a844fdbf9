"""Matches and compares one collection of two tenants. Memory holds both sides' names and a few documents."""

from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from typing import TypeVar

from answers.compare import queries
from answers.compare.id_translation import is_shared
from answers.compare.item_documents import ItemDocuments
from answers.compare.neutral_item import NeutralItem
from answers.compare.records import (
    CoverageState,
    FieldRecord,
    ItemComparison,
    ItemName,
    MatchedBy,
    Status,
    UnresolvedRecord,
)
from answers.compare.rules import (
    AmbiguousGroup,
    Entry,
    Pair,
    Verdict,
    matched_by_content,
    matched_by_name,
    told_apart_by_content,
    verdict,
)
from answers.compare.sides import Side
from answers.field_labels import field_change
from answers.object_names import setting_names
from graph.catalog import Collection as CatalogEntry
from graph.catalog import item_title, kind_of
from inventory.differences import Difference
from inventory.references import collection_of
from inventory.stale import Staleness
from inventory.tenant_neutral import NeutralDocument, Neutralizer, Uncertainty, UnresolvedReference

DOCUMENTS_AT_A_TIME = 50
"""Documents of each side read at once; some have megabytes."""


class CollectionComparer:
    def __init__(self, here: Side, there: Side, collection: CatalogEntry) -> None:
        self._here = here
        self._there = there
        self._type_key = collection.type_key
        self._collection = collection
        self._rules = Neutralizer(collection.independence_rules())
        self._names_tell = collection.has_names
        self._documents_here = ItemDocuments(here, there, self._type_key, self._rules)
        self._documents_there = ItemDocuments(there, here, self._type_key, self._rules)
        self._asked_names: set[str] = set()
        self._names: dict[tuple[str, str], str] = {}

    async def items(self) -> AsyncIterator[ItemComparison]:
        matching = matched_by_name(await self._entries(self._here), await self._entries(self._there))
        async for item in self._pairs(matching.pairs):
            yield item
        only_here, only_there = matching.only_here, matching.only_there
        for group in await self._likened_groups(matching.ambiguous):
            told_apart = told_apart_by_content(group)
            async for item in self._pairs(told_apart.pairs):
                yield item
            for left in told_apart.ambiguous:
                yield self._ambiguous(left)
            only_here += told_apart.only_here
            only_there += told_apart.only_there
        if only_here and only_there:
            likened = await self._likened(only_here, only_there)
            by_content = matched_by_content(*likened, names_tell=self._names_tell)
            async for item in self._pairs(by_content.pairs):
                yield item
            for left in by_content.ambiguous:
                yield self._ambiguous(left)
            only_here, only_there = by_content.only_here, by_content.only_there
        for entry in only_here:
            yield self._item(Status.ONLY_HERE, None, [entry], [])
        for entry in only_there:
            yield self._item(Status.ONLY_THERE, None, [], [entry])

    async def _entries(self, side: Side) -> list[Entry]:
        if side.covered(self._type_key).state is not CoverageState.COMPLETE:
            return []
        if side.kept is not None and self._type_key in side.kept.entries:
            return side.kept.entries[self._type_key]
        own = str(side.tenant.tenant_id)
        entries = [
            Entry(
                item.external_id,
                item.display_name,
                kind_of(self._type_key, item.meta),
                self._collection.singleton or item.external_id == own,
                stale=item.stale,
            )
            for item in await queries.present_items(side.session, self._type_key)
        ]
        if side.kept is not None:
            side.kept.entries[self._type_key] = entries
        return entries

    async def _pairs(self, pairs: Sequence[Pair]) -> AsyncIterator[ItemComparison]:
        for some in _batches(pairs):
            here = await self._documents_here.read([pair.here.external_id for pair in some])
            there = await self._documents_there.read([pair.there.external_id for pair in some])
            await self._learn(here, there)
            await self._documents_here.digests(here.values())
            await self._documents_there.digests(there.values())
            read = [(here.get(pair.here.external_id), there.get(pair.there.external_id)) for pair in some]
            whole_here = [item for item, other in read if item is not None and _is_needed_whole(item, other)]
            whole_there = [item for other, item in read if item is not None and _is_needed_whole(item, other)]
            await self._documents_here.wholes(whole_here)
            await self._documents_there.wholes(whole_there)
            await self._learn_names(whole_here, whole_there)
            for pair, (item_here, item_there) in zip(some, read, strict=True):
                neutral_here, neutral_there = _compared(item_here, item_there), _compared(item_there, item_here)
                if neutral_here is None or neutral_there is None:
                    found = Verdict(Status.UNDECIDED, [], frozenset({self._why_unread(pair)}))
                else:
                    found = verdict(neutral_here, neutral_there, self._rules)
                yield self._pair(pair, found, neutral_here, neutral_there)
            self._documents_here.release(here.values())
            self._documents_there.release(there.values())

    def _why_unread(self, pair: Pair) -> Uncertainty:
        is_damaged = (
            pair.here.external_id in self._documents_here.damaged
            or pair.there.external_id in self._documents_there.damaged
        )
        return Uncertainty.DAMAGED_DOCUMENT if is_damaged else Uncertainty.NO_DOCUMENT

    def _pair(
        self, pair: Pair, pair_verdict: Verdict, here: NeutralDocument | None, there: NeutralDocument | None
    ) -> ItemComparison:
        return self._item(
            pair_verdict.status,
            pair.by,
            [pair.here],
            [pair.there],
            fields=[
                self._field(difference, is_certain=(difference.path, difference.kind) in pair_verdict.certain)
                for difference in pair_verdict.differences
            ],
            uncertain=sorted(pair_verdict.uncertain),
            unresolved_here=[_unresolved(reference) for reference in (here.unresolved if here else ())],
            unresolved_there=[_unresolved(reference) for reference in (there.unresolved if there else ())],
        )

    def _field(self, difference: Difference, *, is_certain: bool) -> FieldRecord:
        # Ids of other objects are translated already.
        named = field_change(difference, {}, self._names)
        exact = {"before": difference.before, "after": difference.after}
        return FieldRecord(**{**dict(named), **exact}, is_certain=is_certain)

    async def _learn(self, here: Mapping[str, NeutralItem], there: Mapping[str, NeutralItem]) -> None:
        """Both sides learn translations of the ids in documents."""
        ids_here = {target for item in here.values() for target in item.targets}
        ids_there = {target for item in there.values() for target in item.targets}
        # The other side may know the object of a shared id.
        shared = {
            (keys, one_id) for keys, one_id in ids_here | ids_there if any(is_shared(key, one_id) for key in keys)
        }
        await self._here.id_translations.learn(self._here.session, ids_here | shared)
        await self._there.id_translations.learn(self._there.session, ids_there | shared)

    async def _learn_names(self, *some: Iterable[NeutralItem]) -> None:
        documents = [item.whole for items in some for item in items if item.whole is not None]
        settings = {name for document in documents for name in document.definition_ids} - self._asked_names
        self._asked_names |= settings
        for document in documents:
            self._names |= document.template_names
        for side in (self._there, self._here):
            self._names |= await setting_names(side.session, settings)

    def _ambiguous(self, group: AmbiguousGroup) -> ItemComparison:
        return self._item(Status.AMBIGUOUS, group.by, group.here, group.there)

    def _item(
        self,
        status: Status,
        by: MatchedBy | None,
        here: Sequence[Entry],
        there: Sequence[Entry],
        **compared: object,
    ) -> ItemComparison:
        return ItemComparison.model_validate(
            {
                "type_key": self._type_key,
                "kind": next(entry.kind for entry in (*here, *there)),
                "status": status,
                "matched_by": by,
                "here": _names(self._type_key, here),
                "there": _names(self._type_key, there),
                "stale_here": _longest_stale(here),
                "stale_there": _longest_stale(there),
                **compared,
            }
        )

    async def _likened_groups(self, groups: Sequence[AmbiguousGroup]) -> list[AmbiguousGroup]:
        here, there = await self._likened(
            [entry for group in groups for entry in group.here], [entry for group in groups for entry in group.there]
        )
        ones, others = iter(here), iter(there)
        return [
            AmbiguousGroup([next(ones) for _ in group_here], [next(others) for _ in group_there], by)
            for group_here, group_there, by in groups
        ]

    async def _likened(self, here: Sequence[Entry], there: Sequence[Entry]) -> tuple[list[Entry], list[Entry]]:
        likened: tuple[list[Entry], list[Entry]] = ([], [])
        for some in _batches(here):
            documents_by_id = await self._documents_here.read([entry.external_id for entry in some])
            await self._learn(documents_by_id, {})
            likened[0].extend(await self._with_likenesses(some, self._documents_here, documents_by_id))
        for some in _batches(there):
            documents_by_id = await self._documents_there.read([entry.external_id for entry in some])
            await self._learn({}, documents_by_id)
            likened[1].extend(await self._with_likenesses(some, self._documents_there, documents_by_id))
        return likened

    async def _with_likenesses(
        self, entries: Sequence[Entry], documents: ItemDocuments, documents_by_id: Mapping[str, NeutralItem]
    ) -> list[Entry]:
        await documents.likenesses(documents_by_id.values())
        await self._learn_names([item for item in documents_by_id.values() if item.names_parts])
        documents.release(documents_by_id.values())
        return [
            entry
            if (item := documents_by_id.get(entry.external_id)) is None
            else entry._replace(likeness=item.likeness)
            for entry in entries
        ]


def _is_needed_whole(item: NeutralItem, other: NeutralItem | None) -> bool:
    """False if the item's digest tells enough: it equals the other's, or there is no other."""
    if item.digest is None:
        return True
    return other is not None and (other.digest is None or item.digest.canonical != other.digest.canonical)


def _compared(item: NeutralItem | None, other: NeutralItem | None) -> NeutralDocument | None:
    if item is None:
        return None
    if _is_needed_whole(item, other):
        return None if item.whole is None else item.whole.neutral
    return item.digest


ItemT = TypeVar("ItemT")


def _batches(all_of_them: Sequence[ItemT]) -> Iterator[Sequence[ItemT]]:
    for start in range(0, len(all_of_them), DOCUMENTS_AT_A_TIME):
        yield all_of_them[start : start + DOCUMENTS_AT_A_TIME]


def _names(type_key: str, entries: Iterable[Entry]) -> list[ItemName]:
    return [
        ItemName(
            external_id=entry.external_id,
            display_name=entry.name,
            title=item_title(type_key, entry.external_id, entry.name, entry.kind),
        )
        for entry in entries
    ]


def _longest_stale(entries: Iterable[Entry]) -> Staleness | None:
    found = (entry.stale for entry in entries if entry.stale is not None)
    return min(found, key=lambda stale: stale.since, default=None)


def _unresolved(reference: UnresolvedReference) -> UnresolvedRecord:
    return UnresolvedRecord(
        path=reference.path,
        target_types=[collection_of(target_type) for target_type in reference.target_types],
        target_id=reference.target_id,
        reason=reference.reason,
    )
