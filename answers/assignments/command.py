"""`assignments`."""

from collections.abc import Sequence
from typing import Annotated

import typer
from sqlalchemy.ext.asyncio import AsyncSession

from answers.assignments import answer
from answers.assignments.records import ItemAssignment
from answers.assignments.rules import NOBODY
from answers.dependencies.answer import reason_in_words
from answers.dependencies.records import CannotSayRecord
from answers.oldest_listing import OldestListing
from cli import output
from cli.basis_lines import rests_on_coverage, say_oldest
from cli.options import TenantArgument, TypeOption, known_type_keys, tenant_id_of
from cli.output_options import output_options, prints_tables
from cli.sessions import answer_of_tenant
from cli.table import COLLECTION_COLUMN, Column, Shape, Table
from configuration import load_settings
from inventory.bounds import NAMED
from inventory.coverage import TENANT_NEVER_READ, Coverage
from inventory.plurals import counted
from inventory.user_errors import NeverReadError


@prints_tables
def assignments(
    tenant: TenantArgument,
    item: Annotated[
        str | None,
        typer.Argument(metavar="ITEM", help="An item's name, Graph id, or the id's beginning.", show_default=False),
    ] = None,
    type_keys: TypeOption = None,
) -> None:
    """Who gets what: each assignment with names, intent, filter, and the policy set that it came through.

    A deleted group has its last known name. With --json the last lines name collections of unknown or old assignments.

    Example: python starter.py assignments contoso "Windows baseline"
    """
    settings = load_settings()
    tenant_id = tenant_id_of(settings, tenant)
    chosen_keys = known_type_keys(type_keys)
    table = Table(ItemAssignment, _COLUMNS)
    cannot_say: list[CannotSayRecord] = []
    items: set[tuple[str, str]] = set()
    oldest: OldestListing | None = None

    async def ask(session: AsyncSession) -> dict[str, Coverage]:
        nonlocal oldest
        async for record in answer.assignments(session, tenant_id, item, chosen_keys):
            if output_options().as_json:
                output.print_json(record)
            elif isinstance(record, ItemAssignment):
                items.add((record.type_key, record.external_id))
                table.add(record)
            elif isinstance(record, OldestListing):
                oldest = record
            else:
                cannot_say.append(record)
        return await answer.covered(session)

    coverage = answer_of_tenant(settings, tenant_id, ask)
    if not coverage:
        raise NeverReadError(TENANT_NEVER_READ)
    if output_options().as_json:
        return
    table.print(f"assignments of {counted(len(items), 'item')}" if items else None)
    if not items:
        output.stdout.print(f"no assignments: {rests_on_coverage(coverage.values())}")
    say_oldest(oldest)
    for record in cannot_say:
        if record.read_at is not None:
            details = f"details of {counted(record.references or 0, 'item')} read from {output.when(record.read_at)} on"
            output.warn(f"{record.type_key}: rests on {details}")
    for reason, collections in _by_reason(cannot_say).items():
        more = f" and {len(collections) - NAMED} more" if len(collections) > NAMED else ""
        output.warn(f"not all assignments are known of {', '.join(collections[:NAMED])}{more}: {reason}")


def _by_reason(cannot_say: Sequence[CannotSayRecord]) -> dict[str, list[str]]:
    by_reason: dict[str, list[str]] = {}
    for record in cannot_say:
        if record.read_at is not None:
            continue
        number = "" if record.references is None else f" ({counted(record.references, 'item')})"
        by_reason.setdefault(reason_in_words(record), []).append(f"{record.type_key}{number}")
    return by_reason


def _target(record: ItemAssignment) -> str:
    if record.target_id is None:
        return record.target or NOBODY
    name = record.target_id if record.target_name is None else f'"{record.target_name}"'
    return f"{name} (deleted)" if record.target_is_absent else name


def _filter(record: ItemAssignment) -> str:
    if record.filter_id is None:
        return ""
    name = record.filter_id if record.filter_name is None else f'"{record.filter_name}"'
    return f"{record.filter_mode} {name}"


def _policy_set(record: ItemAssignment) -> str:
    return f'"{record.policy_set_name}"' if record.policy_set_name is not None else record.policy_set_id or ""


_COLUMNS = (
    COLLECTION_COLUMN,
    Column("name", "title", lambda record: record.title),
    Column("role", "role", is_kept=True),
    Column("whom", "target_name", _target, is_kept=True),
    Column("intent", "intent"),
    Column("filter", "filter_name", _filter),
    Column("through policy set", "policy_set_name", _policy_set),
    Column("id", "external_id", shape=Shape.ID, yields=True),
)
