"""Queries of plans, mappings and items."""

from collections.abc import Collection, Mapping
from datetime import datetime
from hashlib import sha256
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from answers.promotion.records import MappingRecord, PlanContent, PlanDecision, PlanDecisionRecord
from inventory.stale import Staleness
from storage.bodies import BODY, Documents
from storage.compression import compress
from storage.item_lookup import key_columns, named_item
from storage.rows import Values, fetch
from storage.stale import OF_ITEM


class CurrentItem(NamedTuple):
    """An item's current or requested version. `document` is None if unread or damaged."""

    external_id: str
    display_name: str | None
    meta: dict[str, Any]
    version: int
    details_complete: bool | None
    content_hash: bytes | None
    document: bytes | None
    is_damaged: bool
    stale: Staleness | None


_ITEMS = text(f"""
SELECT item.external_id, display_name, item.meta, v.version_number AS version, v.details_complete, v.content_hash,
    d.body, d.body_hash, {OF_ITEM}
FROM unnest(CAST(:external_ids AS text[]), CAST(:versions AS integer[])) AS wanted (external_id, version)
JOIN inventory_item AS item ON item.type_key = :type_key AND item.external_id = wanted.external_id
LEFT JOIN LATERAL (
    SELECT version_number, details_complete, content_hash FROM item_version AS one
    WHERE (one.type_key, one.external_id) = (item.type_key, item.external_id)
        AND one.version_number = coalesce(wanted.version, item.version_number)
    LIMIT 1
) AS v ON true
LEFT JOIN LATERAL (SELECT {BODY} FROM document AS one WHERE one.content_hash = v.content_hash LIMIT 1) AS d ON true
ORDER BY item.external_id
""")

_PRESENT = text("""
SELECT external_id, display_name, meta FROM inventory_item WHERE type_key = :type_key AND absent_from IS NULL
ORDER BY external_id
""")


class PresentName(NamedTuple):
    external_id: str
    display_name: str | None
    meta: dict[str, Any]


async def present_names(session: AsyncSession, type_key: str) -> list[PresentName]:
    return await fetch(session, _PRESENT, PresentName, {"type_key": type_key})


async def items(
    session: AsyncSession,
    type_key: str,
    versions: Mapping[str, int | None],
    read: Documents,
) -> dict[str, CurrentItem]:
    """Items by id, each with the version of this number, or the current one for None."""

    def shape(row: Values) -> Values:
        body, body_hash = row.pop("body"), row.pop("body_hash")
        document = read.of(body, body_hash, type_key, row["external_id"], row["version"] or 0)
        return {
            **row,
            "version": row["version"] or 0,
            "document": document,
            "is_damaged": body is not None and document is None,
        }

    parameters = {"type_key": type_key, "external_ids": list(versions), "versions": list(versions.values())}
    found = await fetch(session, _ITEMS, CurrentItem, parameters, shape=shape)
    return {item.external_id: item for item in found}


_NAMED = text("""
SELECT external_id FROM inventory_item
WHERE type_key = :type_key AND (
    external_id = ANY (CAST(:names AS text[])) OR lower(display_name) = ANY (CAST(:lower_names AS text[]))
)
ORDER BY external_id
""")


async def named_ids(session: AsyncSession, type_key: str, names: Collection[str]) -> list[str]:
    """The ids of items with these names or ids, present or not."""
    parameters = {"type_key": type_key, "names": list(names), "lower_names": [name.lower() for name in names]}
    return list((await session.execute(_NAMED, parameters)).scalars())


class StoredPlan(NamedTuple):
    """`content` is None in lists."""

    plan_id: UUID
    source_tenant_id: UUID
    created_by: str
    created_at: datetime
    expires_at: datetime
    is_over: bool
    counts: dict[str, Any]
    content_hash: bytes
    content: bytes | None
    decided: PlanDecisionRecord | None


