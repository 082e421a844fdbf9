"""`promote simulate`."""

import asyncio

import typer
from rich.text import Text

from answers.promotion import answer
from answers.promotion.records import SimulatedItem
from answers.promotion.shared_command import PlanArgument, two_sides
from answers.promotion.simulation import Simulation, simulate
from cli import output
from cli.errors import ExitCode
from cli.options import TenantArgument, tenant_id_of
from cli.output_options import output_options, prints_tables
from cli.sessions import tenant_session
from cli.table import COLLECTION_COLUMN, Column, Shape, print_table
from configuration import load_settings
from inventory.plurals import counted
from inventory.visible_text import visible


@prints_tables
def simulate_plan(tenant: TenantArgument, plan: PlanArgument) -> None:
    """Apply a plan's requests to a copy of the target in memory, and compare the copy with the source.

    Nothing is sent or stored. Exit code 3 where an item is blocked, or would not become as in the source: a request is
    refused, the comparison finds a difference, or a second plan still has something to do.

    Example: python starter.py promote simulate contoso 1f0c4d2e
    """
    settings = load_settings()
    tenant_id = tenant_id_of(settings, tenant)

    async def ask() -> Simulation:
        async with tenant_session(settings, tenant_id) as session:
            record, content = await answer.plan_called(session, plan)
        async with two_sides(settings, record.source.tenant_id, tenant_id, writes=False) as (here, there):
            return await simulate(here, there, record, content)

    found = asyncio.run(ask())
    _print(found)
    if found.record.proven < found.record.written or found.record.blocked:
        raise typer.Exit(ExitCode.PARTIAL)


def _print(simulation: Simulation) -> None:
    if output_options().as_json:
        output.print_json(*simulation.items, simulation.record)
        return
    record, unproven = simulation.record, [item for item in simulation.items if not item.is_proven]
    if output_options().as_csv:
        print_table(_COLUMNS, simulation.items, record=SimulatedItem)
        return
    output.stdout.print(
        f"plan {str(record.plan_id)[:8]} on a copy of {record.target.name}: {record.proven} of"
        f" {counted(record.written, 'item')} became as in {record.source.name}, by"
        f" {counted(record.requests, 'request')}; {record.blocked} blocked; nothing was sent"
    )
    print_table(_COLUMNS, unproven, record=SimulatedItem)


def _verdict(item: SimulatedItem) -> Text:
    words = "as in the source" if item.is_proven else str(item.compared or "not written").replace("_", " ")
    return Text(words, style="green" if item.is_proven else "red")


def _why(item: SimulatedItem) -> str:
    if item.refused is not None:
        return visible(item.refused)
    if item.differences:
        return visible(", ".join(item.differences))
    return "" if item.is_proven or item.again is None else f"a second plan: {item.again}".replace("_", " ")


_COLUMNS = (
    COLLECTION_COLUMN,
    Column("name", "title", lambda item: visible(item.title)),
    Column("planned", "action", lambda item: str(item.action)),
    Column("requests", "requests", shape=Shape.NUMBER),
    Column("compared", "compared", _verdict, is_kept=True),
    Column("why", "differences", _why),
)
