"""One question for each of several tenants, in the order of their names.

A tenant that was never read, or whose answer fails, is one line on stderr and in the exit code; the others are answered
all the same.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from enum import Enum, auto

import typer
from rich.cells import cell_len
from rich.text import Text
from sqlalchemy.ext.asyncio import AsyncSession

from cli import output
from cli.errors import ExitCode, words_of
from cli.options import AskedTenant, AskedTenants
from cli.output_options import output_options, using
from cli.sessions import opened_database
from cli.spool import printed_afterwards
from configuration import Settings
from inventory.plurals import counted
from storage.database import Database

Ask = Callable[[Database, AskedTenant], Awaitable[None]]
"""Prints the answer for one tenant. It may raise `typer.Exit`, with the exit code of this answer."""


class NeverReadError(Exception):
    """No run of the tenant has completed, so the answer says nothing of it. The text says what cannot be said."""


class _Ending(Enum):
    """How the question to one tenant ended."""

    ANSWERED = auto()
    NEVER_READ = auto()
    FAILED = auto()


@asynccontextmanager
async def asked_session(database: Database, tenant: AskedTenant) -> AsyncIterator[AsyncSession]:
    """One read-only transaction on the tenant; `ask_each` prints what the body prints when it has ended."""
    async with database.tenant(tenant.tenant_id, read_only=True) as session:
        yield session


def ask_each(settings: Settings, asked: AskedTenants, ask: Ask, *, pool_size: int = 1, as_json: bool = False) -> None:
    """Asks each tenant. What `ask` prints for a tenant is printed when its transactions have ended.

    For people each of several tenants has a heading. Raises `typer.Exit`.
    """
    asyncio.run(_ask_each(settings, asked, ask, pool_size, is_data=as_json or output_options().as_csv))


async def _ask_each(settings: Settings, asked: AskedTenants, ask: Ask, pool_size: int, *, is_data: bool) -> None:
    async with opened_database(settings, pool_size=pool_size) as database:
        if not asked.are_many:
            (tenant,) = asked.tenants
            with printed_afterwards():
                _, code = await _answered(database, tenant, ask)
            if code:
                raise typer.Exit(code)
            return
        endings, codes = Counter[_Ending](), {int(ExitCode.SUCCESS)}
        for tenant in asked.tenants:
            with using(replace(output_options(), about=tenant.name)):
                ending, code = await _ask_one(database, tenant, ask, None if is_data else _heading_of(tenant))
            endings[ending] += 1
            codes.add(code)
    _say(endings)
    if endings[_Ending.FAILED] == len(asked.tenants):
        raise typer.Exit(ExitCode.FAILED)
    if code := max(codes):
        raise typer.Exit(code)


async def _ask_one(
    database: Database, tenant: AskedTenant, ask: Ask, heading: Callable[[str | None], None] | None
) -> tuple[_Ending, int]:
    """How the question to one of several tenants ended, and its exit code."""
    header = output_options().csv_header
    printed_before = list(header)
    try:
        with printed_afterwards(heading):
            ending, code = await _answered(database, tenant, ask)
    except BrokenPipeError:  # the reader has enough
        raise
    except Exception as error:  # noqa: BLE001 - the other tenants are answered all the same
        header[:] = printed_before  # what was printed for this tenant is thrown away
        with printed_afterwards(heading):
            output.stderr.print(words_of(error), style="red", markup=False)
        return _Ending.FAILED, ExitCode.PARTIAL
    return ending, code if ending is _Ending.ANSWERED else ExitCode.PARTIAL


async def _answered(database: Database, tenant: AskedTenant, ask: Ask) -> tuple[_Ending, int]:
    """How the question ended, and the exit code of its answer, which is printed whatever the code."""
    try:
        await ask(database, tenant)
    except NeverReadError as never:
        output.stderr.print(str(never), style="yellow", markup=False)
        return _Ending.NEVER_READ, ExitCode.SUCCESS
    except typer.Exit as ended:
        return _Ending.ANSWERED, ended.exit_code
    return _Ending.ANSWERED, ExitCode.SUCCESS


def _heading_of(tenant: AskedTenant) -> Callable[[str | None], None]:
    """Prints the tenant's name: before an answer of one line, given where it finds room, in the same line."""

    def print_heading(line: str | None) -> None:
        width = output.table_width()
        fits = line is not None and cell_len(f"{tenant.name}: {Text.from_ansi(line).plain}") <= width
        output.stdout.print(Text(f"{tenant.name}:" if fits else tenant.name, "bold"), end=" " if fits else "\n")

    return print_heading


def _say(endings: Counter[_Ending]) -> None:
    """On stderr: how many tenants answered."""
    words = [counted(endings.total(), "tenant")]
    words += [f"{endings[ending]} {said}" for ending, said in _SAID.items() if endings[ending]]
    output.stderr.print(", ".join(words), style="dim")


_SAID = {_Ending.NEVER_READ: "never read", _Ending.FAILED: "without an answer"}
