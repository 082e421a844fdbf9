"""The order of lists: by collection, then by name in lower case, items without a name last."""

from typing import NamedTuple
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from inventory.user_errors import NotHereError

NAMED_KEYS = (
    "item_name.tenant_id AS of_tenant, item_name.type_key AS of_type, name_key AS of_name,"
    " item_name.external_id AS of_id"
)
"""Columns of `item_name`: each item's key and name."""

ITEM_OF_KEY = """
    CROSS JOIN LATERAL (
        SELECT * FROM inventory_item AS item
        WHERE (item.tenant_id, item.type_key, item.external_id) = (of_tenant, of_type, of_id) LIMIT 1
    ) AS item
"""
"""Joins each key's item by its primary key, regardless of the planner's estimates."""


class NamePlace(NamedTuple):
    type_key: str
    name_key: str
    external_id: str


class UnlistedItemError(NotHereError):
    """The tenant has no such item, so no page follows it."""


_NAME = text("""
SELECT name_key FROM item_name
WHERE (tenant_id, type_key, external_id) = (coalesce(:tenant_id, current_tenant()), :type_key, :external_id)
""")


async def place_of(session: AsyncSession, type_key: str, external_id: str, tenant_id: UUID | None = None) -> NamePlace:
    """The item's place in the lists of the tenant, by default the session's. Raises `UnlistedItemError`."""
    named = {"tenant_id": tenant_id, "type_key": type_key, "external_id": external_id}
    name_key = (await session.execute(_NAME, named)).scalar_one_or_none()
    if name_key is None:
        raise UnlistedItemError(
            f"there is no item {type_key}/{external_id} to continue after; start from the first page"
        )
    return NamePlace(type_key, name_key, external_id)
