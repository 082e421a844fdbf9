"""Records of portfolio runs, written in sessions of no tenant, and of tenants' outcomes, written in the tenant's.

Portfolio sessions read both.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import ColumnElement, and_, func, or_, select, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from inventory.error_codes import ErrorCode
from inventory.outcomes import RunStatus
from inventory.portfolio import (
    PORTFOLIO_COUNT_NAMES,
    PortfolioCounts,
    PortfolioRecord,
    TenantChoice,
    TenantOutcomeRecord,
)
from inventory.selection import Selection
from storage.models.base import among, table
from storage.models.portfolio import PortfolioRunRow, PortfolioRunTenant
from storage.models.runs import SyncRun
from storage.rows import fetch, fetch_one

_PORTFOLIO, _OF_TENANT, _RUN = table(PortfolioRunRow), table(PortfolioRunTenant), table(SyncRun)


class PortfolioIdentity(NamedTuple):
    portfolio_run_id: UUID
    workflow_id: str
    selection: Selection
    chosen: TenantChoice
    schedule: str | None = None
    selection_name: str | None = None


class TenantRunOutcome(NamedTuple):
    """`error_codes` count only if the tenant's run has no closed record."""

    run_id: UUID | None
    status: RunStatus
    joined: bool
    error_codes: Sequence[ErrorCode]


class PortfolioEnd(NamedTuple):
    status: RunStatus
    counts: PortfolioCounts
    error_codes: Sequence[ErrorCode]
    cancel_requested_by: str | None = None
    cancel_reason: str | None = None


_RECORD_TENANT = text("""
INSERT INTO portfolio_run_tenant (portfolio_run_id, run_id, status, joined, error_codes, started_at, finished_at)
SELECT :id, CAST(:run_id AS uuid), :status, :joined, coalesce(r.error_codes, CAST(:error_codes AS text[])),
    r.started_at, r.finished_at
FROM (SELECT) AS this LEFT JOIN sync_run AS r ON r.run_id = CAST(:run_id AS uuid) AND r.finished_at IS NOT NULL
ON CONFLICT (tenant_id, portfolio_run_id) DO UPDATE
SET run_id = excluded.run_id, status = excluded.status, joined = excluded.joined, error_codes = excluded.error_codes,
    started_at = excluded.started_at, finished_at = excluded.finished_at
RETURNING error_codes
""")

_RECORDS = select(
    *(_PORTFOLIO.c[name] for name in PortfolioRecord.model_fields if name not in ("counts", "tenants")),
    *(_PORTFOLIO.c[name].label(f"counts.{name}") for name in PORTFOLIO_COUNT_NAMES),
)

_OPEN_RUNS = """
SELECT r.portfolio_run_id, r.workflow_id, r.tenants AS "counts.tenants",
    count(*) FILTER (WHERE t.status = 'success') AS "counts.success",
    count(*) FILTER (WHERE t.status = 'partial') AS "counts.partial",
    count(*) FILTER (WHERE t.status = 'failed') AS "counts.failed",
    count(*) FILTER (WHERE t.status = 'cancelled') AS "counts.cancelled",
    count(*) FILTER (WHERE t.joined) AS "counts.joined"
FROM portfolio_run AS r LEFT JOIN portfolio_run_tenant AS t USING (portfolio_run_id)
WHERE r.finished_at IS NULL
"""
_SOME_OPEN_RUNS = text(f"{_OPEN_RUNS} GROUP BY r.portfolio_run_id ORDER BY random() LIMIT :limit")
_THESE_OPEN_RUNS = text(f"{_OPEN_RUNS} AND r.portfolio_run_id = ANY (:ids) GROUP BY r.portfolio_run_id")


async def open_portfolio(session: AsyncSession, run: PortfolioIdentity) -> None:
    """Records the portfolio run as `running`, once."""
    await session.execute(
        insert(_PORTFOLIO)
        .values(
            portfolio_run_id=run.portfolio_run_id,
            workflow_id=run.workflow_id,
            schedule=run.schedule,
            selection_hash=run.selection.hash(),
            selection=run.selection.model_dump(mode="json"),
            selection_name=run.selection_name,
            chosen=run.chosen.model_dump(mode="json"),
        )
        .on_conflict_do_nothing(index_elements=[_PORTFOLIO.c.portfolio_run_id])
    )


async def expect_tenants(session: AsyncSession, portfolio_run_id: UUID, tenants: int) -> None:
    await session.execute(update(_PORTFOLIO).where(*_is_open(portfolio_run_id)).values(tenants=tenants))


def _is_open(portfolio_run_id: UUID) -> tuple[ColumnElement[bool], ...]:
    return _PORTFOLIO.c.portfolio_run_id == portfolio_run_id, _PORTFOLIO.c.finished_at.is_(None)


