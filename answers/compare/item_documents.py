"""Reads the documents of one side's items of a collection."""

from collections.abc import Iterable, Sequence

from answers.compare import queries
from answers.compare.neutral_item import NeutralItem, WholeDocument
from answers.compare.sides import Side
from answers.named_ids import definition_ids, template_names
from inventory.exact_json import decode_object
from inventory.neutral_digest import NeutralDigester
from inventory.tenant_neutral import OWN_ID, TENANT_ID, Neutralizer
from storage.bodies import Documents

_NAMING = b'"definitionValues":'
"""The property in which administrative templates name policies and presentations."""


class ItemDocuments:
    """The caller must have both sides learn the `targets` of items that were read before it asks for more of them."""

    def __init__(self, own: Side, other: Side, type_key: str, rules: Neutralizer) -> None:
        self.damaged: set[str] = set()
        """Ids of items whose documents are damaged."""
        self._own = own
        self._type_key = type_key
        self._rules = rules
        self._digester = NeutralDigester(rules)
        self._translate = own.id_translations.beside(other.id_translations)

    async def read(self, ids: Sequence[str]) -> dict[str, NeutralItem]:
        """Leaves out items without a document, and damaged ones."""
        kept = self._own.kept
        items = {} if kept is None else {key: item for key in ids if (item := kept.get(self._type_key, key))}
        items |= await self._fetched([key for key in ids if key not in items])
        found: dict[str, NeutralItem] = {}
        for key in ids:
            item = items.get(key)
            if item is None:
                continue
            if item.damaged is None:
                found[key] = item
                continue
            self.damaged.add(key)
            self._own.read.damaged.append(item.damaged)
            self.release([item])
        return found

    async def digests(self, items: Iterable[NeutralItem]) -> None:
        """Gives each item its digest, unless it `names_parts`."""
        lacking = [item for item in self._translated(items) if item.digest is None and not item.names_parts]
        await self._load([item for item in lacking if item.partly is None])
        for item in lacking:
            if item.partly is not None:
                item.digest = self._digester.of(
                    item.partly,
                    self._own_ids(item.external_id),
                    self._translate,
                    details_complete=item.details_complete,
                    stale=item.stale,
                )

    async def wholes(self, items: Iterable[NeutralItem]) -> None:
        """Gives each item its whole document."""
        lacking = [item for item in self._translated(items) if item.whole is None]
        await self._load([item for item in lacking if item.stored is None])
        for item in lacking:
            if item.stored is not None:
                item.whole = self._whole(item, item.stored)

    async def likenesses(self, items: Iterable[NeutralItem]) -> None:
        """Gives each item its likeness."""
        translated = self._translated(items)
        if self._own.kept is not None:  # the next tenant may have the item
            await self.digests(translated)
        await self.wholes([item for item in translated if not item.has_likeness or item.names_parts])
        for item in translated:
            if not item.has_likeness and item.whole is not None:
                item.likeness, item.has_likeness = self._rules.likeness(item.whole.neutral), True

    def release(self, items: Iterable[NeutralItem]) -> None:
        """To be called when a batch is done: a golden tenant's items stay for the next tenant."""
        if self._own.kept is not None:
            for item in items:
                self._own.kept.put(self._type_key, item)

    def _translated(self, items: Iterable[NeutralItem]) -> list[NeutralItem]:
        translated = list(items)
        for item in translated:
            item.translated(tuple(self._translate(*target) for target in item.targets))
        return translated

    async def _fetched(self, ids: Sequence[str]) -> dict[str, NeutralItem]:
        if not ids:
            return {}
        read = Documents()
        found = await queries.whole_items(self._own.session, self._type_key, ids, read)
        damaged = {record.external_id: record for record in read.damaged}
        return {
            key: self._item(key, row.document, NeutralItem(key, row.details_complete, row.stale, damaged.get(key)))
            for key, row in found.items()
        }

    async def _load(self, items: Sequence[NeutralItem]) -> None:
        found = await self._fetched([item.external_id for item in items])
        for item in items:
            item.stored, item.partly = found[item.external_id].stored, found[item.external_id].partly

    def _item(self, external_id: str, stored: bytes | None, item: NeutralItem) -> NeutralItem:
        if stored is not None:
            item.stored = stored
            item.partly = self._digester.decoded(stored, self._own_ids(external_id))
            item.targets = tuple(sorted(self._rules.targets(item.partly.document)))
            item.names_parts = _NAMING in stored
        return item

    def _whole(self, item: NeutralItem, stored: bytes) -> WholeDocument:
        document = decode_object(stored)
        neutral = self._rules.of(
            document,
            self._own_ids(item.external_id),
            self._translate,
            details_complete=item.details_complete,
            stale=item.stale,
        )
        names = template_names(document.get("definitionValues"))
        return WholeDocument(neutral, frozenset(definition_ids(document.get("settings"))), names)

    def _own_ids(self, external_id: str) -> dict[str, str]:
        return {external_id: OWN_ID, str(self._own.tenant.tenant_id): TENANT_ID}
