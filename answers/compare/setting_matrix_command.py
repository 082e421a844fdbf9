"""`compare --golden A B C --by-setting`."""

from collections.abc import Sequence
from uuid import UUID

from rich.text import Text

from answers.compare.answer import side
from answers.compare.page import settings_matrix_page
from answers.compare.records import CellStatus, Status
from answers.compare.session import (
    STYLES,
    ComparisonOutput,
    FailedTenants,
    exit_code,
    named,
    say_never_read,
    say_without_column,
    sessions_of,
)
from answers.compare.setting_command import print_gaps, value_lines
from answers.compare.setting_matrix import SettingMatrix
from answers.compare.setting_records import (
    SettingCell,
    SettingRow,
    SettingsComparisonRecord,
    SettingsMatrixRecord,
)
from cli import output
from cli.errors import ExitCode
from cli.html_file import check_count, write_html
from cli.options import TenantNames
from cli.output_options import output_options
from cli.sessions import opened_database, say_what_is_damaged
from cli.table import Column, Shape, print_table
from configuration import Settings

_OF_STATUS = {Status.ONLY_HERE: CellStatus.MISSING}


async def compare_golden_settings(
    settings: Settings,
    golden: UUID,
    other_ids: Sequence[UUID],
    type_keys: Sequence[str] | None,
    options: ComparisonOutput,
) -> ExitCode:
    names = TenantNames.load(settings)
    async with opened_database(settings, pool_size=2) as database, sessions_of(database)(golden) as session:
        failed = FailedTenants(database)
        here = await side(named(names, golden), session)
        matrix = SettingMatrix(
            here, [named(names, other) for other in other_ids], sessions_of(database), type_keys, failed
        )
        rows = await matrix.rows()
        record = matrix.record().model_copy(update={"not_answered": failed.tenants})
    cell_statuses = {str(_OF_STATUS.get(status, status)) for status in options.only or ()}
    chosen = [row for row in rows if not cell_statuses or any(str(cell.status) in cell_statuses for cell in row.cells)]
    differing = [row for row in chosen if any(cell.status is not CellStatus.SAME for cell in row.cells)]
    shown = chosen if cell_statuses or output_options().as_csv else differing
    if output_options().as_json:
        output.print_json(*chosen, record)
    elif options.html is not None:
        check_count(len(shown))
        write_html(options.html, settings_matrix_page(record, shown))
    elif say_never_read(here):
        return ExitCode.PARTIAL
    else:
        _print(record, shown)
    say_without_column(record.without_inventory)
    say_what_is_damaged(record.damaged)
    return exit_code(record, other_ids)


def _print(record: SettingsMatrixRecord, rows: Sequence[SettingRow]) -> None:
    print_table(
        (
            Column("tenant", "there.name"),
            Column("in conflict", "counts.different", shape=Shape.NUMBER, is_kept=True),
            Column("cannot be told", "counts.undecided", lambda row: row.counts.undecided or None, Shape.NUMBER),
            Column("not set", "counts.only_here", shape=Shape.NUMBER, is_kept=True),
            Column("extra", "counts.only_there", shape=Shape.NUMBER, is_kept=True),
            Column("same", "counts.same", shape=Shape.NUMBER, is_kept=True),
        ),
        sorted(record.tenants, key=lambda tenant: (-tenant.counts.different, -tenant.counts.only_here)),
        record=SettingsComparisonRecord,
        title=f"golden: {record.golden.name}, by setting, as of {output.when(record.asked_at)}",
        is_summary=True,
        is_ordered=True,
    )
    columns = (
        Column("setting", "label"),
        Column(record.golden.name, "golden", lambda row: value_lines(row.golden), is_kept=True),
        *(_cell_column(tenant.there.name, number) for number, tenant in enumerate(record.tenants)),
    )
    print_table(columns, rows, record=SettingRow, is_ordered=True)
    for tenant in record.tenants:
        print_gaps(tenant)


def _cell_column(tenant: str, number: int) -> Column:
    def text(row: SettingRow) -> Text:
        cell = row.cells[number]
        return Text(cell_words(cell), style=STYLES[cell.status])

    return Column(tenant, f"cells.{number}", text, is_kept=True)


def cell_words(cell: SettingCell) -> str:
    """The tenant's value if it conflicts, else the result."""
    match cell.status:
        case CellStatus.DIFFERENT:
            return value_lines(cell.there)
        case CellStatus.UNDECIDED:
            return "cannot be told"
        case CellStatus.MISSING:
            return "may be set" if cell.uncertain else "not set"
        case CellStatus.NOT_COVERED:
            return "not read"
    return "same"
