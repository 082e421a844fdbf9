from collections.abc import AsyncIterator, Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from answers.dependencies.records import KnownObject
from inventory.reference_extraction import ASSIGNMENTS_UNKNOWN, NOBODY
from inventory.references import ALL_DEVICES, ALL_USERS, ReferenceRole
from storage.item_lookup import key_columns, named_item, own_names
from storage.rows import fetch, fetch_one, fetch_stream

ItemKey = tuple[str, str]
"""Type key and id."""


class Edge(NamedTuple):
    """`target` is None if no run has seen the object."""

    tenant_id: UUID
    external_id: str
    item: KnownObject
    version: int
    referred_at: datetime
    path: str
    role: ReferenceRole
    target_type_keys: tuple[str, ...]
    target_id: str
    intent: str
    target: KnownObject | None

    @property
    def item_key(self) -> ItemKey:
        return self.item.type_key, self.external_id

    @property
    def target_key(self) -> ItemKey | None:
        return None if self.target is None else (self.target.type_key, self.target_id)


class UnassignedItem(NamedTuple):
    """`lags`: the latest run saw it without its whole document, so the version may be old."""

    tenant_id: UUID
    external_id: str
    item: KnownObject
    version: int
    observed_at: datetime
    lags: bool
    exclusions: int


class UnknownAssignments(NamedTuple):
    """A collection's number of items whose documents do not tell their assignments."""

    tenant_id: UUID
    type_key: str
    items: int


class AssignedItem(NamedTuple):
    """`filters` have id, name and role. `assignments` have role, audience (None: the group), intent, and the policy
    set's id and name.
    """

    tenant_id: UUID
    external_id: str
    item: KnownObject
    version: int
    assignments: list[tuple[ReferenceRole, str | None, str, str, str | None]]
    filters: list[tuple[str, str | None, ReferenceRole]]


# The item that has the reference `r`.
_ITEM = """
CROSS JOIN LATERAL (
    SELECT * FROM inventory_item AS item
    WHERE (item.tenant_id, item.type_key, item.external_id) = (r.tenant_id, r.type_key, r.external_id) LIMIT 1
) AS item
LEFT JOIN LATERAL (
    SELECT * FROM item_absence AS absence
    WHERE (absence.tenant_id, absence.type_key, absence.external_id, absence.absent_from)
        = (item.tenant_id, item.type_key, item.external_id, item.absent_from)
    LIMIT 1
) AS item_gone ON item.absent_from IS NOT NULL
"""

# The target of `r`. If several objects have the id, a present object comes first.
_TARGET = f"""
LEFT JOIN LATERAL (
    SELECT candidate.* FROM unnest(r.target_type_keys) AS named (type_key) CROSS JOIN LATERAL (
        {named_item("named.type_key", "r.target_id", "r.tenant_id")}
    ) AS candidate
    ORDER BY candidate.absent_from DESC NULLS FIRST, candidate.type_key LIMIT 1
) AS target ON true
LEFT JOIN LATERAL (
    SELECT * FROM item_absence AS absence
    WHERE (absence.tenant_id, absence.type_key, absence.external_id, absence.absent_from)
        = (target.tenant_id, target.type_key, target.external_id, target.absent_from)
    LIMIT 1
) AS target_gone ON target.absent_from IS NOT NULL
"""

# The name's stored sort key: to compute it would cost as much as the rest.
_NAME = """
LEFT JOIN LATERAL (
    SELECT name_key FROM item_name AS name
    WHERE (name.tenant_id, name.type_key, name.external_id) = (r.tenant_id, r.type_key, r.external_id) LIMIT 1
) AS name ON true
"""

_ITEM_COLUMNS = """
    r.tenant_id, r.external_id, r.version_number AS version, r.type_key AS "item.type_key",
    item.display_name AS "item.display_name", item.meta AS "item.meta", item.last_seen_at AS "item.last_seen_at",
    item.details_read_at AS "item.details_read_at",
    item.found_by_id_run_id = item.last_seen_run_id AS "item.found_by_id",
    item_gone.evidence AS "item.absence_evidence", item_gone.confidence AS "item.absence_confidence"
"""

