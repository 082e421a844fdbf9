"""Queries by name and setting, of visible tenants."""

from collections.abc import AsyncGenerator, Collection, Mapping, Sequence
from contextlib import aclosing
from datetime import datetime
from functools import cache, partial
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import TextClause, text
from sqlalchemy.ext.asyncio import AsyncSession

from answers.search.records import ItemGroup, SearchBasis, UnreadSettings
from graph.catalog import kind_fields
from inventory.records import ItemRecord
from storage.absences import IS_CONFIRMED
from storage.name_order import ITEM_OF_KEY, NamePlace
from storage.queries import COVERED_ITEM_COLUMNS, Question, with_covered_state
from storage.rows import Values, fetch, fetch_stream
from storage.settings import beginning, entries


class ItemQuery(NamedTuple):
    """None filters nothing. All `patterns` must match a name.

    `titled`: collections whose titles match. `settings`: names, one of which is set, to one of `values` if any.
    `is_seen`: the latest run of its collection, or a later one, has seen the item. `after`: type key and id, in one
    tenant only.
    """

    tenant_ids: Sequence[UUID] | None = None
    type_keys: Sequence[str] | None = None
    patterns: Sequence[str] | None = None
    titled: Sequence[str] | None = None
    settings: Sequence[str] | None = None
    values: Sequence[str] | None = None
    is_seen: bool | None = None
    after: NamePlace | None = None

    def parameters(self) -> dict[str, object]:
        pattern, *patterns = sorted(self.patterns or ("%",), key=len, reverse=True)
        parameters = {
            "tenant_ids": self.tenant_ids,
            "type_keys": self.type_keys,
            "pattern": None if self.patterns is None else pattern,
            "patterns": None if self.patterns is None else patterns,
            "titled": self.titled,
            "settings": self.settings,
            "entries": None if self.settings is None else entries(self.settings, self.values),
            "is_seen": self.is_seen,
            **(
                {} if self.after is None else {f"after_{field}": place for field, place in self.after._asdict().items()}
            ),
        }
        return {
            name: value if isinstance(value, (bool, str, UUID)) else list(value)
            for name, value in parameters.items()
            if value is not None
        }


# The longest pattern comes first: most names fail it, and PostgreSQL takes an array apart for each name.
_IS_NAMED = "name_key LIKE :pattern AND name_key LIKE ALL (CAST(:patterns AS text[]))"


# An index finds items that a complete listing did not show. In a collection not listed to its end, any item may be
# unseen.
def _unseen(has: frozenset[str]) -> str:
    of_tenants = "AND c.tenant_id = ANY (CAST(:tenant_ids AS uuid[]))" if "tenant_ids" in has else ""
    return f"""(
    SELECT tenant_id, type_key, external_id FROM inventory_item WHERE absent_from IS NOT NULL
    UNION
    SELECT tenant_id, type_key, external_id FROM collection_coverage AS c CROSS JOIN LATERAL (
        SELECT external_id FROM inventory_item AS item
        WHERE (item.tenant_id, item.type_key) = (c.tenant_id, c.type_key) AND item.last_seen_at < c.run_started_at
        OFFSET 0
    ) AS item
    WHERE c.outcome <> 'complete' {of_tenants}
) AS hit"""


_KNOWING = """(
    SELECT DISTINCT tenant_id, type_key FROM collection_setting WHERE setting = ANY (CAST(:settings AS text[]))
) AS knowing"""


# One name is looked up for each item; for a plain join the planner may hash all names.
def _with_names(keys: str) -> str:
    return f"""{keys} CROSS JOIN LATERAL (
        SELECT name_key FROM item_name AS name
        WHERE (name.tenant_id, name.type_key, name.external_id) = (hit.tenant_id, hit.type_key, hit.external_id)
        LIMIT 1
    ) AS named"""


