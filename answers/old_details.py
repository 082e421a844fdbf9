"""Details read before the latest listing, of collections whose lists do not show when details change."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from uuid import UUID

from pydantic import BaseModel
from sqlalchemy.ext.asyncio import AsyncSession

from graph.catalog import load_catalog
from inventory.elapsed_time import elapsed
from inventory.plurals import counted
from storage import detail_ages

OLD_DETAILS = "old_details"
"""Code of an evidence, and of a gap in an answer."""


NAMED_COLLECTIONS = 3
"""More collections share one line."""


class OldDetailsRecord(BaseModel, frozen=True):
    """A collection with `items` items whose details were read before its latest listing, the first at `read_at`.

    Its list does not show when these `properties` change (empty: the whole item), so changes may still come.
    """

    type_key: str
    properties: list[str]
    items: int
    read_at: datetime

    def in_words(self, now: datetime) -> str:
        items = counted(self.items, "item")
        of_these = f" of {', '.join(self.properties)}" if self.properties else ""
        return (
            f"{self.type_key}: rests on details read {age(self.read_at, now)} ({items}), so changes{of_these} since"
            " then may still come"
        )


def old_details_in_words(old: Sequence[OldDetailsRecord], now: datetime) -> list[str]:
    if len(old) <= NAMED_COLLECTIONS:
        return [record.in_words(now) for record in old]
    items = counted(sum(record.items for record in old), "item")
    first = age(min(record.read_at for record in old), now)
    rests = f"{len(old)} collections rest on details of {items}, the first read {first}"
    return [f"{rests}, so changes of such details may still come; sync --deep reads them"]


async def old_details(session: AsyncSession, type_keys: Iterable[str] | None = None) -> list[OldDetailsRecord]:
    chosen_keys = _silent() if type_keys is None else _silent() & set(type_keys)
    return [_record(row) for row in await detail_ages.old_details(session, chosen_keys)]


async def old_details_of_tenants(
    session: AsyncSession, tenant_ids: Sequence[UUID]
) -> dict[UUID, list[OldDetailsRecord]]:
    """The transaction must see the tenants."""
    by_tenant: dict[UUID, list[OldDetailsRecord]] = {tenant_id: [] for tenant_id in tenant_ids}
    for found in await detail_ages.old_details(session, _silent(), tenant_ids):
        by_tenant[found.tenant_id].append(_record(found))
    return by_tenant


def _silent() -> set[str]:
    return {key for key, collection in load_catalog().collections.items() if collection.refresh_hours is not None}


def _record(row: detail_ages.OldDetails) -> OldDetailsRecord:
    properties = load_catalog().collections[row.type_key].detail_properties
    return OldDetailsRecord(type_key=row.type_key, properties=sorted(properties), items=row.items, read_at=row.read_at)


def may_be_old(type_key: str, path: str) -> bool:
    """Whether the list may hide a change at the path."""
    collection = load_catalog().collections.get(type_key)
    return collection is not None and collection.may_be_old(path)


def age(moment: datetime, now: datetime) -> str:
    """A later moment, by another clock, counts as now."""
    return elapsed(min(moment, now), now) or f"on {moment:%Y-%m-%d}"
