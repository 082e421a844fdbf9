"""`database`: migrations, roles, and rotation of the key that wraps data keys."""

import asyncio
from typing import Annotated

import typer
from sqlalchemy.exc import SQLAlchemyError

from cli import output
from cli.errors import ExitCode, UsageError
from cli.output_options import output_options, prints_json
from cli.sessions import opened_database
from cli.tenant_walk import tenant_failure
from configuration import ConfigurationError, Settings, load_settings
from connections import check_database
from inventory.data_keys import DataKeyError, DataKeyKind
from inventory.plurals import counted
from inventory.wrapping_keys import WrappingKeys
from storage.access import PORTFOLIO_ROLE, WORKER_ROLE
from storage.data_keys import StoredDataKey, all_data_keys, keep_data_key
from storage.database import StorageUnavailableError, classified, database_url
from storage.roles import script
from storage.schema import UpgradeResult
from storage.schema import upgrade as upgrade_database

database = typer.Typer(no_args_is_help=True, help="The database's schema and roles.")


@database.command()
@prints_json
def upgrade() -> None:
    """Apply the migrations that the database lacks. Safe to run again, and beside running workers.

    The owner of an empty database may run it. If that login is a member of the product's two roles, or may create
    them, the database works under them; otherwise under its owner alone.

    Example: python starter.py database upgrade
    """
    url = load_settings().database_url.get_secret_value()
    try:
        upgraded = upgrade_database(url, tell=lambda line: output.stderr.print(line, style="dim"))
    except SQLAlchemyError as error:
        raise classified(error) or StorageUnavailableError("PostgreSQL refused the migration") from None
    before, after, roles = upgraded
    if output_options().as_json:
        output.print_json({"before": before, "after": after, "roles": list(roles)})
        return
    if before == after:
        output.stdout.print(f"the database is at revision {after} already")
    else:
        output.stdout.print(f"the database went from {before or 'empty'} to revision {after}")
    output.stdout.print_lines(_set_up(upgraded), soft_wrap=True)


_WORKER_LOGIN = "python starter.py database roles --worker-login NAME"


def _set_up(upgraded: UpgradeResult) -> str:
    has_two_roles = WORKER_ROLE in upgraded.roles
    roles = (
        f"it works under two roles, {WORKER_ROLE} and {PORTFOLIO_ROLE}"
        if has_two_roles
        else f"it works under one role, its owner {upgraded.roles[0]}"
    )
    if upgraded.before is not None:
        return roles
    if has_two_roles:
        return (
            f"{roles}\ngive workers and commands a login of their own, which owns nothing; with its name for NAME:"
            f" {_WORKER_LOGIN}"
        )
    return (
        f"{roles}; for two, run what `database roles` prints, and start again from an empty database\n"
        "without them, anybody with this login, or who has it run SQL, reads and changes all tenants and the schema"
    )


@database.command("roles")
@prints_json
def print_roles(
    owner: Annotated[
        str | None,
        typer.Option("--owner", metavar="NAME", help="The login that installs. Default: the login of DATABASE_URL."),
    ] = None,
    worker_logins: Annotated[
        list[str] | None,
        typer.Option("--worker-login", metavar="NAME", help="Another login, for workers or commands; may be repeated."),
    ] = None,
) -> None:
    """Print the SQL that creates the two roles: for an administrator, once, before the first `database upgrade`.

    Example: python starter.py database roles --owner inv --worker-login inv_worker | psql postgres
    """
    login = owner or database_url(load_settings().database_url.get_secret_value()).username
    if not login:
        raise UsageError("DATABASE_URL names no login; give --owner NAME")
    logins = [login, *(worker_logins or [])]
    sql = script(login, worker_logins or [])
    if output_options().as_json:
        output.print_json({"logins": logins, "sql": sql})
    else:
        typer.echo(sql, nl=False)


@database.command("rotate-key")
@prints_json
def rotate_key() -> None:
    """Wrap every tenant's data key by SENSITIVE_FIELDS_KEY, so that SENSITIVE_FIELDS_KEY_PREVIOUS can go.

    First give both to all workers and restart them. No stored document changes, and no answer reports a change.

    Example: python starter.py database rotate-key
    """
    settings = load_settings()
    keys = settings.wrapping_keys
    if keys is None:
        raise ConfigurationError("SENSITIVE_FIELDS_KEY is not set; make one with: openssl rand -hex 32")
    wrapped, current, failed = asyncio.run(_rotated(settings, keys))
    if output_options().as_json:
        output.print_json({"wrapped_anew": wrapped, "kept": current, "failed": failed})
    else:
        output.stdout.print(
            f"{counted(wrapped, 'data key')} wrapped anew, {current} already wrapped by SENSITIVE_FIELDS_KEY"
        )
        for tenant_id, reason in failed.items():
            output.stderr.print(f"{tenant_id}: {reason}", style="red", soft_wrap=True)
        if not failed:
            output.stdout.print("SENSITIVE_FIELDS_KEY_PREVIOUS is no longer needed")
    if failed:
        raise typer.Exit(ExitCode.UNEXPECTED)


async def _rotated(settings: Settings, keys: WrappingKeys) -> tuple[int, int, dict[str, str]]:
    """The numbers of keys wrapped now and before, and errors by tenant id."""
    wrapped, current, failed = 0, 0, {}
    async with opened_database(settings) as opened:
        await check_database(opened)
        async with opened.portfolio() as session:
            stored = await all_data_keys(session)
        for data_key in stored:
            try:
                anew = _wrapped_anew(data_key, keys)
                if anew is None or data_key.kind is None:
                    current += data_key.wrapped is not None
                    continue
                async with opened.tenant(data_key.tenant_id) as session:
                    is_kept = await keep_data_key(session, anew, data_key.kind, instead_of=data_key.wrapped)
            except (DataKeyError, StorageUnavailableError) as error:
                failed[str(data_key.tenant_id)] = await tenant_failure(opened, error)
                continue
            if is_kept:
                wrapped += 1
            else:
                failed[str(data_key.tenant_id)] = (
                    "another program has written this key meanwhile; run the command again"
                )
    return wrapped, current, failed


def _wrapped_anew(stored: StoredDataKey, keys: WrappingKeys) -> bytes | None:
    """The data key, wrapped by the current key; None if there is nothing to do."""
    if stored.wrapped is not None:
        secret = keys.unwrap(stored.wrapped, stored.tenant_id)
        return None if keys.is_current(stored.wrapped) else keys.wrap(secret, stored.tenant_id)
    if stored.kind is not DataKeyKind.LEGACY:
        return None
    return keys.wrap(keys.new_secret(stored.kind), stored.tenant_id)