_EDGE_COLUMNS = f"""
    {_ITEM_COLUMNS}, item.content_changed_at AS referred_at, r.path, r.role, r.target_type_keys,
    coalesce(target.external_id, r.target_id) AS target_id, r.intent,
    target.type_key AS "target.type_key", target.display_name AS "target.display_name",
    target.meta AS "target.meta", target.last_seen_at AS "target.last_seen_at",
    target.details_read_at AS "target.details_read_at",
    target.found_by_id_run_id = target.last_seen_run_id AS "target.found_by_id",
    target_gone.evidence AS "target.absence_evidence", target_gone.confidence AS "target.absence_confidence"
"""

_BY_NAME = "ORDER BY r.tenant_id, r.type_key, name.name_key, r.external_id"

_NAMED = "unnest(CAST(:type_keys AS text[]), CAST(:external_ids AS text[])) AS named (type_key, external_id)"

_KNOWN_OBJECT = text(f"""
SELECT r.type_key, item.display_name, item.meta, item.last_seen_at, item.details_read_at,
    item.found_by_id_run_id = item.last_seen_run_id AS found_by_id,
    item_gone.evidence AS absence_evidence, item_gone.confidence AS absence_confidence
FROM (VALUES (current_tenant(), CAST(:type_key AS text), CAST(:external_id AS text)))
    AS r (tenant_id, type_key, external_id) {_ITEM}
""")

_OF_ITEMS = text(f"""
SELECT {_EDGE_COLUMNS}
FROM {_NAMED} CROSS JOIN LATERAL (
    SELECT * FROM item_reference AS reference
    WHERE (reference.type_key, reference.external_id) = (named.type_key, named.external_id)
    ORDER BY position LIMIT :most
) AS r {_ITEM} {_TARGET}
WHERE r.target_id = ANY (:audiences) OR r.target_type_keys <> '{{}}'
ORDER BY r.type_key, r.external_id, r.position
""")

_TO_ITEMS = text(f"""
SELECT {_EDGE_COLUMNS}
FROM {_NAMED} CROSS JOIN LATERAL (
    SELECT * FROM item_reference AS reference
    WHERE reference.target_id = ANY (ARRAY({own_names("named.type_key", "named.external_id")}))
        AND named.type_key = ANY (reference.target_type_keys)
    ORDER BY reference.type_key, reference.external_id, reference.position LIMIT :most
) AS r {_ITEM} {_TARGET}
ORDER BY r.type_key, r.external_id, r.position
""")

_ALL = text(f"""
SELECT {_EDGE_COLUMNS}
FROM item_reference AS r {_ITEM} {_TARGET} {_NAME}
WHERE r.target_id = ANY (:audiences) OR r.target_type_keys <> '{{}}'
{_BY_NAME}, r.position
""")

_DANGLING = text(f"""
-- from each target on to the next one by the index, however many refer to it, since there are far fewer targets than
-- references, and most of them are there
WITH RECURSIVE target_ids AS (
    SELECT tenant.tenant_id, lowest.target_id
    FROM unnest(CAST(:tenant_ids AS uuid[])) AS tenant (tenant_id) CROSS JOIN LATERAL (
        SELECT target_id FROM item_reference AS reference
        WHERE reference.tenant_id = tenant.tenant_id ORDER BY target_id LIMIT 1
    ) AS lowest
    UNION ALL
    SELECT before.tenant_id, next.target_id
    FROM target_ids AS before CROSS JOIN LATERAL (
        -- by the id alone: row-level security keeps the comparison of arrays out of index conditions
        SELECT target_id FROM item_reference AS reference
        WHERE reference.tenant_id = before.tenant_id AND reference.target_id > before.target_id
        ORDER BY target_id LIMIT 1
    ) AS next
),
targets AS MATERIALIZED (
    SELECT target_ids.tenant_id, target_ids.target_id, named.target_type_keys
    FROM target_ids CROSS JOIN LATERAL (
        SELECT DISTINCT target_type_keys FROM item_reference AS reference
        WHERE (reference.tenant_id, reference.target_id) = (target_ids.tenant_id, target_ids.target_id)
    ) AS named
    WHERE named.target_type_keys <> '{{}}'
),
gone AS MATERIALIZED (
    SELECT * FROM targets
    WHERE NOT EXISTS (
        SELECT FROM unnest(targets.target_type_keys) AS named (type_key) CROSS JOIN LATERAL (
            {named_item("named.type_key", "targets.target_id", "targets.tenant_id")}
        ) AS candidate WHERE candidate.absent_from IS NULL
    )
)
SELECT {_EDGE_COLUMNS}
FROM gone CROSS JOIN LATERAL (
    SELECT * FROM item_reference AS reference
    WHERE (reference.tenant_id, reference.target_id, reference.target_type_keys)
            = (gone.tenant_id, gone.target_id, gone.target_type_keys)
        AND (CAST(:type_keys AS text[]) IS NULL OR reference.type_key = ANY (CAST(:type_keys AS text[])))
    OFFSET 0
) AS r {_ITEM} {_TARGET} {_NAME}
WHERE item.absent_from IS NULL
{_BY_NAME}, r.position
""")

