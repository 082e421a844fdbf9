"""The "current details" of runs in Temporal Web: Markdown with counts and codes only."""

from collections import Counter
from collections.abc import Sequence

from inventory.error_codes import ErrorCode
from inventory.outcomes import CollectionResult, Counts, Outcome, RunStatus
from inventory.plurals import counted
from inventory.portfolio import PortfolioCounts
from workflows.frontier import Frontier

_NOT_READ = (Outcome.FAILED, Outcome.INCOMPLETE)


def details(status: RunStatus, waiting_for: str | None, frontier: Frontier) -> str:
    counts = frontier.counts
    lines = [
        f"**{status}**" + (f" ({waiting_for.replace('_', ' ')})" if waiting_for else ""),
        "",
        *_not_complete(frontier),
        *_missing(counts),
        (
            f"{counts.observed} observed · {counts.created} created · {counts.changed} changed ·"
            f" {counts.unchanged} unchanged · {counts.invalid} invalid · {counted(counts.errors, 'error')} ·"
            f" {counted(counts.pages, 'page')} in {counted(counts.requests, 'request')}, {counts.throttled} throttled"
        ),
    ]
    if frontier.results:
        lines += ["", "| collection | outcome | pages | items | error |", "|---|---|---|---|---|"]
        rows = sorted(frontier.results.items(), key=lambda row: (_rank(row[1]), row[0]))
        lines += [_row(type_key, result) for type_key, result in rows]
    return "\n".join(lines)


def portfolio_details(status: RunStatus, counts: PortfolioCounts, codes: Sequence[ErrorCode]) -> str:
    not_complete = counts.ended - counts.success
    named = f" ({', '.join(codes)})" if codes else ""
    lines = [
        f"**{status}**: {counts.ended} of {counted(counts.tenants, 'tenant')} ended",
        "",
        *([f"**not complete: {not_complete} of {counts.tenants}**{named}", ""] if not_complete else []),
        (
            f"{counts.success} success · {counts.partial} partial · {counts.failed} failed ·"
            f" {counts.cancelled} cancelled · {counts.joined} joined"
        ),
    ]
    return "\n".join(lines)


def _missing(counts: Counts) -> list[str]:
    if not counts.missing and not counts.not_read:
        return []
    return [f"**{counts.missing} missing**, {counts.not_read} not read", ""]


def _not_complete(frontier: Frontier) -> list[str]:
    codes = Counter(
        str(result.error_code or result.outcome) for result in frontier.results.values() if result.outcome in _NOT_READ
    )
    if not codes:
        return []
    named = ", ".join(
        f"{code} {count}" for code, count in sorted(codes.items(), key=lambda entry: (-entry[1], entry[0]))
    )
    return [f"**not complete: {codes.total()} of {len(frontier.results)}** ({named})", ""]


def _rank(result: CollectionResult) -> int:
    if result.outcome in _NOT_READ:
        return 0
    return 1 if result.outcome is None else 2


def _row(type_key: str, result: CollectionResult) -> str:
    outcome: Outcome | str = result.outcome or "reading"
    return f"| {type_key} | {outcome} | {result.pages} | {result.items} | {result.error_code or ''} |"
