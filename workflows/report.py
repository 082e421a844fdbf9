"""The story of a run as Temporal Web shows it under "current details": Markdown, counts and codes only."""

from inventory.outcomes import CollectionResult, Outcome, RunStatus
from workflows.frontier import Frontier


def details(status: RunStatus, waiting_for: str | None, frontier: Frontier) -> str:
    """One line on the run, then one table row a collection, those still being read first."""
    counts = frontier.counts
    lines = [
        f"**{status}**" + (f" ({waiting_for.replace('_', ' ')})" if waiting_for else ""),
        "",
        (
            f"{counts.observed} observed · {counts.created} created · {counts.changed} changed ·"
            f" {counts.unchanged} unchanged · {counts.invalid} invalid · {counts.errors} errors ·"
            f" {counts.pages} pages in {counts.requests} requests, {counts.throttled} throttled"
        ),
    ]
    if frontier.results:
        lines += ["", "| collection | outcome | pages | items | error |", "|---|---|---|---|---|"]
        rows = sorted(frontier.results.items(), key=lambda row: (row[1].outcome is not None, row[0]))
        lines += [_row(type_key, result) for type_key, result in rows]
    return "\n".join(lines)


def _row(type_key: str, result: CollectionResult) -> str:
    outcome: Outcome | str = result.outcome or "reading"
    return f"| {type_key} | {outcome} | {result.pages} | {result.items} | {result.error_code or ''} |"
