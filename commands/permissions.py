"""`permissions`: what an app must be granted to read a selection."""

from collections import defaultdict

from commands import output
from commands.errors import errors_for_people
from commands.options import AllOption, CategoryOption, JsonOption, TypeOption, selection_or_all
from graph.catalog import load_catalog


def permissions(
    type_keys: TypeOption = None,
    categories: CategoryOption = None,
    everything: AllOption = False,
    as_json: JsonOption = False,
) -> None:
    """The least set of application permissions that reads a selection, and which collections need each.

    Without a selection, that of all. Every one of them is for reading only.

    Example: python starter.py permissions --category scripts --category updates
    """
    with errors_for_people():
        selection = selection_or_all(type_keys, categories, everything=everything)
        needed = _needed(selection.type_keys)
        if as_json:
            for permission, keys in needed.items():
                output.print_json({"permission": permission, "type_keys": keys})
            return
        output.print_table(
            ("permission", "collections#", "needed for"),
            [(permission, len(keys), ", ".join(keys)) for permission, keys in needed.items()],
        )


def _needed(type_keys: tuple[str, ...]) -> dict[str, list[str]]:
    """The permissions, sorted, each with the collections that need it."""
    collections = load_catalog().collections
    needed: dict[str, list[str]] = defaultdict(list)
    for key in type_keys:
        needed[collections[key].permission].append(key)
    return dict(sorted(needed.items()))
