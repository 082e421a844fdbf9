"""What of a run is an event. Pure."""

from collections import Counter
from collections.abc import Sequence

from inventory.error_codes import ErrorCode
from inventory.notifications import NotificationEvent, NotificationKind
from inventory.outcomes import Outcome, RunStatus
from inventory.plurals import counted
from inventory.records import RunRecord
from inventory.severity import Severity

NAMED_CODES = 3
"""Error codes that one line names."""

_KINDS = {
    RunStatus.FAILED: (NotificationKind.RUN_FAILED, Severity.HIGH),
    RunStatus.PARTIAL: (NotificationKind.RUN_PARTIAL, Severity.MEDIUM),
}


def run_events(run: RunRecord, before: RunRecord | None) -> list[NotificationEvent]:
    """The event that a run failed or is partial; none if the run `before` it ended in the same way."""
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
