"""`database`: migrations, and the roles that an administrator makes for them."""

from typing import Annotated

import typer
from sqlalchemy.exc import SQLAlchemyError

from commands import output
from commands.errors import UsageError, errors_for_people
from commands.options import JsonOption
from configuration import load_settings
from storage.access import PORTFOLIO_ROLE, WORKER_ROLE
from storage.database import StorageUnavailableError, classified, database_url
from storage.roles import script
from storage.schema import Upgraded
from storage.schema import upgrade as upgrade_database

database = typer.Typer(no_args_is_help=True, help="The database's schema, and the roles that it works under.")


@database.command()
def upgrade(as_json: JsonOption = False) -> None:
    """Apply the migrations that the database lacks. Safe to run again, and beside running workers.

    It needs no more than the owner of an empty database. Where that login may take on the two roles of the product, or
    create them, the database works under them; else under its owner alone.

    Example: python starter.py database upgrade
    """
    with errors_for_people():
        url = load_settings().database_url.get_secret_value()
        try:
            upgraded = upgrade_database(url, tell=lambda line: output.stderr.print(line, style="dim", markup=False))
        except SQLAlchemyError as error:
            raise classified(error) or StorageUnavailableError("PostgreSQL refused the migration") from None
        before, after, roles = upgraded
        if as_json:
            output.print_json({"before": before, "after": after, "roles": list(roles)})
            return
        if before == after:
            output.stdout.print(f"the database is at revision {after} already")
        else:
            output.stdout.print(f"the database went from {before or 'empty'} to revision {after}")
        output.stdout.print_lines(_set_up(upgraded), markup=False, soft_wrap=True)


_WORKER_LOGIN = "python starter.py database roles --worker-login NAME"


def _set_up(upgraded: Upgraded) -> str:
    has_two_roles = WORKER_ROLE in upgraded.roles
    found = (
        f"it works under two roles, {WORKER_ROLE} and {PORTFOLIO_ROLE}"
        if has_two_roles
        else f"it works under one role, its owner {upgraded.roles[0]}"
    )
    if upgraded.before is not None:
        return found
    if has_two_roles:
        return f"{found}\ngive workers and commands a login of their own, which owns nothing: {_WORKER_LOGIN}"
    return (
        f"{found}; for two, run what `database roles` prints, and start again from an empty database\n"
        "without them, whoever has this login, or has it run SQL, reads and changes all tenants and the schema"
    )


@database.command("roles")
def print_roles(
    owner: Annotated[
        str | None,
        typer.Option("--owner", metavar="NAME", help="The login that installs; without it that of DATABASE_URL."),
    ] = None,
    worker_logins: Annotated[
        list[str] | None,
        typer.Option(
            "--worker-login", metavar="NAME", help="A login that workers or commands use besides; repeatable."
        ),
    ] = None,
) -> None:
    """Print the SQL that creates the two roles: for an administrator, once, before the first `database upgrade`.

    Example: python starter.py database roles --owner inv --worker-login inv_worker | psql postgres
    """
    with errors_for_people():
        login = owner or database_url(load_settings().database_url.get_secret_value()).username
        if not login:
            raise UsageError("DATABASE_URL names no login; give --owner NAME")
        typer.echo(script([login, *(worker_logins or [])]), nl=False)
