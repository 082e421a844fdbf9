from typing import Annotated

import orjson
import typer

from cli.options import AllOption, CategoryOption, TypeOption, selection_or_all
from cli.output_options import output_options, prints_tables
from cli.table import Column, Shape, print_table
from graph.catalog import load_catalog
from graph.least_permissions import least_permissions
from graph.permission_ids import permission_ids, required_resource_access
from inventory.user_errors import UserError


@prints_tables
def permissions(
    type_keys: TypeOption = None,
    categories: CategoryOption = None,
    everything: AllOption = False,
    manifest: Annotated[
        bool, typer.Option("--manifest", help="Print them as JSON for the app's manifest in Entra.")
    ] = False,
) -> None:
    """A small set of application permissions that reads a selection, and the collections that need each.

    The default selection is all collections. Every permission is for reading only. A permission is left out if others
    of the set cover its collections, so a smaller selection may need permissions that a larger one does not.

    Ids are app role ids of Microsoft Graph. docs/operating.md shows where the manifest goes.

    Example: python starter.py permissions --category scripts --category updates
    """
    selection = selection_or_all(type_keys, categories, everything=everything)
    collections = load_catalog().collections
    needed = least_permissions(collections[key] for key in selection.type_keys)
    if manifest:
        if wrong := output_options().of_tables or ["json"] * output_options().as_json:
            raise UserError(f"--manifest is JSON already; leave --{wrong[0]} out")
        print(orjson.dumps(required_resource_access(needed), option=orjson.OPT_INDENT_2).decode())
        return
    ids = permission_ids()
    rows = [{"permission": name, "id": str(ids[name]), "type_keys": keys} for name, keys in needed.items()]
    print_table(_COLUMNS, rows, record=("permission", "id", "type_keys"))


_COLUMNS = (
    Column("permission", "permission"),
    Column("id", "id", is_kept=True),
    Column("collections", "count", lambda row: len(row["type_keys"]), Shape.NUMBER),
    Column("needed for", "type_keys", shape=Shape.BELOW),
)
