"""Versions with the version before each, from which a run counts changes of the tenant."""

from collections.abc import Sequence
from typing import NamedTuple

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from inventory.stale import StalePart
from storage.bodies import BODY, Documents
from storage.rows import Values, fetch

VERSIONS_AT_A_TIME = 100


class NewVersion(NamedTuple):
    """A version and the one before. A damaged or forgotten document is None."""

    type_key: str
    external_id: str
    version_number: int
    document: bytes | None
    document_before: bytes | None
    details_complete: bool
    before_complete: bool | None
    is_sorted: bool
    was_sorted: bool
    lacked_before: list[StalePart] | None


WITH_BEFORE = f"""
FROM unnest(CAST(:type_keys AS text[]), CAST(:external_ids AS text[]), CAST(:numbers AS bigint[]))
    AS named (type_key, external_id, version_number)
CROSS JOIN LATERAL (
    SELECT * FROM item_version AS version
    WHERE (version.type_key, version.external_id, version.version_number)
        = (named.type_key, named.external_id, named.version_number) LIMIT 1
) AS v
CROSS JOIN LATERAL (SELECT {BODY} FROM document AS stored WHERE stored.content_hash = v.content_hash LIMIT 1) AS d
LEFT JOIN LATERAL (
    SELECT * FROM item_version AS version
    WHERE (version.type_key, version.external_id, version.version_number)
        = (named.type_key, named.external_id, named.version_number - 1) LIMIT 1
) AS before ON true
LEFT JOIN LATERAL (
    SELECT {BODY} FROM document AS stored WHERE stored.content_hash = before.content_hash LIMIT 1
) AS before_document ON true
"""
"""Versions `v` by number, their documents `d`, and `before` with `before_document`, looked up by key (`LIMIT 1`)."""

_VERSIONS = text(f"""
SELECT v.type_key, v.external_id, v.version_number, v.details_complete, before.details_complete AS before_complete,
    before.stale_parts AS lacked_before, d.body, d.body_hash, d.is_sorted,
    before_document.body AS body_before, before_document.body_hash AS hash_before,
    before_document.is_sorted IS TRUE AS was_sorted
{WITH_BEFORE}""")


async def new_versions(session: AsyncSession, versions: Sequence[tuple[str, str, int]]) -> list[NewVersion]:
    parameters = {
        "type_keys": [type_key for type_key, _, _ in versions],
        "external_ids": [external_id for _, external_id, _ in versions],
        "numbers": [number for _, _, number in versions],
    }
    return await fetch(session, _VERSIONS, NewVersion, parameters, shape=_with_documents)


def _with_documents(row: Values) -> Values:
    read, item, number = Documents(), (row["type_key"], row["external_id"]), row["version_number"]
    document = read.of(row.pop("body"), row.pop("body_hash"), *item, number)
    before = read.of(row.pop("body_before"), row.pop("hash_before"), *item, number - 1)
    return {**row, "document": document, "document_before": before}
