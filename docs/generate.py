"""Writes the generated pages of this folder anew: `make docs`. A test holds them against the code."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from typer.main import get_command

from cli import stored_help
from cli.app import app
from docs import coverage, json_schemas
from graph.catalog import Collection, kinds_in, load_catalog
from inventory.error_codes import EXPLANATIONS

FOLDER = Path(__file__).parent


def error_codes() -> str:
    """`docs/error-codes.md`."""
    lines = [
        "# Error codes",
        "",
        "Generated from `inventory/error_codes.py` by `make docs`. Once released, a code never changes its meaning.",
        "",
        "| code | when | what to do |",
        "|---|---|---|",
    ]
    for code, (meaning, remedy) in EXPLANATIONS.items():
        lines.append(f"| `{code}` | {meaning} | {remedy} |")
    return "\n".join(lines) + "\n"


def catalog() -> str:
    """`docs/catalog.md`."""
    loaded = load_catalog()
    lines = [
        "# The catalog",
        "",
        "Generated from `graph/catalog/*.toml` by `make docs`. More about one: `python starter.py catalog KEY`.",
        "What an app must be granted to read a selection: `python starter.py permissions`.",
        "",
        f"{len(loaded.collections)} collections. Those marked *opt-in* are data of devices, logs, Microsoft's own",
        "catalogs, and configuration that Microsoft does not publish. `--all` leaves them out, `--type` and",
        "`--category` name them.",
        "",
        "A detail is a further GET for each item, below the endpoint's path.",
    ]
    for category in loaded.categories():
        lines += [
            "",
            f"## {category}",
            "",
            "| collection | type key | endpoint | permission | details | notes |",
            "|---|---|---|---|---|---|",
        ]
        entries = [loaded.collections[key] for key in sorted(loaded.in_categories([category]))]
        lines += [_catalog_row(entry) for entry in entries]
    return "\n".join(lines) + "\n"


def _catalog_row(entry: Collection) -> str:
    details = [path for detail in entry.details for path in (detail.path, *(child.path for child in detail.children))]
    shortened = [f"`{path.removeprefix(entry.path).replace('|', '/')}`" for path in details]
    kinds = kinds_in(entry.type_key)
    notes = [
        "*Opt-in.*" if entry.opt_in else None,
        f"Needs a licence for {entry.licence_hint}." if entry.licence_hint else None,
        "Opened to signed-in people only: skipped where Graph refuses an app." if entry.delegated_only else None,
        entry.note,
        f"Details are read again within {entry.refresh_hours} hours." if entry.refresh_hours else None,
        f"{len(kinds)} kinds." if len(kinds) > 1 else None,
    ]
    cells = (
        entry.title,
        f"`{entry.type_key}`",
        f"`/{entry.api_version}{entry.first_url()}`",
        "<br>".join(f"`{name}`" for name in [entry.permission, *sorted(entry.permissions - {entry.permission})]),
        "<br>".join(shortened),
        " ".join(note for note in notes if note),
    )
    return f"| {' | '.join(cells)} |"


def command_help() -> str:
    """`cli/help.json`: the help of each command, by its words."""
    return json.dumps(dict(_help_of(get_command(app), None, "")), indent=1, ensure_ascii=False) + "\n"


def _help_of(command: Any, parent: Any, name: str) -> Iterator[tuple[str, str]]:
    """The help of a command, as a terminal of `stored_help.COLUMNS` shows it, and of those below it."""
    context = command.context_class(
        command,
        parent=parent,
        info_name=name.rpartition(" ")[2] or stored_help.PROGRAM,
        terminal_width=stored_help.COLUMNS - 2,
    )
    yield name, command.get_help(context) + "\n"
    if hasattr(command, "list_commands"):
        for subcommand in command.list_commands(context):
            yield from _help_of(command.get_command(context, subcommand), context, f"{name} {subcommand}".strip())


PAGES = {
    "../cli/help.json": command_help,
    "catalog.md": catalog,
    "coverage.md": coverage.page,
    "error-codes.md": error_codes,
    **json_schemas.PAGES,
}

if __name__ == "__main__":
    for name, page in PAGES.items():
        file = FOLDER / name
        file.parent.mkdir(exist_ok=True)
        file.write_text(page())
