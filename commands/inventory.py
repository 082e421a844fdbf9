"""`runs`, `run`, `items`, `missing`: what the database knows."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Annotated, TypeVar
from uuid import UUID

import typer

from commands import output
from commands.errors import EXIT_CODE_OF_STATUS, UsageError, errors_for_people
from commands.options import (
    JsonOption,
    OptionalTenantArgument,
    SelectionOption,
    TenantArgument,
    TenantNames,
    TypeOption,
    known_type_keys,
    run_id_of,
    tenant_id_of,
)
from configuration import Settings, load_settings
from graph.catalog import kind_of
from inventory.records import ItemRecord, RunRecord
from storage import queries
from storage.database import Database

ResultT = TypeVar("ResultT")

LimitOption = Annotated[int | None, typer.Option("--limit", min=1, help="How many at most.", show_default=False)]
AfterOption = Annotated[
    str | None,
    typer.Option(
        "--after", metavar="TYPE/ID", help="Go on after this item: the last one of the page before.", show_default=False
    ),
]


@asynccontextmanager
async def _database(settings: Settings) -> AsyncIterator[Database]:
    database = Database(settings.database_url.get_secret_value(), pool_size=1, application_name="tenant-inventory")
    try:
        yield database
    finally:
        await database.close()


def _ask(settings: Settings, ask: Callable[[Database], Awaitable[ResultT]]) -> ResultT:
    async def asked() -> ResultT:
        async with _database(settings) as database:
            return await ask(database)

    return asyncio.run(asked())


def runs(
    tenant: OptionalTenantArgument = None,
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="How many, newest first.")] = 20,
    as_json: JsonOption = False,
) -> None:
    """Run records, newest first: of one tenant, or of all.

    Example: python starter.py runs contoso --limit 5
    """
    with errors_for_people():
        settings = load_settings()
        tenant_id = tenant_id_of(settings, tenant) if tenant else None

        async def ask(database: Database) -> list[RunRecord]:
            async with database.tenant(tenant_id, read_only=True) if tenant_id else database.portfolio() as session:
                return await queries.recent_runs(session, limit)

        records = _ask(settings, ask)
        if as_json:
            for record in records:
                output.print_json(record)
            return
        names = TenantNames.load(settings)
        output.print_table(
            ("run", "tenant", "selection", "status", "queued", "took", "items#", "changed#", "missing#", "errors"),
            [_run_row(record, names) for record in records],
        )


def _run_row(record: RunRecord, names: TenantNames) -> tuple[object, ...]:
    took = record.finished_at - record.started_at if record.finished_at and record.started_at else None
    return (
        record.run_id,
        names.of(record.tenant_id),
        record.selection_hash[:12],
        output.status_word(record.status),
        output.when(record.queued_at),
        output.lasting(took),
        record.counts.observed,
        record.counts.created + record.counts.changed,
        record.counts.missing,
        ", ".join(record.error_codes),
    )


def run(
    run_id: Annotated[str, typer.Argument(metavar="ID", help="The run's id.", show_default=False)],
    as_json: JsonOption = False,
) -> None:
    """One run record: what was covered, what was not and why. The exit code tells how the run ended.

    Example: python starter.py run 0b9d1c1e-0f4e-4d3a-9a55-1f1d2c3b4a59 --json
    """
    with errors_for_people():
        settings = load_settings()
        wanted = run_id_of(run_id)

        async def ask(database: Database) -> RunRecord | None:
            async with database.portfolio() as session:
                return await queries.run_record(session, wanted)

        record = _ask(settings, ask)
        if record is None:
            raise UsageError(f"there is no run {wanted}; python starter.py runs lists them")
        if as_json:
            output.print_json(record)
        else:
            output.print_run(record, TenantNames.load(settings).of(record.tenant_id))
        if record.status.ended:
            raise typer.Exit(EXIT_CODE_OF_STATUS[record.status])


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
        async with _database(settings) as database, database.tenant(tenant_id, read_only=True) as session:
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
                    f"there may be more: --after {last.type_key}/{output.printable(last.external_id)}", style="dim"
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
