from collections.abc import Iterator
from typing import Annotated, Any

import typer

from cli import output
from cli.errors import UsageError
from cli.options import CategoryOption, TypeOption, complete_type_key, selection_of
from cli.output_options import output_options, prints_tables
from cli.table import Column, Shape, print_table
from graph.catalog import Collection, DetailCall, kinds_in, load_catalog


@prints_tables
def catalog(
    type_key: Annotated[
        str | None,
        typer.Argument(
            metavar="KEY",
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
) -> None:
    """The collections of the catalog: type key, category, endpoint, permission. With KEY, one of them in full.

    Example: python starter.py catalog --category conditional-access

    Example: python starter.py catalog deviceHealthScripts
    """
    named = [*(type_keys or ()), *([type_key] if type_key else ())]
    entries = _entries(named, categories, permission, opt_in=opt_in)
    if output_options().as_json:
        output.print_json(*map(_row, entries))
    elif explain or type_key:
        for number, entry in enumerate(entries):
            if number:
                output.stdout.print()
            _explain(entry)
    else:
        rows = [_row(entry) for entry in entries]
        print_table(_COLUMNS, rows, record=tuple(rows[0]) if rows else None, if_none="no collection fits all options")


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
    collections = load_catalog().collections
    keys = selection_of(type_keys, categories, everything=False).type_keys if type_keys or categories else collections
    entries = sorted(
        (collections[key] for key in keys), key=lambda collection: (collection.category, collection.type_key)
    )
    folded = None if permission is None else permission.casefold()
    needs = {key: {name.casefold() for name in collection.permissions} for key, collection in collections.items()}
    if folded is not None and not any(folded in names for names in needs.values()):
        raise UsageError(f"no collection needs {permission!r}; python starter.py permissions lists what is needed")
    return [
        entry
        for entry in entries
        if (folded is None or folded in needs[entry.type_key]) and (entry.opt_in or not opt_in)
    ]


def _explain(entry: Collection) -> None:
    first, *others = _sentences(entry)
    output.stdout.print(first, style="bold")
    for sentence in others:
        output.stdout.print("  " + sentence)


def _row(entry: Collection) -> dict[str, Any]:
    """Scripts rely on the first five fields."""
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


def _sentences(entry: Collection) -> Iterator[str]:
    yield f"{entry.title}: type key {entry.type_key}, category {entry.category}."
    yield from _reading(entry)
    yield from _what_is_left_out(entry)
    yield from (_detail(detail) for detail in entry.details)
    yield f"It needs the application permission {entry.permission}."
    for name in sorted(entry.permissions - {entry.permission}):
        properties = [detail.property for detail in entry.details if detail.permission == name]
        yield f"It needs {name} too, for {', '.join(filter(None, properties))}."
    if entry.delegated_only:
        yield "Microsoft opens it to signed-in people only. Where Graph refuses an app it is skipped; that is no error."
    if entry.licence_hint:
        yield f"A tenant has it with a licence for {entry.licence_hint}."
    yield from _documents(entry)
    if entry.note:
        yield entry.note


def _reading(entry: Collection) -> Iterator[str]:
    verb = "is one object" if entry.singleton else "is listed"
    yield f"It {verb} at GET /{entry.api_version}{entry.first_url()}, on Graph's budget for {entry.throttle_family}."
    if entry.parent:
        yield f"There is one listing for each item of {entry.parent}, so both are read."
    if entry.throttle_family.interval is not None:
        yield "Graph allows one request a second here, so it is read slowly."
    if not entry.singleton and entry.page_size is None:
        yield "No $top is sent: the service pages by itself."
    if entry.opt_in:
        yield "It is opt-in: --all leaves it out, so name it by --type or --category."


def _what_is_left_out(entry: Collection) -> Iterator[str]:
    if entry.left_out_types:
        names = sorted(name.rpartition(".")[2] for name in entry.left_out_types)
        yield f"Objects of these types are left out, since other collections hold them: {', '.join(names)}."
    for name, value in sorted(entry.left_out_where.items()):
        yield f"Objects with {name} = {str(value).lower()} are left out."


def _detail(detail: DetailCall) -> str:
    subject = detail.property or "the rest of the item"
    condition = (
        f", for {', '.join(sorted(name.rpartition('.')[2] for name in detail.types))} alone" if detail.types else ""
    )
    if detail.only_where:
        name, _, value = detail.only_where.partition("=")
        condition += f", where {name} {f'has {value}' if value else 'is not empty'}"
    sentence = f"For each item, {subject} comes by GET {detail.path}{condition}"
    if detail.optional:
        sentence += "; an item may have none"
    if detail.licence_hint:
        sentence += f"; a tenant has it with a licence for {detail.licence_hint}"
    if detail.believe_list:
        sentence += f"; {', '.join(sorted(detail.believe_list))} stay as the list shows them"
    for child in detail.children:
        sentence += f"; and for each of its members, {child.property} by GET {child.path}"
    return sentence + "."


def _documents(entry: Collection) -> Iterator[str]:
    if entry.sensitive:
        yield f"Hidden by a keyed hash, so that only a change shows: {', '.join(sorted(entry.sensitive))}."
    if entry.masked:
        yield f"Shown by Graph to nobody, so that only an edit of the item shows: {', '.join(sorted(entry.masked))}."
    if entry.script_bodies:
        yield f"Hidden where the configuration says so: {', '.join(sorted(entry.script_bodies))}."
    if entry.payloads:
        yield f"Stored where the configuration says so: {', '.join(sorted(entry.payloads))}."
    if entry.id_field != "id":
        yield f"Its {entry.id_field} identifies an item."
    if entry.references:
        named = [f"{' or '.join(keys)} ({path})" for path, keys in sorted(entry.references.items())]
        yield f"It names objects of other collections: {', '.join(named)}."
    kinds = kinds_in(entry.type_key)
    if len(kinds) > 1:
        yield f"Kinds: {', '.join(kinds)}."
