from collections.abc import Iterable, Sequence

from pydantic import BaseModel

from answers.compare.records import CellStatus, ComparisonRecord, ItemComparison, MatrixRecord, MatrixRow, Status
from answers.compare.setting_records import (
    SettingComparison,
    SettingRow,
    SettingsComparisonRecord,
    SettingsMatrixRecord,
)
from answers.pages import Titles, grouped, page

TENANTS_ACROSS = 6
"""Tenants that fit across a sheet of paper; more tenants make more tables."""

_DETAILED = (CellStatus.DIFFERENT, CellStatus.RENAMED, CellStatus.UNDECIDED, CellStatus.AMBIGUOUS)


def occurring(names: Iterable[str], counts: Sequence[BaseModel]) -> list[str]:
    """Names whose counts are not all zero, so need a column."""
    return [str(name) for name in names if any(getattr(count, str(name)) for count in counts)]


def comparison_page(record: ComparisonRecord, items: Sequence[ItemComparison]) -> str:
    """Equal items are only counted."""
    shown = [item for item in items if item.status is not Status.SAME]
    return page(
        "compare/comparison.html",
        record=record,
        of_type=dict(grouped(shown, lambda item: item.type_key)),
        statuses=occurring(Status, [record.counts]),
        columns=occurring(Status, [collection.counts for collection in record.differing]),
        titles={collection.type_key: collection.title for collection in record.collections},
    )


def settings_page(record: SettingsComparisonRecord, settings: Sequence[SettingComparison]) -> str:
    return page(
        "compare/settings.html",
        record=record,
        sections=grouped(settings, lambda setting: str(setting.status)),
    )


def settings_matrix_page(record: SettingsMatrixRecord, rows: Sequence[SettingRow]) -> str:
    return page(
        "compare/settings_matrix.html",
        record=record,
        rows=rows,
        tenants=sorted(record.tenants, key=lambda tenant: -tenant.counts.different),
        across=TENANTS_ACROSS,
    )


def matrix_page(record: MatrixRecord, rows: Sequence[MatrixRow], titles: Titles) -> str:
    return page(
        "compare/matrix.html",
        record=record,
        of_type=grouped(rows, lambda row: row.type_key),
        columns=occurring((*CellStatus, "extra"), [tenant.counts for tenant in record.tenants]),
        tenants=sorted(record.tenants, key=lambda tenant: -tenant.counts.differing),
        detailed=_DETAILED,
        across=TENANTS_ACROSS,
        titles=titles,
    )
