"""`dependencies --reaches`."""

from uuid import UUID

from answers.dependencies import answer
from answers.dependencies.columns import REACH_COLUMNS, name_of
from answers.dependencies.open_lines import end_if_damaged, refuse_never_read, say_basis, say_what_is_open
from answers.dependencies.records import CannotSayRecord, ReachRecord
from answers.dependencies.session import item_id, read_session
from cli import output
from cli.output_options import output_options
from cli.table import print_table
from configuration import load_settings
from inventory.plurals import counted


async def show_reach(tenant_id: UUID, sought: str, *, everyone: bool) -> None:
    """`sought` is the group's id or name."""
    async with read_session(load_settings(), tenant_id) as (session, coverage):
        group_id = await item_id(session, answer.GROUPS, sought)
        reaching = answer.reaching(session, coverage, group_id, everyone=everyone)
        records = [record async for record in reaching]
        group = await answer.item_record(session, coverage, (answer.GROUPS, group_id))
    if output_options().as_json:
        output.print_json(*records)
    refuse_never_read(coverage)
    if not output_options().as_json:
        rows = [record for record in records if isinstance(record, ReachRecord)]
        reached = sum(record.reaches for record in rows)
        excluding = len(rows) - reached
        print_table(
            REACH_COLUMNS,
            rows,
            record=ReachRecord,
            title=f'{counted(reached, "item reaches", "items reach")} group "{name_of(group)}",'
            f" {counted(excluding, 'excludes', 'exclude')} it",
        )
        if not rows:
            say_basis(coverage)
    output.stderr.print(
        "groups within groups are not read: items that reach the group through a parent group are not in the answer",
        style="dim",
    )
    cannot_say = [record for record in records if isinstance(record, CannotSayRecord)]
    say_what_is_open(cannot_say, "more items that reach it may be in")
    end_if_damaged(cannot_say)
