"""What people call items: names by type key and id."""

from collections.abc import Iterable

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

_NAMES = text("""
SELECT type_key, external_id, display_name
FROM unnest(CAST(:type_keys AS text[]), CAST(:external_ids AS text[])) AS wanted (type_key, external_id)
CROSS JOIN LATERAL (
    SELECT display_name FROM inventory_item AS one
    WHERE (one.type_key, one.external_id) = (wanted.type_key, wanted.external_id) LIMIT 1
) AS item
WHERE display_name IS NOT NULL
""")


async def display_names(session: AsyncSession, wanted: Iterable[tuple[str, str]]) -> dict[tuple[str, str], str]:
    """The names of items by type key and id, as last observed; what has none or is not known is left out."""
    pairs = sorted(set(wanted))
    if not pairs:
        return {}
    parameters = {"type_keys": [key for key, _ in pairs], "external_ids": [one for _, one in pairs]}
    rows = await session.execute(_NAMES, parameters)
    return {(row.type_key, row.external_id): row.display_name for row in rows}


_APP_NAMES = text("""
SELECT item_key(meta ->> 'app_id') AS app_id, min(display_name) AS display_name FROM inventory_item
WHERE type_key IN ('applications', 'servicePrincipals') AND item_key(meta ->> 'app_id') = ANY (:app_ids)
    AND display_name IS NOT NULL
GROUP BY 1
""")


async def app_names(session: AsyncSession, app_ids: Iterable[str]) -> dict[str, str]:
    """The names of applications by the app id that their registration and their service principal share."""
    wanted = sorted(set(app_ids))
    if not wanted:
        return {}
    return {row.app_id: row.display_name for row in await session.execute(_APP_NAMES, {"app_ids": wanted})}
