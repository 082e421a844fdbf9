"""`catalog`: the collections that can be selected."""

from commands import output
from commands.errors import errors_for_people
from commands.options import CategoryOption, JsonOption, selection_of
from graph.catalog import load_catalog


def catalog(categories: CategoryOption = None, as_json: JsonOption = False) -> None:
    """The collections that a selection can name: type key, category, endpoint, permission.

    Example: python starter.py catalog --category conditional-access
    """
    with errors_for_people():
        known = load_catalog()
        keys = selection_of(None, categories, everything=False).type_keys if categories else sorted(known.collections)
        collections = sorted((known.collections[key] for key in keys), key=lambda one: (one.category, one.type_key))
        if as_json:
            for collection in collections:
                output.print_json(
                    {
                        "type_key": collection.type_key,
                        "title": collection.title,
                        "category": collection.category,
                        "endpoint": f"/{collection.api_version}{collection.first_url()}",
                        "permission": collection.permission,
                    }
                )
            return
        output.print_table(
            ("type key", "category", "endpoint", "permission"),
            [(one.type_key, one.category, f"/{one.api_version}{one.path}", one.permission) for one in collections],
        )