_COLUMNS = """p.plan_id, p.source_tenant_id, p.created_by, p.created_at, p.expires_at,
    p.expires_at <= clock_timestamp() AS is_over, p.counts, p.content_hash,
    d.decision AS "decided.decision", d.decided_by AS "decided.decided_by", d.decided_at AS "decided.decided_at",
    d.reason AS "decided.reason", encode(d.content_hash, 'hex') AS "decided.plan_hash"
"""

_ADD = text("""
INSERT INTO promotion_plan (plan_id, source_tenant_id, created_by, created_at, expires_at, counts, content_hash,
    content)
VALUES (:plan_id, :source_tenant_id, :created_by, :created_at, :expires_at, CAST(:counts AS jsonb), :content_hash,
    :content)
""")

_LIST = text(f"""
SELECT {_COLUMNS}, NULL AS content FROM promotion_plan AS p LEFT JOIN promotion_decision AS d USING (tenant_id, plan_id)
WHERE CAST(:sources AS uuid[]) IS NULL OR p.source_tenant_id = ANY (CAST(:sources AS uuid[]))
ORDER BY p.created_at DESC, p.plan_id LIMIT :most
""")

_BEGINNING = text(f"""
SELECT {_COLUMNS}, p.content FROM promotion_plan AS p LEFT JOIN promotion_decision AS d USING (tenant_id, plan_id)
WHERE starts_with(CAST(p.plan_id AS text), lower(:beginning)) ORDER BY p.plan_id LIMIT 2
""")

_DECIDE = text("""
INSERT INTO promotion_decision (plan_id, decision, content_hash, decided_by, reason)
VALUES (:plan_id, :decision, :content_hash, :decided_by, :reason)
ON CONFLICT DO NOTHING RETURNING plan_id
""")

_HASHES = text("""
SELECT wanted.type_key, wanted.external_id, v.content_hash
FROM unnest(CAST(:type_keys AS text[]), CAST(:external_ids AS text[])) AS wanted (type_key, external_id)
CROSS JOIN LATERAL (
    SELECT version_number FROM inventory_item AS one
    WHERE (one.type_key, one.external_id) = (wanted.type_key, wanted.external_id) AND absent_from IS NULL LIMIT 1
) AS item
CROSS JOIN LATERAL (
    SELECT content_hash FROM item_version AS one
    WHERE (one.type_key, one.external_id, one.version_number)
        = (wanted.type_key, wanted.external_id, item.version_number) LIMIT 1
) AS v
""")

_GONE = text(f"""
SELECT wanted.type_key, wanted.name
FROM unnest(CAST(:type_keys AS text[]), CAST(:external_ids AS text[])) AS wanted (type_key, name)
CROSS JOIN LATERAL ({named_item("wanted.type_key", "wanted.name")}) AS item
WHERE item.absent_from IS NOT NULL
""")

# An alternate key is stored as a reference without target collections. Later rows win: those of present items.
_KEYS = """
SELECT own.target_id AS alternate_key, own.external_id FROM item_reference AS own
JOIN inventory_item AS item USING (tenant_id, type_key, external_id)
WHERE own.type_key = :type_key AND {condition} AND own.target_type_keys = '{{}}' AND own.role = 'use'
ORDER BY item.absent_from NULLS LAST, own.position DESC
"""
_BY_KEY = text(_KEYS.format(condition="own.target_id = ANY (CAST(:names AS text[]))"))
_KEYS_OF = text(_KEYS.format(condition="own.external_id = ANY (CAST(:names AS text[]))"))

_IS_REFERRED_TO = text("""
SELECT EXISTS (SELECT FROM item_reference WHERE target_id = :target_id AND :type_key = ANY (target_type_keys))
""")

_MAPPINGS = text("""
SELECT source_tenant_id, type_key, source_id, target_id, mapped_by, mapped_at, reason FROM promotion_mapping
WHERE CAST(:source_tenant_id AS uuid) IS NULL OR source_tenant_id = :source_tenant_id
ORDER BY source_tenant_id, type_key, source_id
""")

