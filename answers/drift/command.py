"""`drift`: how a tenant deviates from its baselines, and what has been decided about it."""

import asyncio
import getpass
from collections.abc import Sequence
from datetime import date, datetime, timedelta
from functools import partial
from typing import Annotated

import typer

from answers.drift.answer import DecisionOverError, Drift, evaluated_drift
from answers.drift.answer import decide as record_decision
from answers.drift.page import drift_page
from answers.drift.records import DriftFindingRecord, DriftReport
from answers.drift.rules import Decision, FindingKind
from answers.drift.severity import Severity
from answers.field_text import field_text
from answers.times import time_of
from cli import output
from cli.errors import ExitCode, UsageError, errors_for_people
from cli.html_file import HtmlOption, check_count, check_html, collection_titles, write_html
from cli.options import JsonOption, TenantArgument, TenantNames, TypeOption, known_type_keys, tenant_id_of
from cli.output_options import prints_tables, prints_times
from cli.sessions import tenant_session, without_collisions
from cli.stale_lines import stale_words
from cli.table import Column, Shape, collection_title, print_table
from cli.tenant_or_command import TenantOrCommand
from configuration import load_settings
from inventory.bounds import ID_BEGINNING
from inventory.plurals import counted
from inventory.visible_text import visible

drift = typer.Typer(
    cls=TenantOrCommand,
    no_args_is_help=True,
    subcommand_metavar="TENANT [OPTIONS] | COMMAND [ARGS]...",
    help="How a tenant deviates from its baselines. `drift TENANT` is `drift show TENANT`.",
)

FINGERPRINT_SHOWN = 12
"""Digits of a fingerprint that a finding may be called by, if no other begins so."""


@drift.command("show")
@prints_tables
def show_drift(
    tenant: TenantArgument,
    baseline: Annotated[
        str | None, typer.Option("--baseline", metavar="NAME", help="That baseline; else each of the tenant.")
    ] = None,
    type_keys: TypeOption = None,
    severities: Annotated[
        list[Severity] | None, typer.Option("--severity", help="Only findings of this severity; may be repeated.")
    ] = None,
    everything: Annotated[
        bool, typer.Option("--all", help="Also what is accepted, expected here, or resolved.")
    ] = False,
    html: HtmlOption = None,
    as_json: JsonOption = False,
) -> None:
    """Compare a tenant as it is with its baselines: what deviates, since when, and what is decided about it.

    Collections that the baseline or the latest run did not read to their end, and items whose stored documents are
    damaged, are left out and named; their findings stay as they were, and the exit code is 3. With --json the
    report of a baseline comes first, then its findings.

    Example: python starter.py drift contoso --baseline golden --severity high
    """
    with errors_for_people():
        settings = load_settings()
        tenant_id = tenant_id_of(settings, tenant)
        wanted = known_type_keys(type_keys)
        check_html(html, as_json=as_json)

        async def ask() -> list[Drift]:
            async with tenant_session(settings, tenant_id, read_only=False) as session:
                return await evaluated_drift(session, partial(tenant_session, settings), tenant_id, baseline, wanted)

        found = asyncio.run(without_collisions(ask))
        page: list[tuple[DriftReport, list[DriftFindingRecord]]] = []
        for report, findings in found:
            shown = [finding for finding in findings if _is_asked_for(finding, severities, everything=everything)]
            page.append((report, shown))
            if html is not None:
                continue
            if as_json:
                output.print_json(report)
                for finding in shown:
                    output.print_json(finding)
            else:
                _print(report, shown)
        if html is not None:
            check_count(sum(len(findings) for _, findings in page))
            write_html(html, drift_page(TenantNames.load(settings).of(tenant_id), page, collection_titles()))
        if any(report.left_out or report.damaged for report, _ in found):
            raise typer.Exit(ExitCode.PARTIAL)


def _is_asked_for(finding: DriftFindingRecord, severities: Sequence[Severity] | None, *, everything: bool) -> bool:
    return (finding.is_open or everything) and (not severities or finding.severity in severities)


def _print(report: DriftReport, findings: Sequence[DriftFindingRecord]) -> None:
    counts, baseline = report.counts, report.baseline
    print_table(
        _COLUMNS,
        sorted(findings, key=_rank),
        record=DriftFindingRecord,
        title=f"drift from baseline {baseline.name} of {output.when(baseline.at)}: {counts.open} open,"
        f" {counts.accepted} accepted, {counts.expected} expected here, {counts.resolved} resolved",
        is_ordered=True,
    )
    compared = counted(len(report.compared), "collection was", "collections were")
    output.stderr.print(f"{compared} read to the end then and now", style="dim")
    for collection in report.left_out:
        output.stderr.print(
            f"left out: {collection.type_key} (baseline: {collection.in_baseline}; now: {collection.now})",
            style="yellow",
            markup=False,
        )
    for old in report.old_details:
        output.stderr.print(old.in_words(report.evaluated_at), style="yellow", markup=False)
    for damaged in report.damaged:
        output.stderr.print(visible(damaged.in_words), style="yellow", markup=False)
    for item in report.left_out_items:
        name = f" ({visible(item.display_name)})" if item.display_name else ""
        why = item.reason if item.stale is None else stale_words(item.stale)
        output.stderr.print(f"not known: {item.type_key} {item.external_id}{name}: {why}", style="yellow", markup=False)


