"""The command line, put together."""

import typer

from commands.catalog import catalog
from commands.database import database
from commands.demo import demo
from commands.inventory import items, missing, run, runs
from commands.sync import cancel, sync

app = typer.Typer(
    name="tenant-inventory",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    help="Tenant Inventory: what configuration Microsoft 365 tenants hold, when it was last seen, what is missing.",
)
for command in (demo, catalog, sync, cancel, runs, run, items, missing):
    app.command()(command)
app.add_typer(database, name="database")
