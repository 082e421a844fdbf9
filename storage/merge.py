"""Merging: staged observations of one wave or several into items, versions and documents, in one statement."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Any, NamedTuple
from uuid import UUID

import orjson
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from inventory.normal_form import FORM
from inventory.observation import Observation
from storage.details import HOLD_DOCUMENTS
from storage.first_form import SameItems, take_over
from storage.listed_pages import mark_merged
from storage.staging import stage

NAMED_DUPLICATES = 10
"""How many repeated ids a merge names; it counts all of them."""


class MergeResult(NamedTuple):
    """What one merge did. Each staged row is counted once.

    `duplicates` counts, by type key, the rows whose item this run had already seen on an earlier page, unchanged, or
    that the merged waves hold more than once; `reread` those it had seen before the listing began anew.
    """

    created: int
    changed: int
    unchanged: int
    duplicates: dict[str, int]
    duplicate_ids: list[tuple[str, str]]
    """(type key, external id), the first few."""
    reread: dict[str, int]
    lost: list[UUID]
    """The tokens whose staged rows are gone: a crash emptied the unlogged table. The others are merged."""


class StagedRowsLostError(Exception):
    """None of the tokens holds as many rows as it was promised to: a crash emptied the unlogged table."""


_CLAIM = text(
    "INSERT INTO merged_wave (run_id, fetch_token) VALUES (:run_id, :fetch_token) ON CONFLICT DO NOTHING"
    " RETURNING fetch_token"
)

_RECORDED = text("SELECT result FROM merged_wave WHERE run_id = :run_id AND fetch_token = :fetch_token")

_RECORD = text(
    "UPDATE merged_wave SET result = CAST(:result AS jsonb) WHERE run_id = :run_id AND fetch_token = :fetch_token"
)

# Rows are locked in key order, so merges of one tenant never deadlock. The newer observation wins: the update is
# skipped where the item has been seen since. An unchanged item keeps all but its last-seen columns, and with them
# its place on the page (HOT). What was new is read off the returned row: its version began with this observation.
# What a list shows of an item with details (version 0 here) makes it seen and makes no version.
# An item that several waves hold is merged as the last of them shows it.
# A reader that holds an item's row of `unread_item` is waited for (DO UPDATE): it may have read the version before.
# References that came with the observation are taken for an item's first version, which no reader can be at, where they
# were read by the rules that its collection follows. Whoever changes these rules waits (FOR SHARE), and looks for what
# is to be read again after that.
# `seen` puts the three together, for the planner takes a wave for one row: where it may, it compares each row of one
# with each of another, which at a thousand rows is most of the merge. A full join can only be hashed or merged. For the
# same reason what a wave has in the growing tables is looked up row by row (LATERAL … LIMIT): of a table that was small
# when it was last analysed the planner would rather read all.
_STAGED = """
WITH staged AS MATERIALIZED (
    SELECT DISTINCT ON (type_key, external_id) type_key, external_id, display_name, meta, content_hash, body_hash,
        document, document_size, list_hash, is_whole, read_references, rules_hash, staged_at,
        count(*) OVER (PARTITION BY type_key, external_id) AS times
    FROM staged_observation
    WHERE run_id = :run_id AND fetch_token = ANY (:fetch_tokens) AND body_hash IS NOT NULL
    ORDER BY type_key, external_id, staged_at DESC
),
"""

# The name and the meta are what the list has just shown, with what only the details tell.
_STAGED_WHOLE = """
WITH staged AS MATERIALIZED (
    SELECT s.type_key, s.external_id, item.display_name, item.meta || s.meta AS meta, s.content_hash, s.body_hash,
        s.document, s.document_size, s.list_hash, s.is_whole, s.read_references, s.rules_hash, s.staged_at, 1 AS times
    FROM staged_observation AS s JOIN inventory_item AS item USING (type_key, external_id)
    WHERE s.run_id = :run_id AND s.fetch_token = ANY (:fetch_tokens)
),
"""

_MERGED = f"""
before AS MATERIALIZED (
    SELECT item.type_key, item.external_id, item.version_number, item.list_hash, item.details_complete,
        item.details_read_at, item.last_seen_at, item.last_seen_run_id,
        item.content_observed_at, item.content_observed_run_id
    FROM staged CROSS JOIN LATERAL (
        SELECT * FROM inventory_item AS one
        WHERE (one.type_key, one.external_id) = (staged.type_key, staged.external_id) LIMIT 1
    ) AS item
),
merged AS (
    INSERT INTO inventory_item AS item (
        type_key, external_id, display_name, meta, content_hash, list_hash, version_number,
        details_complete, details_read_at, form,
        first_seen_at, first_seen_run_id, content_changed_at, last_seen_at, last_seen_run_id
    )
    SELECT type_key, external_id, display_name, meta, content_hash, list_hash, is_whole::int,
        is_whole, CASE WHEN is_whole AND list_hash IS NOT NULL THEN staged_at END, {FORM},
        staged_at, :run_id, staged_at, staged_at, :run_id
    FROM staged
    ORDER BY type_key, external_id
    ON CONFLICT (tenant_id, type_key, external_id) DO UPDATE SET
        display_name = excluded.display_name,
        meta = CASE
            WHEN item.meta = excluded.meta THEN item.meta
            WHEN excluded.version_number = 0 AND item.details_complete
                AND item.list_hash IS NOT DISTINCT FROM excluded.list_hash THEN item.meta || excluded.meta
            ELSE excluded.meta
        END,
        content_hash = CASE
            WHEN excluded.version_number = 1 OR item.version_number = 0 THEN excluded.content_hash
            ELSE item.content_hash
        END,
        form = CASE WHEN excluded.version_number = 1 OR item.version_number = 0 THEN excluded.form ELSE item.form END,
        list_hash = CASE WHEN excluded.version_number = 1 THEN excluded.list_hash ELSE item.list_hash END,
        details_complete = excluded.version_number = 1
            OR item.details_complete AND item.list_hash IS NOT DISTINCT FROM excluded.list_hash,
        details_read_at = CASE
            WHEN excluded.version_number = 1 THEN excluded.details_read_at
            ELSE item.details_read_at
        END,
        content_observed_at = CASE
            WHEN excluded.version_number = 1 THEN NULL
            WHEN item.details_complete AND item.list_hash IS NOT DISTINCT FROM excluded.list_hash THEN NULL
            ELSE coalesce(item.content_observed_at, item.last_seen_at)
        END,
        content_observed_run_id = CASE
            WHEN excluded.version_number = 1 THEN NULL
            WHEN item.details_complete AND item.list_hash IS NOT DISTINCT FROM excluded.list_hash THEN NULL
            ELSE coalesce(item.content_observed_run_id, item.last_seen_run_id)
        END,
        version_number = item.version_number + (
            excluded.version_number = 1 AND (item.version_number = 0 OR item.content_hash <> excluded.content_hash)
        )::int,
        content_changed_at = CASE
            WHEN excluded.version_number = 1 AND (item.version_number = 0 OR item.content_hash <> excluded.content_hash)
                THEN excluded.content_changed_at
            ELSE item.content_changed_at
        END,
        absent_from = CASE WHEN item.absent_from > excluded.last_seen_at THEN item.absent_from END,
        last_seen_at = excluded.last_seen_at,
        last_seen_run_id = excluded.last_seen_run_id
    WHERE item.last_seen_at < excluded.last_seen_at
    RETURNING type_key, external_id, content_hash, version_number, last_seen_at, display_name,
        first_seen_at = last_seen_at AS is_created,
        version_number > 0 AND content_changed_at = last_seen_at AS is_new_version
),
seen AS MATERIALIZED (
    SELECT type_key, external_id,
        staged.body_hash, staged.document, staged.document_size, staged.is_whole, staged.list_hash, staged.times,
        staged.read_references, staged.rules_hash,
        before.details_complete AS complete_before,
        before.list_hash AS list_hash_before, before.details_read_at,
        before.last_seen_at AS seen_before_at, before.last_seen_run_id AS seen_before_by,
        before.content_observed_at, before.content_observed_run_id,
        merged.content_hash, merged.version_number, merged.last_seen_at, merged.display_name, merged.is_new_version
    FROM staged FULL JOIN before USING (type_key, external_id) FULL JOIN merged USING (type_key, external_id)
),
documents AS (
    INSERT INTO document (content_hash, body, size, body_hash)
    SELECT DISTINCT ON (content_hash) content_hash, document, document_size, body_hash
    FROM seen WHERE is_new_version ORDER BY content_hash
    ON CONFLICT (tenant_id, content_hash) DO NOTHING
),
versions AS (
    INSERT INTO item_version (
        type_key, external_id, version_number, content_hash, display_name, first_observed_at, first_observed_run_id
    )
    SELECT type_key, external_id, version_number, content_hash, display_name, last_seen_at, :run_id
    FROM merged
    WHERE is_new_version
),
rules AS MATERIALIZED (
    SELECT type_key, rules_hash FROM reference_rules
    WHERE type_key = ANY (ARRAY(SELECT DISTINCT type_key FROM staged WHERE read_references IS NOT NULL))
    FOR SHARE
),
new AS MATERIALIZED (
    SELECT type_key, external_id, version_number, read_references,
        version_number = 1 AND read_references IS NOT NULL AND EXISTS (
            SELECT FROM rules WHERE (rules.type_key, rules.rules_hash) = (seen.type_key, seen.rules_hash)
        ) AS is_read
    FROM seen WHERE is_new_version
),
referring AS (
    INSERT INTO item_reference (
        type_key, external_id, position, version_number, path, role, target_type_keys, target_id, intent, policy_set_id
    )
    SELECT type_key, external_id, position, version_number, path, role, target_type_keys, target_id,
        coalesce(intent, ''), coalesce(policy_set_id, '')
    FROM new CROSS JOIN LATERAL json_to_recordset(read_references) AS one (
        position int, path text, role text, target_type_keys text[], target_id text, intent text, policy_set_id text
    )
    WHERE is_read
    ON CONFLICT (tenant_id, type_key, external_id, position) DO UPDATE SET
        version_number = excluded.version_number, path = excluded.path, role = excluded.role,
        target_type_keys = excluded.target_type_keys, target_id = excluded.target_id, intent = excluded.intent,
        policy_set_id = excluded.policy_set_id
),
unread AS (
    INSERT INTO unread_item (type_key, external_id)
    SELECT type_key, external_id FROM new WHERE NOT is_read ORDER BY type_key, external_id
    ON CONFLICT (tenant_id, type_key, external_id) DO UPDATE SET external_id = excluded.external_id
),
superseded AS (
    UPDATE item_version AS v
    SET last_observed_at = coalesce(seen.content_observed_at, seen.seen_before_at),
        last_observed_run_id = coalesce(seen.content_observed_run_id, seen.seen_before_by)
    FROM seen CROSS JOIN LATERAL (
        SELECT one.ctid AS place FROM item_version AS one
        WHERE (one.type_key, one.external_id, one.version_number)
            = (seen.type_key, seen.external_id, seen.version_number - 1) LIMIT 1
    ) AS old
    WHERE seen.is_new_version AND seen.version_number > 1
        AND v.ctid = old.place AND v.last_observed_at IS NULL
    RETURNING v.details_complete
)
"""

# Details are read again once they are older than a part of the refresh period, from one half to the whole, that
# differs from item to item: so the items that were first read together take turns. `least` passes nulls over.
_MERGE = text(f"""{_STAGED}{_MERGED},
pending AS (
    INSERT INTO pending_item AS pending (
        run_id, type_key, external_id, shard, list_hash, list_document, list_document_size, list_body_hash
    )
    SELECT :run_id, type_key, external_id, hashtext(external_id) & 15, list_hash, document, document_size, body_hash
    FROM seen LEFT JOIN unnest(
        CAST(:refresh_keys AS text[]), CAST(:refresh_periods AS interval[]), CAST(:refresh_bounds AS timestamptz[])
    ) AS refresh (type_key, period, read_before) USING (type_key)
    WHERE NOT is_whole AND (
        complete_before IS NOT TRUE
        OR list_hash_before IS DISTINCT FROM list_hash
        OR details_read_at IS NULL
        OR :deep AND details_read_at < (SELECT started_at FROM sync_run WHERE run_id = :run_id)
        OR details_read_at < least(
            refresh.read_before,
            clock_timestamp() - coalesce(refresh.period, CAST(:detail_refresh AS interval))
                * (0.5 + (hashtext(external_id) >> 16 & 65535) / 131072.0)
        )
    )
    ORDER BY type_key, external_id
    ON CONFLICT (tenant_id, run_id, type_key, external_id) DO UPDATE SET
        list_hash = excluded.list_hash, list_document = excluded.list_document,
        list_document_size = excluded.list_document_size, list_body_hash = excluded.list_body_hash,
        progress = NULL, failure = NULL
    WHERE pending.list_hash <> excluded.list_hash
),
repeated AS (
    SELECT type_key, external_id, type_key = ANY (:restarted) AS is_reread,
        times - 1 + (seen_before_by IS NOT DISTINCT FROM :run_id AND is_new_version IS NOT TRUE)::int AS times
    FROM seen
    WHERE times > 1 OR seen_before_by = :run_id AND is_new_version IS NOT TRUE
)
SELECT
    (SELECT coalesce(sum(times), 0)::int FROM staged) AS staged,
    (SELECT count(*) FROM merged WHERE is_created) AS created,
    (SELECT count(*) FROM merged WHERE is_new_version AND NOT is_created) AS changed,
    (
        SELECT coalesce(jsonb_object_agg(type_key, times), '{{}}')
        FROM (SELECT type_key, sum(times) AS times FROM repeated WHERE NOT is_reread GROUP BY type_key) AS by_type
    ) AS duplicates,
    (
        SELECT coalesce(jsonb_object_agg(type_key, times), '{{}}')
        FROM (SELECT type_key, sum(times) AS times FROM repeated WHERE is_reread GROUP BY type_key) AS by_type
    ) AS reread,
    ARRAY(
        SELECT jsonb_build_array(type_key, external_id) FROM repeated
        WHERE NOT is_reread ORDER BY type_key, external_id LIMIT :named
    ) AS duplicate_ids
