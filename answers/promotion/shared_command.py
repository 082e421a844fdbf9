"""Arguments, person and sessions that commands about plans share."""

import getpass
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated
from uuid import UUID

import typer

from answers.compare.answer import Side, side
from answers.compare.records import TenantRecord
from cli.errors import UsageError
from cli.options import TenantNames, complete_tenant_name
from cli.sessions import opened_database
from cli.spool import printed_afterwards
from configuration import Settings
from inventory.people import Person, Role

PlanArgument = Annotated[
    str, typer.Argument(metavar="PLAN", help="The plan's id, or its beginning.", show_default=False)
]
SourceArgument = Annotated[
    str,
    typer.Argument(
        metavar="SOURCE",
        help="The tenant whose items are to be written: its id or name.",
        autocompletion=complete_tenant_name,
        show_default=False,
    ),
]
TargetArgument = Annotated[
    str,
    typer.Argument(
        metavar="TARGET",
        help="The tenant to write them to: its id or name.",
        autocompletion=complete_tenant_name,
        show_default=False,
    ),
]
ReasonOption = Annotated[str, typer.Option("--reason", metavar="TEXT", help="Kept with the decision.")]
LOCAL = "local/"
"""The beginning of ids of people at a terminal."""


def check_reason(reason: str) -> None:
    if not reason.strip():
        raise UsageError("--reason: say why, for those who come later")


def person() -> Person:
    """Anyone who reaches the database is an approver."""
    login = getpass.getuser()
    return Person(person_id=f"{LOCAL}{login}", name=login, role=Role.APPROVER)


@asynccontextmanager
async def two_sides(
    settings: Settings, here: UUID, there: UUID, *, writes: bool = True
) -> AsyncIterator[tuple[Side, Side]]:
    """Only the target's session may write."""
    names = TenantNames.load(settings)
    source, target = (TenantRecord(tenant_id=tenant_id, name=names.of(tenant_id)) for tenant_id in (here, there))
    with printed_afterwards():
        async with (
            opened_database(settings, pool_size=2) as database,
            database.tenant(here, read_only=True, snapshot=True) as session_here,
            database.tenant(there, read_only=not writes, snapshot=True) as session_there,
        ):
            yield await side(source, session_here), await side(target, session_there)
