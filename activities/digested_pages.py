"""Pages whose objects have raw digests."""

from collections.abc import Collection as AnyCollection
from collections.abc import Sequence
from typing import Any, NamedTuple

from graph.catalog import Collection
from graph.raw_pages import RawPage, heads, parse_all
from inventory.cut_lists import NEXT_LINK
from inventory.item_ids import item_key
from inventory.observation import InvalidObject, Observation
from inventory.raw_digest import RawDigests
from inventory.references import MAX_ID_LENGTH
from storage.staging import ID_SEPARATOR, SameItems


class DigestedPage(NamedTuple):
    """A page of objects with unique ids.

    `items` have digests; `places` are their indexes on the page, and `positions` their indexes without the `left_out`
    objects, which belong to another collection.
    """

    page: RawPage
    raw_digests: RawDigests
    items: SameItems
    places: Sequence[int]
    positions: Sequence[int]
    left_out: AnyCollection[int]

    @classmethod
    def of(
        cls, page: RawPage, collection: Collection, digests: RawDigests, parent_id: str | None
    ) -> "DigestedPage | None":
        """None if an id repeats: then the whole page decides which object counts."""
        of_collection: list[tuple[int, int, str]] = []
        left_out: set[int] = set()
        for place, (external_id, kind) in enumerate(heads(page, collection.id_field)):
            if isinstance(kind, str) and kind in collection.left_out_types:
                left_out.add(place)
            elif _is_usable(external_id):
                of_collection.append((place, place - len(left_out), item_key(external_id)))
        of_objects = digests.of([page.objects[place] for place, _, _ in of_collection], parent_id)
        found = [
            (*known, digest) for known, digest in zip(of_collection, of_objects, strict=True) if digest is not None
        ]
        places, positions, ids, of_items = zip(*found, strict=True) if found else ((), (), (), ())
        if len(set(ids)) != len(ids):
            return None
        return cls(page, digests, SameItems(collection.type_key, ids, of_items), places, positions, left_out)

    def without(self, same: AnyCollection[str]) -> "ChangedObjects | None":
        """The page without its unchanged items; None if it must be read whole. Raises `AnswerTooLargeError`."""
        objects = self.page.objects
        numbers = [number for number, external_id in enumerate(self.items.external_ids) if external_id in same]
        if not numbers and not self.left_out:
            return None if (page := self.page.parsed()) is None else self._changed(page, [])
        known = {*self.left_out, *(self.places[number] for number in numbers)}
        values = parse_all([text for place, text in enumerate(objects) if place not in known])
        return None if values is None else self._changed({"value": values, NEXT_LINK: self.page.next_link}, numbers)

    def _changed(self, page: Any, numbers: Sequence[int]) -> "ChangedObjects":
        objects = self.page.objects
        return ChangedObjects(
            page=page,
            same=SameItems(
                self.items.type_key,
                [self.items.external_ids[number] for number in numbers],
                [self.items.digests[number] for number in numbers],
            ),
            same_bytes=sum(len(memoryview(objects[self.places[number]])) for number in numbers),
            same_positions=[self.positions[number] for number in numbers],
            raw_digests=self.raw_digests,
            digests=dict(zip(self.items.external_ids, self.items.digests, strict=True)),
        )


class ChangedObjects(NamedTuple):
    page: Any
    same: SameItems
    same_bytes: int
    same_positions: Sequence[int]
    raw_digests: RawDigests
    digests: dict[str, bytes]

    def digested(
        self, observations: Sequence[Observation], invalid: Sequence[InvalidObject]
    ) -> tuple[list[Observation], list[InvalidObject], SameItems]:
        """Gives observations their digests, and bad objects their places on the whole page; adds unchanged items."""
        return (
            [
                Observation(*observation[:-1], self.digests.get(item_key(observation.external_id)))
                if self.raw_digests.may_keep(observation.document) and not observation.is_cut
                else observation
                for observation in observations
            ],
            [bad._replace(position=self._on_page(bad.position)) for bad in invalid],
            self.same,
        )

    def _on_page(self, position: int) -> int:
        for same_position in self.same_positions:
            if same_position > position:
                break
            position += 1
        return position


def _is_usable(external_id: Any) -> bool:
    return (
        isinstance(external_id, str)
        and 0 < len(external_id) <= MAX_ID_LENGTH
        and bool(external_id.strip())
        and "\0" not in external_id
        and ID_SEPARATOR not in external_id
    )
