"""`items`, `missing`: what the database knows of a tenant."""

import asyncio
from typing import Annotated

import typer

from answers.items import answer
from answers.items.records import ItemsBasis
from cli import output
from cli.errors import UsageError, errors_for_people
from cli.options import MOST, JsonOption, SelectionOption, TenantArgument, TypeOption, known_type_keys, tenant_id_of
from cli.sessions import tenant_session
from configuration import load_settings
from graph.catalog import kind_of
from inventory.records import ItemRecord
from inventory.visible_text import visible

LimitOption = Annotated[
    int | None, typer.Option("--limit", min=1, max=MOST, help="How many at most.", show_default=False)
]
AfterOption = Annotated[
    str | None,
    typer.Option(
        "--after", metavar="TYPE/ID", help="Go on after this item: the last one of the page before.", show_default=False
    ),
]


def items(
    tenant: TenantArgument,
    type_keys: TypeOption = None,
    selection: SelectionOption = None,
    limit: LimitOption = None,
    after: AfterOption = None,
    as_json: JsonOption = False,
) -> None:
    """The inventory of a tenant, each item with its state relative to a selection.

    Example: python starter.py items contoso --type conditionalAccessPolicies --json
    """
    with errors_for_people():
        _show_items(tenant, type_keys, selection, limit, after, as_json=as_json, only_missing=False)


def missing(
    tenant: TenantArgument,
    type_keys: TypeOption = None,
    selection: SelectionOption = None,
    limit: LimitOption = None,
    after: AfterOption = None,
    as_json: JsonOption = False,
) -> None:
    """What is missing from a tenant relative to a selection, with confidence and evidence.

    Example: python starter.py missing contoso
    """
    with errors_for_people():
        _show_items(tenant, type_keys, selection, limit, after, as_json=as_json, only_missing=True)


def _place(after: str | None) -> tuple[str, str]:
    """The type key and id of `--after`. A type key holds no slash; an id may hold some. Raises `UsageError`."""
    if after is None:
        return "", ""
    type_key, slash, external_id = after.partition("/")
    if not (type_key and slash and external_id):
        raise UsageError(f"--after takes the type key and the id of an item as TYPE/ID, not {after!r}")
    return type_key, external_id


def _show_items(
    tenant: str,
    type_keys: list[str] | None,
    selection: str | None,
    limit: int | None,
    after: str | None,
    *,
    as_json: bool,
    only_missing: bool,
) -> None:
    settings = load_settings()
    tenant_id = tenant_id_of(settings, tenant)
    wanted = known_type_keys(type_keys)
    place = _place(after)
    ask = answer.missing if only_missing else answer.items

    async def show() -> None:
        async with tenant_session(settings, tenant_id) as session:
            found = await ask(session, selection, wanted, limit=limit, after=place)
            if found is None:
                output.stderr.print(
                    "no run of this tenant has completed, so nothing can be called missing", style="dim"
                )
                return
            if as_json:
                async for item in found.items:
                    output.print_json(item)
                return
            shown = [item async for item in found.items]
            output.print_table(_ITEM_COLUMNS, map(_item_row, shown), title=_title(found.basis))
            if len(shown) == limit:
                last = shown[-1]
                output.stderr.print(
                    f"there may be more: --after {last.type_key}/{visible(last.external_id)}", style="dim"
                )

    asyncio.run(show())


_ITEM_COLUMNS = ("collection", "kind", "name", "id", "state", "confidence", "evidence", "last seen")


def _item_row(item: ItemRecord) -> tuple[object, ...]:
    return (
        item.type_key,
        kind_of(item.type_key, item.meta),
        item.display_name,
        item.external_id,
        output.styled(item.state),
        output.styled(item.confidence),
        item.evidence,
        output.when(item.last_seen_at),
    )


def _title(basis: ItemsBasis | None) -> str:
    if basis is None:
        return "no run has completed yet, so items have no state"
    started = output.when(basis.started_at)
    if basis.selection_hash is None:
        return f"relative to the latest run of each collection, the last one {started} ({basis.status})"
    return f"relative to run {basis.run_id} ({basis.status}, {started}) of selection {basis.selection_hash[:12]}"
