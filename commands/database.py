"""`database upgrade`: migrations."""

import typer
from sqlalchemy.exc import SQLAlchemyError

from commands import output
from commands.errors import errors_for_people
from commands.options import JsonOption
from configuration import load_settings
from storage.database import StorageUnavailableError, classified
from storage.schema import upgrade as upgrade_database

database = typer.Typer(no_args_is_help=True, help="The database's schema.")


@database.command()
def upgrade(as_json: JsonOption = False) -> None:
    """Apply the migrations that the database lacks. Safe to run again, and beside running workers.

    Example: python starter.py database upgrade
    """
    with errors_for_people():
        url = load_settings().database_url.get_secret_value()
        try:
            before, after = upgrade_database(url)
        except SQLAlchemyError as error:
            raise classified(error) or StorageUnavailableError("PostgreSQL refused the migration") from None
        if as_json:
            output.print_json({"before": before, "after": after})
        elif before == after:
            output.stdout.print(f"the database is at revision {after} already")
        else:
            output.stdout.print(f"the database went from {before or 'empty'} to revision {after}")
