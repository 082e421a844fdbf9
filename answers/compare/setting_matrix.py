"""A golden tenant compared with many by setting."""

from collections.abc import Collection, Sequence
from uuid import UUID

from answers.compare.answer import SessionOf, Side, side
from answers.compare.golden_sessions import LastingSession
from answers.compare.records import CellStatus, Status, TenantRecord
from answers.compare.setting_comparison import KeptSettings, SettingsComparison
from answers.compare.setting_records import (
    SettingCell,
    SettingComparison,
    SettingRow,
    SettingsComparisonRecord,
    SettingsMatrixRecord,
)
from answers.compare.sides import OnFailure, end_comparison

_CELL_STATUS = {
    Status.SAME: CellStatus.SAME,
    Status.DIFFERENT: CellStatus.DIFFERENT,
    Status.UNDECIDED: CellStatus.UNDECIDED,
    Status.ONLY_HERE: CellStatus.MISSING,
}


class SettingMatrix:
    """Read `rows`, then `record`. One tenant at a time is compared with the golden one, which is seen at one moment."""

    def __init__(
        self,
        golden: Side,
        tenants: Sequence[TenantRecord],
        sessions: SessionOf,
        type_keys: Collection[str] | None = None,
        on_failure: OnFailure = end_comparison,
    ) -> None:
        """After a failure, the next tenant is compared."""
        self._golden = golden
        self._kept = KeptSettings()
        self._lasting = LastingSession(golden.session)
        self._others = tenants
        self._sessions = sessions
        self._type_keys = type_keys
        self._on_failure = on_failure
        self._records: list[SettingsComparisonRecord] = []
        self._without_inventory: list[TenantRecord] = []

    async def rows(self) -> list[SettingRow]:
        """A row for each golden setting, most conflicts first."""
        columns: dict[UUID, dict[str, SettingComparison]] = {}
        for other in self._others:
            try:
                await self._lasting.stay_open()
                async with self._sessions(other.tenant_id) as session:
                    there = await side(other, session)
                    if not there.coverage:
                        self._without_inventory.append(other)
                        continue
                    comparison = SettingsComparison(self._golden, there, self._type_keys, self._kept)
                    found = await comparison.settings()
                    self._records.append(comparison.record())
            except Exception as error:  # noqa: BLE001 - one tenant's defect is not the others'
                await self._on_failure(other, error)
                continue
            columns[other.tenant_id] = {
                setting.key: setting for setting in found if setting.status is not Status.ONLY_THERE
            }
        rows = [_row(key, columns) for key in {key for column in columns.values() for key in column}]
        return sorted(rows, key=_place)

    def record(self) -> SettingsMatrixRecord:
        return SettingsMatrixRecord(
            golden=self._golden.tenant,
            asked_at=self._golden.asked_at,
            tenants=self._records,
            without_inventory=self._without_inventory,
        )


def _row(key: str, columns: dict[UUID, dict[str, SettingComparison]]) -> SettingRow:
    # The column of a tenant that has not read a collection lacks that collection's golden policies.
    held = [column[key] for column in columns.values() if key in column]
    whole = max(held, key=lambda setting: sum(len(value.policies) for value in setting.here))
    return SettingRow(
        key=key,
        label=whole.label,
        kinds=whole.kinds,
        golden=whole.here,
        cells=[_cell(tenant_id, column.get(key)) for tenant_id, column in columns.items()],
    )


def _cell(tenant_id: UUID, setting: SettingComparison | None) -> SettingCell:
    if setting is None:
        return SettingCell(tenant_id=tenant_id, status=CellStatus.NOT_COVERED)
    return SettingCell(
        tenant_id=tenant_id, status=_CELL_STATUS[setting.status], there=setting.there, uncertain=setting.uncertain
    )


def _place(row: SettingRow) -> tuple[int, int, str, str]:
    statuses = [cell.status for cell in row.cells]
    conflicts, same = statuses.count(CellStatus.DIFFERENT), statuses.count(CellStatus.SAME)
    return -conflicts, same, row.label.casefold(), row.key
