"""Events of a run, of drift, and of present states."""

from collections.abc import Iterable, Mapping
from contextlib import aclosing
from datetime import datetime, timedelta
from typing import NamedTuple, cast
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from answers.changes.answer import SessionOf, Window, changes
from answers.drift.answer import baselines, bring_up_to_date, drift
from answers.notifications import queries
from answers.notifications.change_events import change_event
from answers.notifications.expiries import TYPES, Expiry, expiries
from answers.notifications.queries import DocumentedItem
from answers.notifications.rules import drift_event, expiry_event, not_read_event, plan_event, run_events
from answers.runs.answer import run_record
from graph.catalog import item_title, kind_of, load_catalog
from inventory.canonical import JsonObject
from inventory.exact_json import decode
from inventory.notifications import NotificationEvent, NotificationKind, TenantRules
from inventory.outcomes import COMPLETED_STATUSES, Outcome, RunKind
from inventory.records import RunRecord
from storage.coverage import coverage
from storage.notifications import Position, advance, positions

MOST_EVENTS = 500
"""Events of one run; one more event stands for the others."""

DRIFT_REACH = timedelta(days=60)
"""Older findings are not told; the outbox remembers told ones for longer."""

READING_APP = "the app that reads this tenant"

EXPIRED_FOR = timedelta(days=30)
"""Earlier expiries are not told."""


class ReadingApp(NamedTuple):
    client_id: str | None
    credential_ends_at: datetime | None


async def events_of_run(
    session: AsyncSession, tenant_id: UUID, run_id: UUID, rules: TenantRules
) -> list[NotificationEvent]:
    """An ended run's failure or gaps, and the changes and missing items that rules ask for.

    These are told once, of collections that the run listed to their end; other collections wait for a run that lists
    them.
    """
    run = await run_record(session, run_id)
    if run is None or run.finished_at is None or run.status not in COMPLETED_STATUSES:
        return []
    before = await queries.run_before(session, run_id)
    found = run_events(run, None if before is None else await run_record(session, before))
    if rules.wants(NotificationKind.CHANGE, NotificationKind.MISSING):
        found += await _changes(session, tenant_id, run, run.finished_at, rules)
    return found


async def _changes(
    session: AsyncSession, tenant_id: UUID, run: RunRecord, finished_at: datetime, rules: TenantRules
) -> list[NotificationEvent]:
    still_open = await queries.open_runs(session)
    events: list[NotificationEvent] = []
    for window in await _windows(session, run, finished_at):
        async with aclosing(changes(session, tenant_id, window)) as noticed:
            async for _, change in noticed:
                event = None if change.run_id in still_open else change_event(change)
                if event is None or not rules.fits(event):
                    continue
                if len(events) == MOST_EVENTS:
                    more = f"more than {MOST_EVENTS} changes: python starter.py changes {tenant_id} --run {run.run_id}"
                    return [*events, event.model_copy(update={"key": f"{run.run_id}\nmore", "text": more})]
                events.append(event)
    return events


async def _windows(session: AsyncSession, run: RunRecord, finished_at: datetime) -> list[Window]:
    covered = await coverage(session, run.selection.type_keys)
    if run.kind is RunKind.WATCH:
        # It reads single items whole, of collections that a run has listed to their end.
        current = tuple(key for key, collection in covered.items() if collection.is_current)
        return [Window(run.queued_at, finished_at, current, sorted(load_catalog().logs), run.run_id)]
    complete = [key for key, collection in run.collections.items() if collection.outcome is Outcome.COMPLETE]
    quiet = {}
    for key in complete:
        listed = covered[key].first_listed_at if key in covered else None
        # A first listing has nothing to be compared with.
        is_first = listed is None or listed >= run.queued_at
        quiet[f"changes:{key}"] = finished_at if is_first else run.queued_at
    read_until = await positions(session, quiet)
    await advance(session, quiet, finished_at)
    by_beginning: dict[datetime, list[str]] = {}
    for key in complete:
        since = _since(read_until[f"changes:{key}"], run.queued_at)
        by_beginning.setdefault(since, []).append(key)
    return [
        Window(since, finished_at, tuple(keys), sorted(load_catalog().logs)) for since, keys in by_beginning.items()
    ]


