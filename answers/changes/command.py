"""`changes`: noticed changes, field by field."""

from collections.abc import Callable, Iterator
from contextlib import aclosing
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Annotated, NamedTuple

import typer
from rich.text import Text

from answers.changes.answer import ChangeFeed, Place, event_at, window_of
from answers.changes.audit import AUDIT_LOGS, Attribution, AuditStatus
from answers.changes.page import changes_page
from answers.changes.records import ChangeKind, ChangeRecord, ChangesSummary
from answers.field_text import field_text, shown_fields
from answers.old_details import old_details_in_words
from answers.runs.answer import find_run, is_read, moment_of
from answers.times import TIME_FORMS, typed_time
from cli import output
from cli.basis_lines import by_reason, say_oldest
from cli.errors import ExitCode, UsageError
from cli.html_file import HtmlOption, check_count, check_html, collection_titles, write_html
from cli.options import (
    MOST,
    AllTenantsOption,
    CategoryOption,
    CommandTenant,
    OptionalTenantArgument,
    TagOption,
    TenantNames,
    TypeOption,
    command_tenants,
    selection_of,
)
from cli.output_options import output_options, prints_tables, refuse_columns_without_csv
from cli.sessions import say_what_is_damaged
from cli.stale_lines import say_stale, stale_words
from cli.table import Table, shown_id
from cli.tenant_walk import RowLimit, ask_each
from configuration import Settings, load_settings
from inventory.coverage import TENANT_NEVER_READ
from inventory.plurals import counted
from inventory.user_errors import NeverReadError
from inventory.visible_text import visible
from storage.database import Database

_STYLES = {
    ChangeKind.APPEARED: ("+", "green"),
    ChangeKind.RECREATED: ("+", "green"),
    ChangeKind.CAME_BACK: ("+", "green"),
    ChangeKind.CHANGED: ("~", "yellow"),
    ChangeKind.RENAMED: ("~", "yellow"),
    ChangeKind.MISSING: ("-", "red"),
}


@prints_tables
def changes(
    tenant: OptionalTenantArgument = None,
    all_tenants: AllTenantsOption = False,
    tags: TagOption = None,
    since: Annotated[
        str | None,
        typer.Option(
            "--since",
            metavar="RUN|TIME",
            help=f"Changes noticed after this run ended, or after this time: {TIME_FORMS}. Default: 7 days ago.",
        ),
    ] = None,
    run: Annotated[str | None, typer.Option("--run", metavar="ID", help="Changes that this run noticed.")] = None,
    type_keys: TypeOption = None,
    categories: CategoryOption = None,
    limit: Annotated[
        int | None, typer.Option("--limit", min=1, max=MOST, help="Show at most this many.", show_default=False)
    ] = None,
    after: Annotated[
        str | None,
        typer.Option("--after", metavar="PLACE", help="Continue at this place: goes_on_after of the last summary."),
    ] = None,
    html: HtmlOption = None,
) -> None:
    """Items that appeared, changed, were renamed or re-created, went missing or came back; oldest first, by field.

    The summary names collections that were not read to their end: their changes may still come. A damaged version is
    named, too, and the exit code is 3. Audit logs that were synced (auditEvents, directoryAudits) tell who made a
    change. With --json the summary is the last line.

    Example: python starter.py changes --all-tenants --since yesterday --type conditionalAccessPolicies
    """
    settings = load_settings()
    tenants = command_tenants(settings, tenant, tags, everyone=all_tenants)
    if since is not None and run is not None:
        raise UsageError("--since names a beginning and --run one run: give one of them")
    if tenants.are_many:
        _refuse_of_one_tenant(run=run, after=after, html=html)
        if since is not None and typed_time(since, datetime.now(UTC), output.time_zone()) is None:
            raise UsageError(f"--since: {since!r} is no time, and a run is of one tenant; write {TIME_FORMS}")
    check_html(html)
    refuse_columns_without_csv()
    named = bool(type_keys or categories)
    chosen = selection_of(type_keys, categories, everything=False).type_keys if named else None
    options = _ChangeOptions(since, run, chosen, None if after is None else event_at(after), html)
    rows = RowLimit(limit)
    ask_each(settings, tenants, partial(_show_tenant, settings, options, rows), limit=rows)


class _ChangeOptions(NamedTuple):
    since: str | None
    run: str | None
    type_keys: tuple[str, ...] | None
    after: Place | None
    html: Path | None