async def record_tenant(session: AsyncSession, portfolio_run_id: UUID, outcome: TenantRunOutcome) -> list[ErrorCode]:
    """Returns the error codes, from the record of the tenant's run if that is closed."""
    recorded = await session.execute(
        _RECORD_TENANT,
        {
            "id": portfolio_run_id,
            "run_id": outcome.run_id,
            "status": outcome.status,
            "joined": outcome.joined,
            "error_codes": list(outcome.error_codes),
        },
    )
    return [ErrorCode(code) for code in recorded.scalar_one()]


async def close_portfolio(session: AsyncSession, portfolio_run_id: UUID, ending: PortfolioEnd) -> None:
    """Closes the record, unless it is closed already."""
    await session.execute(
        update(_PORTFOLIO)
        .where(*_is_open(portfolio_run_id))
        .values(
            status=ending.status,
            finished_at=func.clock_timestamp(),
            error_codes=list(ending.error_codes),
            cancel_requested_by=ending.cancel_requested_by,
            cancel_reason=ending.cancel_reason,
            **ending.counts.model_dump(),
        )
    )


class OpenPortfolio(NamedTuple):
    portfolio_run_id: UUID
    workflow_id: str
    counts: PortfolioCounts


async def open_portfolios(session: AsyncSession, limit: int) -> list[OpenPortfolio]:
    """Up to `limit`, chosen at random."""
    return await fetch(session, _SOME_OPEN_RUNS, OpenPortfolio, {"limit": limit})


async def ended_runs(
    session: AsyncSession, run_ids: Sequence[UUID]
) -> dict[tuple[UUID, UUID], tuple[RunStatus, list[ErrorCode]]]:
    """Results by tenant and run id, since two tenants' runs may have one id."""
    ended = select(*_RUN.c["tenant_id", "run_id", "status", "error_codes"])
    rows = await session.execute(ended.where(among(_RUN.c.run_id, run_ids), _RUN.c.finished_at.is_not(None)))
    return {
        (row.tenant_id, row.run_id): (RunStatus(row.status), [ErrorCode(code) for code in row.error_codes])
        for row in rows
    }


async def portfolio_record(session: AsyncSession, portfolio_run_id: UUID) -> PortfolioRecord | None:
    """The portfolio run with its tenants' outcomes; None if unknown."""
    of_tenants = (
        select(*_OF_TENANT.c["tenant_id", "run_id", "status", "joined", "error_codes", "started_at", "finished_at"])
        .where(_OF_TENANT.c.portfolio_run_id == portfolio_run_id)
        .order_by(_OF_TENANT.c.tenant_id)
    )
    tenants = await fetch(session, of_tenants, TenantOutcomeRecord)
    record = _RECORDS.where(_PORTFOLIO.c.portfolio_run_id == portfolio_run_id)
    return await fetch_one(session, record, PortfolioRecord, shape=lambda row: {**row, "tenants": tenants})


async def ids_between(session: AsyncSession, low: UUID, high: UUID, most: int) -> list[UUID]:
    """Up to `most` ids of portfolio runs from `low` to `high`, latest first."""
    ids = select(_PORTFOLIO.c.portfolio_run_id).where(_PORTFOLIO.c.portfolio_run_id.between(low, high))
    return list((await session.execute(ids.order_by(_PORTFOLIO.c.portfolio_run_id.desc()).limit(most))).scalars())


async def recorded_portfolio_runs(session: AsyncSession, run_ids: Sequence[UUID]) -> set[UUID]:
    recorded = select(_PORTFOLIO.c.portfolio_run_id).where(among(_PORTFOLIO.c.portfolio_run_id, run_ids))
    return set((await session.execute(recorded)).scalars())


class PortfolioPlace(NamedTuple):
    started_at: datetime
    portfolio_run_id: UUID


async def recent_portfolio_runs(
    session: AsyncSession,
    limit: int,
    after: PortfolioPlace | None = None,
    status: RunStatus | None = None,
) -> list[PortfolioRecord]:
    """Portfolio runs of a status (None: any) without their tenants, newest first, behind `after`."""
    newest = _RECORDS.order_by(_PORTFOLIO.c.started_at.desc(), _PORTFOLIO.c.portfolio_run_id).limit(limit)
    if after is not None:
        is_older = _PORTFOLIO.c.started_at < after.started_at
        is_next = _PORTFOLIO.c.portfolio_run_id > after.portfolio_run_id
        newest = newest.where(or_(is_older, and_(_PORTFOLIO.c.started_at == after.started_at, is_next)))
    if status is not None:
        newest = newest.where(_PORTFOLIO.c.status == status)
    return await fetch(session, newest, PortfolioRecord, shape=lambda row: {**row, "tenants": []})


async def counts_so_far(session: AsyncSession, portfolio_run_ids: Sequence[UUID]) -> dict[UUID, PortfolioCounts]:
    """Counts ended tenants of open portfolio runs."""
    found = await fetch(session, _THESE_OPEN_RUNS, OpenPortfolio, {"ids": list(portfolio_run_ids)})
    return {run.portfolio_run_id: run.counts for run in found}
