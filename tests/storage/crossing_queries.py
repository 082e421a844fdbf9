"""Calls of every function of `storage/` and the answers that takes a session, for another tenant's rows."""

from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta
from uuid import uuid4

from sqlalchemy.ext.asyncio import AsyncSession

from answers.changes import audit_queries as auditing
from answers.dependencies import queries as dependencies
from answers.drift import baseline_queries as baselines
from answers.drift import decision_queries as decisions
from answers.drift import queries as drift
from answers.notifications import queries as notification_queries
from inventory.missing import RunCoverage
from inventory.outcomes import RunStatus
from storage import confirmations as confirming
from storage import (
    coverage,
    details,
    documents,
    notifications,
    portfolio,
    queries,
    recorded_runs,
    references,
    runs,
    versions,
)
from storage import merge as merging
from storage import object_names as names
from storage import request_pace as pacing
from tests.storage.support import LEASE
from tests.storage.tenant_rows import MINE, PORTFOLIO, RULES, THEIRS

Queries = dict[str, Callable[[], Awaitable[object]]]


def crossing_queries(session: AsyncSession, theirs: runs.RunIdentity) -> Queries:
    """For each such function, a call that asks for the other tenant's rows."""
    return {**_run_queries(session, theirs), **_item_queries(session, theirs), **_answer_queries(session, theirs)}


def _run_queries(session: AsyncSession, theirs: runs.RunIdentity) -> Queries:
    their_hash = theirs.selection.hash()

    async def resolved() -> object:
        try:
            return await recorded_runs.resolve_selection_hash(session, their_hash)
        except recorded_runs.UnknownSelectionError:
            return None

    return {
        "run_record": lambda: queries.run_record(session, theirs.run_id),
        "recent_runs": lambda: queries.recent_runs(session, 100),
        "question": lambda: queries.question(session, their_hash),
        "resolve_selection_hash": resolved,
        "expired_runs": lambda: runs.expired_runs(session, 100),
        "close_abandoned": lambda: runs.close_abandoned(session, theirs.run_id),
        "count_unlisted": lambda: confirming.count_unlisted(session, theirs.run_id, ["a"]),
        "some_unlisted": lambda: confirming.some_unlisted(session, theirs.run_id, ["a"], 10),
        "take_turn": lambda: _waited(pacing.take_turn(session, "apps", None)),
        "count_pending": lambda: details.count_pending(session, theirs.run_id, ["a"]),
        "some_pending": lambda: details.some_pending(session, theirs.run_id, [details.Share("a")], 10),
        "left": lambda: details.left(session, theirs.run_id, [details.Share("a")]),
        "recorded": lambda: merging.recorded(session, theirs.run_id, uuid4()),
        "ended_runs": lambda: portfolio.ended_runs(session, [theirs.run_id]),
        "portfolio_record": lambda: portfolio.portfolio_record(session, PORTFOLIO.portfolio_run_id),
        "ids_between": lambda: portfolio.ids_between(
            session, PORTFOLIO.portfolio_run_id, PORTFOLIO.portfolio_run_id, 10
        ),
        "run_ids_between": lambda: recorded_runs.run_ids_between(session, theirs.run_id, theirs.run_id, 10),
        "with_record": lambda: recorded_runs.with_record(session, [theirs.run_id]),
        "recent_portfolio_runs": lambda: portfolio.recent_portfolio_runs(session, 100),
        "renew_lease": lambda: runs.renew_lease(session, theirs.run_id, LEASE),
    }


