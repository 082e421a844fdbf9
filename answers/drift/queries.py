"""Queries of candidates and findings."""

from collections.abc import AsyncIterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple
from uuid import UUID

import orjson
from sqlalchemy import or_, select, text
from sqlalchemy.ext.asyncio import AsyncSession

from answers.drift.baseline_queries import pinned_by
from answers.drift.records import BaselineDrift
from answers.drift.rules import Decision, DriftDocument, FindingKind
from answers.drift.tables import DriftFinding
from inventory.severity import Severity
from inventory.stale import Staleness
from storage.bodies import BODY, DOCUMENTS_AT_A_TIME, Documents
from storage.models.base import among, table, using
from storage.models.items import InventoryItem, ItemVersion, ItemVersionPin
from storage.new_versions import NewVersion, new_versions
from storage.rows import Values, fetch, fetch_stream
from storage.sql import statement

_FINDING, _PIN, _ITEM = table(DriftFinding), table(ItemVersionPin), table(InventoryItem)
_VERSION = table(ItemVersion)


class Candidate(NamedTuple):
    """An item that is missing, added, or has another document than in the baseline.

    `pinned_version` is 0 if the baseline lacks the item. `since` is the time of that change, `last_seen_at` of its last
    observation. `is_damaged`: a damaged document hides the deviations.
    """

    type_key: str
    external_id: str
    display_name: str | None
    meta: dict[str, Any]
    pinned_version: int
    version: int
    is_absent: bool
    before: DriftDocument | None
    after: DriftDocument | None
    since: datetime
    came_back_at: datetime | None
    last_seen_at: datetime
    evidence: str
    is_damaged: bool


class EarlierVersion(NamedTuple):
    """A version between the baseline's and the current one."""

    version: int
    observed_at: datetime
    document: DriftDocument


class Finding(NamedTuple):
    """`before` and `after` are canonical JSON, None if hidden or absent."""

    fingerprint: str
    type_key: str
    external_id: str
    display_name: str | None
    item_kind: str
    path: str
    kind: FindingKind
    before: str | None
    after: str | None
    hidden: bool
    value_hash: bytes
    severity: Severity
    evidence: str
    first_seen_at: datetime
    last_seen_at: datetime


class FoundValue(NamedTuple):
    """`last_seen_at`: when the item was last seen to deviate."""

    value_hash: bytes
    last_seen_at: datetime


class LatestDecision(NamedTuple):
    decision: Decision
    value_hash: bytes
    decided_by: str
    decided_at: datetime
    reason: str
    until: datetime | None


class KnownFinding(NamedTuple):
    """`is_readable`: the item's present content at the finding's path is known."""

    baseline: str
    finding: Finding
    period: int
    resolved_at: datetime | None
    is_readable: bool
    decided: LatestDecision | None


class ItemWithoutDetails(NamedTuple):
    """`lags`: the listing shows a change that no version has yet."""

    type_key: str
    external_id: str
    display_name: str | None
    meta: dict[str, Any]
    lags: bool
    stale: Staleness | None


_CANDIDATES = statement("candidates", Path(__file__).parent, body=BODY)

_EARLIER = text(f"""
SELECT version_number, first_observed_at, details_complete, {BODY}
FROM item_version JOIN document USING (tenant_id, content_hash)
WHERE (type_key, external_id) = (:type_key, :external_id) AND version_number > :after AND version_number < :before
ORDER BY version_number DESC
""")