""")

# A version that completes one without details shows nothing new about the tenant: it is no change.
_MERGE_WHOLE = text(f"""{_STAGED_WHOLE}{_MERGED}
SELECT
    (SELECT count(*) FROM staged) AS staged,
    (SELECT count(*) FROM superseded WHERE details_complete) AS changed
""")

_COUNT_STAGED = text("""
SELECT fetch_token, count(*) AS rows FROM staged_observation
WHERE run_id = :run_id AND fetch_token = ANY (:fetch_tokens) AND body_hash IS NOT NULL
GROUP BY fetch_token
""")

_DISCARD = text("DELETE FROM staged_observation WHERE run_id = :run_id AND fetch_token = ANY (:fetch_tokens)")


async def merge(
    session: AsyncSession,
    run_id: UUID,
    fetch_token: UUID,
    *,
    promised_rows: int,
    together_with: Mapping[UUID, int] = MappingProxyType({}),
    restarted: Sequence[str] = (),
    detail_refresh: timedelta | None = None,
    refreshes: Mapping[str, tuple[timedelta, datetime | None]] = MappingProxyType({}),
    deep: bool = False,
    same: SameItems | None = None,
) -> MergeResult:
    """Merges the rows staged under `fetch_token`, once: a later call answers what the first one did.

    It holds `promised_rows`. `together_with` are the tokens of further waves and their rows; they are always given
    together. Those of which rows are gone are named and not merged.
    `restarted` names collections whose listing began anew in this run, where an item that comes again is no repetition.
    Items whose details are to be read are left as pending: those whose list document is new, those whose details are
    older than `detail_refresh`, and with `deep` all. `refreshes` has the collections whose details are due at another
    age, each with the moment before which they were read (`detail_ages.read_before`). `same` judges items whose
    documents are of normal form 0.
    Raises `StagedRowsLostError` where rows of all of them are gone; nothing is merged then.
    """
    earlier = await claim(session, run_id, fetch_token)
    if earlier is not None:
        pairs = [tuple(pair) for pair in earlier["duplicate_ids"]]
        lost = [UUID(token) for token in earlier.get("lost", ())]
        return MergeResult(**{"reread": {}, **earlier, "duplicate_ids": pairs, "lost": lost})
    promised = {fetch_token: promised_rows, **together_with}
    lost = await _lost(session, run_id, promised) if together_with else []
    tokens = [token for token in promised if token not in lost]
    waves = {"run_id": run_id, "fetch_tokens": tokens}
    how = {
        "restarted": list(restarted),
        "named": NAMED_DUPLICATES,
        "detail_refresh": detail_refresh,
        "refresh_keys": list(refreshes),
        "refresh_periods": [period for period, _ in refreshes.values()],
        "refresh_bounds": [bound for _, bound in refreshes.values()],
        "deep": deep,
    }
    if same is not None:
        await take_over(session, run_id, tokens, same)
    row = (await session.execute(_MERGE, {**waves, **how})).one()
    if not tokens or row.staged != sum(promised[token] for token in tokens):
        raise StagedRowsLostError(f"{row.staged} of {sum(promised.values())} staged rows are there")
    seen_again = sum(row.duplicates.values()) + sum(row.reread.values())
    merged = MergeResult(
        created=row.created,
        changed=row.changed,
        unchanged=row.staged - row.created - row.changed - seen_again,
        duplicates=row.duplicates,
        reread=row.reread,
        duplicate_ids=[(type_key, external_id) for type_key, external_id in row.duplicate_ids],
        lost=lost,
    )
    await record(session, run_id, fetch_token, merged._asdict())
    await mark_merged(session, run_id, tokens)
    await session.execute(_DISCARD, waves)
    return merged


async def _lost(session: AsyncSession, run_id: UUID, promised: Mapping[UUID, int]) -> list[UUID]:
    waves = {"run_id": run_id, "fetch_tokens": list(promised)}
    staged = {row.fetch_token: row.rows for row in await session.execute(_COUNT_STAGED, waves)}
    return [token for token, rows in promised.items() if staged.get(token, 0) != rows]


async def merge_whole(
    session: AsyncSession,
    run_id: UUID,
    fetch_token: UUID,
    observations: Sequence[Observation],
    *,
    same: SameItems | None = None,
) -> int:
    """Merges whole documents of items that the run has listed; how many of them the tenant has changed.

    `same` judges items whose documents are of normal form 0.
    """
    await stage(session, run_id, fetch_token, observations, are_whole=True)
    if same is not None:
        await take_over(session, run_id, [fetch_token], same)
    wave = {"run_id": run_id, "fetch_tokens": [fetch_token]}
    changed: int = (await session.execute(_MERGE_WHOLE, wave)).one().changed
    await session.execute(_DISCARD, wave)
    return changed


async def merge_found(
    session: AsyncSession,
    run_id: UUID,
    fetch_token: UUID,
    observations: Sequence[Observation],
    *,
    same: SameItems | None = None,
) -> None:
    """Merges items that a GET by id has found: they count as unchanged, but for what the merge says has changed.

    Their details are to be read, too. `same` judges items whose documents are of normal form 0.
    """
    await stage(session, run_id, fetch_token, observations)
    merged = await merge(session, run_id, fetch_token, promised_rows=len(observations), deep=True, same=same)
    await record(session, run_id, fetch_token, {"changed": merged.changed})


async def claim(session: AsyncSession, run_id: UUID, fetch_token: UUID) -> dict[str, Any] | None:
    """Claims a wave for this transaction; what was recorded for it, where another has taken it in already."""
    wave = {"run_id": run_id, "fetch_token": fetch_token}
    await session.execute(HOLD_DOCUMENTS)
    if (await session.execute(_CLAIM, wave)).first() is not None:
        return None
    earlier: dict[str, Any] = (await session.execute(_RECORDED, wave)).scalar_one()
    return earlier


async def recorded(session: AsyncSession, run_id: UUID, fetch_token: UUID) -> dict[str, Any] | None:
    """What was recorded for a wave; None for one that has not been taken in."""
    wave = {"run_id": run_id, "fetch_token": fetch_token}
    result: dict[str, Any] | None = (await session.execute(_RECORDED, wave)).scalar_one_or_none()
    return result


async def record(session: AsyncSession, run_id: UUID, fetch_token: UUID, result: Mapping[str, Any]) -> None:
    """Records what became of a wave that this transaction has claimed."""
    values = {"run_id": run_id, "fetch_token": fetch_token, "result": orjson.dumps(result).decode()}
    await session.execute(_RECORD, values)
