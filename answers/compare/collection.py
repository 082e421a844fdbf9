"""Matches and compares one collection of two tenants. Memory holds both sides' names and a few documents."""

from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from typing import NamedTuple, TypeVar

from answers.compare import queries
from answers.compare.id_translation import is_shared
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
from answers.named_ids import definition_ids, template_names
from answers.object_names import setting_names
from graph.catalog import Collection as CatalogEntry
from graph.catalog import item_title, kind_of
from inventory.canonical import JsonObject
from inventory.differences import Difference
from inventory.exact_json import decode_object
from inventory.references import collection_of
from inventory.stale import Staleness
from inventory.tenant_neutral import (
    OWN_ID,
    TENANT_ID,
    NeutralDocument,
    Neutralizer,
    Uncertainty,
    UnresolvedReference,
)

DOCUMENTS_AT_A_TIME = 50
"""Documents of each side read at once; some have megabytes."""


class _Found(NamedTuple):
    details_complete: bool
    document: JsonObject
    stale: Staleness | None


class CollectionComparer:
    def __init__(self, here: Side, there: Side, collection: CatalogEntry) -> None:
        self._here = here
        self._there = there
        self._type_key = collection.type_key
        self._collection = collection
        self._rules = Neutralizer(collection.independence_rules())
        self._names_tell = collection.has_names
        self._damaged: tuple[set[str], set[str]] = (set(), set())
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
        own = str(side.tenant.tenant_id)
        return [
            Entry(
                item.external_id,
                item.display_name,
                kind_of(self._type_key, item.meta),
                self._collection.singleton or item.external_id == own,
                stale=item.stale,
            )
            for item in await queries.present_items(side.session, self._type_key)
        ]

    async def _pairs(self, pairs: Sequence[Pair]) -> AsyncIterator[ItemComparison]:
        for some in _batches(pairs):
            here, there = await self._documents([pair.here for pair in some], [pair.there for pair in some])
            for pair in some:
                one, other = here.get(pair.here.external_id), there.get(pair.there.external_id)
                if one is None or other is None:
                    found = Verdict(Status.UNDECIDED, [], frozenset({self._why_unread(pair)}))
                else:
                    found = verdict(one, other, self._rules)
                yield self._pair(pair, found, one, other)

    def _why_unread(self, pair: Pair) -> Uncertainty:
        is_damaged = pair.here.external_id in self._damaged[0] or pair.there.external_id in self._damaged[1]
        return Uncertainty.DAMAGED_DOCUMENT if is_damaged else Uncertainty.NO_DOCUMENT

    def _pair(
        self, pair: Pair, found: Verdict, here: NeutralDocument | None, there: NeutralDocument | None
    ) -> ItemComparison:
        return self._item(
            found.status,
            pair.by,
            [pair.here],
            [pair.there],
            fields=[
                self._field(difference, is_certain=(difference.path, difference.kind) in found.certain)
                for difference in found.differences
            ],
            uncertain=sorted(found.uncertain),
            unresolved_here=[_unresolved(reference) for reference in (here.unresolved if here else ())],
            unresolved_there=[_unresolved(reference) for reference in (there.unresolved if there else ())],
        )

    def _field(self, difference: Difference, *, is_certain: bool) -> FieldRecord:
        # Ids of other objects are translated already.
        named = field_change(difference, {}, self._names)
        exact = {"before": difference.before, "after": difference.after}
        return FieldRecord(**{**dict(named), **exact}, is_certain=is_certain)

    async def _learn_names(self, *found: dict[str, _Found]) -> None:
        documents = [document for some in found for _, document, _ in some.values()]
        settings = {
            definition_id for document in documents for definition_id in definition_ids(document.get("settings"))
        } - self._asked_names
        self._asked_names |= settings
        for document in documents:
            self._names |= template_names(document.get("definitionValues"))
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
            found, _ = await self._documents(some, ())
            likened[0].extend(self._with_likeness(entry, found) for entry in some)
        for some in _batches(there):
            _, found = await self._documents((), some)
            likened[1].extend(self._with_likeness(entry, found) for entry in some)
        return likened

    def _with_likeness(self, entry: Entry, found: dict[str, NeutralDocument]) -> Entry:
        document = found.get(entry.external_id)
        return entry if document is None else entry._replace(likeness=self._rules.likeness(document))

    async def _documents(
        self, here: Iterable[Entry], there: Iterable[Entry]
    ) -> tuple[dict[str, NeutralDocument], dict[str, NeutralDocument]]:
        one = await self._whole(self._here, here, self._damaged[0])
        other = await self._whole(self._there, there, self._damaged[1])
        await self._learn_names(one, other)
        ids_here = {target for _, document, _ in one.values() for target in self._rules.targets(document)}
        ids_there = {target for _, document, _ in other.values() for target in self._rules.targets(document)}
        # The other side may know the object of a shared id.
        shared = {
            (keys, one_id) for keys, one_id in ids_here | ids_there if any(is_shared(key, one_id) for key in keys)
        }
        await self._here.id_translations.learn(self._here.session, ids_here | shared)
        await self._there.id_translations.learn(self._there.session, ids_there | shared)
        return self._neutral(self._here, self._there, one), self._neutral(self._there, self._here, other)

    async def _whole(self, side: Side, entries: Iterable[Entry], damaged: set[str]) -> dict[str, _Found]:
        """Adds the ids of damaged documents to `damaged`."""
        ids = [entry.external_id for entry in entries]
        if not ids:
            return {}
        found = await queries.whole_items(side.session, self._type_key, ids, side.read)
        damaged |= {external_id for external_id, item in found.items() if item.document is None}
        return {
            external_id: _Found(item.details_complete, decode_object(item.document), item.stale)
            for external_id, item in found.items()
            if item.document is not None
        }

    def _neutral(self, own: Side, other: Side, found: dict[str, _Found]) -> dict[str, NeutralDocument]:
        translate = own.id_translations.beside(other.id_translations)
        tenant_id = str(own.tenant.tenant_id)
        return {
            external_id: self._rules.of(
                document,
                {external_id: OWN_ID, tenant_id: TENANT_ID},
                translate,
                details_complete=details_complete,
                stale=stale,
            )
            for external_id, (details_complete, document, stale) in found.items()
        }


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