_MAP = text("""
INSERT INTO promotion_mapping (source_tenant_id, type_key, source_id, target_id, mapped_by, reason)
VALUES (:source_tenant_id, :type_key, :source_id, :target_id, :mapped_by, :reason)
ON CONFLICT (tenant_id, source_tenant_id, type_key, source_id) DO UPDATE
SET target_id = excluded.target_id, mapped_by = excluded.mapped_by, mapped_at = clock_timestamp(),
    reason = excluded.reason
""")

_UNMAP = text("""
DELETE FROM promotion_mapping
WHERE (source_tenant_id, type_key, source_id) = (:source_tenant_id, :type_key, :source_id)
""")


async def mappings(session: AsyncSession, source_tenant_id: UUID | None = None) -> list[MappingRecord]:
    """From one source, or from all."""
    return await fetch(session, _MAPPINGS, MappingRecord, {"source_tenant_id": source_tenant_id})


async def add_mapping(session: AsyncSession, values: Mapping[str, object]) -> None:
    """Replaces an earlier mapping."""
    await session.execute(_MAP, values)


async def remove_mapping(session: AsyncSession, values: Mapping[str, object]) -> bool:
    """Returns False if there was none."""
    return bool((await session.execute(_UNMAP, values)).rowcount)  # type: ignore[attr-defined]


async def add_plan(session: AsyncSession, plan_id: UUID, plan: PlanContent, content: bytes) -> None:
    """`content` is the plan as JSON."""
    values = {
        "plan_id": plan_id,
        "source_tenant_id": plan.source.tenant_id,
        "created_by": plan.created_by,
        "created_at": plan.asked_at,
        "expires_at": plan.expires_at,
        "counts": plan.counts.model_dump_json(),
        "content_hash": sha256(content).digest(),
        "content": compress(content),
    }
    await session.execute(_ADD, values)


async def plans(session: AsyncSession, most: int, sources: Collection[UUID] | None = None) -> list[StoredPlan]:
    """Plans from all sources or these, newest first, without content."""
    named = None if sources is None else list(sources)
    return await fetch(session, _LIST, StoredPlan, {"most": most, "sources": named})


async def plans_beginning(session: AsyncSession, beginning: str) -> list[StoredPlan]:
    """At most two plans."""
    return await fetch(session, _BEGINNING, StoredPlan, {"beginning": beginning})


async def decide(session: AsyncSession, plan: StoredPlan, decision: PlanDecision, decided_by: str, reason: str) -> bool:
    """Returns False if another decision came first."""
    values = {"plan_id": plan.plan_id, "decision": decision, "content_hash": plan.content_hash}
    done = await session.execute(_DECIDE, {**values, "decided_by": decided_by, "reason": reason})
    return done.one_or_none() is not None


async def content_hashes(session: AsyncSession, keys: Collection[tuple[str, str]]) -> dict[tuple[str, str], str]:
    """Hashes of present items' current versions."""
    rows = await session.execute(_HASHES, key_columns(sorted(keys)))
    return {(row.type_key, row.external_id): row.content_hash.hex() for row in rows}


async def gone(session: AsyncSession, keys: Collection[tuple[str, str]]) -> set[tuple[str, str]]:
    """The keys of absent items; a key has an id or an alternate key."""
    rows = await session.execute(_GONE, key_columns(sorted(keys)))
    return {(row.type_key, row.name) for row in rows}


async def items_by_alternate_key(session: AsyncSession, type_key: str, keys: Collection[str]) -> dict[str, str]:
    rows = await session.execute(_BY_KEY, {"type_key": type_key, "names": list(keys)})
    return {row.alternate_key: row.external_id for row in rows}


async def alternate_keys(session: AsyncSession, type_key: str, ids: Collection[str]) -> dict[str, str]:
    rows = await session.execute(_KEYS_OF, {"type_key": type_key, "names": list(ids)})
    return {row.external_id: row.alternate_key for row in rows}


async def is_referred_to(session: AsyncSession, type_key: str, target_id: str) -> bool:
    """Whether a document refers to an object, known or not."""
    return bool((await session.execute(_IS_REFERRED_TO, {"type_key": type_key, "target_id": target_id})).scalar_one())
