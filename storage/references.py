"""References and settings of items' current versions, read from their documents.

First versions mostly bring theirs along, staged; other new versions queue the item in `unread_item`.
"""

import asyncio
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import timedelta
from time import monotonic
from typing import Any, NamedTuple
from uuid import UUID

import orjson
from sqlalchemy import Row, Select, select, text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from inventory.exact_json import decode_object
from inventory.records import DamagedRecord
from inventory.reference_extraction import ReadingRules, read, set_by
from inventory.references import Reference, collection_of
from inventory.searched_settings import SearchedSetting
from storage.bodies import BODY, Documents
from storage.database import Database
from storage.item_lookup import key_columns
from storage.models.base import among, table
from storage.models.items import InventoryItem
from storage.models.references import ItemReference, UnreadItem
from storage.models.search import ItemSettings
from storage.rows import fetch
from storage.settings import keep_settings

_ITEM, _REFERENCE, _UNREAD = table(InventoryItem), table(ItemReference), table(UnreadItem)
_SETTINGS = table(ItemSettings)
_KEY = ("type_key", "external_id")

ITEMS_AT_A_TIME = 500
"""Documents held in memory; some have megabytes."""

ItemKey = tuple[str, str]
"""Type key and id."""

READERS = 2
"""Concurrent readers: while PostgreSQL finds documents for one, the other works."""

# If a collection's rules are new or changed, all its items are read again, once.
_FOLLOW_RULES = text("""
INSERT INTO reference_rules (type_key, rules_hash)
SELECT type_key, rules_hash FROM (
    SELECT * FROM unnest(CAST(:type_keys AS text[]), CAST(:hashes AS bytea[])) AS rules (type_key, rules_hash)
    EXCEPT SELECT type_key, rules_hash FROM reference_rules
) AS changed_rules
ORDER BY type_key
ON CONFLICT (tenant_id, type_key) DO UPDATE SET rules_hash = excluded.rules_hash
WHERE reference_rules.rules_hash <> excluded.rules_hash
RETURNING type_key
""")

# Collections without rules are left to the later release that has them. With `= ANY`, PostgreSQL before 17 would sort
# all unread items, instead of reading the first ones by index.
_READABLE = """
array_position(CAST(:known_type_keys AS text[]), type_key) IS NOT NULL AND (type_key, external_id) NOT IN (
    SELECT * FROM unnest(CAST(:damaged_type_keys AS text[]), CAST(:damaged_ids AS text[]))
)
"""

# The next statement reads the items taken out here: a version that is made meanwhile queues its item again.
_TAKE = f"""
DELETE FROM unread_item WHERE ctid = ANY (ARRAY(
    SELECT ctid FROM unread_item WHERE {_READABLE} ORDER BY type_key, external_id LIMIT :most FOR UPDATE {{others}}
))
RETURNING type_key, external_id
"""

_TAKE_FREE = text(_TAKE.format(others="SKIP LOCKED"))

_TAKE_IN_TURN = text(_TAKE.format(others=""))

_DOCUMENTS = text(f"""
SELECT item.type_key, item.external_id, item.version_number, d.body_hash, d.body
FROM unnest(CAST(:type_keys AS text[]), CAST(:external_ids AS text[])) AS named (type_key, external_id)
CROSS JOIN LATERAL (
    SELECT * FROM inventory_item AS item
    WHERE (item.type_key, item.external_id) = (named.type_key, named.external_id) LIMIT 1
) AS item
CROSS JOIN LATERAL (
    SELECT content_hash FROM item_version AS version
    WHERE (version.type_key, version.external_id, version.version_number)
        = (item.type_key, item.external_id, item.version_number) LIMIT 1
) AS v
CROSS JOIN LATERAL (SELECT {BODY} FROM document WHERE document.content_hash = v.content_hash LIMIT 1) AS d
""")

_FORGET = text("""
DELETE FROM item_reference WHERE ctid = ANY (ARRAY(
    SELECT old.place
    FROM unnest(CAST(:type_keys AS text[]), CAST(:external_ids AS text[])) AS named (type_key, external_id)
    CROSS JOIN LATERAL (
        SELECT reference.ctid AS place FROM item_reference AS reference
        WHERE (reference.type_key, reference.external_id) = (named.type_key, named.external_id) OFFSET 0
    ) AS old
))
""")

