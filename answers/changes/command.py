"""`changes`: what runs have noticed, field by field."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import aclosing
from datetime import timedelta
from typing import Annotated
from uuid import UUID

import typer
from rich.text import Text
from sqlalchemy.ext.asyncio import AsyncSession

from answers.changes.answer import changes as changes_of
from answers.changes.answer import summary
from answers.changes.audit import Attribution, AuditStatus
from answers.changes.page import changes_page
from answers.changes.queries import Event, EventKind, Window
from answers.changes.records import ChangeKind, ChangeRecord, ChangesSummary
from answers.field_labels import FieldChange
from answers.log_collections import log_types
from answers.runs.answer import ended_run, find_run, moment_of
from answers.times import time_of
from cli import output
from cli.errors import ExitCode, UsageError, errors_for_people
from cli.html_file import HtmlOption, check_count, check_html, collection_titles, write_html
from cli.options import (
    MOST,
    CategoryOption,
    JsonOption,
    TenantArgument,
    TenantNames,
    TypeOption,
    selection_of,
    tenant_id_of,
)
from cli.sessions import say_what_is_damaged, tenant_session
from configuration import load_settings
from inventory.records import DamagedRecord
from inventory.visible_text import visible
from storage.documents import database_time

SHOWN_DAYS = 7

_STYLES = {
    ChangeKind.APPEARED: ("+", "green"),
    ChangeKind.RECREATED: ("+", "green"),
    ChangeKind.CAME_BACK: ("+", "green"),
    ChangeKind.CHANGED: ("~", "yellow"),
    ChangeKind.RENAMED: ("~", "yellow"),
    ChangeKind.MISSING: ("-", "red"),
}


def changes(
    tenant: TenantArgument,
    since: Annotated[
        str | None,
        typer.Option(
            "--since",
            metavar="RUN|TIME",
            help="What was noticed after a run ended, or after a time (ISO 8601; UTC unless it says); else in 7 days.",
        ),
    ] = None,
    run: Annotated[str | None, typer.Option("--run", metavar="ID", help="What this run noticed.")] = None,
    type_keys: TypeOption = None,
    categories: CategoryOption = None,
    limit: Annotated[
        int | None, typer.Option("--limit", min=1, max=MOST, help="How many at most.", show_default=False)
    ] = None,
    after: Annotated[
        str | None,
        typer.Option("--after", metavar="PLACE", help="Go on where the summary of a call with --limit says."),
    ] = None,
    html: HtmlOption = None,
    as_json: JsonOption = False,
) -> None:
    """What appeared, changed, was renamed or re-created, went missing or came back; oldest first, field by field.

    A collection that was not read to its end has no changes yet; the summary names it. A version whose stored document
    is damaged is named, too, and the exit code is 3. Where auditEvents were synced, a
    change of Intune says who made it. With --json the summary is the last line.

    Example: python starter.py changes contoso --since 2025-03-01T00:00:00Z --type conditionalAccessPolicies
    """
    with errors_for_people():
        settings = load_settings()
        tenant_id = tenant_id_of(settings, tenant)
        if since is not None and run is not None:
            raise UsageError("--since names a beginning and --run one run: give one of them")
        check_html(html, as_json=as_json)
        named = bool(type_keys or categories)
        wanted = selection_of(type_keys, categories, everything=False).type_keys if named else None
        place = None if after is None else _event(after)

        kept: list[ChangeRecord] = []
        show_one = output.print_json if as_json else _show if html is None else _keeping(kept)

        async def show() -> ChangesSummary:
            async with tenant_session(settings, tenant_id) as session:
                run_id = None if run is None else await find_run(session, run)
                window = await _window(session, since, run_id, wanted)
                counts, audit, last, damaged = await _print(
                    changes_of(session, tenant_id, window, place), limit, show_one
                )
                return await summary(session, tenant_id, window, counts, audit, last, damaged)

        rests_on = asyncio.run(show())
        if html is not None:
            write_html(
                html, changes_page(TenantNames.load(settings).of(tenant_id), rests_on, kept, collection_titles())
            )
        if as_json:
            output.print_json({"summary": rests_on.model_dump(mode="json")})
        else:
            _say(rests_on)
        if rests_on.damaged:
            raise typer.Exit(ExitCode.PARTIAL)


async def _window(
    session: AsyncSession, since: str | None, run_id: UUID | None, type_keys: tuple[str, ...] | None
) -> Window:
    """Logs are left out unless they are named."""
    left_out = log_types() if type_keys is None else []
    if run_id is not None:
        run, finished_at = await ended_run(session, run_id)
        return Window(run.queued_at, finished_at, type_keys, left_out, run_id)
    now = await database_time(session)
    beginning = now - timedelta(days=SHOWN_DAYS) if since is None else await moment_of(session, since)
    return Window(beginning, now, type_keys, left_out)


async def _print(
    found: AsyncIterator[tuple[Event, ChangeRecord]], limit: int | None, show: Callable[[ChangeRecord], None]
) -> tuple[Counter[ChangeKind], Counter[AuditStatus], str | None, list[DamagedRecord]]:
    """Prints up to `limit` changes; how many of each kind, the last one's place if there are more, what is damaged."""
    counts: Counter[ChangeKind] = Counter()
    audit: Counter[AuditStatus] = Counter()
    last: Event | None = None
    damaged: dict[DamagedRecord, None] = {}
    async with aclosing(found):  # type: ignore[type-var]
        async for event, change in found:
            if last is not None and counts.total() == limit:
                return counts, audit, _place(last), list(damaged)
            counts[change.kind] += 1
            audit[change.audit.status] += 1
            last = event
            for version in change.damaged_versions:
                named = DamagedRecord(type_key=change.type_key, external_id=change.external_id, version=version)
                damaged[named] = None
            show(change)
    return counts, audit, None, list(damaged)


