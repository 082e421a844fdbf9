"""Sessions, options and messages that `compare`'s commands share."""

from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import KW_ONLY, dataclass
from functools import partial
from pathlib import Path
from uuid import UUID

from answers.compare.answer import SessionOf
from answers.compare.records import (
    ComparisonRecord,
    ItemComparison,
    ItemName,
    MatrixRecord,
    MatrixRow,
    Status,
    TenantRecord,
)
from answers.compare.setting_records import SettingsComparisonRecord, SettingsMatrixRecord
from answers.compare.sides import Side
from answers.stale_items import StaleItem
from answers.unanswered_tenant import UnansweredTenant
from cli import output
from cli.basis_lines import by_reason
from cli.errors import ExitCode
from cli.options import TenantNames
from cli.sessions import opened_database
from cli.table import Column, Shape
from cli.tenant_walk import tenant_failure
from configuration import Settings
from inventory.stale import Staleness
from storage.database import Database

STYLES = {
    "same": "green",
    "different": "yellow",
    "renamed": "yellow",
    "undecided": "dim",
    "ambiguous": "magenta",
    "only_here": "red",
    "missing": "red",
    "only_there": "cyan",
    "cannot_have": "dim",
    "not_covered": "dim",
}


@dataclass(frozen=True)
class ComparisonOutput:
    only: Sequence[Status] | None
    html: Path | None
    _: KW_ONLY
    fields: bool


@asynccontextmanager
async def opened_sessions(settings: Settings) -> AsyncIterator[SessionOf]:
    """Yields tenants' read-only sessions, each of one moment."""
    async with opened_database(settings, pool_size=2) as database:
        yield sessions_of(database)


def sessions_of(database: Database) -> SessionOf:
    return partial(database.tenant, read_only=True, snapshot=True)


class FailedTenants:
    """Names tenants that cannot be compared on stderr. Called, it raises an error that concerns every tenant."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._found: dict[UnansweredTenant, None] = {}

    @property
    def tenants(self) -> list[UnansweredTenant]:
        """One for each tenant and reason."""
        return list(self._found)

    async def __call__(self, tenant: TenantRecord, error: Exception) -> None:
        reason = await tenant_failure(self._database, error)
        found = UnansweredTenant(tenant_id=tenant.tenant_id, reason=reason)
        if found not in self._found:
            output.stderr.print(f"{tenant.name} cannot be compared: {reason}", style="red")
        self._found[found] = None


def exit_code(record: MatrixRecord | SettingsMatrixRecord, asked_ids: Sequence[UUID]) -> ExitCode:
    """`FAILED` if each of the other tenants failed, so that nothing was compared."""
    if not record.has_comparison and {tenant.tenant_id for tenant in record.not_answered} >= set(asked_ids):
        return ExitCode.FAILED
    return ExitCode.SUCCESS if record.is_complete else ExitCode.PARTIAL


def named(names: TenantNames, tenant_id: UUID) -> TenantRecord:
    return TenantRecord(tenant_id=tenant_id, name=names.of(tenant_id))


def counts_column(name: str) -> Column:
    return Column(
        name.replace("_", " "),
        f"counts.{name}",
        lambda row: getattr(row.counts, name) or None,
        Shape.NUMBER,
        is_kept=True,
    )


def stale_items(
    compared: ItemComparison | MatrixRow, items: Sequence[ItemName], stale: Staleness | None
) -> list[StaleItem]:
    if stale is None:
        return []
    first = items[0]
    return [
        StaleItem(type_key=compared.type_key, kind=compared.kind, stale=stale, **first.model_dump(exclude={"title"}))
    ]


def say_never_read(*sides: Side) -> bool:
    """Names never read tenants on stderr; True if there is one."""
    unread = [side.tenant.name for side in sides if not side.coverage]
    if unread:
        were = "was" if len(unread) == 1 else "were"
        output.warn(f"{' and '.join(unread)} {were} never read: no run has completed, so nothing is compared")
    return bool(unread)


def say_without_column(tenants: Iterable[TenantRecord]) -> None:
    for tenant in tenants:
        output.warn(f"{tenant.name} was never read: no run has completed, so it has no column")


def say_what_is_left_out(record: ComparisonRecord | SettingsComparisonRecord) -> None:
    here, there = record.here.name, record.there.name
    left_out = [
        (collection.type_key, f"{here}: {collection.here.in_words}; {there}: {collection.there.in_words}")
        for collection in record.collections
        if not collection.is_compared
    ]
    output.warn(*by_reason("not compared", left_out))
