"""`baseline`."""

import getpass
from typing import Annotated

import typer
from sqlalchemy.ext.asyncio import AsyncSession

from answers.drift import baselines
from answers.drift.records import BaselineRecord
from answers.drift.rules import BaselineKind
from answers.runs.answer import find_run, time_over
from answers.times import TIME_FORMS
from cli import output
from cli.basis_lines import by_reason
from cli.errors import ExitCode, UsageError, with_tenant
from cli.options import TenantArgument, TenantNames, complete_tenant_name, tenant_id_of
from cli.output_options import output_options, prints_json, prints_tables, prints_times
from cli.sessions import answer_of_tenant
from cli.table import SHORTEST_RUN_ID, Column, Shape, print_table
from configuration import load_settings
from inventory.plurals import counted
from inventory.typed_text import NAME

baseline = typer.Typer(no_args_is_help=True, help="Baselines: what a tenant's drift is measured against.")

NameArgument = Annotated[str, typer.Argument(metavar="NAME", help="The baseline's name.", show_default=False)]


@baseline.command("set")
@prints_times
def set_baseline(
    tenant: TenantArgument,
    name: NameArgument,
    run: Annotated[
        str | None, typer.Option("--run", metavar="RUN", help="What this run covered, when it ended.")
    ] = None,
    at: Annotated[str | None, typer.Option("--at", metavar="TIME", help=f"As it was at a time: {TIME_FORMS}.")] = None,
    other: Annotated[
        str | None,
        typer.Option(
            "--tenant",
            metavar="OTHER",
            help="Another tenant's inventory, as it is whenever drift is asked for.",
            autocompletion=complete_tenant_name,
        ),
    ] = None,
    reason: Annotated[str | None, typer.Option("--reason", help="Kept with the baseline.")] = None,
) -> None:
    """Make a run, a moment, the present or another tenant a baseline; it replaces one of the same name.

    The versions of that time are pinned, so retention keeps them. Exit code 3 if the baseline has gaps: collections
    that were not read to their end, items whose version of that time retention has deleted.

    Example: python starter.py baseline set contoso golden --at yesterday --reason "after the audit"
    """
    if sum(option is not None for option in (run, at, other)) > 1:
        raise UsageError("a baseline is one thing: give --run RUN, --at TIME or --tenant OTHER")
    if NAME.fullmatch(name) is None:
        raise UsageError(f"{name!r} is not a baseline's name; use letters, digits, '.', '_' and '-', at most 100")
    settings = load_settings()
    tenant_id = tenant_id_of(settings, tenant)
    other_id = None if other is None else tenant_id_of(settings, other)

    async def ask(session: AsyncSession) -> BaselineRecord:
        if other_id is not None:
            return await baselines.set_tenant(session, name, tenant_id, other_id, getpass.getuser(), reason)
        if run is not None:
            run_id = await find_run(session, run)
            return await baselines.set_run(session, name, run_id, getpass.getuser(), reason)
        moment = None if at is None else await time_over(session, at, output.time_zone())
        if at is not None and moment is None:
            raise UsageError(f"--at: {at!r} is no time; write {TIME_FORMS}")
        return await baselines.set_moment(session, name, moment, getpass.getuser(), reason)

    record = answer_of_tenant(settings, tenant_id, ask, read_only=False)
    if output_options().as_json:
        output.print_json(record)
    elif record.kind is BaselineKind.TENANT:
        output.stdout.print(f"baseline {name}: the inventory of {other}, as it is")
    else:
        output.stdout.print(
            f"baseline {name} of {output.when(record.at)}: {counted(record.pinned, 'version')} pinned,"
            f" {counted(len(record.covered), 'collection')} covered"
        )
    _say_what_is_not_known(record)
    if record.not_covered or record.forgotten:
        raise typer.Exit(ExitCode.PARTIAL)


@baseline.command("list")
@prints_tables
def list_baselines(tenant: TenantArgument) -> None:
    """The baselines of a tenant: what each is of, who set it and why, and what it covers.

    Example: python starter.py baseline list contoso
    """
    settings = load_settings()
    tenant_id = tenant_id_of(settings, tenant)
    records = answer_of_tenant(settings, tenant_id, baselines.baselines)
    if output_options().as_json:
        output.print_json(*records)
        return
    if not records:
        output.stdout.print(with_tenant(baselines.NO_BASELINE, tenant))
    names = TenantNames.load(settings)
    print_table(_columns(names), records, record=BaselineRecord)


@baseline.command("drop")
@prints_json
def drop_baseline(tenant: TenantArgument, name: NameArgument) -> None:
    """Take a baseline away, with its pins and findings. Decisions stay, for a baseline of the same name.

    Example: python starter.py baseline drop contoso golden
    """
    settings = load_settings()
    tenant_id = tenant_id_of(settings, tenant)
    answer_of_tenant(settings, tenant_id, lambda session: baselines.drop_baseline(session, name), read_only=False)
    output.print_result({"tenant_id": str(tenant_id), "name": name, "dropped": True}, f"baseline {name} dropped")


def _columns(names: TenantNames) -> tuple[Column, ...]:
    return (
        Column("baseline", "name"),
        Column("of", "at", lambda record: _of(record, names), is_kept=True),
        Column("set by", "set_by"),
        Column("set", "set_at", lambda record: output.ago(record.set_at)),
        Column("covered", "covered", lambda record: len(record.covered), Shape.NUMBER),
        Column("not covered", "not_covered", lambda record: len(record.not_covered), Shape.NUMBER),
        Column("pinned", "pinned", shape=Shape.NUMBER),
        Column("not known", "unknown", lambda row: row.forgotten + row.unread + row.presumed, Shape.NUMBER),
        Column("why", "reason", shape=Shape.BELOW),
    )


def _of(record: BaselineRecord, names: TenantNames) -> str:
    if record.kind is BaselineKind.TENANT and record.other_tenant_id is not None:
        return f"tenant {names.of(record.other_tenant_id)}"
    moment: str = output.when(record.at)
    return moment if record.run_id is None else f"{moment}, run {str(record.run_id)[:SHORTEST_RUN_ID]}"


def _say_what_is_not_known(record: BaselineRecord) -> None:
    not_covered = [
        (
            collection.type_key,
            f"{collection.outcome}:{collection.error_code}" if collection.error_code else str(collection.outcome),
        )
        for collection in record.not_covered
    ]
    output.warn(*by_reason("not covered", not_covered))
    if record.forgotten:
        output.warn(f"not compared, because retention has deleted its version: {counted(record.forgotten, 'item')}")
    if record.unread:
        output.warn(f"not compared, because no document had been read: {counted(record.unread, 'item')}")
    if record.presumed:
        output.warn(
            f"no drift if missing, because nobody recorded whether it existed then: {counted(record.presumed, 'item')}"
        )
