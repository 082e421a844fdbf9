"""Makes and lists decisions."""

from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from answers.drift import decision_queries, queries
from answers.drift.answer import decision_of, drift
from answers.drift.baselines import baseline_called
from answers.drift.decision_queries import ItemWithFindings, StoredDecision
from answers.drift.decision_scope import DecisionScope
from answers.drift.queries import KnownFinding
from answers.drift.records import DecisionState, DriftDecisionRecord, DriftFindingRecord
from answers.drift.rules import Decision, NewDecision
from answers.ids import named
from answers.times import utc_text
from graph.catalog import kind_of
from inventory.bounds import NAMED
from inventory.user_errors import UserError
from storage.documents import database_time


class UnknownFindingError(UserError):
    """The text names no finding or item, or several."""


class DecisionOverError(UserError):
    """The decision's end is past."""


async def decide(session: AsyncSession, tenant_id: UUID, beginning: str, new: NewDecision) -> DriftFindingRecord:
    """Decides about the one unresolved finding whose fingerprint begins with `beginning`.

    Raises `UnknownFindingError`, and `DecisionOverError` unless `until` is in the future.
    """
    await _refuse_over(session, new.until)
    known = await _finding(session, beginning)
    fingerprint = known.finding.fingerprint
    await decision_queries.decide(session, [fingerprint], new)
    found = await drift(session, tenant_id, known.baseline, [known.finding.type_key])
    return next(
        finding for finding in found.findings if (finding.fingerprint, finding.period) == (fingerprint, known.period)
    )


async def decide_findings(session: AsyncSession, fingerprints: Sequence[str], new: NewDecision) -> None:
    """Decides about the present values of unresolved findings.

    Raises `UnknownFindingError` if all are resolved, and `DecisionOverError` unless `until` is in the future.
    """
    await _refuse_over(session, new.until)
    if not await decision_queries.decide(session, fingerprints, new):
        raise UnknownFindingError("none of these findings deviates any more")


async def _refuse_over(session: AsyncSession, until: datetime | None) -> None:
    if until is not None and until <= await database_time(session):
        raise DecisionOverError(f"a decision that ends at {utc_text(until)} is over already")


async def decide_scope(
    session: AsyncSession, tenant_id: UUID, scope: DecisionScope, new: NewDecision
) -> DriftDecisionRecord:
    """Decides about present and later deviations in a scope. Raises `DecisionOverError` and `UnknownBaselineError`."""
    await _refuse_over(session, new.until)
    if scope.baseline is not None:
        await baseline_called(session, scope.baseline)
    fingerprint = scope.fingerprint(tenant_id)
    await decision_queries.decide_scope(session, fingerprint, scope, new)
    found = await decisions(session, tenant_id, with_earlier=True)
    return next(record for record in found if record.decision_id == fingerprint)


async def decided_scope(session: AsyncSession, beginning: str) -> DecisionScope | None:
    """The scope whose decision has an id that begins with `beginning`, or None.

    Raises `UnknownFindingError` if several ids, or also a finding's fingerprint, begin so.
    """
    found = await decision_queries.scopes_beginning(session, beginning.lower(), 2)
    if not found:
        return None
    if len(found) > 1 or await queries.findings_beginning(session, beginning.lower(), 1):
        raise UnknownFindingError(f"several findings and decisions begin with {beginning!r}; give more of it")
    return found[0].scope


async def item_with_findings(session: AsyncSession, sought: str, type_key: str | None) -> ItemWithFindings:
    """The one item with findings that has this name or id's beginning. Raises `UnknownFindingError`."""
    found = await decision_queries.items_with_findings(session, sought, type_key, NAMED + 1)
    exact = [item for item in found if sought in (item.external_id, item.display_name)] or found
    if len(exact) == 1:
        return exact[0]
    if exact:
        items = named([f"{item.type_key} {item.external_id}" for item in exact])
        raise UnknownFindingError(f"several items with findings are {sought!r}; give --type KEY or an id: {items}")
    raise UnknownFindingError(
        f"no item with findings has the name {sought!r} or an id that begins with it; python starter.py drift TENANT"
        " lists them"
    )


async def decisions(session: AsyncSession, tenant_id: UUID, *, with_earlier: bool = False) -> list[DriftDecisionRecord]:
    """The latest decision about each subject unless it was taken back, or `with_earlier` all; latest first."""
    now = await database_time(session)
    scoped = await decision_queries.scope_decisions(session)
    covered = Counter[str]()
    for known in await queries.unresolved_findings(session):
        in_force = decision_of(known, scoped, now)
        if in_force.current.decision is not Decision.OPEN:
            covered[known.finding.fingerprint if in_force.by is None else in_force.by.fingerprint] += 1
    return [
        _decision_record(tenant_id, stored, now, covered[stored.fingerprint] if stored.is_latest else 0)
        for stored in await decision_queries.all_decisions(session)
        if with_earlier or (stored.is_latest and stored.decision is not Decision.OPEN)
    ]


def _item_kind(stored: StoredDecision) -> str | None:
    if stored.finding is not None:
        return stored.finding.item_kind
    type_key = None if stored.scope is None else stored.scope.type_key
    return None if type_key is None else kind_of(type_key, stored.meta or {})


def _decision_record(tenant_id: UUID, stored: StoredDecision, now: datetime, covers: int) -> DriftDecisionRecord:
    scope, finding = stored.scope, stored.finding
    if scope is None and finding is not None:
        scope = DecisionScope(
            baseline=finding.baseline,
            type_key=finding.type_key,
            external_id=finding.external_id,
            field=finding.path or None,
        )
    return DriftDecisionRecord(
        **{**stored._asdict(), "scope": scope},
        tenant_id=tenant_id,
        decision_id=stored.fingerprint,
        is_of_finding=stored.value_hash is not None,
        item_kind=_item_kind(stored),
        state=_decision_state(stored, now),
        covers=covers,
    )


def _decision_state(stored: StoredDecision, now: datetime) -> DecisionState:
    if not stored.is_latest:
        return DecisionState.REPLACED
    if stored.decision is Decision.OPEN:
        return DecisionState.REVOKED
    if stored.value_hash is not None:
        if stored.finding is None or stored.finding.resolved_at is not None:
            return DecisionState.NO_FINDING
        if stored.finding.value_hash != stored.value_hash:
            return DecisionState.VALUE_CHANGED
    if stored.until is not None and now >= stored.until:
        return DecisionState.EXPIRED
    return DecisionState.HOLDS


async def _finding(session: AsyncSession, beginning: str) -> KnownFinding:
    found = await queries.findings_beginning(session, beginning.lower(), 2)
    if len(found) == 1:
        return found[0]
    if found:
        raise UnknownFindingError(f"several findings of this tenant begin with {beginning!r}; give more of it")
    raise UnknownFindingError(
        f"this tenant has no open finding that begins with {beginning!r}; python starter.py drift TENANT lists them"
    )
