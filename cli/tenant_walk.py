"""Asks several tenants one question, in the order of names.

A tenant that was never read, or whose answer fails, gets a line on stderr and counts for the exit code.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from enum import Enum, auto
from typing import TypeVar

import typer
from rich.cells import cell_len
from rich.text import Text
from sqlalchemy.ext.asyncio import AsyncSession

from cli import output
from cli.errors import ExitCode, UsageError, with_tenant, words_of
from cli.options import CommandTenant, CommandTenants
from cli.output_options import SortedTogether, output_options, using
from cli.sessions import opened_database
from cli.spool import printed_afterwards
from configuration import Settings
from inventory.plurals import counted
from inventory.user_errors import NeverReadError
from storage.database import Database, StorageNotReadyError, StorageServerError, StorageUnavailableError

RowT = TypeVar("RowT")

Ask = Callable[[Database, CommandTenant], Awaitable[None]]
"""Prints one tenant's answer. It may raise `typer.Exit` with its exit code."""


class RowLimit:
    """The most rows of an answer over all tenants.

    With `--sort`, all rows are read before the first are printed. With `asks_all`, tenants beyond the limit are asked
    for the exit code.
    """

    def __init__(self, most: int | None, *, asks_all: bool = False) -> None:
        self.most = most
        self.left_out = 0
        """Rows that were read, but not printed."""
        self._left = None if output_options().sort else most
        self._asks_all = asks_all

    @property
    def to_read(self) -> int | None:
        """Rows to read of the next tenant; None for all."""
        return self._left

    @property
    def is_reached(self) -> bool:
        """Whether no further tenant is asked."""
        return self._left == 0 and not self._asks_all

    def count(self, rows: int) -> None:
        if self._left is not None:
            self._left = max(0, self._left - rows)

    def first(self, rows: Sequence[RowT]) -> Sequence[RowT]:
        printed = rows if self._left is None else rows[: self._left]
        self.left_out += len(rows) - len(printed)
        self.count(len(printed))
        return printed


class _Ending(Enum):
    ANSWERED = auto()
    NEVER_READ = auto()
    FAILED = auto()


@asynccontextmanager
async def read_session(database: Database, tenant: CommandTenant) -> AsyncIterator[AsyncSession]:
    """A read-only transaction on the tenant. `ask_each` prints the body's output after it."""
    async with database.tenant(tenant.tenant_id, read_only=True) as session:
        yield session


async def tenant_failure(database: Database, error: Exception) -> str:
    """One tenant's error in a line for people. Raises an error that concerns every tenant."""
    if isinstance(error, BrokenPipeError | UsageError | StorageNotReadyError | StorageServerError):
        raise error
    if not isinstance(error, StorageUnavailableError):
        return words_of(error)
    await database.check()
    return f"{error}; run the command again for this tenant"


def ask_each(
    settings: Settings,
    tenants: CommandTenants,
    ask: Ask,
    *,
    pool_size: int = 1,
    limit: RowLimit | None = None,
    until_end: AsyncExitStack | None = None,
) -> None:
    """Asks each tenant, and prints the output of `ask` after its transactions. Raises `typer.Exit`.

    What `ask` opens in `until_end` is closed after the last tenant.

    People see a heading for each of several tenants. With `--sort`, all rows are one table at the end.
    """
    asyncio.run(_ask_each(settings, tenants, ask, pool_size, limit or RowLimit(None), until_end or AsyncExitStack()))


async def _ask_each(
    settings: Settings, chosen: CommandTenants, ask: Ask, pool_size: int, limit: RowLimit, until_end: AsyncExitStack
) -> None:
    async with opened_database(settings, pool_size=pool_size) as database, until_end:
        if not chosen.are_many:
            (tenant,) = chosen.tenants
            with printed_afterwards():
                _, code = await _answered(database, tenant, ask)
            _say_left_out(limit)
            if code:
                raise typer.Exit(code)
            return
        endings, codes = Counter[_Ending](), {int(ExitCode.SUCCESS)}
        together = SortedTogether({tenant.tenant_id: tenant.name for tenant in chosen.tenants})
        of_one = replace(output_options(), together=together if output_options().sort else None)
        for tenant in chosen.tenants:
            if limit.is_reached:
                break
            with using(replace(of_one, about=tenant.name)):
                heading = None if of_one.is_data else _heading_of(tenant)
                ending, code = await _ask_one(database, tenant, ask, heading)
            endings[ending] += 1
            codes.add(code)
    if together.tables:
        first, *others = together.tables
        first.print_together(others)
    _say(endings)
    _say_left_out(limit)
    if beyond := len(chosen.tenants) - endings.total():
        words = counted(beyond, "tenant was", "tenants were")
        output.stderr.print(f"--limit {limit.most} is reached: {words} not asked", style="dim")
    if endings[_Ending.FAILED] == len(chosen.tenants):
        raise typer.Exit(ExitCode.FAILED)
    if code := max(codes):
        raise typer.Exit(code)


async def _ask_one(
    database: Database, tenant: CommandTenant, ask: Ask, heading: Callable[[str | None], None] | None
) -> tuple[_Ending, int]:
    header, together = output_options().csv_header, output_options().together
    printed_before = list(header)
    sorted_before = [] if together is None else list(together.tables)
    try:
        with printed_afterwards(heading):
            ending, code = await _answered(database, tenant, ask)
    except Exception as error:  # noqa: BLE001 - the other tenants are still asked
        words = await tenant_failure(database, error)
        header[:] = printed_before  # this tenant's output was discarded
        if together is not None:
            together.tables[:] = sorted_before
        with printed_afterwards(heading):
            output.stderr.print(with_tenant(words, tenant.name), style="red")
        return _Ending.FAILED, ExitCode.PARTIAL
    return ending, code


async def _answered(database: Database, tenant: CommandTenant, ask: Ask) -> tuple[_Ending, int]:
    try:
        await ask(database, tenant)
    except NeverReadError as never:
        output.stderr.print(with_tenant(str(never), tenant.name), style="yellow")
        return _Ending.NEVER_READ, ExitCode.PARTIAL
    except typer.Exit as ended:
        return _Ending.ANSWERED, ended.exit_code
    return _Ending.ANSWERED, ExitCode.SUCCESS


def _heading_of(tenant: CommandTenant) -> Callable[[str | None], None]:
    def print_heading(line: str | None) -> None:
        width = output.table_width()
        fits = line is not None and cell_len(f"{tenant.name}: {Text.from_ansi(line).plain}") <= width
        output.stdout.print(Text(f"{tenant.name}:" if fits else tenant.name, "bold"), end=" " if fits else "\n")

    return print_heading


def _say_left_out(limit: RowLimit) -> None:
    if limit.left_out:
        rows = counted(limit.left_out, "more row")
        output.stderr.print(f"--limit {limit.most} leaves out {rows}", style="dim")


def _say(endings: Counter[_Ending]) -> None:
    words = [counted(endings.total(), "tenant")]
    words += [f"{endings[ending]} {text}" for ending, text in _ENDING_WORDS.items() if endings[ending]]
    output.stderr.print(", ".join(words), style="dim")


_ENDING_WORDS = {_Ending.NEVER_READ: "never read", _Ending.FAILED: "without an answer"}
