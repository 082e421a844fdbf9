from collections.abc import Iterable
from typing import NamedTuple

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from storage.bodies import BODY, Documents


class CurrentDocument(NamedTuple):
    """`document` is canonical JSON."""

    external_id: str
    display_name: str | None
    document: bytes


_DOCUMENTS = text(f"""
SELECT named.external_id, item.display_name, item.version_number, d.body_hash, d.body
FROM unnest(CAST(:external_ids AS text[])) AS named (external_id)
CROSS JOIN LATERAL (
    SELECT display_name, version_number FROM inventory_item AS item
    WHERE (item.type_key, item.external_id) = (:type_key, named.external_id) LIMIT 1
) AS item
CROSS JOIN LATERAL (
    SELECT content_hash FROM item_version AS version
    WHERE (version.type_key, version.external_id, version.version_number)
        = (:type_key, named.external_id, item.version_number)
    LIMIT 1
) AS v
CROSS JOIN LATERAL (SELECT {BODY} FROM document WHERE document.content_hash = v.content_hash LIMIT 1) AS d
""")


async def current_documents(session: AsyncSession, type_key: str, ids: Iterable[str]) -> list[CurrentDocument]:
    """Leaves out unknown ids and damaged documents."""
    external_ids = sorted(set(ids))
    if not external_ids:
        return []
    read = Documents()
    documents = []
    for row in await session.execute(_DOCUMENTS, {"type_key": type_key, "external_ids": external_ids}):
        document = read.of(row.body, row.body_hash, type_key, row.external_id, row.version_number)
        if document is not None:
            documents.append(CurrentDocument(row.external_id, row.display_name, document))
    return documents
