from datetime import timedelta
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import delete, exists, select, text
from sqlalchemy.ext.asyncio import AsyncSession

from inventory.records import VersionChange, VersionRecord
from storage.models.base import table
from storage.models.items import InventoryItem, ItemVersionPin
from storage.models.runs import Tenant
from storage.rows import Values, fetch
from storage.stale import SINCE_OF_VERSION

_PINNED, _ITEM, _TENANT = table(ItemVersionPin), table(InventoryItem), table(Tenant)

# Each version with its predecessor, unless that is forgotten, and with the latest earlier version of the same document.
# The current version was last observed when its item was.
_HISTORY = text(f"""
SELECT v.tenant_id, v.type_key, v.external_id, v.version_number AS version, v.display_name, v.details_complete,
    encode(v.content_hash, 'hex') AS content_hash, v.first_observed_at, v.first_observed_run_id, d.size AS size_bytes,
    CASE WHEN v.version_number = 1 THEN item.recreates_external_id END AS recreates_external_id,
    v.version_number = item.version_number AS is_current,
    CASE WHEN v.version_number = item.version_number
        THEN coalesce(item.content_observed_at, item.last_seen_at) ELSE v.last_observed_at
    END AS last_observed_at,
    CASE WHEN v.version_number = item.version_number
        THEN coalesce(item.content_observed_run_id, item.last_seen_run_id) ELSE v.last_observed_run_id
    END AS last_observed_run_id,
    before.version_number IS NOT NULL AS follows, before.display_name AS name_before,
    before.details_complete AS complete_before,
    CASE WHEN v.version_number = item.version_number THEN item.stale_since ELSE {SINCE_OF_VERSION} END AS "stale.since",
    CASE WHEN v.version_number = item.version_number THEN item.stale_parts ELSE v.stale_parts END AS "stale.parts",
    (
        SELECT max(version_number) FROM item_version AS earlier
        WHERE (earlier.type_key, earlier.external_id, earlier.content_hash)
                = (v.type_key, v.external_id, v.content_hash)
            AND earlier.version_number < v.version_number
    ) AS returns_to_version,
    (
        SELECT coalesce(jsonb_agg(jsonb_build_object(
            'pinned_by', pinned_by, 'reason', reason, 'pinned_at', pinned_at
        ) ORDER BY pinned_at, pinned_by), '[]')
        FROM item_version_pin AS pin
        WHERE (pin.type_key, pin.external_id, pin.version_number) = (v.type_key, v.external_id, v.version_number)
    ) AS pins
FROM item_version AS v
JOIN inventory_item AS item USING (tenant_id, type_key, external_id)
JOIN document AS d ON (d.tenant_id, d.content_hash) = (v.tenant_id, v.content_hash)
LEFT JOIN item_version AS before ON (before.type_key, before.external_id, before.version_number)
    = (v.type_key, v.external_id, v.version_number - 1)
WHERE (v.type_key, v.external_id) = (:type_key, :external_id)
ORDER BY v.version_number DESC
""")

_PIN = text("""
INSERT INTO item_version_pin (type_key, external_id, version_number, pinned_by, reason)
SELECT type_key, external_id, version_number, :pinned_by, :reason FROM item_version
WHERE (type_key, external_id, version_number) = (:type_key, :external_id, :version_number)
ON CONFLICT (tenant_id, type_key, external_id, version_number, pinned_by) DO UPDATE SET reason = excluded.reason
RETURNING version_number
""")

_FORGET = text("""
SELECT versions, documents, last_type_key, last_external_id FROM forget_versions(
    CAST(clock_timestamp() - CAST(:older_than AS interval) AS timestamptz), CAST(:kept AS bigint),
    CAST(:most AS bigint), CAST(:after_type_key AS text), CAST(:after_external_id AS text)
)
""")


class ForgottenCounts(NamedTuple):
    """`documents` counts deleted documents, which only forgotten versions used."""

    versions: int
    documents: int
    after: tuple[str, str] | None
    """Type key and id of the last finished item; None at the end."""


async def history(session: AsyncSession, type_key: str, external_id: str) -> list[VersionRecord]:
    """The item's versions that are not forgotten, newest first."""
    return await fetch(
        session, _HISTORY, VersionRecord, {"type_key": type_key, "external_id": external_id}, shape=_with_change
    )


async def pin(
    session: AsyncSession, type_key: str, external_id: str, version_number: int, pinned_by: str, reason: str | None
) -> bool:
    """Keeps a version from being forgotten; False if it does not exist."""
    named = {"type_key": type_key, "external_id": external_id, "version_number": version_number}
    return (await session.execute(_PIN, {**named, "pinned_by": pinned_by, "reason": reason})).first() is not None


async def unpin(session: AsyncSession, type_key: str, external_id: str, version_number: int, pinned_by: str) -> bool:
    """Removes the version's pin by `pinned_by`; False if there is none."""
    taken = (
        delete(_PINNED)
        .where(
            _PINNED.c.type_key == type_key,
            _PINNED.c.external_id == external_id,
            _PINNED.c.version_number == version_number,
            _PINNED.c.pinned_by == pinned_by,
        )
        .returning(_PINNED.c.version_number)
    )
    return (await session.execute(taken)).first() is not None


async def forget(
    session: AsyncSession,
    *,
    older_than: timedelta | None,
    kept: int | None,
    most: int,
    after: tuple[str, str] | None = None,
) -> ForgottenCounts:
    """Forgets versions superseded longer ago than `older_than`, or beyond the `kept` newest.

    Looks at up to `most` items behind `after`, by type key and id, and forgets up to `most` versions, an item's oldest
    first; never a current or pinned one. The tenant's merges wait.
    """
    after_type_key, after_external_id = after or ("", "")
    limits = {"older_than": older_than, "kept": kept, "most": most}
    place = {"after_type_key": after_type_key, "after_external_id": after_external_id}
    row = (await session.execute(_FORGET, {**limits, **place})).one()
    return ForgottenCounts(
        row.versions,
        row.documents,
        None if row.last_type_key is None else (row.last_type_key, row.last_external_id),
    )


async def tenants(session: AsyncSession) -> list[UUID]:
    """Tenants with an inventory. Needs a portfolio session."""
    with_items = select(_TENANT.c.tenant_id).where(exists().where(_ITEM.c.tenant_id == _TENANT.c.tenant_id))
    return list((await session.execute(with_items.order_by(_TENANT.c.tenant_id))).scalars())


def _with_change(row: Values) -> Values:
    follows, name_before, complete_before = (row.pop(name) for name in ("follows", "name_before", "complete_before"))
    if row["version"] == 1:
        change = VersionChange.FIRST
    elif row["returns_to_version"] is not None:
        change = VersionChange.RETURNED
    elif follows and row["details_complete"] and not complete_before:
        change = VersionChange.COMPLETED
    else:
        change = VersionChange.CHANGED
    is_renamed = follows and name_before is not None and name_before != row["display_name"]
    return {**row, "change": change, "renamed_from": name_before if is_renamed else None}