def _fitting_items(has: frozenset[str]) -> str:
    """Selects fitting items, from the smallest table that the filters allow.

    Row-level security keeps LIKE out of index conditions, so names have a table of their own.
    """
    source, conditions = "item_name AS hit", []
    if "settings" in has:
        source = _with_names(f"""(
            SELECT tenant_id, type_key, external_id FROM {_KNOWING} CROSS JOIN LATERAL (
                SELECT external_id FROM item_settings AS settings
                WHERE (settings.tenant_id, settings.type_key) = (knowing.tenant_id, knowing.type_key) AND EXISTS (
                    SELECT FROM unnest(CAST(:entries AS text[])) AS entry WHERE strpos(settings.settings, entry) > 0
                )
                OFFSET 0
            ) AS setting
        ) AS hit""")
    elif "unseen" in has:
        source = _with_names(_unseen(has))
    if "patterns" in has:
        or_titled = " OR hit.type_key = ANY (CAST(:titled AS text[]))" if "titled" in has else ""
        conditions.append(f"({_IS_NAMED}{or_titled})")
    if "tenant_ids" in has:
        conditions.append("hit.tenant_id = ANY (CAST(:tenant_ids AS uuid[]))")
    if "type_keys" in has:
        conditions.append("hit.type_key = ANY (CAST(:type_keys AS text[]))")
    if "after_type_key" in has:
        conditions.append(
            "(hit.type_key, name_key, hit.external_id) > (:after_type_key, :after_name_key, :after_external_id)"
        )
    where = f"WHERE {' AND '.join(conditions)}" if conditions else ""
    return f"""
        SELECT tenant_id AS of_tenant, type_key AS of_type, name_key AS of_name, external_id AS of_id
        FROM {source} {where}
        ORDER BY tenant_id, type_key, name_key, external_id
    """


_ITEM_WITH_BASIS = f"""{ITEM_OF_KEY}
    LEFT JOIN LATERAL (
        SELECT c.run_id AS covered_by, c.outcome AS covered_outcome, c.error_code AS covered_error_code,
            status AS covered_status, started_at AS covered_from, cardinality(error_codes) > 0 AS covered_with_errors
        FROM collection_coverage AS c JOIN sync_run USING (tenant_id, run_id)
        WHERE (c.tenant_id, c.type_key) = (of_tenant, of_type) LIMIT 1
    ) AS basis ON true
"""


@cache
def _statement(has: frozenset[str]) -> TextClause:
    seen_condition = "WHERE (item.last_seen_at >= covered_from) = :is_seen" if "is_seen" in has else ""
    return text(f"""
    SELECT {COVERED_ITEM_COLUMNS} FROM ({_fitting_items(has)}) AS hit {_ITEM_WITH_BASIS} {seen_condition}
    ORDER BY of_tenant, of_type, of_name, of_id
    """)


# Items alike in these have the same kind, platforms and state, so one stands for its group.
_ALIKE = ", ".join(
    [
        "of_tenant",
        "of_type",
        "item.meta -> 'platforms'",
        *(f"item.meta -> '{field}'" for field in kind_fields()),
        "item.last_seen_at >= covering.run_started_at",
        "item.absent_from IS NOT NULL",
        IS_CONFIRMED,
    ]
)


@cache
def _groups_statement(has: frozenset[str]) -> TextClause:
    return text(f"""
    SELECT {COVERED_ITEM_COLUMNS}, items
    FROM (
        SELECT of_tenant, of_type, (array_agg(of_id))[1] AS of_id, count(*) AS items
        FROM ({_fitting_items(has)} LIMIT :most) AS hit {ITEM_OF_KEY}
        LEFT JOIN collection_coverage AS covering ON (covering.tenant_id, covering.type_key) = (of_tenant, of_type)
        GROUP BY {_ALIKE}
    ) AS alike {_ITEM_WITH_BASIS}
    ORDER BY of_tenant, of_type, of_id
    """)


async def item_groups(session: AsyncSession, query: ItemQuery, most: int) -> list[ItemGroup]:
    """The first `most` fitting items, grouped by likeness."""
    parameters = query.parameters()
    statement = _groups_statement(frozenset(parameters))
    return await fetch(session, statement, ItemGroup, {**parameters, "most": most}, shape=_group)


def _group(row: Values) -> Values:
    items = row.pop("items")
    return {"item": with_covered_state(row), "items": items}


async def found_items(
    session: AsyncSession, query: ItemQuery, question: Question | None = None
) -> AsyncGenerator[ItemRecord, None]:
    """Fitting items by tenant, type key and name.

    States are relative to the question of one tenant, else to each collection's latest run.
    """
    parameters = query.parameters()
    shape = partial(with_covered_state, question=question)
    statement = _statement(frozenset(parameters) | ({"unseen"} if query.is_seen is False else set()))
    async with aclosing(fetch_stream(session, statement, ItemRecord, parameters, shape=shape)) as items:
        async for item in items:
            yield item