# In a target's place, `open_target` tells that the item's document has no assignments, or does not show them.
_WITHOUT_ASSIGNMENTS = """
FROM unnest(CAST(:tenant_ids AS uuid[])) AS tenant (tenant_id) CROSS JOIN LATERAL (
    SELECT * FROM item_reference AS reference
    WHERE (reference.tenant_id, reference.target_id) = (tenant.tenant_id, :open_target)
        AND reference.target_type_keys = '{}'
        AND (CAST(:type_keys AS text[]) IS NULL OR reference.type_key = ANY (CAST(:type_keys AS text[])))
    OFFSET 0
) AS r
"""

_UNASSIGNED = text(f"""
SELECT {_ITEM_COLUMNS}, coalesce(item.content_observed_at, item.last_seen_at) AS observed_at,
    item.content_observed_at IS NOT NULL OR NOT item.details_complete AS lags,
    (
        SELECT count(DISTINCT reference.target_id) FROM item_reference AS reference
        WHERE (reference.tenant_id, reference.type_key, reference.external_id)
                = (r.tenant_id, r.type_key, r.external_id)
            AND reference.role = 'exclude' AND reference.path = 'assignments.target.groupId'
    ) AS exclusions
{_WITHOUT_ASSIGNMENTS} {_ITEM} {_NAME}
WHERE item.absent_from IS NULL
{_BY_NAME}
""")

_UNKNOWN_ASSIGNMENTS = text(f"""
SELECT r.tenant_id, r.type_key, count(*) AS items
{_WITHOUT_ASSIGNMENTS} CROSS JOIN LATERAL (
    SELECT absent_from FROM inventory_item AS item
    WHERE (item.tenant_id, item.type_key, item.external_id) = (r.tenant_id, r.type_key, r.external_id) LIMIT 1
) AS item
WHERE item.absent_from IS NULL
GROUP BY r.tenant_id, r.type_key
""")

_REACHING = text(f"""
SELECT {_ITEM_COLUMNS}, r.assignments, coalesce(filters.filters, '[]') AS filters
FROM (
    SELECT DISTINCT type_key, external_id FROM item_reference
    WHERE target_id = ANY (:named) AND role <> 'use'
        AND (target_type_keys = '{{}}') = (target_id <> :group_id)
        AND (target_id <> :group_id OR 'groups' = ANY (target_type_keys))
) AS naming CROSS JOIN LATERAL (
    SELECT tenant_id, type_key, external_id, max(version_number) AS version_number,
        jsonb_agg(jsonb_build_array(role, nullif(target_id, :group_id), intent, policy_set_id, (
            SELECT display_name FROM inventory_item AS named
            WHERE (named.type_key, named.external_id) = ('policySets', reference.policy_set_id) LIMIT 1
        )) ORDER BY position) AS assignments
    FROM item_reference AS reference
    WHERE (reference.type_key, reference.external_id) = (naming.type_key, naming.external_id) AND role <> 'use'
        AND (
            target_type_keys = '{{}}' AND target_id = ANY (:audiences)
            OR target_id = :group_id AND 'groups' = ANY (target_type_keys)
        )
    GROUP BY tenant_id, type_key, external_id
) AS r {_ITEM}
LEFT JOIN LATERAL (
    SELECT jsonb_agg(
        jsonb_build_array(reference.target_id, filter.display_name, reference.role) ORDER BY position
    ) AS filters
    FROM item_reference AS reference LEFT JOIN LATERAL (
        SELECT display_name FROM inventory_item AS filter
        WHERE (filter.type_key, filter.external_id) = ('assignmentFilters', reference.target_id) LIMIT 1
    ) AS filter ON true
    WHERE (reference.type_key, reference.external_id) = (r.type_key, r.external_id)
        AND 'assignmentFilters' = ANY (reference.target_type_keys)
) AS filters ON true {_NAME}
WHERE item.absent_from IS NULL
{_BY_NAME}
""")

