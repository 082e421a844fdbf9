"""`tenant import`: puts a tenants file into the table of tenants."""

from pathlib import Path
from typing import Annotated

import typer
from pydantic import BaseModel

from cli import output
from cli.errors import UsageError
from cli.output_options import output_options, prints_json
from cli.person import local_person
from configuration import TenantsFrom, load_settings
from graph.tenants import FileSource, load_tenants
from inventory.plurals import counted
from tenants_source import tenants_source


class ImportedTenants(BaseModel, frozen=True):
    """The names of the tenants that the table has now, and of those that it had already."""

    added: list[str]
    kept: list[str]


@prints_json
def import_tenants(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A tenants file.", show_default=False)],
) -> None:
    """Put the tenants of a tenants file into the table of tenants, where TENANTS_FROM=table has them read from.

    Adds all of the file's tenants or, after an error, none. A tenant that the table has already stays as it is. Files
    that entries name are taken below TENANT_SECRETS_FOLDER.

    Example: python starter.py tenant import tenants.toml
    """
    settings = load_settings()
    source = tenants_source(settings)
    if isinstance(source, FileSource):
        raise UsageError(f"tenants are read from {source.named}; to keep them in the table: {_SETTING}")
    from tenants_table import TableEdit, refuse_references  # commands of a tenants file do without SQLAlchemy

    edit, configured = TableEdit(source, local_person()), source.load()
    entries = {entry.id: entry.model_dump(mode="json", exclude_defaults=True) for entry in load_tenants(file)}
    for entry in entries.values():
        refuse_references(entry)
    new = [entry for tenant_id, entry in entries.items() if configured.get(tenant_id) is None]
    edit.add_all(new)
    kept = [entry["name"] for entry in entries.values() if entry not in new]
    result = ImportedTenants(added=[entry["name"] for entry in new], kept=kept)
    if output_options().as_json:
        output.print_json(result)
        return
    output.stdout.print(f"{counted(len(result.added), 'tenant')} added to the table")
    if result.kept:
        output.stdout.print(f"kept as they were: {', '.join(result.kept)}")


_SETTING = f"set TENANTS_FROM={TenantsFrom.TABLE} (docs/configuration.md)"