_BASIS = text("""
SELECT count(*) FILTER (WHERE coverage.collections IS NULL) AS never_read,
    count(*) FILTER (WHERE coverage.unread > 0) AS incomplete, min(coverage.read_from) AS read_from
FROM unnest(CAST(:tenant_ids AS uuid[])) AS tenant (tenant_id)
LEFT JOIN LATERAL (
    SELECT count(*) AS collections, min(listed_from) AS read_from,
        count(*) FILTER (WHERE outcome NOT IN ('complete', 'skipped')) AS unread
    FROM collection_coverage AS c
    WHERE c.tenant_id = tenant.tenant_id
        AND (CAST(:type_keys AS text[]) IS NULL OR c.type_key = ANY (CAST(:type_keys AS text[])))
    HAVING count(*) > 0
) AS coverage ON true
""")


async def basis(session: AsyncSession, tenant_ids: Collection[UUID], type_keys: Sequence[str] | None) -> SearchBasis:
    parameters = {"tenant_ids": list(tenant_ids), "type_keys": None if type_keys is None else list(type_keys)}
    (found,) = await fetch(session, _BASIS, SearchBasis, parameters)
    return found


class SetItems(NamedTuple):
    tenant_id: UUID
    type_key: str
    value: str | None
    items: int


# Items that are gone set nothing; items that were not read set their last values.
_SET_ITEMS = text(f"""
SELECT hit.tenant_id, hit.type_key, hit.value, count(*) AS items
FROM (
    SELECT DISTINCT tenant_id, type_key, external_id, value FROM {_KNOWING} CROSS JOIN LATERAL (
        SELECT external_id, nullif(split_part(part, E'\\x1e', 1), E'\\x1f') AS value
        FROM item_settings AS settings CROSS JOIN unnest(CAST(:beginnings AS text[])) AS beginning
            CROSS JOIN LATERAL unnest((string_to_array(settings.settings, beginning))[2:]) AS part
        WHERE (settings.tenant_id, settings.type_key) = (knowing.tenant_id, knowing.type_key)
        OFFSET 0
    ) AS setting
) AS hit
CROSS JOIN LATERAL (
    SELECT FROM inventory_item AS item
    WHERE (item.tenant_id, item.type_key, item.external_id) = (hit.tenant_id, hit.type_key, hit.external_id)
        AND absent_from IS NULL AND NOT {IS_CONFIRMED} LIMIT 1
) AS item
GROUP BY hit.tenant_id, hit.type_key, hit.value
""")


async def set_items(session: AsyncSession, settings: Sequence[str]) -> list[SetItems]:
    """Numbers of items for each value, unordered."""
    parameters = {"settings": list(settings), "beginnings": list(map(beginning, settings))}
    return await fetch(session, _SET_ITEMS, SetItems, parameters)


_COLLECTIONS = text(f"SELECT DISTINCT type_key FROM {_KNOWING}")


async def knowing(session: AsyncSession, settings: Sequence[str]) -> set[str]:
    """Collections whose items set one of these settings, or once did."""
    return set((await session.execute(_COLLECTIONS, {"settings": list(settings)})).scalars())


class SettingCoverage(NamedTuple):
    tenant_id: UUID
    read_from: datetime | None
    not_read: list[UnreadSettings]


