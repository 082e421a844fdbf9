"""Queries of decisions."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from answers.drift.decision_scope import DecisionScope, ScopeDecision, field_expression
from answers.drift.rules import Decision, NewDecision
from storage.rows import fetch


class ItemWithFindings(NamedTuple):
    type_key: str
    external_id: str
    display_name: str | None


class DecidedFinding(NamedTuple):
    baseline: str
    type_key: str
    external_id: str
    item_kind: str
    path: str
    value_hash: bytes
    resolved_at: datetime | None


class StoredDecision(NamedTuple):
    """A decision about a scope or a finding; both are None if the finding's baseline was dropped. `meta` is that of the
    scope's item, None without one.
    """

    fingerprint: str
    is_latest: bool
    scope: DecisionScope | None
    finding: DecidedFinding | None
    display_name: str | None
    meta: dict[str, Any] | None
    decision: Decision
    value_hash: bytes | None
    decided_by: str
    decided_at: datetime
    reason: str
    until: datetime | None


_SCOPE_COLUMNS = ", ".join(f'scope_{name} AS "scope.{name}"' for name in DecisionScope.model_fields)

_OF_SCOPES = text(f"""
SELECT DISTINCT ON (fingerprint) fingerprint, {_SCOPE_COLUMNS}, decision, decided_by, decided_at, reason, until
FROM drift_decision WHERE value_hash IS NULL
ORDER BY fingerprint, number DESC
""")

# A finding's decision comes with the finding's latest period, which goes when its baseline is dropped.
_DECISIONS = text(f"""
SELECT d.fingerprint, d.number = max(d.number) OVER (PARTITION BY d.fingerprint) AS is_latest,
    {", ".join(f'd.scope_{name} AS "scope.{name}"' for name in DecisionScope.model_fields)},
    {", ".join(f'f.{name} AS "finding.{name}"' for name in DecidedFinding._fields)},
    d.decision, d.value_hash, d.decided_by, d.decided_at, d.reason, d.until,
    coalesce(f.display_name, item.display_name) AS display_name, item.meta
FROM drift_decision AS d LEFT JOIN LATERAL (
    SELECT * FROM drift_finding AS one WHERE one.fingerprint = d.fingerprint ORDER BY period DESC LIMIT 1
) AS f ON true
LEFT JOIN inventory_item AS item ON (item.type_key, item.external_id) = (d.scope_type_key, d.scope_external_id)
ORDER BY d.decided_at DESC, d.fingerprint, d.number DESC
""")

_SCOPES_BEGINNING = text(f"""
SELECT DISTINCT ON (fingerprint) fingerprint, {_SCOPE_COLUMNS}, decision, decided_by, decided_at, reason, until
FROM drift_decision WHERE value_hash IS NULL AND starts_with(fingerprint, :prefix)
ORDER BY fingerprint, number DESC LIMIT :most
""")

_ITEMS_WITH_FINDINGS = text("""
SELECT DISTINCT ON (type_key, external_id) type_key, external_id, display_name
FROM drift_finding
WHERE (CAST(:type_key AS text) IS NULL OR type_key = :type_key)
    AND (display_name = :sought OR external_id = :sought OR starts_with(external_id, lower(:sought)))
ORDER BY type_key, external_id, (resolved_at IS NULL) DESC, last_seen_at DESC LIMIT :most
""")

_DECIDE_SCOPE = text("""
INSERT INTO drift_decision (fingerprint, number, decision, decided_by, reason, until, scope_baseline, scope_type_key,
    scope_external_id, scope_field, scope_expression)
SELECT :fingerprint, 1 + (SELECT count(*) FROM drift_decision AS past WHERE past.fingerprint = :fingerprint),
    :decision, :decided_by, :reason, :until, :baseline, :type_key, :external_id, :field, :expression
""")

_DECIDE = text("""
INSERT INTO drift_decision (fingerprint, number, decision, value_hash, decided_by, reason, until)
SELECT fingerprint,
    1 + (SELECT count(*) FROM drift_decision AS past WHERE past.fingerprint = f.fingerprint),
    :decision, value_hash, :decided_by, :reason, :until
FROM drift_finding AS f WHERE fingerprint = ANY (:fingerprints) AND resolved_at IS NULL
RETURNING fingerprint
""")


async def decide(session: AsyncSession, fingerprints: Sequence[str], new: NewDecision) -> list[str]:
    """Stores the decision about each unresolved finding and its present value; returns their fingerprints."""
    values = {"fingerprints": list(fingerprints), **new._asdict()}
    return list((await session.execute(_DECIDE, values)).scalars())


async def scope_decisions(session: AsyncSession) -> list[ScopeDecision]:
    """The latest decision about each scope."""
    return await fetch(session, _OF_SCOPES, ScopeDecision)


async def scopes_beginning(session: AsyncSession, prefix: str, most: int) -> list[ScopeDecision]:
    """The latest decisions about up to `most` scopes whose fingerprints begin with `prefix`."""
    return await fetch(session, _SCOPES_BEGINNING, ScopeDecision, {"prefix": prefix, "most": most})


async def all_decisions(session: AsyncSession) -> list[StoredDecision]:
    """Latest first."""
    return await fetch(session, _DECISIONS, StoredDecision)


async def items_with_findings(
    session: AsyncSession, sought: str, type_key: str | None, most: int
) -> list[ItemWithFindings]:
    """Items that ever had findings, whose name is `sought` or whose id begins with it."""
    values = {"sought": sought, "type_key": type_key, "most": most}
    return await fetch(session, _ITEMS_WITH_FINDINGS, ItemWithFindings, values)


async def decide_scope(session: AsyncSession, fingerprint: str, scope: DecisionScope, new: NewDecision) -> None:
    expression = None if scope.field is None else field_expression(scope.field)
    values = {**scope.model_dump(), **new._asdict(), "fingerprint": fingerprint, "expression": expression}
    await session.execute(_DECIDE_SCOPE, values)
