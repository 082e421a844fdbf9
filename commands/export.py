"""`export`: the inventory as files, one an item, that a version control system can keep."""

import asyncio
from datetime import datetime
from pathlib import Path
from typing import Annotated
from uuid import UUID

import typer
from sqlalchemy.ext.asyncio import AsyncSession

from commands import output
from commands.asking import moment_of, tenant_session
from commands.errors import ExitCode, errors_for_people
from commands.export_folder import ExportFolder
from commands.options import CategoryOption, JsonOption, TenantArgument, TypeOption, selection_of, tenant_id_of
from configuration import load_settings
from graph.catalog import load_catalog
from inventory.exporting import file_bytes, file_path
from inventory.records import ExportRecord, ForgottenRecord
from inventory.visible_text import visible
from storage import documents


def export(
    tenant: TenantArgument,
    folder: Annotated[
        Path, typer.Argument(metavar="DIR", help="The folder; it is made where there is none.", show_default=False)
    ],
    at: Annotated[
        str | None,
        typer.Option(
            "--at", metavar="RUN|TIME", help="As it was when a run ended, or at a time (ISO 8601; UTC unless it says)."
        ),
    ] = None,
    type_keys: TypeOption = None,
    categories: CategoryOption = None,
    force: Annotated[
        bool,
        typer.Option("--force", help="Also into a folder that holds other files, and over files named like ours."),
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Write each item's whole document to a file of its own, and remove the files of items that are gone.

    Names and bytes stay the same where nothing changed, so the folder can be a git repository. Exit code 3 where a
    version of that time has been forgotten.

    Example: python starter.py export contoso ./contoso --at 2025-03-01T00:00:00Z
    """
    with errors_for_people():
        settings = load_settings()
        tenant_id = tenant_id_of(settings, tenant)
        named = bool(type_keys or categories)
        wanted = frozenset(selection_of(type_keys, categories, everything=False).type_keys) if named else None

        async def ask() -> ExportRecord:
            async with tenant_session(settings, tenant_id) as session:
                moment = None if at is None else await moment_of(session, at)
                return await export_tenant(session, tenant_id, folder, moment, wanted, force=force)

        record = asyncio.run(ask())
        if as_json:
            output.print_json(record)
        else:
            output.stdout.print(
                f"{record.written} written, {record.unchanged} unchanged, {record.removed} removed in {folder}",
                markup=False,
            )
            _say_what_is_not_known(record)
        if record.forgotten:
            raise typer.Exit(ExitCode.PARTIAL)


async def export_tenant(
    session: AsyncSession,
    tenant_id: UUID,
    folder: Path,
    at: datetime | None,
    type_keys: frozenset[str] | None,
    *,
    force: bool = False,
) -> ExportRecord:
    """Writes the items of a moment, or of now, into a folder. One document at a time is in memory, and all names."""
    moment = at or await documents.database_time(session)
    files = ExportFolder(folder, tenant_id, force=force)
    collections = load_catalog().collections
    incomplete = presumed = unread = 0
    forgotten: list[ForgottenRecord] = []
    async for item in documents.items_at(session, moment, None if type_keys is None else sorted(type_keys)):
        if item.is_forgotten:
            forgotten.append(
                ForgottenRecord(type_key=item.type_key, external_id=item.external_id, display_name=item.display_name)
            )
        elif item.document is None:
            unread += 1
        else:
            category = collections[item.type_key].category if item.type_key in collections else None
            path = file_path(category, item.type_key, item.display_name, item.external_id)
            files.put(path, file_bytes(item.document))
            incomplete += not item.details_complete
            presumed += item.is_presumed
    not_read = await documents.types_not_read(session, moment)
    files.remove_others(type_keys)
    files.close()
    return ExportRecord(
        tenant_id=tenant_id,
        folder=str(folder),
        at=at,
        written=files.written,
        unchanged=files.unchanged,
        removed=files.removed,
        incomplete=incomplete,
        presumed=presumed,
        unread=unread,
        forgotten=forgotten,
        types_not_read=[key for key in not_read if type_keys is None or key in type_keys],
    )


def _say_what_is_not_known(record: ExportRecord) -> None:
    """On stderr: what the files do not tell, and why."""

    def say(words: str) -> None:
        output.stderr.print(words, style="yellow", markup=False)

    for item in record.forgotten:
        which = visible(f"{item.type_key} {item.external_id} ({item.display_name})")
        say(f"forgotten: the version of then of {which}; no file")
    if record.incomplete:
        say(f"{record.incomplete} documents lack details that could not be read")
    if record.presumed:
        say(f"{record.presumed} items were seen before and after, and whether they were there then is not recorded")
    if record.unread:
        say(f"{record.unread} items had been seen, and no document of theirs read; no file")
    if record.types_not_read:
        say(f"not read to the end, so nothing of theirs is taken for gone: {', '.join(record.types_not_read)}")
