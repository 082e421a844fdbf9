"""`promote map`."""

import asyncio
from typing import Annotated
from uuid import UUID

import typer

from answers.promotion import answer
from answers.promotion.records import MappingRecord
from answers.promotion.shared_command import SourceArgument, TargetArgument, check_reason, person, two_sides
from cli import output
from cli.errors import UsageError
from cli.options import complete_type_key, known_type_keys, tenant_id_of
from cli.output_options import output_options, prints_tables
from cli.sessions import answer_of_tenant, without_collisions
from cli.table import COLLECTION_COLUMN, Column, print_table
from configuration import Settings, load_settings
from inventory.references import NOT_READ
from inventory.visible_text import visible


@prints_tables
def map_references(
    source: SourceArgument,
    target: TargetArgument,
    type_key: Annotated[
        str | None,
        typer.Option("--type", metavar="KEY", help="The collection of both objects.", autocompletion=complete_type_key),
    ] = None,
    source_id: Annotated[str | None, typer.Option("--from", metavar="ID|NAME", help="The object of SOURCE.")] = None,
    target_id: Annotated[str | None, typer.Option("--to", metavar="ID|NAME", help="The object of TARGET.")] = None,
    reason: Annotated[str, typer.Option("--reason", metavar="TEXT", help="Kept with the mapping.")] = "",
    remove: Annotated[bool, typer.Option("--remove", help="Take the mapping of --from back.")] = False,
) -> None:
    """Map references to an object of one tenant to an object of another; without --from list what is mapped.

    Plans then use it whatever the objects are called. People are given by id: the inventory does not read them.

    Example: python starter.py promote map golden contoso --type groups --from Pilot --to "Pilot EU" --reason "CHG-7"
    """
    settings = load_settings()
    here, there = tenant_id_of(settings, source), tenant_id_of(settings, target)
    if source_id is None:
        if type_key or target_id or remove:
            raise UsageError("name the object of SOURCE with --from; without options the mappings are listed")
        _print_mappings(settings, here, there)
        return
    if type_key is None or (target_id is None) is not remove:
        raise UsageError("give --type KEY, --from and --to; to take a mapping back --type KEY, --from and --remove")
    check_reason(reason)
    if type_key not in NOT_READ:
        known_type_keys([type_key])
    wish = answer.MappingWish(type_key, source_id, target_id or "", reason)

    async def ask() -> MappingRecord | str:
        async with two_sides(settings, here, there) as (reading, writing):
            if not remove:
                return await answer.map_reference(reading, writing, wish, person())
            unmapped = await answer.unmap_reference(reading, writing, wish, person())
            if unmapped is None:
                raise UsageError(f"{type_key} {source_id} is not mapped; without options the mappings are listed")
            return unmapped

    record = asyncio.run(without_collisions(ask))
    if isinstance(record, str):
        unmapped = {"type_key": type_key, "source_id": record, "mapped": False}
        output.print_result(unmapped, f"{type_key} {visible(record)} is no longer mapped")
    elif output_options().as_json:
        output.print_json(record)
    else:
        output.stdout.print(f"{type_key} {record.source_id} → {record.target_id}")


def _print_mappings(settings: Settings, here: UUID, there: UUID) -> None:
    records = answer_of_tenant(settings, there, lambda session: answer.mappings(session, here))
    nothing = "nothing is mapped; --type KEY --from ID --to ID --reason TEXT maps an object"
    print_table(_MAPPING_COLUMNS, records, record=MappingRecord, if_none=nothing)


_MAPPING_COLUMNS = (
    COLLECTION_COLUMN,
    Column("from", "source_id", is_kept=True),
    Column("to", "target_id", is_kept=True),
    Column("by", "mapped_by"),
    Column("mapped", "mapped_at", lambda record: output.ago(record.mapped_at)),
    Column("reason", "reason", lambda record: visible(record.reason)),
)
