"""A tenant's items with states, and single items."""

from collections.abc import AsyncIterator, Collection, Iterable, Sequence
from difflib import get_close_matches
from typing import NamedTuple

from sqlalchemy.ext.asyncio import AsyncSession

from answers.coverage.answer import Extent
from answers.ids import named
from answers.item_kinds import with_kinds
from answers.items import queries as own_queries
from answers.items.queries import MOST_COUNTED, CollectionSize
from answers.items.records import ItemsBasis, UnreadCollection
from answers.search.answer import Sought, find
from graph.catalog import item_title, kind_of, load_catalog
from inventory.bounds import NAMED
from inventory.coverage import NEVER_READ, TENANT_NEVER_READ
from inventory.missing import Confidence, EvidenceKind
from inventory.plurals import either
from inventory.records import ItemRecord, MissingRecord
from inventory.user_errors import NeverReadError, NotHereError
from storage import documents, queries, recorded_runs
from storage.coverage import coverage, is_read
from storage.name_order import NamePlace, place_of

collection_sizes = own_queries.collection_sizes


class UnknownItemError(NotHereError):
    """The tenant has no such item, or several."""


class UnreadItemError(UnknownItemError, NeverReadError):
    """The item's collection was not read to its end, so the item may exist."""


class ItemList(NamedTuple):
    """Items by type key and name. Before any completed run, `basis` is None and no item has a state.

    `unread`: reasons why collections were not read to their end, or by any run, by type key.
    """

    basis: ItemsBasis | None
    items: AsyncIterator[ItemRecord]
    unread: dict[str, str]


class CategorySize(NamedTuple):
    """`is_cut`: more items exist than were counted."""

    category: str
    items: int
    is_cut: bool


class MissingList(NamedTuple):
    basis: ItemsBasis
    items: AsyncIterator[MissingRecord]
    not_read: list[UnreadCollection]
    never_read: list[str]
    """Collections of the question that no run has selected."""


async def items(
    session: AsyncSession,
    selection: str | None = None,
    type_keys: Sequence[str] | None = None,
    *,
    sought: Sought | None = None,
    limit: int | None = None,
    after: tuple[str, str] | None = None,
) -> ItemList:
    """`selection` is a hash or its beginning; without one, each collection's latest completed run decides items'
    states. The list continues after the type key and id `after`.

    Raises `UnknownSelectionError`, `UnlistedItemError`, and when items are read `UnknownSettingError`.
    """
    question = await _question(session, selection)
    basis = None if question is None else _basis(question, type_keys)
    place = None if after is None else await place_of(session, *after)
    extent = Extent.of(type_keys, with_settings=sought is not None and sought.setting is not None)
    unread = {} if question is None else _unread(question, extent)
    if sought is None:
        found = queries.items(session, question, type_keys, _page(limit, place))
        return ItemList(basis, with_kinds(found), unread)
    latest_question = question if selection else None
    sought = sought._replace(type_keys=type_keys)
    return ItemList(basis, find(session, sought, question=latest_question, limit=limit, after=place), unread)


async def missing(
    session: AsyncSession,
    selection: str | None = None,
    type_keys: Sequence[str] | None = None,
    *,
    evidence: Collection[EvidenceKind] = tuple(EvidenceKind),
    confidence: Confidence | None = None,
    limit: int | None = None,
    after: tuple[str, str] | None = None,
) -> MissingList | None:
    """None before any completed run. Arguments are as for `items`.

    Log entries expire, so they are missing only if selection or type keys name their collection. `evidence` and
    `confidence` do not affect `not_read`.
    """
    question = await _question(session, selection)
    if question is None:
        return None
    chosen = type_keys
    if selection is None and type_keys is None:
        type_keys = sorted(question.collections.keys() - load_catalog().logs)
    place = None if after is None else await place_of(session, *after)
    records = queries.missing_items(
        session, question, type_keys, _page(limit, place), evidence=evidence, confidence=confidence
    )
    unread = [
        UnreadCollection(
            type_key=collection.type_key,
            reason=collection.basis.reason,
            run_id=collection.basis.run_id,
            items=collection.items,
            listed_at=collection.listed_at,
        )
        for collection in await queries.collections_not_read(session, question, type_keys)
        if collection.items or not collection.basis.is_skipped
    ]
    never_read = sorted(set(chosen or ()) - question.collections.keys()) if selection is None else []
    return MissingList(_basis(question, type_keys), with_kinds(records), unread, never_read)