def _since(position: Position, queued_at: datetime) -> datetime:
    """Goes back to `queued_at`, since changes of an open run are not told."""
    return max(position.quiet_until, min(position.told_until, queued_at))


async def events_of_drift(
    session: AsyncSession, session_of: SessionOf, tenant_id: UUID, now: datetime
) -> list[NotificationEvent]:
    """Open findings first seen since notifications know their baseline, in collections read to their end."""
    events: list[NotificationEvent] = []
    for baseline in await baselines(session):
        await bring_up_to_date(session, session_of, tenant_id, baseline)
        subject = f"drift:{baseline.name}:{baseline.set_at.isoformat()}"
        quiet_until = (await positions(session, {subject: baseline.set_at}))[subject].quiet_until
        since = max(quiet_until, now - DRIFT_REACH)
        events += [
            drift_event(finding, _category(finding.type_key))
            for finding in (await drift(session, tenant_id, baseline.name)).findings
            if finding.is_open and finding.is_checked and finding.first_seen_at > since
        ]
    return events


def not_read_events(clean_at: datetime, now: datetime, rules: TenantRules) -> list[NotificationEvent]:
    """An event for each rule whose hours have passed since `clean_at`, the end of the last clean run."""
    return [
        not_read_event(clean_at, hours) for hours in rules.not_read_hours() if now - clean_at > timedelta(hours=hours)
    ]


async def expiring_events(
    session: AsyncSession, now: datetime, rules: TenantRules, app: ReadingApp | None = None
) -> list[NotificationEvent]:
    """Secrets, certificates and tokens that expire soon: the reading app's, and those in collections that the latest
    run listed to their end.

    Each number of days in a rule makes one event. Expiries before the first look are not told.
    """
    covered = await coverage(session, TYPES)
    current = [key for key, collection in covered.items() if collection.is_current]
    quiet_until = (await positions(session, {"expiring": now}))["expiring"].quiet_until
    await advance(session, ["expiring"], now)
    since = max(quiet_until, now - EXPIRED_FOR)
    events: list[NotificationEvent] = []
    if app is not None and app.credential_ends_at is not None and app.credential_ends_at >= since:
        expiry = Expiry("credential", "credential", None, app.credential_ends_at)
        events += _events(READING_APP, expiry, now, rules, dict.fromkeys(("type_key", "external_id", "category")))
    async with aclosing(queries.current_items(session, current)) as items:
        async for item in items:
            events += _expiring(item, now, since, rules, None if app is None else app.client_id)
    return events


def _expiring(
    item: DocumentedItem, now: datetime, since: datetime, rules: TenantRules, client_id: str | None
) -> Iterable[NotificationEvent]:
    if item.document is None:
        return
    kind = kind_of(item.type_key, item.meta)
    title = item_title(item.type_key, item.external_id, item.display_name, kind)
    about = {"type_key": item.type_key, "external_id": item.external_id, "category": _category(item.type_key)}
    document = cast("JsonObject", decode(item.document))
    if client_id is not None and str(document.get("appId")).lower() == client_id.lower():
        title = f"{title}, {READING_APP},"
    for expiry in expiries(item.type_key, document):
        if expiry.at >= since:
            yield from _events(title, expiry, now, rules, about)


def _events(
    title: str, expiry: Expiry, now: datetime, rules: TenantRules, about: Mapping[str, str | None]
) -> Iterable[NotificationEvent]:
    remaining = expiry.at - now
    return (expiry_event(title, expiry, remaining, days, about) for days in rules.expiring_days(remaining))


async def plan_events(session: AsyncSession) -> list[NotificationEvent]:
    return [plan_event(plan.plan_id, plan.created_by) for plan in await queries.waiting_plans(session)]


def _category(type_key: str) -> str | None:
    collection = load_catalog().collections.get(type_key)
    return None if collection is None else collection.category
