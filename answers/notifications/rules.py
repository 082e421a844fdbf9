"""Events and their words."""

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from answers.drift.records import DriftFindingRecord
from answers.notifications.expiries import Expiry
from inventory.error_codes import ErrorCode
from inventory.notifications import NotificationEvent, NotificationKind
from inventory.outcomes import Outcome, RunStatus
from inventory.plurals import counted
from inventory.records import RunRecord
from inventory.severity import Severity

NAMED_CODES = 3

SOON, LATER = timedelta(days=7), timedelta(days=30)
"""Expiries within these times are of high, or of medium severity."""

_WHOLE = {"item_added": "was added", "item_missing": "is gone"}

_KINDS = {
    RunStatus.FAILED: (NotificationKind.RUN_FAILED, Severity.HIGH),
    RunStatus.PARTIAL: (NotificationKind.RUN_PARTIAL, Severity.MEDIUM),
}


def run_events(run: RunRecord, before: RunRecord | None) -> list[NotificationEvent]:
    """Empty if the run succeeded, or the run `before` ended alike."""
    if run.status not in _KINDS or (before is not None and _gaps(before) == _gaps(run)):
        return []
    kind, severity = _KINDS[run.status]
    return [NotificationEvent(kind=kind, severity=severity, key=str(run.run_id), text=_in_words(run))]


def _gaps(run: RunRecord) -> tuple[RunStatus, Sequence[ErrorCode], dict[str, ErrorCode | None]]:
    return run.status, run.error_codes, {key: run.collections[key].error_code for key in _unread(run)}


def _unread(run: RunRecord) -> list[str]:
    read = (Outcome.COMPLETE, Outcome.SKIPPED)
    return [
        key
        for key, collection in run.collections.items()
        if collection.outcome not in read or (collection.error_code and collection.outcome is not Outcome.SKIPPED)
    ]


def _in_words(run: RunRecord) -> str:
    """`run partial: 3 collections not read (graph_permission_missing 2, graph_throttled 1)`."""
    unread = _unread(run)
    codes = Counter(str(run.collections[key].error_code or "not read") for key in unread)
    named = [f"{code} {number}" for code, number in codes.most_common(NAMED_CODES)]
    if len(codes) > NAMED_CODES:
        named.append(f"{len(codes) - NAMED_CODES} other codes")
    own = [code for code in run.error_codes if code not in codes]
    if not unread:
        return f"run {run.status}: {', '.join(own) or 'no collection'}"
    beside = f"; {', '.join(own)}" if own else ""
    name = f" of {run.selection_name}" if run.selection_name else ""
    return f"run{name} {run.status}: {counted(len(unread), 'collection')} not read ({', '.join(named)}){beside}"


def titled(title: str, kind: str) -> str:
    """Adds the kind to the title, unless the title says it."""
    return title if kind in title else f"{title} ({kind})"


def drift_event(finding: DriftFindingRecord, category: str | None) -> NotificationEvent:
    """Each period of a finding is one event."""
    label = "a hidden value" if finding.hidden else finding.label
    subject = titled(finding.title, finding.kind_of_one)
    return NotificationEvent(
        kind=NotificationKind.DRIFT,
        severity=finding.severity,
        key=f"{finding.fingerprint}\n{finding.period}",
        text=f"drift from {finding.baseline}: {subject}"
        + (f": {label}" if finding.path else f" {_WHOLE[finding.kind]}"),
        type_key=finding.type_key,
        category=category,
        external_id=finding.external_id,
        effect=finding.direction,
    )


def not_read_event(clean_at: datetime, hours: int) -> NotificationEvent:
    return NotificationEvent(
        kind=NotificationKind.NOT_READ,
        severity=Severity.HIGH,
        key=f"{clean_at.isoformat()}\n{hours}",
        text=f"no clean run for {counted(hours, 'hour')}; the last one ended {clean_at:%Y-%m-%d %H:%M} UTC",
        threshold=hours,
    )


def expiry_event(
    title: str, expiry: Expiry, remaining: timedelta, days: int, about: Mapping[str, Any]
) -> NotificationEvent:
    """A new moment of expiry is a new event. `about`: the item's type key, id and category."""
    name = f" {expiry.name}" if expiry.name else ""
    word = "expired" if remaining <= timedelta(0) else "expires"
    severity = Severity.HIGH if remaining <= SOON else Severity.MEDIUM if remaining <= LATER else Severity.LOW
    return NotificationEvent(
        kind=NotificationKind.EXPIRING,
        severity=severity,
        key=f"{about['type_key']}\n{about['external_id']}\n{expiry.part}\n{expiry.at.isoformat()}\n{days}",
        text=f"{expiry.what}{name} of {title} {word} {expiry.at:%Y-%m-%d}",
        threshold=days,
        **about,
    )


def plan_event(plan_id: UUID, created_by: str) -> NotificationEvent:
    return NotificationEvent(
        kind=NotificationKind.PLAN_WAITING,
        severity=Severity.MEDIUM,
        key=str(plan_id),
        text=f"a promotion plan of {created_by} waits for approval: {plan_id}",
    )
