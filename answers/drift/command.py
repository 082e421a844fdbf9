"""`drift`."""

import getpass
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AsyncExitStack
from functools import partial
from typing import Annotated, NamedTuple
from uuid import UUID

import typer

from answers.compare.answer import GoldenSessions
from answers.drift.answer import Drift, evaluated_drift
from answers.drift.baselines import golden_baseline
from answers.drift.decision_command import decide, decision_words, list_decisions
from answers.drift.page import drift_page
from answers.drift.records import DriftFindingRecord, DriftReport, LeftOutItem
from answers.drift.rules import Decision, FindingKind
from answers.drift.triage import FailOn, fails, weakens
from answers.field_text import field_text
from answers.old_details import old_details_in_words
from answers.runs.answer import is_read
from cli import output
from cli.basis_lines import by_reason
from cli.errors import ExitCode, UsageError
from cli.html_file import HtmlOption, check_count, check_html, collection_titles, write_html
from cli.options import (
    AllTenantsOption,
    CommandTenant,
    CommandTenants,
    LimitOption,
    OptionalTenantArgument,
    TagOption,
    TenantNames,
    TypeOption,
    command_tenants,
    complete_tenant_name,
    known_type_keys,
    tenant_id_of,
)
from cli.output_options import output_options, prints_tables
from cli.sessions import say_what_is_damaged, without_collisions
from cli.stale_lines import stale_words
from cli.table import Column, Shape, print_table, short_ids
from cli.tenant_or_command import TenantOrCommand
from cli.tenant_walk import RowLimit, ask_each
from configuration import Settings, load_settings
from inventory.coverage import TENANT_NEVER_READ
from inventory.plurals import counted
from inventory.severity import Severity
from inventory.user_errors import NeverReadError
from inventory.visible_text import visible
from storage.database import Database

drift = typer.Typer(
    cls=TenantOrCommand,
    no_args_is_help=True,
    subcommand_metavar="TENANT [OPTIONS] | COMMAND [ARGS]...",
    help="How a tenant deviates from its baselines. `drift TENANT` is `drift show TENANT`.",
)

drift.command("decide")(decide)
drift.command("decisions")(list_decisions)


@drift.command("show")
@prints_tables
def show_drift(
    tenant: OptionalTenantArgument = None,
    all_tenants: AllTenantsOption = False,
    tags: TagOption = None,
    baseline: Annotated[
        str | None, typer.Option("--baseline", metavar="NAME", help="That baseline; else each of the tenant.")
    ] = None,
    golden: Annotated[
        str | None,
        typer.Option(
            "--golden",
            metavar="TENANT",
            help="The inventory of this tenant, as it is: a baseline of its name, set where there is none.",
            autocompletion=complete_tenant_name,
        ),
    ] = None,
    type_keys: TypeOption = None,
    severities: Annotated[
        list[Severity] | None, typer.Option("--severity", help="Only findings of this severity; may be repeated.")
    ] = None,
    everything: Annotated[
        bool, typer.Option("--all", help="Also what is accepted, expected here, or resolved.")
    ] = False,
    fail_on: Annotated[
        FailOn | None,
        typer.Option("--fail-on", help="Exit code 4 if an open finding has this severity or a higher one, or weakens."),
    ] = None,
    limit: LimitOption = None,
    html: HtmlOption = None,
) -> None:
    """Compare a tenant with its baselines: what deviates, since when, and what is decided about it.

    Items with a finding that weakens the tenant's protection come first. Of several tenants each baseline is one line.
    Collections that the baseline or the latest run did not read to their end, and items whose stored documents are
    damaged, are left out and named; their findings stay as they were, and the exit code is 3. With --json the report of
    a baseline precedes its findings. --limit bounds what is shown, never what is evaluated.

    Example: python starter.py drift --tag customers --golden contoso --fail-on high
    """
    settings = load_settings()
    chosen = command_tenants(settings, tenant, tags, everyone=all_tenants)
    chosen_keys = known_type_keys(type_keys)
    check_html(html)
    if html is not None:
        _check_one_page(chosen, limit)
    if baseline is not None and golden is not None:
        raise UsageError("--golden names a baseline, too: give it or --baseline")
    golden_id = None if golden is None else tenant_id_of(settings, golden)
    if chosen.are_many and golden_id is not None:
        others = (named for named in chosen.tenants if named.tenant_id != golden_id)
        chosen = CommandTenants(tuple(others), are_many=True)
    shown = output_options()
    rows = RowLimit(limit, asks_all=True)
    is_line = chosen.are_many and not (shown.as_csv or shown.columns or shown.sort)

    until_end = AsyncExitStack()
    goldens: GoldenSessions | None = None

    async def ask(database: Database, about: CommandTenant) -> None:
        nonlocal goldens
        if goldens is None:
            sessions = GoldenSessions(partial(database.tenant, read_only=True, snapshot=True))
            goldens = await until_end.enter_async_context(sessions)
        sought = _Sought(about.tenant_id, baseline, golden_id, chosen_keys)
        evaluated = await without_collisions(partial(_evaluated, database, goldens, settings, sought))
        is_shown = partial(_is_asked_for, severities=severities, everything=everything)
        found = [Drift(report, list(filter(is_shown, findings))) for report, findings in evaluated]
        if html is not None:
            check_count(sum(len(findings) for _, findings in found))
            write_html(html, drift_page(TenantNames.load(settings).of(about.tenant_id), found, collection_titles()))
        else:
            _print_each(found, rows, is_line=is_line)
        _end(evaluated, fail_on)

    # The tenant and the golden tenant have a session each.
    ask_each(settings, chosen, ask, pool_size=2, limit=rows, until_end=until_end)