# A row for each tenant, since most of their many collections are read. One waiting or stale item decides, and LIMIT
# finds it soon: after an upgrade all items wait.
_READINGS = text("""
SELECT tenant_id, min(read_from) AS read_from, coalesce(
    json_agg(json_build_object('type_key', type_key, 'reason', reason) ORDER BY type_key)
        FILTER (WHERE reason IS NOT NULL), '[]'
) AS not_read
FROM (
    SELECT tenant_id, type_key, c.listed_from AS read_from, CASE
        WHEN c.outcome IS NULL THEN 'never_read'
        WHEN c.outcome NOT IN ('complete', 'skipped') OR c.outcome = 'complete' AND c.error_code IS NOT NULL
            THEN concat_ws(':', c.outcome, c.error_code)
        WHEN c.outcome = 'complete' AND rules.rules_hash IS DISTINCT FROM ruled.rules_hash OR unread.is_one
            THEN 'settings_not_read'
        WHEN stale.is_one THEN 'stale'
    END AS reason
    FROM unnest(CAST(:tenant_ids AS uuid[])) AS tenant (tenant_id)
        CROSS JOIN unnest(CAST(:type_keys AS text[]), CAST(:rules_hashes AS bytea[])) AS ruled (type_key, rules_hash)
        LEFT JOIN collection_coverage AS c USING (tenant_id, type_key)
        LEFT JOIN reference_rules AS rules USING (tenant_id, type_key)
        LEFT JOIN LATERAL (
            SELECT true AS is_one FROM unread_item AS unread
            WHERE (unread.tenant_id, unread.type_key) = (tenant.tenant_id, ruled.type_key) LIMIT 1
        ) AS unread ON true
        LEFT JOIN LATERAL (
            SELECT true AS is_one FROM inventory_item AS item
            WHERE (item.tenant_id, item.type_key) = (tenant.tenant_id, ruled.type_key)
                AND stale_since IS NOT NULL AND absent_from IS NULL LIMIT 1
        ) AS stale ON true
) AS of_collection
GROUP BY tenant_id
""")


async def readings(
    session: AsyncSession, tenant_ids: Sequence[UUID], rules: Mapping[str, bytes]
) -> dict[UUID, SettingCoverage]:
    """`rules`: hashes of the current rules by type key."""
    parameters = {"tenant_ids": list(tenant_ids), "type_keys": list(rules), "rules_hashes": list(rules.values())}
    return {tenant.tenant_id: tenant for tenant in await fetch(session, _READINGS, SettingCoverage, parameters)}


# Each step looks up the next name in the index: few names are in many rows.
_KNOWN_SETTINGS = text("""
WITH RECURSIVE step AS (
    (SELECT setting FROM collection_setting ORDER BY setting LIMIT 1)
    UNION ALL
    SELECT (
        SELECT next.setting FROM collection_setting AS next
        WHERE next.setting > step.setting ORDER BY next.setting LIMIT 1
    )
    FROM step WHERE step.setting IS NOT NULL
)
SELECT setting FROM step WHERE setting IS NOT NULL
""")

_IS_KNOWN = text("SELECT EXISTS (SELECT FROM collection_setting WHERE setting = :setting)")

_DEFINITIONS = text("""
SELECT DISTINCT named.external_id
FROM unnest(CAST(:tenant_ids AS uuid[])) AS tenant (tenant_id)
CROSS JOIN LATERAL (
    SELECT external_id FROM item_name AS name
    WHERE (name.tenant_id, name.type_key, name.name_key) = (tenant.tenant_id, 'configurationSettings', name_key(:name))
) AS named
""")

_CATALOGS = text("""
SELECT tenant.tenant_id
FROM tenant CROSS JOIN LATERAL (
    SELECT listed_from FROM collection_coverage AS c
    WHERE (c.tenant_id, c.type_key) = (tenant.tenant_id, 'configurationSettings') AND listed_from IS NOT NULL LIMIT 1
) AS read
ORDER BY listed_from DESC LIMIT :most
""")

CATALOGS = 3
"""Tenants whose catalog is searched: all tenants have Microsoft's."""


async def is_known(session: AsyncSession, setting: str) -> bool:
    """Whether an item sets it, or once did."""
    return bool((await session.execute(_IS_KNOWN, {"setting": setting})).scalar_one())


async def known_settings(session: AsyncSession) -> list[str]:
    """Sorted names of settings that items set, or once did."""
    return list((await session.execute(_KNOWN_SETTINGS)).scalars())


async def catalogs(session: AsyncSession) -> list[UUID]:
    """Tenants that read the catalog of definitions last."""
    return list((await session.execute(_CATALOGS, {"most": CATALOGS})).scalars())


async def definitions_called(session: AsyncSession, name: str) -> list[str]:
    tenants = await catalogs(session)
    if not tenants:
        return []
    return sorted((await session.execute(_DEFINITIONS, {"tenant_ids": tenants, "name": name})).scalars())