_RECORD = text("""
INSERT INTO drift_finding AS f (
    fingerprint, period, baseline, type_key, external_id, display_name, item_kind, path, kind, before, after, hidden,
    value_hash, severity, evidence, first_seen_at, last_seen_at
)
SELECT fingerprint,
    1 + (SELECT count(*) FROM drift_finding AS past
        WHERE past.fingerprint = found.fingerprint AND past.resolved_at IS NOT NULL),
    :baseline, type_key, external_id, display_name, item_kind, path, kind, before, after, hidden,
    decode(value_hash, 'hex'), severity, evidence, first_seen_at, last_seen_at
FROM jsonb_to_recordset(CAST(:findings AS jsonb)) AS found (
    fingerprint text, type_key text, external_id text, display_name text, item_kind text, path text, kind text,
    before text, after text, hidden boolean, value_hash text, severity text, evidence text, first_seen_at timestamptz,
    last_seen_at timestamptz
)
ORDER BY fingerprint
ON CONFLICT (tenant_id, fingerprint) WHERE resolved_at IS NULL DO UPDATE SET
    display_name = excluded.display_name, item_kind = excluded.item_kind, kind = excluded.kind,
    before = excluded.before, after = excluded.after, hidden = excluded.hidden, value_hash = excluded.value_hash,
    severity = excluded.severity, evidence = excluded.evidence, last_seen_at = excluded.last_seen_at
WHERE (f.display_name, f.item_kind, f.kind, f.before, f.after, f.hidden, f.value_hash, f.severity, f.evidence,
        f.last_seen_at)
    IS DISTINCT FROM (excluded.display_name, excluded.item_kind, excluded.kind, excluded.before, excluded.after,
        excluded.hidden, excluded.value_hash, excluded.severity, excluded.evidence, excluded.last_seen_at)
""")

_IS_READABLE = """
f.path = '' OR NOT EXISTS (
    SELECT FROM inventory_item AS item WHERE (item.type_key, item.external_id) = (f.type_key, f.external_id)
        AND item.absent_from IS NULL AND (item.content_observed_at IS NOT NULL OR EXISTS (
            SELECT FROM jsonb_array_elements(item.stale_parts) AS part
            WHERE starts_with(f.path, coalesce(part ->> 'detail', ''))
                AND strpos(f.path, coalesce('.' || (part ->> 'member_detail'), '')) > 0
        ))
)
"""

_RESOLVE = text(f"""
UPDATE drift_finding AS f SET resolved_at = clock_timestamp()
WHERE baseline = :baseline AND resolved_at IS NULL AND type_key = ANY (:type_keys)
    AND NOT EXISTS (SELECT FROM unnest(CAST(:found AS text[])) AS one WHERE one = fingerprint)
    AND ({_IS_READABLE})
""")

_FINDINGS = f"""
SELECT f.baseline, {", ".join(f'f.{name} AS "finding.{name}"' for name in Finding._fields)}, f.period, f.resolved_at,
    ({_IS_READABLE}) AS is_readable, {", ".join(f'd.{name} AS "decided.{name}"' for name in LatestDecision._fields)}
FROM drift_finding AS f LEFT JOIN LATERAL (
    SELECT * FROM drift_decision AS one WHERE one.fingerprint = f.fingerprint ORDER BY number DESC LIMIT 1
) AS d ON true
"""

_OF_BASELINE = text(f"""{_FINDINGS}
WHERE baseline = :baseline AND (CAST(:type_keys AS text[]) IS NULL OR type_key = ANY (CAST(:type_keys AS text[])))
ORDER BY array_position(ARRAY['high', 'medium', 'low'], severity), type_key, display_name, external_id, path, kind,
    f.fingerprint, period
""")

_UNRESOLVED = text(f"{_FINDINGS} WHERE resolved_at IS NULL")

_OF_ITEM = text(f"""{_FINDINGS}
WHERE baseline IN (SELECT name FROM baseline) AND (type_key, external_id) = (:type_key, :external_id)
    AND resolved_at IS NULL
ORDER BY f.baseline, f.fingerprint
""")

_NAMED = text(f"{_FINDINGS} WHERE f.fingerprint = ANY (:fingerprints) AND resolved_at IS NULL")