def _check_one_page(chosen: CommandTenants, limit: int | None) -> None:
    if chosen.are_many:
        raise UsageError("--html is about one tenant: give it with TENANT")
    if limit is not None:
        raise UsageError("--html shows every finding: give it without --limit")


class _Sought(NamedTuple):
    tenant_id: UUID
    baseline: str | None
    golden: UUID | None
    type_keys: tuple[str, ...] | None


async def _evaluated(database: Database, goldens: GoldenSessions, settings: Settings, sought: _Sought) -> list[Drift]:
    """One transaction evaluates and reads. Raises `NeverReadError`."""
    async with database.tenant(sought.tenant_id, read_only=False, snapshot=True) as session:
        if not await is_read(session):
            raise NeverReadError(TENANT_NEVER_READ)
        name = sought.baseline
        if sought.golden is not None:
            called = TenantNames.load(settings).of(sought.golden)
            of_golden = await golden_baseline(session, sought.tenant_id, sought.golden, called, getpass.getuser())
            name = of_golden.name
        return await evaluated_drift(session, goldens, sought.tenant_id, name, sought.type_keys)


def _end(evaluated: Sequence[Drift], fail_on: FailOn | None) -> None:
    if fail_on is not None and any(fails(finding, fail_on) for _, findings in evaluated for finding in findings):
        raise typer.Exit(ExitCode.FAILED)
    if any(report.left_out or report.damaged for report, _ in evaluated):
        raise typer.Exit(ExitCode.PARTIAL)


def _is_asked_for(finding: DriftFindingRecord, *, severities: Sequence[Severity] | None, everything: bool) -> bool:
    return (finding.is_open or everything) and (not severities or finding.severity in severities)


def _print_each(drifts: Sequence[Drift], rows: RowLimit, *, is_line: bool) -> None:
    if is_line and not output_options().as_json:
        for report, _ in rows.first(drifts):
            _print_line(report)
        return
    for report, findings in drifts:
        shown = rows.first(findings)
        if output_options().as_json:
            output.print_json(report, *shown)
        else:
            _print(report, shown, rows.most)


