"""`promote plan` for several tenants."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any
from uuid import UUID

from answers.compare.answer import KeptItems, LastingSession, Side, side
from answers.compare.records import TenantRecord
from answers.promotion import answer
from answers.promotion.blocked_matrix import COUNTED_FOR_EACH, Target, blocked_rows
from answers.promotion.candidates import PlanRequest
from answers.promotion.records import BlockedRow, PlanContent, PlannedTarget, PlanRecord, PlansRecord
from answers.promotion.shared_command import person
from cli import output
from cli.errors import ExitCode
from cli.options import TenantNames
from cli.output_options import output_options
from cli.sessions import opened_database, without_collisions
from cli.spool import printed_afterwards
from cli.table import Column, Shape, print_table
from cli.tenant_walk import tenant_failure
from configuration import Settings
from inventory.plurals import counted
from inventory.user_errors import NeverReadError, UserError
from inventory.visible_text import visible

MOST_COLUMNS = 12
"""The most tenants with a column each."""


async def plan_for_many(settings: Settings, here: UUID, targets: Sequence[UUID], plan_request: PlanRequest) -> ExitCode:
    """Stores and prints plans. `FAILED` if each tenant failed."""
    names = TenantNames.load(settings)
    outcomes: list[PlannedTarget] = []
    planned: list[Target] = []
    is_complete = True
    failed = 0
    with printed_afterwards():
        async with (
            opened_database(settings, pool_size=2) as database,
            database.tenant(here, read_only=True, snapshot=True) as session,
        ):
            reading = await side(TenantRecord(tenant_id=here, name=names.of(here)), session, KeptItems())
            lasting = LastingSession(session)
            for there in targets:
                target = TenantRecord(tenant_id=there, name=names.of(there))
                one_plan = partial(_planned, database.tenant, reading, target, plan_request)
                try:
                    await lasting.stay_open()
                    record, content = await without_collisions(one_plan)
                except NeverReadError as error:
                    why = str(error)
                except UserError:  # the question is wrong for every tenant
                    raise
                except Exception as error:  # noqa: BLE001 - the other tenants are still planned for
                    why = f"{target.name}: {await tenant_failure(database, error)}"
                    failed += 1
                else:
                    outcomes.append(PlannedTarget(target=target, plan=record))
                    planned.append((target, [item for item in content.items if item.reasons]))
                    is_complete = is_complete and content.is_complete
                    continue
                outcomes.append(PlannedTarget(target=target, plan=None, why=why))
                is_complete = False
    _print(PlansRecord(source=reading.tenant, targets=outcomes), blocked_rows(planned), planned)
    if failed == len(targets):
        return ExitCode.FAILED
    return ExitCode.SUCCESS if is_complete else ExitCode.PARTIAL


async def _planned(
    session_of: Callable[..., Any], reading: Side, target: TenantRecord, plan_request: PlanRequest
) -> tuple[PlanRecord, PlanContent]:
    async with session_of(target.tenant_id, snapshot=True) as session:
        return await answer.make_plan(reading, await side(target, session), plan_request, person())


def _print(plans: PlansRecord, rows: Sequence[BlockedRow], planned: Sequence[Target]) -> None:
    if output_options().as_json:
        output.print_json(*rows, plans)
        return
    made = [outcome for outcome in plans.targets if outcome.plan is not None]
    columns = (*_REASON_COLUMNS, *(_tenant_columns(made) if len(made) <= MOST_COLUMNS else ()))
    if not output_options().as_csv:
        output.stdout.print(f"{counted(len(made), 'plan')} from {plans.source.name}; nothing is written to Graph")
        numbers = {outcome.target.tenant_id: number for number, outcome in enumerate(made, 1)}
        print_table(_target_columns(numbers), made, record=PlannedTarget, is_summary=True)
        if rows:
            output.stdout.print("blocked items by reason, in each tenant by its number:")
    print_table(columns, rows, record=BlockedRow)
    if sum(row.items for row in rows) > sum(len(items) for _, items in planned):
        output.warn(COUNTED_FOR_EACH)
    for outcome in plans.targets:
        if outcome.plan is None:
            output.warn(f"not planned: {visible(str(outcome.why))}")


def _target_columns(numbers: dict[UUID, int]) -> tuple[Column, ...]:
    def count(name: str) -> Callable[[PlannedTarget], int]:
        return lambda outcome: getattr(outcome.plan.counts, name) if outcome.plan is not None else 0

    return (
        Column("no", "number", lambda outcome: numbers[outcome.target.tenant_id], Shape.NUMBER, is_kept=True),
        Column("tenant", "target.name", lambda outcome: visible(outcome.target.name), is_kept=True),
        Column("plan", "plan.plan_id", lambda outcome: str(outcome.plan.plan_id)[:8], is_kept=True),
        *(
            Column(heading, f"plan.counts.{name}", count(name), Shape.NUMBER, is_kept=True)
            for heading, name in (
                ("create", "create"),
                ("update", "update"),
                ("same", "nothing_to_do"),
                ("blocked", "blocked"),
            )
        ),
    )


def _tenant_columns(made: Sequence[PlannedTarget]) -> tuple[Column, ...]:
    def count(number: int) -> Callable[[BlockedRow], int | None]:
        return lambda row: len(row.cells[number].items) or None

    return tuple(
        Column(str(number + 1), f"cells.{number}", count(number), Shape.NUMBER, is_kept=True)
        for number in range(len(made))
    )


_REASON_COLUMNS = (
    Column("reason", "code", lambda row: str(row.code).replace("_", " ")),
    Column("about", "about", lambda row: visible(row.about)),
    Column("tenants", "tenants", shape=Shape.NUMBER),
    Column("items", "items", shape=Shape.NUMBER),
)