# `scoped`: decisions in force about items and fields.
# `counted`: unresolved findings, with or without a decision in force.
_IN_NUMBERS = text("""
WITH scoped AS MATERIALIZED (
    SELECT * FROM (
        SELECT DISTINCT ON (tenant_id, fingerprint) * FROM drift_decision
        WHERE value_hash IS NULL AND tenant_id = ANY (:tenant_ids)
        ORDER BY tenant_id, fingerprint, number DESC
    ) AS latest
    WHERE decision <> 'open' AND coalesce(until > clock_timestamp(), true)
),
counted AS (
    SELECT tenant_id, baseline, count(*) FILTER (WHERE is_closed) AS closed,
        count(*) FILTER (WHERE NOT is_closed AND severity = 'high') AS high,
        count(*) FILTER (WHERE NOT is_closed AND severity = 'medium') AS medium,
        count(*) FILTER (WHERE NOT is_closed AND severity = 'low') AS low
    FROM (
        SELECT finding.tenant_id, finding.baseline, finding.severity, coalesce((
            SELECT decision <> 'open' AND value_hash = finding.value_hash AND coalesce(until > clock_timestamp(), true)
            FROM drift_decision AS decided
            WHERE (decided.tenant_id, decided.fingerprint) = (finding.tenant_id, finding.fingerprint)
            ORDER BY number DESC LIMIT 1
        ), false) OR EXISTS (
            SELECT FROM scoped WHERE scoped.tenant_id = finding.tenant_id
                AND coalesce(scoped.scope_baseline = finding.baseline, true)
                AND coalesce(scoped.scope_type_key = finding.type_key, true)
                AND coalesce(scoped.scope_external_id = finding.external_id, true)
                AND coalesce(finding.path ~ ('^(?:' || scoped.scope_expression || ')$'), true)
        ) AS is_closed
        FROM drift_finding AS finding
        WHERE finding.resolved_at IS NULL AND finding.tenant_id = ANY (:tenant_ids)
    ) AS finding
    GROUP BY tenant_id, baseline
)
SELECT b.tenant_id, b.name AS baseline, b.kind, b.at, b.other_tenant_id, b.evaluated_at,
    b.evaluated_at IS NULL OR EXISTS (
        SELECT FROM sync_run AS run
        WHERE run.tenant_id IN (b.tenant_id, b.other_tenant_id) AND run.finished_at > b.evaluated_at
    ) AS is_behind,
    coalesce(counted.high, 0) AS high, coalesce(counted.medium, 0) AS medium, coalesce(counted.low, 0) AS low,
    coalesce(counted.closed, 0) AS closed
FROM baseline AS b LEFT JOIN counted ON (counted.tenant_id, counted.baseline) = (b.tenant_id, b.name)
WHERE b.tenant_id = ANY (:tenant_ids)
""")

_BEGINNING = text(f"""{_FINDINGS}
WHERE starts_with(f.fingerprint, :prefix) AND resolved_at IS NULL
ORDER BY f.fingerprint LIMIT :most
""")


async def candidates(
    session: AsyncSession, baseline: str, type_keys: Sequence[str], read: Documents
) -> AsyncIterator[Candidate]:
    """Sorted by type key and id."""
    parameters = {"baseline": baseline, "pinned_by": pinned_by(baseline), "type_keys": list(type_keys)}
    async for candidate in fetch_stream(
        session,
        _CANDIDATES,
        Candidate,
        parameters,
        rows_at_a_time=DOCUMENTS_AT_A_TIME,
        shape=lambda row: _with_documents(row, read),
    ):
        yield candidate


def _with_documents(row: Values, read: Documents) -> Values:
    """Reads a row's documents. An absent item deviates even if the baseline's document is damaged."""
    item = row["type_key"], row["external_id"]
    body_before, body_now = row.pop("body_before"), row.pop("body_now")
    before = read.of(body_before, row.pop("hash_before"), *item, row["pinned_version"])
    now = read.of(body_now, row.pop("hash_now"), *item, row["version"])
    whole_before, whole_now = row.pop("whole_before"), row.pop("whole_now")
    sorted_before, sorted_now = row.pop("sorted_before"), row.pop("sorted_now")
    return {
        **row,
        "before": _document(before, whole_before, sorted_before),
        "after": _document(now, whole_now, sorted_now),
        "is_damaged": not row["is_absent"]
        and ((body_before is not None and before is None) or (body_now is not None and now is None)),
    }


async def versions_between(session: AsyncSession, candidate: Candidate, read: Documents) -> list[EarlierVersion]:
    """Newest first, without damaged versions."""
    named = {
        "type_key": candidate.type_key,
        "external_id": candidate.external_id,
        "after": candidate.pinned_version,
        "before": candidate.version,
    }
    rows = await session.execute(_EARLIER, named)
    found = []
    for row in rows:
        document = read.of(row.body, row.body_hash, candidate.type_key, candidate.external_id, row.version_number)
        if document is not None:
            found.append(
                EarlierVersion(
                    row.version_number,
                    row.first_observed_at,
                    DriftDocument(document, row.details_complete, row.is_sorted),
                )
            )
    return found


