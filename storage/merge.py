"""Merges staged observations of waves into items, versions and documents."""

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Any, NamedTuple, Protocol
from uuid import UUID, uuid4

import orjson
from sqlalchemy import Row, text
from sqlalchemy.ext.asyncio import AsyncSession

from inventory.bounds import SHARDS
from inventory.normal_form import FORM
from inventory.observation import Observation
from inventory.plurals import counted
from storage.details import HOLD_DOCUMENTS
from storage.first_form import FirstFormItem, take_over
from storage.listed_pages import mark_merged
from storage.new_versions import VERSIONS_AT_A_TIME, NewVersion, new_versions
from storage.raw_digests import merge_same
from storage.sql import BY_INDEX, BY_PLACE, statement
from storage.staging import stage

NAMED_DUPLICATES = 10
"""The most repeated ids that a merge names; it counts all."""


class MergeResult(NamedTuple):
    """Each staged row counts once, as `changed` if its new version tells a change.

    `duplicates` counts, by type key, unchanged rows of items that this run had merged before; `reread`, those of
    listings that began anew.
    """

    created: int
    changed: int
    unchanged: int
    duplicates: dict[str, int]
    duplicate_ids: list[tuple[str, str]]
    """(type key, external id), up to `NAMED_DUPLICATES`."""
    reread: dict[str, int]
    lost: list[UUID]
    """Tokens that are not merged, since a crash lost their staged rows."""


class DocumentComparison(Protocol):
    """Compares documents by the rules of their collections, which storage does not know."""

    async def says_the_same(self, items: Sequence[FirstFormItem]) -> Sequence[bool]:
        """Whether each stored document has the hash of Graph's current document."""

    async def are_changes(self, versions: Sequence[NewVersion]) -> Sequence[bool]:
        """Whether each version is a change of the tenant."""


class StagedRowsLostError(Exception):
    """A crash lost the staged rows of all tokens."""


class ItemsMovedError(StagedRowsLostError):
    """An item staged as unchanged has changed, or another transaction has moved its row. A second merge tells which."""


_CLAIM = text(
    "INSERT INTO merged_wave (run_id, fetch_token) VALUES (:run_id, :fetch_token) ON CONFLICT DO NOTHING"
    " RETURNING fetch_token"
)

_RECORDED = text("SELECT result FROM merged_wave WHERE run_id = :run_id AND fetch_token = :fetch_token")

_RECORD = text(
    "UPDATE merged_wave SET result = CAST(:result AS jsonb) WHERE run_id = :run_id AND fetch_token = :fetch_token"
)

_MERGE = statement("merge", by_place=BY_PLACE)

# A merge has made these versions while this one waited for it. Later observations of them are not recorded.
_OBSERVED_ONCE = text("""
UPDATE item_version AS v
SET last_observed_at = v.first_observed_at, last_observed_run_id = v.first_observed_run_id
FROM unnest(CAST(:type_keys AS text[]), CAST(:external_ids AS text[]), CAST(:numbers AS int[]))
    AS superseded (type_key, external_id, version_number)
WHERE (v.type_key, v.external_id, v.version_number)
        = (superseded.type_key, superseded.external_id, superseded.version_number)
    AND v.last_observed_at IS NULL
""")

