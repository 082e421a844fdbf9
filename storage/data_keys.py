"""Where tenants' data keys lie, wrapped: in the tenant's row (`inventory.data_keys`)."""

from typing import NamedTuple
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from inventory.data_keys import DataKeyKind


class StoredDataKey(NamedTuple):
    """The wrapped key of a tenant. There is none before the first run that has `SENSITIVE_FIELDS_KEY`.

    A `kind` without a key is that of the one to be made: a release before 0.4 has read the tenant.
    """

    tenant_id: UUID
    wrapped: bytes | None
    kind: DataKeyKind | None


_STORED = "SELECT tenant_id, data_key, data_key_kind FROM tenant"

_OF_TENANT = text(_STORED)
_OF_ALL = text(f"{_STORED} ORDER BY tenant_id")
_SHARED = text(f"{_STORED} WHERE data_key_kind = '{DataKeyKind.SHARED}' AND data_key IS NOT NULL LIMIT 1")

_KEEP = text("""
UPDATE tenant SET data_key = :wrapped, data_key_kind = :kind
WHERE data_key IS NOT DISTINCT FROM CAST(:instead_of AS bytea)
RETURNING tenant_id
""")


async def stored_data_key(session: AsyncSession) -> StoredDataKey | None:
    """The key of the transaction's tenant; None where there is no such tenant (any more)."""
    row = (await session.execute(_OF_TENANT)).one_or_none()
    return None if row is None else _stored(row.tenant_id, row.data_key, row.data_key_kind)


async def all_data_keys(session: AsyncSession) -> list[StoredDataKey]:
    """The keys of all tenants, for a transaction over all of them."""
    return [_stored(row.tenant_id, row.data_key, row.data_key_kind) for row in await session.execute(_OF_ALL)]


async def a_shared_data_key(session: AsyncSession) -> StoredDataKey | None:
    """Any tenant's shared key, for a transaction over all tenants."""
    row = (await session.execute(_SHARED)).one_or_none()
    return None if row is None else _stored(row.tenant_id, row.data_key, row.data_key_kind)


async def keep_data_key(
    session: AsyncSession, wrapped: bytes, kind: DataKeyKind, *, instead_of: bytes | None = None
) -> bool:
    """Keeps a key of the transaction's tenant, and says so, unless another than `instead_of` lies there meanwhile."""
    kept = await session.execute(_KEEP, {"wrapped": wrapped, "kind": kind, "instead_of": instead_of})
    return kept.one_or_none() is not None


def _stored(tenant_id: UUID, wrapped: bytes | None, kind: str | None) -> StoredDataKey:
    return StoredDataKey(tenant_id, wrapped, None if kind is None else DataKeyKind(kind))
