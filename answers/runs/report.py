"""A run record for people."""

import textwrap
from collections import Counter
from collections.abc import Mapping
from typing import Any

from rich.text import Text

from cli import output
from cli.options import selection_name_of
from cli.output_options import output_options
from cli.table import Column, Shape, print_table
from inventory.error_codes import EXPLANATIONS, ErrorCode
from inventory.outcomes import Outcome
from inventory.plurals import counted
from inventory.records import CollectionRecord, RunRecord
from inventory.visible_text import visible

NAMED = 6
"""Collections named for each error code, unless `verbose`."""

TOLD_ONCE = ("reason", "permission", "throttled_until")
"""Context that failed collections may share: told once for an error code."""

WIDEST = 100


def print_run(run: RunRecord, tenant_name: str, *, verbose: bool = False) -> None:
    output.stdout.print(Text.assemble("run ", (str(run.run_id), "bold"), " of ", (visible(tenant_name), "bold")))
    output.stdout.print(
        Text.assemble(
            output.styled(run.status),
            f"  {selection_name_of(run.selection, run.selection_name)} ({run.selection_hash[:12]})",
            f"  queued {output.when(run.queued_at)}",
            f"  took {output.took(run.started_at, run.finished_at) or '…'}",
        )
    )
    if verbose or output_options().as_csv:
        _print_collections(run.collections)
    unread = {
        key: collection
        for key, collection in run.collections.items()
        if collection.error_code and collection.outcome is not Outcome.SKIPPED
    }
    codes = {collection.error_code for collection in unread.values() if collection.error_code}
    for code in sorted({*run.error_codes, *codes}):
        affected = {key: collection for key, collection in unread.items() if collection.error_code == code}
        _print_error(code, affected, verbose=verbose)
    _print_totals(run)
    if not verbose and run.collections:
        _say("--verbose lists every collection", style="dim")


def _print_error(code: ErrorCode, collections: Mapping[str, CollectionRecord], *, verbose: bool) -> None:
    meaning, remedy = EXPLANATIONS[code]
    outcomes = Counter(collection.outcome for collection in collections.values())
    counted = ", ".join(f"{number} {outcome}" for outcome, number in sorted(outcomes.items()))
    output.stdout.print(Text.assemble((code, "red"), f": {counted}" if counted else ""))
    _say(f"{meaning} {remedy}", indent="  ", style="yellow")
    for name in TOLD_ONCE:
        contexts = [collection.context for collection in collections.values()]
        values = sorted({str(context[name]) for context in contexts if name in context})
        if values:
            _say(visible(f"{name}: {', '.join(values)}"), indent="  ")
    if collections and not verbose and code is not ErrorCode.AUTH_FAILED:
        more = f" and {len(collections) - NAMED} more" if len(collections) > NAMED else ""
        _say(", ".join(sorted(collections)[:NAMED]) + more, indent="  ")


def _print_totals(run: RunRecord) -> None:
    outcomes = Counter(collection.outcome for collection in run.collections.values())
    counts = run.counts
    open_now = 0 if run.status.ended else sum(_is_open(collection) for collection in run.collections.values())
    outcomes[Outcome.INCOMPLETE] -= open_now
    parts = [f"{outcomes[outcome]} {outcome}" for outcome in Outcome if outcomes[outcome]]
    parts += [f"{open_now} not yet read"] if open_now else []
    number = len(run.selection.type_keys)
    _say(f"{counted(number, 'collection')}: {', '.join(parts) or 'none read yet'}")
    _say(
        f"{counted(counts.observed, 'item')}: {counts.created} created, {counts.changed} changed,"
        f" {counts.unchanged} unchanged; {counts.missing} missing, {counts.not_read} not read, {counts.stale} stale,"
        f" {counts.invalid} invalid, {counted(counts.errors, 'error')}"
    )
    pages = f"{counted(counts.pages, 'page')} in {counted(counts.requests, 'request')}"
    _say(f"{pages}, {counts.throttled} throttled", style="dim")


def _is_open(collection: CollectionRecord) -> bool:
    return collection.outcome is Outcome.INCOMPLETE and collection.error_code is None


def _print_collections(collections: Mapping[str, CollectionRecord]) -> None:
    print_table(
        _COLUMNS,
        [
            {"type_key": key, **collection.model_dump(mode="json")}
            for key, collection in sorted(collections.items(), key=lambda row: (_rank(row[1].outcome), row[0]))
        ],
    )


_COLUMNS = (
    Column("collection", "type_key"),
    Column("outcome", "outcome", lambda row: output.styled(row["outcome"])),
    Column("pages", "pages", shape=Shape.NUMBER),
    Column("items", "items", shape=Shape.NUMBER),
    Column("error", "error_code"),
    Column("context", "context", lambda row: _context(row["context"]), Shape.BELOW),
)


def _rank(outcome: Outcome) -> int:
    return (Outcome.FAILED, Outcome.INCOMPLETE, Outcome.COMPLETE, Outcome.SKIPPED).index(outcome)


def _context(context: Mapping[str, Any]) -> str:
    return ", ".join(f"{key} {value if not isinstance(value, list) else len(value)}" for key, value in context.items())


def _say(words: str, *, indent: str = "", style: str = "") -> None:
    lines = textwrap.fill(
        words,
        width=min(output.stdout.width, WIDEST),
        initial_indent=indent,
        subsequent_indent=indent,
        break_long_words=False,
        break_on_hyphens=False,
    )
    output.stdout.print_lines(lines, style=style)