_AUDIENCES = [ALL_DEVICES, ALL_USERS]


async def known_object(session: AsyncSession, item: ItemKey) -> KnownObject | None:
    """None if no run has seen the item."""
    return await fetch_one(session, _KNOWN_OBJECT, KnownObject, {"type_key": item[0], "external_id": item[1]})


async def of_items(session: AsyncSession, items: Sequence[ItemKey], most: int) -> list[Edge]:
    """References from each item, up to `most`, by type key, id and place."""
    parameters = {**key_columns(items), "most": most, "audiences": _AUDIENCES}
    return await fetch(session, _OF_ITEMS, Edge, parameters)


async def to_items(session: AsyncSession, items: Sequence[ItemKey], most: int) -> list[Edge]:
    """References to each item, up to `most`, by type key, id and place."""
    return await fetch(session, _TO_ITEMS, Edge, {**key_columns(items), "most": most})


async def all_references(session: AsyncSession) -> AsyncIterator[Edge]:
    """All references, by the referring item's collection, name and place."""
    async for edge in fetch_stream(session, _ALL, Edge, {"audiences": _AUDIENCES}):
        yield edge


async def not_there(
    session: AsyncSession, tenant_ids: Sequence[UUID], type_keys: Sequence[str] | None
) -> AsyncIterator[Edge]:
    """Present items' references to absent or unknown objects, by tenant, collection, name and place; `type_keys` are of
    the referring items.
    """
    async for edge in fetch_stream(session, _DANGLING, Edge, _of_tenants(tenant_ids, type_keys)):
        yield edge


async def unassigned(
    session: AsyncSession, tenant_ids: Sequence[UUID], type_keys: Sequence[str] | None
) -> AsyncIterator[UnassignedItem]:
    """Present items, by tenant, collection and name."""
    parameters = {**_of_tenants(tenant_ids, type_keys), "open_target": NOBODY}
    async for item in fetch_stream(session, _UNASSIGNED, UnassignedItem, parameters):
        yield item


async def unknown_assignments(
    session: AsyncSession, tenant_ids: Sequence[UUID], type_keys: Sequence[str] | None
) -> list[UnknownAssignments]:
    """Numbers of present items, by tenant and collection."""
    parameters = {**_of_tenants(tenant_ids, type_keys), "open_target": ASSIGNMENTS_UNKNOWN}
    return await fetch(session, _UNKNOWN_ASSIGNMENTS, UnknownAssignments, parameters)


def _of_tenants(tenant_ids: Sequence[UUID], type_keys: Sequence[str] | None) -> dict[str, object]:
    return {"tenant_ids": list(tenant_ids), "type_keys": None if type_keys is None else list(type_keys)}


async def reaching(session: AsyncSession, group_id: str, *, everyone: bool) -> AsyncIterator[AssignedItem]:
    """Present items, by type key and id; `everyone` adds items for all users or devices."""
    named = [group_id, *(_AUDIENCES if everyone else ())]
    parameters = {"group_id": group_id, "named": named, "audiences": _AUDIENCES}
    async for item in fetch_stream(session, _REACHING, AssignedItem, parameters):
        yield item
