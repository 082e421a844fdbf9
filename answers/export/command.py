"""`export`: the inventory as files for version control."""

from pathlib import Path
from typing import Annotated

import typer
from sqlalchemy.ext.asyncio import AsyncSession

from answers.export import answer
from answers.export.folder import ExportFolder
from answers.export.records import ExportRecord
from answers.export.rules import companion_bytes, companion_path, file_bytes, file_path
from answers.runs.answer import moment_of
from answers.times import TIME_FORMS
from cli import output
from cli.errors import ExitCode
from cli.options import CategoryOption, TenantArgument, TypeOption, selection_of, tenant_id_of
from cli.output_options import output_options, prints_times
from cli.sessions import answer_of_tenant
from cli.spool import DocumentSpool, KeptDocument
from cli.stale_lines import say_stale
from configuration import load_settings
from graph.catalog import load_catalog
from inventory.plurals import counted
from inventory.visible_text import visible


@prints_times
def export(
    tenant: TenantArgument,
    folder: Annotated[
        Path, typer.Argument(metavar="DIR", help="The folder; it is created if it does not exist.", show_default=False)
    ],
    at: Annotated[
        str | None,
        typer.Option("--at", metavar="RUN|TIME", help=f"The state when a run ended, or at a time: {TIME_FORMS}."),
    ] = None,
    type_keys: TypeOption = None,
    categories: CategoryOption = None,
    force: Annotated[
        bool,
        typer.Option("--force", help="Write into a folder with other files, too, and replace files of the same names."),
    ] = False,
    decoded: Annotated[
        bool,
        typer.Option(
            "--decoded",
            help="Write a text file beside each document: its scripts, profiles and settings, with ids, not names.",
        ),
    ] = False,
) -> None:
    """Write each item's whole document to a file of its own, and remove the files of items that are gone.

    Files of unchanged items keep their names and bytes, so the folder can be a git repository. Exit code 3 if
    retention has deleted a version of that time, or its stored document is damaged.

    Example: python starter.py export contoso ./contoso --at monday
    """
    settings = load_settings()
    tenant_id = tenant_id_of(settings, tenant)
    named = bool(type_keys or categories)
    chosen_keys = frozenset(selection_of(type_keys, categories, everything=False).type_keys) if named else None
    files = ExportFolder(folder, tenant_id, force=force)
    with DocumentSpool() as spool:

        async def ask(session: AsyncSession) -> answer.ExportBasis:
            moment = None if at is None else await moment_of(session, at, output.time_zone())
            return await answer.export(session, moment, chosen_keys, lambda *item: spool.add(KeptDocument(*item)))

        basis = answer_of_tenant(settings, tenant_id, ask)
        _write(files, spool, chosen_keys, decoded=decoded)
    record = ExportRecord(
        tenant_id=tenant_id,
        folder=str(folder),
        written=files.written,
        unchanged=files.unchanged,
        removed=files.removed,
        **basis._asdict(),
    )
    if output_options().as_json:
        output.print_json(record)
    else:
        output.stdout.print(
            f"{record.written} written, {record.unchanged} unchanged, {record.removed} removed in {folder}"
        )
        _say_what_is_not_known(record)
    if record.forgotten or record.damaged:
        raise typer.Exit(ExitCode.PARTIAL)


def _write(files: ExportFolder, spool: DocumentSpool, type_keys: frozenset[str] | None, *, decoded: bool) -> None:
    for type_key, external_id, display_name, document in spool:
        path = file_path(load_catalog().category_of(type_key), type_key, display_name, external_id)
        files.put(path, file_bytes(document))
        if decoded:
            files.put(companion_path(path), companion_bytes(document))
    files.remove_others(type_keys)
    files.close()


def _say_what_is_not_known(record: ExportRecord) -> None:
    for item in record.forgotten:
        which = visible(f"{item.type_key} {item.external_id} ({item.title})")
        output.warn(f"no file, because retention has deleted the version of that time: {which}")
    for damaged in record.damaged:
        output.warn(visible(f"{damaged.in_words}; no file"))
    if record.incomplete:
        output.warn(f"{counted(record.incomplete, 'document lacks', 'documents lack')} details that could not be read")
    say_stale(record.stale)
    if record.presumed:
        output.warn(
            f"seen before and after, but nobody recorded whether it existed then: {counted(record.presumed, 'item')}"
        )
    if record.unread:
        output.warn(f"no file, because no document was read: {counted(record.unread, 'item')}")
    if record.types_not_read:
        output.warn(f"not read to the end, so their files stay: {', '.join(record.types_not_read)}")
