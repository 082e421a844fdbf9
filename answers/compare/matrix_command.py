"""`compare --golden A B C`, item by item."""

from collections.abc import Sequence
from enum import StrEnum
from uuid import UUID

from rich.text import Text

from answers.compare.answer import side
from answers.compare.matrix import Matrix
from answers.compare.page import matrix_page, occurring
from answers.compare.records import CellStatus, ItemName, MatrixRecord, MatrixRow, MatrixTenant, Status
from answers.compare.session import (
    STYLES,
    ComparisonOutput,
    FailedTenants,
    counts_column,
    exit_code,
    named,
    say_without_column,
    sessions_of,
    stale_items,
)
from cli import output
from cli.basis_lines import by_reason
from cli.errors import ExitCode
from cli.html_file import check_count, collection_titles, write_html
from cli.options import TenantNames
from cli.output_options import output_options
from cli.sessions import opened_database, say_what_is_damaged
from cli.spool import printed_afterwards
from cli.stale_lines import say_stale
from cli.table import COLLECTION_COLUMN, Column, print_table
from configuration import Settings

_CELLS_OF: dict[Status, tuple[StrEnum, ...]] = {Status.ONLY_HERE: (CellStatus.MISSING, CellStatus.CANNOT_HAVE)}


async def compare_golden(
    settings: Settings,
    golden: UUID,
    other_ids: Sequence[UUID],
    type_keys: Sequence[str] | None,
    options: ComparisonOutput,
) -> ExitCode:
    shown: list[MatrixRow] = []
    names = TenantNames.load(settings)
    shows_all = bool(options.only) or output_options().as_csv
    cell_statuses = {str(cell) for status in options.only or () for cell in _CELLS_OF.get(status, (status,))}
    with printed_afterwards():
        async with opened_database(settings, pool_size=2) as database, sessions_of(database)(golden) as session:
            failed = FailedTenants(database)
            matrix = await Matrix.of(
                await side(named(names, golden), session),
                [named(names, other) for other in other_ids],
                sessions_of(database),
                type_keys,
                failed,
            )
            async for row in matrix.rows():
                if options.only and not any(str(cell.status) in cell_statuses for cell in row.cells):
                    continue
                if output_options().as_json:
                    output.print_json(row)
                elif shows_all or any(cell.status is not CellStatus.SAME for cell in row.cells):
                    shown.append(row)
            record = matrix.record().model_copy(update={"not_answered": failed.tenants})
    if output_options().as_json:
        output.print_json(record)
    elif options.html is not None:
        check_count(len(shown))
        write_html(options.html, matrix_page(record, shown, collection_titles()))
    else:
        _print_matrix(record, shown)
    say_without_column(record.without_inventory)
    say_what_is_damaged(record.damaged)
    if not any(tenant.collections for tenant in record.tenants):
        output.warn("these tenants were never read: no run has completed, so there is nothing to compare")
    return exit_code(record, other_ids)


def _cell_column(tenant: str, number: int) -> Column:
    def text(row: MatrixRow) -> Text:
        cell = row.cells[number]
        words = str(cell.status).replace("_", " ")
        if cell.status is CellStatus.DIFFERENT:
            words = f"{words} ({len(cell.fields)})"
        return Text(words, style=STYLES[cell.status])

    return Column(tenant, f"cells.{number}", text, is_kept=True)


def _print_matrix(record: MatrixRecord, rows: Sequence[MatrixRow]) -> None:
    names = occurring((*CellStatus, "extra"), [tenant.counts for tenant in record.tenants])
    print_table(
        (Column("tenant", "name"), *map(counts_column, names)),
        sorted(record.tenants, key=lambda tenant: -tenant.counts.differing),
        record=MatrixTenant,
        title=f"golden: {record.golden.name}, as of {output.when(record.asked_at)}",
        is_summary=True,
    )
    columns = (
        COLLECTION_COLUMN,
        Column("item", "title", lambda row: row.title),
        *(_cell_column(tenant.name, number) for number, tenant in enumerate(record.tenants)),
    )
    print_table(columns, rows, record=MatrixRow)
    golden = [
        stale
        for row in rows
        for known in [next((cell.stale_here for cell in row.cells if cell.stale_here is not None), None)]
        for stale in stale_items(
            row, [ItemName(external_id=row.external_id, display_name=row.display_name, title=row.title)], known
        )
    ]
    say_stale(golden, tenant=record.golden.name)
    for number, tenant in enumerate(record.tenants):
        cells = [(row, row.cells[number]) for row in rows]
        say_stale(
            [stale for row, cell in cells for stale in stale_items(row, cell.there, cell.stale_there)],
            tenant=tenant.name,
        )
    for tenant in record.tenants:
        left_out = [
            (
                collection.type_key,
                f"golden: {collection.golden.in_words}; {tenant.name}: {collection.tenant.in_words}",
            )
            for collection in tenant.collections
            if not collection.is_compared
        ]
        output.warn(*by_reason(f"not compared with {tenant.name}", left_out))
