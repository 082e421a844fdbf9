"""Operators' mappings of references."""

from collections.abc import Collection, Mapping

from sqlalchemy.ext.asyncio import AsyncSession

from answers.compare.answer import Side, TargetId
from answers.items.answer import UnknownItemError, find_item
from answers.promotion import queries
from answers.promotion.candidates import MappedTarget
from inventory.item_ids import item_key
from inventory.references import NOT_READ, collection_of, is_by_alternate_key
from inventory.tenant_neutral import UnresolvedReason


async def source_object(session: AsyncSession, type_key: str, sought: str) -> str:
    """Like `target_object`, but accepts ids that only documents name. Raises `UnknownItemError`."""
    try:
        return await target_object(session, type_key, sought)
    except UnknownItemError:
        if not await queries.is_referred_to(session, type_key, item_key(sought)):
            raise
        return item_key(sought)


async def target_object(session: AsyncSession, type_key: str, sought: str) -> str:
    """An item's id by id, name or alternate key. Raises `UnknownItemError`.

    Ids in collections that are never read, such as users, are not checked.
    """
    if type_key in NOT_READ:
        return item_key(sought)
    found = await queries.items_by_alternate_key(session, type_key, [item_key(sought)])
    return found.get(item_key(sought)) or await find_item(session, type_key, sought)


async def operator_targets(
    here: Side, there: Side, ids: Collection[TargetId], mapping: Mapping[tuple[str, str], str]
) -> dict[TargetId, MappedTarget]:
    """The targets of mapped references; a target has no id if its object is gone.

    A reference by alternate key gets the target's key.
    """
    absent = await queries.gone(there.session, {(type_key, known) for (type_key, _), known in mapping.items()})
    items: dict[tuple[str, str], str] = {}
    keys: dict[tuple[str, str], str] = {}
    for type_key in sorted({type_key for type_key, _ in mapping} - NOT_READ):
        named = {
            target_id for types, target_id in ids for key in types if key != type_key and collection_of(key) == type_key
        }
        if named:
            by_key = await queries.items_by_alternate_key(here.session, type_key, sorted(named))
            items |= {(type_key, key): external_id for key, external_id in by_key.items()}
            targets = sorted({known for (mapped_type, _), known in mapping.items() if mapped_type == type_key})
            by_item = await queries.alternate_keys(there.session, type_key, targets)
            keys |= {(type_key, external_id): key for external_id, key in by_item.items()}

    def target(target_type: str, target_id: str) -> MappedTarget | None:
        type_key = collection_of(target_type)
        known = mapping.get((type_key, target_id)) or mapping.get((type_key, items.get((type_key, target_id), "")))
        if known is None:
            return None
        by_key = is_by_alternate_key(target_type) and type_key not in NOT_READ
        written = keys.get((type_key, known)) if by_key else known
        if (type_key, known) in absent or written is None:
            return MappedTarget(type_key, None, reason=UnresolvedReason.GONE, by_operator=True)
        return MappedTarget(type_key, written, by_operator=True)

    return {
        (types, target_id): found
        for types, target_id in ids
        if (found := next(filter(None, (target(key, target_id) for key in types)), None)) is not None
    }