def _keeping(kept: list[ChangeRecord]) -> Callable[[ChangeRecord], None]:
    """Keeps changes for a page, as many as one holds."""

    def keep(change: ChangeRecord) -> None:
        kept.append(change)
        check_count(len(kept))

    return keep


def _place(event: Event) -> str:
    return f"{event.at.isoformat()}/{event.kind}/{event.type_key}/{event.external_id}"


def _event(place: str) -> Event:
    """The event at a place that `_place` has named. Raises `UsageError`."""
    try:
        at, kind, type_key, external_id = place.split("/", 3)
        moment = time_of(at)
        if moment is not None:
            return Event(moment, type_key, external_id, EventKind(kind), UUID(int=0), 0)
    except ValueError:
        pass
    raise UsageError(f"--after takes what the summary calls goes_on_after, not {place!r}")


def _show(change: ChangeRecord) -> None:
    sign, style = _STYLES[change.kind]
    output.stdout.print(
        Text.assemble(
            (f"{sign} ", style),
            f"{output.when(change.noticed_at)}  ",
            (_what(change), style),
            f"  {change.item_kind}: ",
            (visible(change.display_name or "without a name"), "bold"),
            (f"  {change.type_key} {visible(change.external_id)}", "dim"),
        )
    )
    if change.damaged_versions:
        named = " and ".join(map(str, change.damaged_versions))
        output.stdout.print(f"    not known: the stored document of version {named} is damaged", style="yellow")
    elif change.fields is None and change.kind in (ChangeKind.CHANGED, ChangeKind.RENAMED):
        output.stdout.print("    the version before it is forgotten", style="dim")
    for field in change.fields or ():
        output.stdout.print(Text.assemble("    ", (visible(field.label), "bold"), ": ", _said(field)))
    for by in _by_whom(change.audit):
        output.stdout.print(f"    {by}", style="dim", markup=False)


def _by_whom(audit: Attribution) -> Iterator[str]:
    """Who did it: a line an event, latest first; nothing where the audit log was not read or is of other objects."""
    if audit.status is AuditStatus.NOT_FOUND:
        yield "not in the audit log"
    for event in audit.events:
        actor = visible(event.actor or event.actor_id or "somebody unnamed")
        what = visible(event.activity or event.operation or "")
        yield f"by {actor} at {output.when(event.at)}" + (f": {what}" if what else "")


def _what(change: ChangeRecord) -> str:
    """The kind, and what belongs to it."""
    match change.kind:
        case ChangeKind.RENAMED:
            return f'renamed from "{visible(change.renamed_from or "")}"'
        case ChangeKind.RECREATED:
            return f"re-created, was {visible(change.recreates_external_id or '')}"
        case ChangeKind.MISSING:
            return f"missing ({change.confidence}, {change.evidence})"
        case ChangeKind.CHANGED if change.returns_to_version is not None:
            return f"changed back to version {change.returns_to_version}"
        case kind:
            return kind.replace("_", " ")


def _said(field: FieldChange) -> str:
    if field.hidden:
        return f"hidden, {field.kind}"
    before = output.short_value(field.before if field.before_named is None else field.before_named)
    after = output.short_value(field.after if field.after_named is None else field.after_named)
    return {"added": f"+ {after}", "removed": f"- {before}"}.get(field.kind, f"{before} → {after}")


def _say(rests_on: ChangesSummary) -> None:
    """On stderr: how much it was, over what time, and what may still come."""
    counts = ", ".join(f"{number} {kind.replace('_', ' ')}" for kind, number in sorted(rests_on.changes.items()))
    window = f"{output.when(rests_on.since)} to {output.when(rests_on.until)}"
    output.stderr.print(
        f"{counts or 'no changes'}; {window}; {rests_on.listed} collections read to their end", style="dim"
    )
    say_what_is_damaged(rests_on.damaged)
    if rests_on.not_read:
        named = ", ".join(f"{one.type_key} ({one.reason})" for one in rests_on.not_read)
        output.stderr.print(f"not read to the end, so their changes may still come: {named}", style="yellow")
    if rests_on.audit.get(AuditStatus.NOT_READ):
        was_read = "not read"
        if rests_on.audit_log_read_from is not None:
            was_read = f"read at {output.when(rests_on.audit_log_read_from)}, too early for some of these changes"
        output.stderr.print(f"the audit log was {was_read}: --type auditEvents in a sync", style="yellow")
    if rests_on.goes_on_after is not None:
        output.stderr.print(f"there are more: --after {rests_on.goes_on_after}", style="dim", markup=False)