async def _show_tenant(
    settings: Settings, options: _ChangeOptions, rows: RowLimit, database: Database, about: CommandTenant
) -> None:
    records: list[ChangeRecord] = []
    table = Table(ChangeRecord, (), most=rows.most)
    async with database.tenant(about.tenant_id, read_only=True) as session:
        run_id = None if options.run is None else await find_run(session, options.run)
        since = None if options.since is None else await moment_of(session, options.since, output.time_zone())
        window = await window_of(session, options.type_keys, since=since, run_id=run_id)
        feed = ChangeFeed(session, about.tenant_id, window, after=options.after, limit=rows.to_read)
        show = _shown_by(options, table, records)
        async with aclosing(feed.records()) as found:
            async for change in found:
                show(change)
        summary = await feed.summary()
        rows.count(sum(summary.changes.values()))
        was_read = await is_read(session)
    if output_options().as_csv:
        table.print()
    if options.html is not None:
        name = TenantNames.load(settings).of(about.tenant_id)
        write_html(options.html, changes_page(name, summary, records, collection_titles()))
    if output_options().as_json:
        output.print_json({"summary": summary.model_dump(mode="json")})
    if not was_read:
        raise NeverReadError(TENANT_NEVER_READ)
    if not output_options().as_json:
        _say(summary)
    if summary.damaged:
        raise typer.Exit(ExitCode.PARTIAL)


def _shown_by(options: _ChangeOptions, table: Table, records: list[ChangeRecord]) -> Callable[[ChangeRecord], None]:
    if output_options().as_json:
        return output.print_json
    if output_options().as_csv:
        return table.add
    return _show if options.html is None else _keeping(records)


def _refuse_of_one_tenant(**options: object) -> None:
    for name, value in options.items():
        if value is not None:
            raise UsageError(f"--{name} is about one tenant: give it with TENANT")


def _keeping(records: list[ChangeRecord]) -> Callable[[ChangeRecord], None]:
    def keep(change: ChangeRecord) -> None:
        records.append(change)
        check_count(len(records))

    return keep


def _show(change: ChangeRecord) -> None:
    sign, style = _STYLES[change.kind]
    output.stdout.print(
        Text.assemble(
            (f"{sign} ", style),
            f"{output.when(change.noticed_at)}  ",
            (_what(change), style),
            f"  {change.kind_of_one}: ",
            (visible(change.title), "bold"),
            (f"  {change.type_key} {visible(shown_id(change.external_id))}", "dim"),
        )
    )
    if change.damaged_versions:
        named = " and ".join(map(str, change.damaged_versions))
        output.stdout.print(f"    not known: the stored document of version {named} is damaged", style="yellow")
    elif change.fields is None and change.kind in (ChangeKind.CHANGED, ChangeKind.RENAMED):
        output.stdout.print("    retention has deleted the version before it", style="dim")
    for field in shown_fields(change.fields):
        output.print_field(field_text(field), indent="    ")
    if change.stale is not None:
        output.stdout.print(f"    {stale_words(change.stale)}", style="yellow")
    for by in _by_whom(change.audit):
        output.stdout.print(f"    {by}", style="dim")


def _by_whom(audit: Attribution) -> Iterator[str]:
    if audit.status is AuditStatus.NOT_FOUND:
        yield "not in the audit log"
    for event in audit.events:
        actor = visible(event.actor or event.actor_id or "somebody unnamed")
        operation = visible(event.activity or event.operation or "")
        yield f"by {actor} at {output.when(event.at)}" + (f": {operation}" if operation else "")


def _what(change: ChangeRecord) -> str:
    match change.kind:
        case ChangeKind.RENAMED:
            return f'renamed from "{visible(change.renamed_from or "")}"'
        case ChangeKind.RECREATED:
            return f"re-created, was {visible(change.recreates_external_id or '')}"
        case ChangeKind.MISSING:
            return f"missing ({change.confidence}, {change.evidence.replace('_', ' ')})"
        case ChangeKind.CHANGED if change.returns_to_version is not None:
            return f"changed back to version {change.returns_to_version}"
        case kind:
            return kind.replace("_", " ")


def _say(summary: ChangesSummary) -> None:
    counts = ", ".join(f"{number} {kind.replace('_', ' ')}" for kind, number in sorted(summary.changes.items()))
    window = f"{output.when(summary.since)} to {output.when(summary.until)}"
    read = f"{counted(summary.listed, 'collection')} read to the end"
    if counts:
        output.stderr.print(f"{counts}; {window}; {read}", style="dim")
    else:
        output.stdout.print(f"no changes; {window}; {read}")
    say_what_is_damaged(summary.damaged)
    say_stale(summary.stale)
    gaps = ((collection.type_key, collection.reason) for collection in summary.not_read)
    output.warn(*by_reason("not read to the end, so their changes may still come", gaps))
    say_oldest(summary.oldest_listing)
    output.warn(*old_details_in_words(summary.old_details, summary.until))
    for log, reading in summary.audit_logs.items():
        if not reading.not_read:
            continue
        was_read = "not read"
        if reading.read_from is not None:
            was_read = f"read at {output.when(reading.read_from)}, too early for some of these changes"
        output.warn(f"{AUDIT_LOGS[log]}'s audit log was {was_read}; sync --type {log} reads it")
    if summary.goes_on_after is not None and not output_options().about:
        output.stderr.print(f"there are more: --after {summary.goes_on_after}", style="dim")