_RANKS = {severity: rank for rank, severity in enumerate(Severity)}


def _rank(finding: DriftFindingRecord) -> tuple[int, str, str]:
    return _RANKS[finding.severity], finding.type_key, _name(finding).casefold()


def _name(finding: DriftFindingRecord) -> str:
    return visible(finding.display_name or finding.external_id)


def _field(finding: DriftFindingRecord) -> str:
    return visible(field_text(finding).label) or str(finding.kind).replace("_", " ")


def _change(finding: DriftFindingRecord) -> str:
    if finding.kind in (FindingKind.ITEM_ADDED, FindingKind.ITEM_MISSING):
        return "" if finding.kind is FindingKind.ITEM_ADDED else finding.evidence.replace("_", " ")
    return field_text(finding).text_in_a_cell()


def _decision(finding: DriftFindingRecord) -> str:
    """What holds, by whom and until when; or what became of the decision."""
    words = [f"resolved {output.when(finding.resolved_at)}"] if finding.resolved_at else []
    decided = finding.decided
    if decided is None or decided.decision is Decision.OPEN:
        words.append("open")
    elif decided.fallen is not None:
        words.append(f"open: {decided.decision} by {decided.decided_by}, {str(decided.fallen).replace('_', ' ')}")
    else:
        until = f" until {output.when(decided.until)}" if decided.until else ""
        words.append(f"{decided.decision} by {decided.decided_by}{until}: {decided.reason}")
    if not finding.is_checked and not finding.resolved_at:
        words.append("not checked this time")
    return visible("; ".join(words))


_COLUMNS = (
    Column(
        "collection",
        "type_key",
        lambda finding: f"{finding.severity}: {collection_title(finding.type_key)}",
        Shape.HEADING,
    ),
    Column("item", "display_name", _name),
    Column("field", "label", _field, is_kept=True),
    Column("finding", "fingerprint", shape=Shape.ID, is_kept=True),
    Column("since", "first_seen_at", lambda finding: output.ago(finding.first_seen_at)),
    Column("", "text", _change, Shape.BELOW),
    Column("decision", "decision", _decision),
)


@drift.command("decide")
@prints_times
def decide(
    tenant: TenantArgument,
    fingerprint: Annotated[
        str, typer.Argument(metavar="FINDING", help="The finding's fingerprint, or its beginning.", show_default=False)
    ],
    decision: Annotated[Decision, typer.Option("--as", help="What it is; open takes a decision back.")],
    why: Annotated[
        str, typer.Option("--why", "--reason", metavar="TEXT", help="The reason, for those who come later.")
    ],
    until: Annotated[
        str | None,
        typer.Option("--until", metavar="DATE", help="It holds through this day (UTC), or up to a time (ISO 8601)."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Accept a finding, or say that it is expected here; it holds for the value that was found, until that changes.

    Example: python starter.py drift decide contoso 1f0c4d2e --as accepted --why "pilot" --until 2026-06-30
    """
    with errors_for_people():
        if len(fingerprint) < ID_BEGINNING:
            raise UsageError(f"{fingerprint!r} is too short; give {ID_BEGINNING} digits of the fingerprint")
        if not why.strip():
            raise UsageError("--why says nothing; a decision without a reason helps nobody")
        settings = load_settings()
        tenant_id = tenant_id_of(settings, tenant)
        moment = None if until is None else _until(until)

        async def ask() -> DriftFindingRecord:
            async with tenant_session(settings, tenant_id, read_only=False) as session:
                return await record_decision(session, tenant_id, fingerprint, decision, getpass.getuser(), why, moment)

        try:
            record = asyncio.run(without_collisions(ask))
        except DecisionOverError:
            raise UsageError(f"--until: {until} is over already") from None
        if as_json:
            output.print_json(record)
        else:
            name = visible(record.display_name or record.external_id)
            output.stdout.print(
                f"{record.fingerprint[:FINGERPRINT_SHOWN]} {name} {record.label or record.kind}: {_decision(record)}",
                markup=False,
            )


def _until(value: str) -> datetime:
    """The moment when a decision ends: of a day its end. Raises `UsageError`."""
    moment = time_of(value)
    if moment is None:
        raise UsageError(f"--until: {value!r} is not a date such as 2026-06-30")
    try:
        date.fromisoformat(value)
    except ValueError:
        return moment
    return moment + timedelta(days=1)