# As JSON, since psycopg scans each text of an array in Python, which took longer than everything else.
_KEEP = text("""
INSERT INTO item_reference (
    type_key, external_id, position, version_number, path, role, target_type_keys, target_id, intent, policy_set_id
)
SELECT type_key, external_id, position, version_number, path, role, target_type_keys, target_id, intent, policy_set_id
FROM json_to_recordset(CAST(:rows AS json)) AS reference (
    type_key text, external_id text, position int, version_number bigint, path text, role text, target_type_keys text[],
    target_id text, intent text, policy_set_id text
)
""")

_LEAVE = text("""
INSERT INTO unread_item (type_key, external_id)
SELECT * FROM unnest(CAST(:type_keys AS text[]), CAST(:external_ids AS text[]))
ON CONFLICT DO NOTHING
""")

# Two lookups by primary key for each tenant, so a question to hundreds of tenants costs little if nothing is unread.
_READ_TENANTS = text("""
WITH rules AS MATERIALIZED (
    SELECT key AS type_key, decode(value, 'hex') AS rules_hash FROM json_each_text(CAST(:rules AS json))
)
SELECT tenant_id FROM unnest(CAST(:tenant_ids AS uuid[])) AS tenant (tenant_id)
WHERE NOT EXISTS (
        SELECT * FROM rules
        EXCEPT SELECT type_key, rules_hash FROM reference_rules WHERE reference_rules.tenant_id = tenant.tenant_id
    )
    AND NOT EXISTS (
        SELECT FROM rules CROSS JOIN LATERAL (
            SELECT FROM unread_item AS unread
            WHERE (unread.tenant_id, unread.type_key) = (tenant.tenant_id, rules.type_key) LIMIT 1
        ) AS unread
    )
""")

_COUNT = text(f"SELECT count(*) FROM unread_item WHERE {_READABLE}")


class _Unread(NamedTuple):
    type_key: str
    external_id: str
    version_number: int
    body_hash: bytes
    body: bytes


async def follow_rules(session: AsyncSession, rules: Mapping[str, ReadingRules]) -> None:
    """Queues the items of collections with changed rules; if the rules find nothing, only items with rows to delete.

    Separate statements queue them, to see items that merges read by the old rules while the first statement waited.
    """
    hashes = [rule.hash() for rule in rules.values()]
    changed = (await session.execute(_FOLLOW_RULES, {"type_keys": list(rules), "hashes": hashes})).scalars().all()
    again = [key for key in changed if not rules[key].find_nothing]
    if again:
        has_document = _ITEM.c.version_number > 0
        await _leave_all(session, select(*_ITEM.c[_KEY]).where(among(_ITEM.c.type_key, again), has_document))
    nothing = [key for key in changed if rules[key].find_nothing]
    if nothing:
        for kept in (_REFERENCE, _SETTINGS):
            await _leave_all(session, select(*kept.c[_KEY]).distinct().where(among(kept.c.type_key, nothing)))


async def _leave_all(session: AsyncSession, keys: Select[Any]) -> None:
    await session.execute(insert(_UNREAD).from_select(_KEY, keys).on_conflict_do_nothing())


async def read_tenants(
    session: AsyncSession, tenant_ids: Sequence[UUID], rules_hashes: Mapping[str, bytes]
) -> set[UUID]:
    """Tenants whose references have all been read by these rules."""
    rules = {type_key: rules_hash.hex() for type_key, rules_hash in rules_hashes.items()}
    parameters = {"tenant_ids": list(tenant_ids), "rules": orjson.dumps(rules).decode()}
    return set((await session.execute(_READ_TENANTS, parameters)).scalars())


async def count_unread(
    session: AsyncSession, rules: Mapping[str, ReadingRules], damaged: Collection[DamagedRecord] = ()
) -> int:
    count: int = (await session.execute(_COUNT, _readable(rules, damaged))).scalar_one()
    return count


