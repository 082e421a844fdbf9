"""`catalog`: the collections of the catalog, and their properties."""

from typing import Annotated, Any

import typer

from cli import output
from cli.catalog_text import sentences
from cli.errors import UsageError
from cli.options import CategoryOption, JsonOption, TypeOption, complete_type_key, selection_of
from cli.output_options import prints_tables
from cli.table import Column, Shape, print_table
from graph.catalog import Collection, kinds_in, load_catalog


@prints_tables
def catalog(
    type_key: Annotated[
        str | None,
        typer.Argument(
            metavar="[KEY]",
            help="A collection to explain.",
            autocompletion=complete_type_key,
            show_default=False,
        ),
    ] = None,
    type_keys: TypeOption = None,
    categories: CategoryOption = None,
    permission: Annotated[
        str | None, typer.Option("--permission", metavar="NAME", help="Only collections that need this permission.")
    ] = None,
    opt_in: Annotated[bool, typer.Option("--opt-in", help="Only opt-in collections, which --all leaves out.")] = False,
    explain: Annotated[bool, typer.Option("--explain", help="Explain each collection in full sentences.")] = False,
    as_json: JsonOption = False,
) -> None:
    """The collections of the catalog: type key, category, endpoint, permission. With KEY, one of them in full.

    Example: python starter.py catalog --category conditional-access

    Example: python starter.py catalog deviceHealthScripts
    """
    named = [*(type_keys or ()), *([type_key] if type_key else ())]
    entries = _entries(named, categories, permission, opt_in=opt_in)
    if as_json:
        output.print_json(*map(_row, entries))
    elif explain or type_key:
        for number, entry in enumerate(entries):
            if number:
                output.stdout.print()
            _explain(entry)
    else:
        rows = [_row(entry) for entry in entries]
        print_table(_COLUMNS, rows, record=tuple(rows[0]) if rows else None)


_COLUMNS = (
    Column("category", "category", lambda row: row["category"], Shape.HEADING, yields=True),
    Column("type key", "type_key"),
    Column("title", "title"),
    Column("permission", "permission"),
    Column("endpoint", "endpoint", lambda row: row["endpoint"].partition("?")[0]),
    Column("", "opt_in", lambda row: "opt-in" if row["opt_in"] else "", is_kept=True),
)


def _entries(
    type_keys: list[str], categories: list[str] | None, permission: str | None, *, opt_in: bool
) -> list[Collection]:
    """Entries that the options leave. Raises `UsageError` if none needs the permission."""
    known = load_catalog().collections
    keys = selection_of(type_keys, categories, everything=False).type_keys if type_keys or categories else known
    entries = sorted((known[key] for key in keys), key=lambda collection: (collection.category, collection.type_key))
    wanted = None if permission is None else permission.casefold()
    needs = {key: {name.casefold() for name in collection.permissions} for key, collection in known.items()}
    if wanted is not None and not any(wanted in names for names in needs.values()):
        raise UsageError(f"no collection needs {permission!r}; python starter.py permissions lists what is needed")
    return [
        entry
        for entry in entries
        if (wanted is None or wanted in needs[entry.type_key]) and (entry.opt_in or not opt_in)
    ]


def _explain(entry: Collection) -> None:
    first, *others = sentences(entry)
    output.stdout.print(first, style="bold", markup=False)
    for sentence in others:
        output.stdout.print("  " + sentence, markup=False)


def _row(entry: Collection) -> dict[str, Any]:
    """The first five fields are fixed by contract."""
    return {
        "type_key": entry.type_key,
        "title": entry.title,
        "category": entry.category,
        "endpoint": f"/{entry.api_version}{entry.first_url()}",
        "permission": entry.permission,
        "throttle_family": entry.throttle_family,
        "platform": entry.platform,
        "singleton": entry.singleton,
        "parent": entry.parent,
        "opt_in": entry.opt_in,
        "licence_hint": entry.licence_hint,
        "details": [
            f"/{entry.api_version}{path}"
            for detail in entry.details
            for path in (detail.path, *(child.path for child in detail.children))
        ],
        "left_out_types": sorted(entry.left_out_types),
        "left_out_where": entry.left_out_where,
        "sensitive": sorted(entry.sensitive),
        "masked": sorted(entry.masked),
        "script_bodies": sorted(entry.script_bodies),
        "payloads": sorted(entry.payloads),
        "references": {path: list(keys) for path, keys in sorted(entry.references.items())},
        "kinds": kinds_in(entry.type_key),
        "note": entry.note,
    }