async def versions_since(session: AsyncSession, candidate: Candidate, at: datetime) -> list[NewVersion]:
    """The item's stored versions first observed after `at`, each with its predecessor."""
    item = (_VERSION.c.type_key == candidate.type_key, _VERSION.c.external_id == candidate.external_id)
    later = select(_VERSION.c.version_number).where(*item, _VERSION.c.first_observed_at > at)
    numbers = (await session.execute(later)).scalars()
    return await new_versions(session, [(candidate.type_key, candidate.external_id, number) for number in numbers])


async def open_values(session: AsyncSession, baseline: str) -> dict[str, FoundValue]:
    """Values of unresolved findings, by fingerprint."""
    columns = _FINDING.c["fingerprint", "value_hash", "last_seen_at"]
    unresolved = (_FINDING.c.baseline == baseline, _FINDING.c.resolved_at.is_(None))
    return {
        row.fingerprint: FoundValue(row.value_hash, row.last_seen_at)
        for row in await session.execute(select(*columns).where(*unresolved))
    }


async def record_findings(session: AsyncSession, baseline: str, findings: Sequence[Finding]) -> None:
    rows = [{**finding._asdict(), "value_hash": finding.value_hash.hex()} for finding in findings]
    await session.execute(_RECORD, {"baseline": baseline, "findings": orjson.dumps(rows).decode()})


async def resolve_others(
    session: AsyncSession, baseline: str, type_keys: Sequence[str], finding_keys: Sequence[str]
) -> None:
    """Resolves findings that were not found again, if their items' content is known."""
    await session.execute(_RESOLVE, {"baseline": baseline, "type_keys": list(type_keys), "found": list(finding_keys)})


async def details_not_read(session: AsyncSession, baseline: str, type_keys: Sequence[str]) -> list[ItemWithoutDetails]:
    """The baseline's items whose present content is not wholly known."""
    pinned = (
        select(
            *_ITEM.c["type_key", "external_id", "display_name", "meta"],
            _ITEM.c.content_observed_at.is_not(None).label("lags"),
            _ITEM.c.stale_since.label("stale.since"),
            _ITEM.c.stale_parts.label("stale.parts"),
        )
        .join_from(_PIN, _ITEM, using(_PIN, _ITEM, "tenant_id", "type_key", "external_id"))
        .where(
            _PIN.c.pinned_by == pinned_by(baseline),
            among(_PIN.c.type_key, type_keys),
            _ITEM.c.absent_from.is_(None),
            or_(_ITEM.c.content_observed_at.is_not(None), _ITEM.c.stale_since.is_not(None)),
        )
        .order_by(_ITEM.c.type_key, _ITEM.c.external_id)
    )
    return await fetch(session, pinned, ItemWithoutDetails)


async def findings_of(
    session: AsyncSession, baseline: str, type_keys: Sequence[str] | None = None
) -> list[KnownFinding]:
    """One finding for each period, most severe first."""
    named = {"baseline": baseline, "type_keys": None if type_keys is None else list(type_keys)}
    return await fetch(session, _OF_BASELINE, KnownFinding, named)


async def unresolved_findings(session: AsyncSession) -> list[KnownFinding]:
    return await fetch(session, _UNRESOLVED, KnownFinding)


async def findings_of_item(session: AsyncSession, type_key: str, external_id: str) -> list[KnownFinding]:
    return await fetch(session, _OF_ITEM, KnownFinding, {"type_key": type_key, "external_id": external_id})


async def findings_named(session: AsyncSession, fingerprints: Sequence[str]) -> list[KnownFinding]:
    """Unresolved findings, unordered."""
    return await fetch(session, _NAMED, KnownFinding, {"fingerprints": list(fingerprints)})


async def drift_in_numbers(session: AsyncSession, tenant_ids: Sequence[UUID]) -> list[BaselineDrift]:
    """Needs a portfolio session."""
    return await fetch(session, _IN_NUMBERS, BaselineDrift, {"tenant_ids": list(tenant_ids)})


async def findings_beginning(session: AsyncSession, prefix: str, most: int) -> list[KnownFinding]:
    """Unresolved findings, up to `most`."""
    return await fetch(session, _BEGINNING, KnownFinding, {"prefix": prefix, "most": most})


def _document(document: bytes | None, is_whole: bool | None, is_sorted: bool | None) -> DriftDocument | None:
    return None if document is None else DriftDocument(document, is_whole is not False, is_sorted is True)