def _unread(question: queries.Question, extent: Extent) -> dict[str, str]:
    unread = {
        key: basis.reason
        for key, basis in question.collections.items()
        if not (basis.is_listed or basis.is_skipped) and (extent.type_keys is None or key in extent.type_keys)
    }
    never_read = extent.expected - question.collections.keys() if question.selection is None else ()
    return unread | dict.fromkeys(never_read, NEVER_READ)


def category_sizes(sizes: Iterable[CollectionSize]) -> list[CategorySize]:
    """Categories by name."""
    collections = load_catalog().collections
    by_category: dict[str, CategorySize] = {}
    for size in sizes:
        if size.type_key in collections:
            category = collections[size.type_key].category
            before = by_category.get(category, CategorySize(category, 0, is_cut=False))
            is_cut = before.is_cut or size.items > MOST_COUNTED
            by_category[category] = CategorySize(category, before.items + min(size.items, MOST_COUNTED), is_cut=is_cut)
    return [by_category[name] for name in sorted(by_category)]


async def find_item(session: AsyncSession, type_key: str, sought: str) -> str:
    """`sought` is an id, its beginning, a name or a title. Raises `UnknownItemError`."""
    items = await documents.find(session, type_key, sought, NAMED + 1)
    if len(items) > 1:
        alike = items[0].external_id.lower().startswith(sought.lower())
        which = (
            f"several ids of {type_key} begin with {sought!r}"
            if alike
            else f"several items of {type_key} are called {sought!r}"
        )
        raise UnknownItemError(f"{which}; give the id: {named([item.external_id for item in items])}")
    if not items:
        titled = [item for item in await documents.some_items(session, type_key) if _is_called(type_key, item, sought)]
        if len(titled) == 1:
            return titled[0].external_id
        covered = (await coverage(session, [type_key])).get(type_key)
        if covered is None:
            raise UnreadItemError(await _never_read(session, type_key, sought))
        unknown = f"{type_key} has no item {sought!r} in this tenant's inventory"
        near = await _near(session, type_key, sought)
        if not (covered.is_current or covered.is_skipped):
            raise UnreadItemError(f"{unknown}, which was not read to its end ({covered.reason}){near}")
        raise UnknownItemError(f"{unknown}{near}")
    return items[0].external_id


def _is_called(type_key: str, item: documents.NamedItem, title: str) -> bool:
    kind = kind_of(type_key, item.meta)
    return item_title(type_key, item.external_id, item.display_name, kind).casefold() == title.casefold()


async def _never_read(session: AsyncSession, type_key: str, sought: str) -> str:
    if not await is_read(session):
        return f"{TENANT_NEVER_READ}, so nothing is known of {type_key} {sought!r}"
    return (
        f"{type_key} was never read in this tenant, so nothing is known of {sought!r};"
        f" python starter.py sync TENANT --type {type_key} reads it"
    )


async def _near(session: AsyncSession, type_key: str, sought: str) -> str:
    by_word: dict[str, str] = {}
    for item in await documents.some_items(session, type_key):
        by_word.setdefault(item.external_id.casefold(), item.external_id)
        if item.display_name:
            by_word.setdefault(item.display_name.casefold(), f"{item.display_name!r} ({item.external_id})")
    near = get_close_matches(sought.casefold(), by_word, n=3)
    if near:
        return f"; did you mean {either([by_word[word] for word in near])}?"
    return f"; python starter.py items TENANT --type {type_key} lists what it has"


def _page(limit: int | None, after: NamePlace | None) -> queries.Page:
    return queries.Page(limit) if after is None else queries.Page(limit, after)


async def _question(session: AsyncSession, selection: str | None) -> queries.Question | None:
    full_hash = await recorded_runs.resolve_selection_hash(session, selection) if selection else None
    return await queries.question(session, full_hash)


def _basis(question: queries.Question, type_keys: Sequence[str] | None) -> ItemsBasis:
    listed = [
        basis.run.started_at
        for key, basis in question.collections.items()
        if basis.is_listed and (type_keys is None or key in type_keys)
    ]
    return ItemsBasis(
        run_id=question.latest.run_id,
        status=question.latest.run.status,
        started_at=question.latest.run.started_at,
        selection_hash=None if question.selection is None else question.selection.hash(),
        listed=len(listed),
        listed_from=min(listed, default=None),
    )
