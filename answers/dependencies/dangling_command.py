"""`dangling` and `unassigned`."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from typing import NamedTuple
from uuid import UUID

from pydantic import BaseModel
from sqlalchemy.ext.asyncio import AsyncSession

from answers.dependencies import answer
from answers.dependencies.columns import DANGLING_COLUMNS, UNASSIGNED_COLUMNS
from answers.dependencies.open_lines import end_if_damaged, refuse_never_read, say_what_is_open
from answers.dependencies.records import CannotSayRecord, DanglingRecord, UnassignedRecord
from answers.dependencies.rules import DAMAGED
from answers.dependencies.session import references_session
from answers.dependencies.tenant_coverage import TenantCoverage
from answers.dependencies.tenants_together import Answers, TenantAnswer, TenantsTogether
from answers.old_details import OLD_DETAILS
from answers.oldest_listing import OldestListing
from cli import output
from cli.basis_lines import rests_on_coverage, say_oldest
from cli.options import (
    AllTenantsOption,
    CommandTenant,
    CommandTenants,
    LimitOption,
    OptionalTenantArgument,
    TagOption,
    TypeOption,
    command_tenants,
    known_type_keys,
)
from cli.output_options import output_options, prints_tables
from cli.table import Column, print_table
from cli.tenant_walk import RowLimit, ask_each
from configuration import Settings, load_settings
from inventory.plurals import counted
from storage.database import Database


@prints_tables
def dangling(
    tenant: OptionalTenantArgument = None,
    all_tenants: AllTenantsOption = False,
    tags: TagOption = None,
    type_keys: TypeOption = None,
    limit: LimitOption = None,
) -> None:
    """References to items that are not in the tenant, with the confidence. Collections that were not read are named.

    Example: python starter.py dangling contoso --type conditionalAccessPolicies
    """
    settings = load_settings()
    chosen = command_tenants(settings, tenant, tags, everyone=all_tenants)
    _ask_each(settings, chosen, _DANGLING, known_type_keys(type_keys), limit)


@prints_tables
def unassigned(
    tenant: OptionalTenantArgument = None,
    all_tenants: AllTenantsOption = False,
    tags: TagOption = None,
    type_keys: TypeOption = None,
    limit: LimitOption = None,
) -> None:
    """Items that are assigned to nobody, also those with exclusions only. Collections that were not read are named.

    Example: python starter.py unassigned --tag emea --type configurationPolicies
    """
    settings = load_settings()
    chosen = command_tenants(settings, tenant, tags, everyone=all_tenants)
    _ask_each(settings, chosen, _UNASSIGNED, known_type_keys(type_keys), limit)


TypeKeys = tuple[str, ...] | None


class _Question(NamedTuple):
    of_one: Callable[[AsyncSession, TenantCoverage, TypeKeys], AsyncIterator[BaseModel]]
    of_tenants: Callable[[AsyncSession, Mapping[UUID, TenantCoverage], TypeKeys], Awaitable[Answers[BaseModel]]]
    record: type[BaseModel]
    columns: tuple[Column, ...]
    title: Callable[[int], str]
    nothing: str
    say_open: Callable[[Sequence[CannotSayRecord]], None]


def _ask_each(
    settings: Settings,
    chosen: CommandTenants,
    question: _Question,
    type_keys: TypeKeys,
    limit: int | None,
) -> None:
    rows = RowLimit(limit)

    async def ask_together(session: AsyncSession, tenants: Mapping[UUID, TenantCoverage]) -> Answers[BaseModel]:
        return await question.of_tenants(session, tenants, type_keys)

    together = TenantsTogether([about.tenant_id for about in chosen.tenants], ask_together)

    async def ask(database: Database, about: CommandTenant) -> None:
        tenant_answer = await together.answer(database.portfolio, about.tenant_id)
        if tenant_answer is None:
            async with references_session(database, about.tenant_id) as (session, coverage):
                records = [record async for record in question.of_one(session, coverage, type_keys)]
                tenant_answer = TenantAnswer[BaseModel](coverage, records)
        _show_records(tenant_answer, question, rows)

    ask_each(settings, chosen, ask, pool_size=answer.READERS, limit=rows)


def _show_records(tenant_answer: TenantAnswer[BaseModel], question: _Question, limit: RowLimit) -> None:
    coverage, records = tenant_answer
    cannot_say = [record for record in records if isinstance(record, CannotSayRecord)]
    oldest = next((record for record in records if isinstance(record, OldestListing)), None)
    rows = [record for record in records if not isinstance(record, CannotSayRecord | OldestListing)]
    printed = limit.first(rows)
    if output_options().as_json:
        output.print_json(*printed, *cannot_say)
    elif rows:
        title = question.title(len(rows))
        print_table(question.columns, printed, record=question.record, title=title, most=limit.most)
    refuse_never_read(coverage)
    if not (rows or output_options().as_json):
        print_table(question.columns, [], record=question.record)
        output.stdout.print(f"{question.nothing}: {rests_on_coverage(coverage.collections.values())}")
    say_oldest(oldest)
    if not output_options().as_json:
        question.say_open(cannot_say)
    end_if_damaged(cannot_say)


def _say_open_targets(records: Sequence[CannotSayRecord]) -> None:
    targets = [record for record in records if record.references is not None and record.reason not in _OF_ITEMS]
    say_what_is_open(targets, "targets not known in")
    _say_open_items([record for record in records if record not in targets])


def _say_open_items(records: Sequence[CannotSayRecord]) -> None:
    say_what_is_open(records, "more may be in")


_OF_ITEMS = (DAMAGED, OLD_DETAILS)
"""Reasons whose `references` counts items, not references to targets."""

_DANGLING = _Question(
    answer.dangling,
    answer.dangling_of_tenants,
    DanglingRecord,
    DANGLING_COLUMNS,
    lambda number: counted(number, "dangling reference"),
    "no dangling references",
    _say_open_targets,
)
_UNASSIGNED = _Question(
    answer.unassigned,
    answer.unassigned_of_tenants,
    UnassignedRecord,
    UNASSIGNED_COLUMNS,
    lambda number: f"{counted(number, 'item is', 'items are')} assigned to nobody",
    "no unassigned items",
    _say_open_items,
)
