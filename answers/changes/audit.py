"""Audit events that explain observed changes."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from enum import StrEnum

from pydantic import BaseModel

from answers.times import EARLIEST
from graph.catalog import AUDIT_EVENTS, DIRECTORY_AUDITS
from inventory.coverage import Coverage

AUDIT_LOGS = {AUDIT_EVENTS: "Intune", DIRECTORY_AUDITS: "Entra"}
"""Each audit log's product, by type key."""

CLOCK_DIFFERENCE = timedelta(minutes=5)
"""The largest difference allowed between Graph's clock, which dates events, and the database's; Microsoft's sign-in
allows as much.
"""

_SUCCESS = "success"
_READING = "get"


class AuditAction(StrEnum):
    """An observed change of an object."""

    APPEARED = "appeared"
    CHANGED = "changed"
    GONE = "gone"


_OPERATIONS = {
    AuditAction.APPEARED: frozenset({"create", "add"}),
    AuditAction.GONE: frozenset({"delete"}),
}
_RESTORATIONS = frozenset({
    "restore administrative unit", "restore application", "restore group", "restore service principal",
})  # fmt: skip
"""Activities that restore an object. Microsoft publishes their names, not their operations:
https://learn.microsoft.com/entra/identity/monitoring-health/reference-audit-activities
"""
_OTHER_THAN_A_CHANGE = frozenset({"", _READING}).union(*_OPERATIONS.values())


class AuditEvent(BaseModel, frozen=True):
    """One event of the audit log. A field that the event lacks is null."""

    event_id: str
    at: datetime
    actor: str | None
    actor_id: str | None
    operation: str | None
    activity: str | None
    result: str | None


class AuditStatus(StrEnum):
    """How the audit log explains a change."""

    FOUND = "found"
    NOT_FOUND = "not_in_audit_log"
    NOT_READ = "audit_log_not_read"
    NOT_AUDITED = "not_audited"
    """No audit log names the object by its id."""


class Attribution(BaseModel, frozen=True):
    """`events` are newest first, and empty unless the status is `found`.

    `log` is the type key of the audit log that would name the author.
    """

    status: AuditStatus
    log: str | None = None
    events: tuple[AuditEvent, ...] = ()

    @property
    def latest(self) -> AuditEvent | None:
        return self.events[0] if self.events else None


def window(after: datetime | None, until: datetime) -> tuple[datetime, datetime]:
    """The period, by Graph's clock, of a change observed between `after` and `until`."""
    begin = EARLIEST if after is None else after - CLOCK_DIFFERENCE
    return begin, until + CLOCK_DIFFERENCE


def attribution(
    events: Iterable[AuditEvent],
    action: AuditAction,
    after: datetime | None,
    until: datetime,
    covered: Coverage | None,
    *,
    log: str | None,
) -> Attribution:
    """The change happened between `after` (None: no limit) and `until`; `covered` is the coverage of `log`, such
    objects' audit log.

    Only a listing of the log that began after `until` proves that there is no event.
    """
    if log is None:
        return Attribution(status=AuditStatus.NOT_AUDITED)
    begin, end = window(after, until)
    explaining = [event for event in events if begin <= event.at <= end and _explains(event, action)]
    if explaining:
        newest_first = sorted(explaining, key=lambda event: (event.at, event.event_id), reverse=True)
        return Attribution(status=AuditStatus.FOUND, log=log, events=tuple(newest_first))
    was_read = covered is not None and covered.listed_from is not None and covered.listed_from >= until
    return Attribution(status=AuditStatus.NOT_FOUND if was_read else AuditStatus.NOT_READ, log=log)


def _explains(event: AuditEvent, action: AuditAction) -> bool:
    """Graph's operations are an open set (Patch, Action, Assign, SetReference …): any that does not create, remove or
    only read an object counts as a change.
    """
    operation = (event.operation or "").lower()
    if (event.result or "").lower() != _SUCCESS:
        return False
    if (event.activity or "").lower() in _RESTORATIONS:
        return action is AuditAction.APPEARED
    if action is AuditAction.CHANGED:
        return operation not in _OTHER_THAN_A_CHANGE
    return operation in _OPERATIONS[action]
