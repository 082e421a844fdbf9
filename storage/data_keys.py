"""Tenants' data keys, wrapped, in the tenant's row (`inventory.data_keys`)."""

from typing import NamedTuple
from uuid import UUID

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession

from inventory.data_keys import DataKeyKind
from storage.models.base import table
from storage.models.runs import Tenant
from storage.rows import fetch, fetch_one

_TENANT = table(Tenant)


class StoredDataKey(NamedTuple):
    """A tenant's wrapped data key, if any. A `kind` without a key: a release before 0.4 has read the tenant."""

    tenant_id: UUID
    wrapped: bytes | None
    kind: DataKeyKind | None


_STORED = select(_TENANT.c.tenant_id, _TENANT.c.data_key.label("wrapped"), _TENANT.c.data_key_kind.label("kind"))


async def stored_data_key(session: AsyncSession) -> StoredDataKey | None:
    """None if the session's tenant is unknown."""
    return await fetch_one(session, _STORED, StoredDataKey)


async def all_data_keys(session: AsyncSession) -> list[StoredDataKey]:
    """Needs a portfolio session."""
    return await fetch(session, _STORED.order_by(_TENANT.c.tenant_id), StoredDataKey)


async def a_shared_data_key(session: AsyncSession) -> StoredDataKey | None:
    """The shared data key of any tenant. Needs a portfolio session."""
    shared = _STORED.where(_TENANT.c.data_key_kind == DataKeyKind.SHARED, _TENANT.c.data_key.is_not(None))
    return await fetch_one(session, shared.limit(1), StoredDataKey)


async def keep_data_key(
    session: AsyncSession, wrapped: bytes, kind: DataKeyKind, *, instead_of: bytes | None = None
) -> bool:
    """Returns False if the stored key is no longer `instead_of`."""
    insertion = (
        update(_TENANT)
        .where(_TENANT.c.data_key.is_not_distinct_from(instead_of))
        .values(data_key=wrapped, data_key_kind=kind)
        .returning(_TENANT.c.tenant_id)
    )
    return (await session.execute(insertion)).one_or_none() is not None
