"""The command line, put together."""

import typer

from commands.baseline import baseline
from commands.catalog import catalog
from commands.changes import changes
from commands.check import check
from commands.compare import compare
from commands.database import database
from commands.demo import demo
from commands.dependencies import dangling, dependencies, unassigned
from commands.drift import drift
from commands.export import export
from commands.inventory import items, missing, run, runs
from commands.limits import limits
from commands.permissions import permissions
from commands.portfolio import portfolio
from commands.retention import retention
from commands.schedule import schedule
from commands.sync import cancel, sync
from commands.versions import diff, show, show_versions

app = typer.Typer(
    name="tenant-inventory",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    help="Tenant Inventory: what configuration Microsoft 365 tenants hold, when it was last seen, what is missing.",
)
for command in (demo, catalog, permissions, check, sync, cancel, runs, run, items, missing, limits, retention):
    app.command()(command)
app.command("versions")(show_versions)
app.command()(show)
app.command()(diff)
app.command()(export)
app.command()(changes)
app.command()(compare)
app.command()(dependencies)
app.command()(dangling)
app.command()(unassigned)
app.add_typer(baseline, name="baseline")
app.add_typer(drift, name="drift")
app.add_typer(database, name="database")
app.add_typer(portfolio, name="portfolio")
app.add_typer(schedule, name="schedule")
