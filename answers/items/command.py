"""`items`, `missing`: what the database knows of a tenant."""

import asyncio
from typing import Annotated
from uuid import UUID

import typer

from cli import output
from cli.errors import UsageError, errors_for_people
from cli.options import MOST, JsonOption, SelectionOption, TenantArgument, TypeOption, known_type_keys, tenant_id_of
from cli.sessions import tenant_session
from configuration import load_settings
from graph.catalog import kind_of
from inventory.records import ItemRecord
from inventory.visible_text import visible
from storage import queries

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
        _show_items(tenant, type_keys, selection, _page(limit, after), as_json=as_json, only_missing=False)


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
        _show_items(tenant, type_keys, selection, _page(limit, after), as_json=as_json, only_missing=True)


def _page(limit: int | None, after: str | None) -> queries.Page:
    """A type key holds no slash, an id may hold some."""
    if after is None:
        return queries.Page(limit)
    type_key, slash, external_id = after.partition("/")
    if not (type_key and slash and external_id):
        raise UsageError(f"--after takes the type key and the id of an item as TYPE/ID, not {after!r}")
    return queries.Page(limit, (type_key, external_id))


def _show_items(
    tenant: str,
    type_keys: list[str] | None,
    selection: str | None,
    page: queries.Page,
    *,
    as_json: bool,
    only_missing: bool,
) -> None:
    settings = load_settings()
    tenant_id = tenant_id_of(settings, tenant)
    wanted = known_type_keys(type_keys)

    async def show() -> None:
        async with tenant_session(settings, tenant_id) as session:
            full_hash = await queries.resolve_selection_hash(session, selection) if selection else None
            asked = await queries.question(session, full_hash)
            if only_missing and asked is None:
                output.stderr.print(
                    "no run of this tenant has completed, so nothing can be called missing", style="dim"
                )
                return
            found = (
                queries.missing_items(session, asked, wanted, page)
                if only_missing and asked is not None
                else queries.items(session, asked, wanted, page)
            )
            if as_json:
                async for item in found:
                    output.print_json(item)
                return
            shown = [item async for item in found]
            output.print_table(_ITEM_COLUMNS, map(_item_row, shown), title=_title(asked))
            if len(shown) == page.limit:
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


def _title(asked: queries.Question | None) -> str:
    if asked is None:
        return "no run has completed yet, so items have no state"
    started: str = output.when(asked.run.started_at)
    run_id: UUID = asked.run_id
    return f"relative to run {run_id} ({asked.run.status}, {started}) of selection {asked.selection.hash()[:12]}"