async def read_some(
    session: AsyncSession,
    rules: Mapping[str, ReadingRules],
    most: int = ITEMS_AT_A_TIME,
    *,
    in_turn: bool = False,
    damaged: set[DamagedRecord] | None = None,
) -> int:
    """Reads up to `most` queued items; returns their number. Idempotent.

    Skips items that another transaction reads, or waits for them (`in_turn`). Skips items in `damaged`, and adds those
    with damaged documents, which stay queued.
    """
    damaged = set() if damaged is None else damaged
    take = _TAKE_IN_TURN if in_turn else _TAKE_FREE
    taken = {_key(row) for row in await session.execute(take, {"most": most, **_readable(rules, damaged)})}
    if not taken:
        return 0
    ruled = sorted(key for key in taken if not rules[key[0]].find_nothing)
    references: list[dict[str, object]] = []
    settings: dict[ItemKey, list[SearchedSetting]] = {}
    unreadable: set[ItemKey] = set()
    if ruled:
        unread = await fetch(session, _DOCUMENTS, _Unread, key_columns(ruled))
        read = Documents()
        references, settings = await asyncio.to_thread(_read_all, unread, rules, read)
        damaged.update(read.damaged)
        unreadable = {_key(record) for record in read.damaged}
    await session.execute(_FORGET, key_columns(sorted(taken - unreadable)))
    if unreadable:
        await session.execute(_LEAVE, key_columns(sorted(unreadable)))
    if references:
        await session.execute(_KEEP, {"rows": orjson.dumps(references).decode()})
    await keep_settings(session, sorted(taken - unreadable), settings)
    return len(taken)


async def catch_up(
    database: Database,
    tenant_id: UUID,
    rules: Mapping[str, ReadingRules],
    *,
    within: timedelta | None = None,
    readers: int = READERS,
    in_turn: bool = False,
    progress: Callable[[int], None] | None = None,
) -> list[DamagedRecord]:
    """Reads all queued items, or as many as it can `within` a time, on `readers` connections.

    Returns items with damaged documents, which stay queued. `in_turn`: waits for items that others read. `progress`
    receives the number of items read.
    """
    until = None if within is None else monotonic() + within.total_seconds()
    async with database.tenant(tenant_id) as session:
        await follow_rules(session, rules)
    done = 0
    damaged: set[DamagedRecord] = set()

    def is_over() -> bool:
        return until is not None and monotonic() >= until

    async def read_next(*, in_turn: bool) -> bool:
        nonlocal done
        async with database.tenant(tenant_id) as session:
            read_now = await read_some(session, rules, in_turn=in_turn, damaged=damaged)
        done += read_now
        if progress is not None and read_now:
            progress(done)
        return read_now > 0

    async def read_what_is_free() -> None:
        while not is_over() and await read_next(in_turn=False):
            pass

    tasks = [asyncio.create_task(read_what_is_free()) for _ in range(readers)]
    try:
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    while (
        in_turn
        and not is_over()
        and (await read_next(in_turn=True) or await _some_left(database, tenant_id, rules, damaged))
    ):
        pass
    return sorted(damaged, key=lambda item: (item.type_key, item.external_id))


async def _some_left(
    database: Database, tenant_id: UUID, rules: Mapping[str, ReadingRules], damaged: Collection[DamagedRecord]
) -> bool:
    async with database.tenant(tenant_id, read_only=True) as session:
        return await count_unread(session, rules, damaged) > 0


def _read_all(
    unread: list[_Unread], rules: Mapping[str, ReadingRules], documents: Documents
) -> tuple[list[dict[str, object]], dict[ItemKey, list[SearchedSetting]]]:
    rows: list[dict[str, object]] = []
    settings: dict[ItemKey, list[SearchedSetting]] = {}
    for item in unread:
        stored = documents.of(item.body, item.body_hash, *_key(item), item.version_number)
        if stored is None:
            continue
        document, rule = decode_object(stored), rules[item.type_key]
        of_item = {"type_key": item.type_key, "external_id": item.external_id, "version_number": item.version_number}
        rows += [{**of_item, **row} for row in rows_of(read(document, rule))]
        settings[_key(item)] = set_by(document, item.type_key, rule)
    return rows, settings


def _key(item: Row[Any] | _Unread | DamagedRecord) -> ItemKey:
    return item.type_key, item.external_id


def _readable(rules: Mapping[str, ReadingRules], damaged: Collection[DamagedRecord]) -> dict[str, object]:
    keys = key_columns([_key(record) for record in damaged])
    return {
        "known_type_keys": list(rules),
        "damaged_type_keys": keys["type_keys"],
        "damaged_ids": keys["external_ids"],
    }


def rows_of(references: Sequence[Reference]) -> list[dict[str, object]]:
    """Rows of `item_reference`, without the columns that name the item."""
    return [
        {
            "position": position,
            "path": reference.path,
            "role": reference.role,
            "target_type_keys": [collection_of(target_type) for target_type in reference.target_types],
            "target_id": reference.target_id,
            "intent": reference.intent,
            "policy_set_id": reference.policy_set_id,
        }
        for position, reference in enumerate(references)
    ]