_COUNT_STAGED = text("""
SELECT fetch_token, count(body_hash) AS read, coalesce(sum(same_items), 0)::int AS same
FROM staged_observation
WHERE run_id = :run_id AND fetch_token = ANY (:fetch_tokens)
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
    comparison: DocumentComparison | None = None,
) -> MergeResult:
    """Merges the rows staged under `fetch_token` once: a later call returns the first one's result.

    `promised_rows` is their number; `together_with`, the same in each call, maps further tokens to theirs. Tokens
    without their rows are not merged. Raises `StagedRowsLostError`.

    Repeated items of `restarted` collections are no duplicates. Items become pending if their list document is new,
    their details are older than `detail_refresh` (or their collection's of `refreshes`, see `detail_ages.read_before`),
    or with `deep`. Without `comparison` each new version is a change.
    """
    earlier = await claim(session, run_id, fetch_token)
    if earlier is not None:
        pairs = [tuple(pair) for pair in earlier["duplicate_ids"]]
        lost = [UUID(token) for token in earlier.get("lost", ())]
        return MergeResult(**{"reread": {}, **earlier, "duplicate_ids": pairs, "lost": lost})
    promised = {fetch_token: promised_rows, **together_with}
    waves = {"run_id": run_id, "fetch_tokens": list(promised)}
    staged = {row.fetch_token: row for row in await session.execute(_COUNT_STAGED, waves)}
    tokens = [token for token, rows in promised.items() if _rows(staged.get(token)) == rows]
    if not tokens:
        rows_merged = sum(map(_rows, staged.values()))
        raise StagedRowsLostError(f"only {rows_merged} of {counted(sum(promised.values()), 'staged row')} were found")
    merged = MergeResult(0, 0, 0, {}, [], {}, [token for token in promised if token not in tokens])
    if any(staged[token].same for token in tokens if token in staged):
        same = await merge_same(session, run_id, tokens, restarted=restarted, named=NAMED_DUPLICATES)
        if same.lost:
            raise ItemsMovedError(
                f"{counted(same.lost, 'unchanged item has', 'unchanged items have')} changed since the read"
            )
        merged = _with(merged, same)
    if any(staged[token].read for token in tokens if token in staged):
        row = await _merge_staged(
            session,
            run_id,
            tokens,
            comparison,
            restarted=restarted,
            detail_refresh=detail_refresh,
            refreshes=refreshes,
            deep=deep,
        )
        merged = _with(merged, row, row.created, await _changed(session, row, comparison))
    else:
        await session.execute(_DISCARD, {"run_id": run_id, "fetch_tokens": tokens})
    await record(session, run_id, fetch_token, merged._asdict())
    await mark_merged(session, run_id, tokens)
    return merged


def _rows(staged: Row[Any] | None) -> int:
    return 0 if staged is None else staged.read + staged.same


def _with(merged: MergeResult, row: Row[Any], created: int = 0, changed: int = 0) -> MergeResult:
    seen_again = sum(row.duplicates.values()) + sum(row.reread.values())
    duplicate_ids = {*merged.duplicate_ids, *((type_key, external_id) for type_key, external_id in row.duplicate_ids)}
    return merged._replace(
        created=merged.created + created,
        changed=merged.changed + changed,
        unchanged=merged.unchanged + row.staged - created - changed - seen_again,
        duplicates=dict(Counter(merged.duplicates) + Counter(row.duplicates)),
        reread=dict(Counter(merged.reread) + Counter(row.reread)),
        duplicate_ids=sorted(duplicate_ids)[:NAMED_DUPLICATES],
    )


async def merge_whole(
    session: AsyncSession,
    run_id: UUID,
    fetch_token: UUID,
    observations: Sequence[Observation],
    *,
    comparison: DocumentComparison | None = None,
) -> int:
    """Merges whole documents of listed items for a claimed wave; returns the number of changes."""
    await stage(session, run_id, fetch_token, observations, are_whole=True)
    row = await _merge_staged(session, run_id, [fetch_token], comparison, of_details=True)
    return await _changed(session, row, comparison)


async def merge_found(
    session: AsyncSession,
    run_id: UUID,
    observations: Sequence[Observation],
    *,
    comparison: DocumentComparison | None = None,
) -> None:
    """Merges items found by id, whose details become pending. Records only the number of changes."""
    fetch_token = uuid4()
    await claim(session, run_id, fetch_token)
    await stage(session, run_id, fetch_token, observations)
    row = await _merge_staged(session, run_id, [fetch_token], comparison, deep=True)
    await record(session, run_id, fetch_token, {"changed": await _changed(session, row, comparison)})


async def _changed(session: AsyncSession, row: Row[Any], comparison: DocumentComparison | None) -> int:
    changed_versions = [(type_key, external_id, number) for type_key, external_id, number, _ in row.new_versions]
    if comparison is None:
        return len(changed_versions)
    changed = 0
    for start in range(0, len(changed_versions), VERSIONS_AT_A_TIME):
        versions = await new_versions(session, changed_versions[start : start + VERSIONS_AT_A_TIME])
        changed += sum(await comparison.are_changes(versions))
    return changed


async def _merge_staged(
    session: AsyncSession,
    run_id: UUID,
    fetch_tokens: Sequence[UUID],
    comparison: DocumentComparison | None,
    *,
    of_details: bool = False,
    restarted: Sequence[str] = (),
    detail_refresh: timedelta | None = None,
    refreshes: Mapping[str, tuple[timedelta, datetime | None]] = MappingProxyType({}),
    deep: bool = False,
) -> Row[Any]:
    waves = {"run_id": run_id, "fetch_tokens": list(fetch_tokens)}
    parameters = {
        "form": FORM,
        "of_details": of_details,
        "restarted": list(restarted),
        "named": NAMED_DUPLICATES,
        "shards": SHARDS,
        "detail_refresh": detail_refresh,
        "refresh_keys": list(refreshes),
        "refresh_periods": [period for period, _ in refreshes.values()],
        "refresh_bounds": [bound for _, bound in refreshes.values()],
        "deep": deep,
    }
    if comparison is not None:
        await take_over(session, run_id, fetch_tokens, comparison.says_the_same)
    await session.execute(BY_INDEX)
    row = (await session.execute(_MERGE, {**waves, **parameters})).one()
    if unseen := [new_version for new_version in row.new_versions if new_version[-1]]:
        type_keys, external_ids, numbers, _ = map(list, zip(*unseen, strict=True))
        before = {"type_keys": type_keys, "external_ids": external_ids, "numbers": [number - 1 for number in numbers]}
        await session.execute(_OBSERVED_ONCE, before)
    await session.execute(_DISCARD, waves)
    return row


async def claim(session: AsyncSession, run_id: UUID, fetch_token: UUID) -> dict[str, Any] | None:
    """Claims a wave for this transaction; returns the result of an earlier merge, if any."""
    wave = {"run_id": run_id, "fetch_token": fetch_token}
    await session.execute(HOLD_DOCUMENTS)
    if (await session.execute(_CLAIM, wave)).first() is not None:
        return None
    earlier: dict[str, Any] = (await session.execute(_RECORDED, wave)).scalar_one()
    return earlier


async def recorded(session: AsyncSession, run_id: UUID, fetch_token: UUID) -> dict[str, Any] | None:
    """None if the wave is not merged."""
    wave = {"run_id": run_id, "fetch_token": fetch_token}
    result: dict[str, Any] | None = (await session.execute(_RECORDED, wave)).scalar_one_or_none()
    return result


async def record(session: AsyncSession, run_id: UUID, fetch_token: UUID, result: Mapping[str, Any]) -> None:
    """Records the result of a claimed wave."""
    values = {"run_id": run_id, "fetch_token": fetch_token, "result": orjson.dumps(result).decode()}
    await session.execute(_RECORD, values)