def _item_queries(session: AsyncSession, theirs: runs.RunIdentity) -> Queries:
    async def covered() -> object:
        return (await coverage.coverage_of_tenants(session, [THEIRS]))[THEIRS]

    run = RunCoverage(RunStatus.SUCCESS, datetime.max.replace(tzinfo=UTC), has_errors=False)
    basis = queries.CollectionBasis(theirs.run_id, run, None)
    question = queries.Question(None, dict.fromkeys(theirs.selection.type_keys, basis))
    return {
        "count_unread": lambda: references.count_unread(session, RULES),
        "read_some": lambda: references.read_some(session, RULES),
        "coverage_of_tenants": covered,
        "active_snoozes": lambda: notifications.active_snoozes(session),
        "pending_targets": lambda: notifications.pending_targets(session),
        "next_attempt": lambda: notifications.next_attempt(session, "ops"),
        "claim": lambda: notifications.claim(session, "ops", LEASE),
        "items": lambda: _all_of(queries.items(session, None)),
        "missing_items": lambda: _all_of(queries.missing_items(session, question)),
        "item": lambda: queries.item(session, "a", "1"),
        "history": lambda: versions.history(session, "a", "1"),
        "find": lambda: documents.find(session, "a", "1", 10),
        "some_items": lambda: documents.some_items(session, "a"),
        "document": lambda: documents.document(session, "a", "1", 1),
        "items_at": lambda: _all_of(documents.items_at(session, datetime.max.replace(tzinfo=UTC))),
        "was_read": lambda: documents.was_read(session, datetime.max.replace(tzinfo=UTC), ["b"]),
        "collections_not_read": lambda: queries.collections_not_read(session, question),
        "types_not_read": lambda: documents.types_not_read(session, datetime.max.replace(tzinfo=UTC)),
        "pin": lambda: versions.pin(session, "a", "1", 1, "me", None),
        "unpin": lambda: versions.unpin(session, "a", "1", 1, "the test"),
        "forget": lambda: _forgotten(versions.forget(session, older_than=timedelta(0), kept=0, most=10)),
        "coverage": lambda: coverage.coverage(session),
        "display_names": lambda: names.display_names(session, [("a", "1")]),
    }


def _answer_queries(session: AsyncSession, theirs: runs.RunIdentity) -> Queries:
    return {
        "of_items": lambda: dependencies.of_items(session, [("b", "7")], 10),
        "to_items": lambda: dependencies.to_items(session, [("a", "1")], 10),
        "all_references": lambda: _all_of(dependencies.all_references(session)),
        "not_there": lambda: _all_of(dependencies.not_there(session, [MINE, THEIRS], None)),
        "unassigned": lambda: _all_of(dependencies.unassigned(session, [MINE, THEIRS], None)),
        "unknown_assignments": lambda: dependencies.unknown_assignments(session, [MINE, THEIRS], None),
        "reaching": lambda: _all_of(dependencies.reaching(session, "1", everyone=True)),
        "run_before": lambda: notification_queries.run_before(session, theirs.run_id),
        "open_runs": lambda: notification_queries.open_runs(session),
        "current_items": lambda: _all_of(notification_queries.current_items(session, ["a", "b"])),
        "waiting_plans": lambda: notification_queries.waiting_plans(session),
        "newest_notifications": lambda: notification_queries.newest_notifications(session, 10, None, None),
        "current_snoozes": lambda: notification_queries.current_snoozes(session),
        "audit_events": lambda: auditing.audit_events(session, ["1"], None, datetime.max.replace(tzinfo=UTC) - LEASE),
        "baselines": lambda: baselines.baselines(session),
        "baseline_collections": lambda: baselines.baseline_collections(session, "golden"),
        "gaps": lambda: baselines.gaps(session, "golden"),
        "drop_baseline": lambda: baselines.drop_baseline(session, "golden"),
        "open_values": lambda: drift.open_values(session, "golden"),
        "findings_of": lambda: drift.findings_of(session, "golden"),
        "findings_beginning": lambda: drift.findings_beginning(session, "", 10),
        "unresolved_findings": lambda: drift.unresolved_findings(session),
        "scope_decisions": lambda: decisions.scope_decisions(session),
        "scopes_beginning": lambda: decisions.scopes_beginning(session, "", 10),
        "all_decisions": lambda: decisions.all_decisions(session),
        "items_with_findings": lambda: decisions.items_with_findings(session, "", None, 10),
    }


async def _all_of(rows: AsyncIterator[object]) -> object:
    return [row async for row in rows]


async def _forgotten(some: Awaitable[versions.ForgottenCounts]) -> object:
    return (await some).versions


async def _waited(turn: Awaitable[pacing.Turn]) -> object:
    return (await turn).wait