def _print(report: DriftReport, findings: Sequence[DriftFindingRecord], most: int | None) -> None:
    ids = {finding.external_id for finding in findings}
    short = dict(zip(ids, ids, strict=True)) if output_options().ids else short_ids(ids)
    print_table(
        (Column("item", "title", partial(_item, short), Shape.HEADING), *_COLUMNS),
        findings,
        record=DriftFindingRecord,
        title=f"drift from baseline {report.baseline.name} of {output.when(report.baseline.at)}: {_counts(report)}",
        is_ordered=True,
        most=most,
    )
    _say_basis(report)


def _print_line(report: DriftReport) -> None:
    left_out = counted(len(report.left_out), "collection") + " left out" if report.left_out else ""
    summary = "; ".join(filter(None, (_counts(report), left_out)))
    output.stdout.print(f"{report.baseline.name}: {summary}")


def _counts(report: DriftReport) -> str:
    counts, items = report.counts, counted(len(report.items), "item")
    words = [f"{counts.open:,} open in {items}" if counts.open else "nothing open"]
    if report.open_weakening:
        words.append(f"{report.open_weakening:,} weaken{'s' if report.open_weakening == 1 else ''} protection")
    words += [f"{number:,} {severity}" for severity, number in report.open_by_severity.items() if number]
    closed = {"accepted": counts.accepted, "expected here": counts.expected, "resolved": counts.resolved}
    return ", ".join([*words, *(f"{number:,} {word}" for word, number in closed.items() if number)])


def _say_basis(report: DriftReport) -> None:
    compared = counted(len(report.compared), "collection was", "collections were")
    output.stderr.print(f"{compared} read to the end then and now", style="dim")
    left_out = [
        (collection.type_key, f"baseline: {collection.in_baseline}; now: {collection.now}")
        for collection in report.left_out
    ]
    output.warn(*by_reason("left out", left_out))
    output.warn(*old_details_in_words(report.old_details, report.evaluated_at))
    say_what_is_damaged(report.damaged)
    output.warn(*left_out_lines(report.left_out_items))


def left_out_lines(items: Sequence[LeftOutItem]) -> Iterator[str]:
    """A line for each stale item, and for each other reason of a collection."""
    for item in items:
        if item.stale is not None:
            yield f"cannot be compared: {visible(item.title)} ({item.type_key}): {stale_words(item.stale)}"
    by_reason = defaultdict[tuple[str, str], list[str]](list)
    for item in items:
        if item.stale is None:
            by_reason[item.type_key, item.in_words].append(visible(item.title))
    for (type_key, reason), names in by_reason.items():
        more = f" and {len(names) - LEFT_OUT_NAMED} more" if names[LEFT_OUT_NAMED:] else ""
        yield f"cannot be compared: {', '.join(names[:LEFT_OUT_NAMED])}{more} ({type_key}): {reason}"


LEFT_OUT_NAMED = 3
"""Items that a line names; JSON names all."""


def _item(short: Mapping[str, str], finding: DriftFindingRecord) -> str:
    name = visible(finding.title)
    return f"{name} ({finding.type_key} {visible(short[finding.external_id])})"


def _severity(finding: DriftFindingRecord) -> str:
    return f"{finding.severity}, {finding.direction}" if weakens(finding) else str(finding.severity)


def _field(finding: DriftFindingRecord) -> str:
    return visible(field_text(finding).label) or str(finding.kind).replace("_", " ")


def _change(finding: DriftFindingRecord) -> str:
    if finding.kind in (FindingKind.ITEM_ADDED, FindingKind.ITEM_MISSING):
        return "" if finding.kind is FindingKind.ITEM_ADDED else visible(finding.absence)
    return field_text(finding).text_in_a_cell()


def _decision(finding: DriftFindingRecord) -> str:
    words = decision_words(finding)
    return "" if words == str(Decision.OPEN) else words


_COLUMNS = (
    Column("field", "label", _field, is_kept=True),
    Column("severity", "severity", _severity, is_kept=True),
    Column("finding", "fingerprint", shape=Shape.ID, is_kept=True),
    Column("since", "first_seen_at", lambda finding: output.ago(finding.first_seen_at)),
    Column("", "text", _change, Shape.BELOW),
    Column("", "decision", _decision, Shape.BELOW, is_kept=True),
)
