"""Records of portfolio runs: opening one, writing down what became of its tenants, closing it, and reading them.

What belongs to the portfolio is written in a `no_tenant` session, a tenant's row in a session of that tenant; both are
read in a `portfolio` session.
"""

from collections.abc import Sequence
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from inventory.error_codes import ErrorCode
from inventory.outcomes import RunStatus
from inventory.portfolio import PortfolioCounts, PortfolioRecord, TenantChoice, TenantOutcomeRecord
from inventory.selection import Selection
from storage.counts import PORTFOLIO_COUNT_NAMES
from storage.rows import fetch, fetch_one


class PortfolioIdentity(NamedTuple):
    """What a portfolio run is, before anything has happened to it."""

    portfolio_run_id: UUID
    workflow_id: str
    selection: Selection
    chosen: TenantChoice
    schedule: str | None = None


class TenantRunOutcome(NamedTuple):
    """What became of one tenant; `error_codes` hold where its run has no closed record."""

    run_id: UUID | None
    status: RunStatus
    joined: bool
    error_codes: Sequence[ErrorCode]


class PortfolioEnd(NamedTuple):
    """How a portfolio run ends."""

    status: RunStatus
    counts: PortfolioCounts
    error_codes: Sequence[ErrorCode]
    cancel_requested_by: str | None = None
    cancel_reason: str | None = None


_OPEN = text("""
INSERT INTO portfolio_run (portfolio_run_id, workflow_id, schedule, selection_hash, selection, chosen)
VALUES (:portfolio_run_id, :workflow_id, :schedule, :selection_hash, CAST(:selection AS jsonb), CAST(:chosen AS jsonb))
ON CONFLICT (portfolio_run_id) DO NOTHING
""")

_EXPECT = text("UPDATE portfolio_run SET tenants = :tenants WHERE portfolio_run_id = :id AND finished_at IS NULL")

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

_CLOSE = text(f"""
UPDATE portfolio_run
SET status = :status, finished_at = clock_timestamp(), error_codes = :error_codes,
    cancel_requested_by = :cancel_requested_by, cancel_reason = :cancel_reason,
    {", ".join(f"{name} = :{name}" for name in PORTFOLIO_COUNT_NAMES)}
WHERE portfolio_run_id = :id AND finished_at IS NULL
""")

_COLUMNS = f"""
    portfolio_run_id, workflow_id, schedule, selection_hash, selection, chosen, status, started_at, finished_at,
    error_codes, cancel_requested_by, cancel_reason, '[]'::jsonb AS tenants,
    {", ".join(f'{name} AS "counts.{name}"' for name in PORTFOLIO_COUNT_NAMES)}
"""

_RECENT = text(f"SELECT {_COLUMNS} FROM portfolio_run ORDER BY started_at DESC, portfolio_run_id LIMIT :limit")

_RUN = text(f"SELECT {_COLUMNS} FROM portfolio_run WHERE portfolio_run_id = :id")

_IDS = text("""
SELECT portfolio_run_id FROM portfolio_run WHERE portfolio_run_id BETWEEN :low AND :high
ORDER BY portfolio_run_id DESC LIMIT :most
""")

_RECORDED = text("SELECT portfolio_run_id FROM portfolio_run WHERE portfolio_run_id = ANY (:run_ids)")

_OPEN_RUNS = text("""
SELECT r.portfolio_run_id, r.workflow_id, r.tenants AS "counts.tenants",
    count(*) FILTER (WHERE t.status = 'success') AS "counts.success",
    count(*) FILTER (WHERE t.status = 'partial') AS "counts.partial",
    count(*) FILTER (WHERE t.status = 'failed') AS "counts.failed",
    count(*) FILTER (WHERE t.status = 'cancelled') AS "counts.cancelled",
    count(*) FILTER (WHERE t.joined) AS "counts.joined"
FROM portfolio_run AS r LEFT JOIN portfolio_run_tenant AS t USING (portfolio_run_id)
WHERE r.finished_at IS NULL
GROUP BY r.portfolio_run_id
ORDER BY random() LIMIT :limit
""")

_TENANTS = text("""
SELECT tenant_id, run_id, status, joined, error_codes, started_at, finished_at
FROM portfolio_run_tenant WHERE portfolio_run_id = :id ORDER BY tenant_id
""")

_ENDED_RUNS = text("""
SELECT tenant_id, run_id, status, error_codes FROM sync_run
WHERE run_id = ANY (:run_ids) AND finished_at IS NOT NULL
""")


async def open_portfolio(session: AsyncSession, run: PortfolioIdentity) -> None:
    """Records the portfolio run as `running`, once; in a session of no tenant."""
    await session.execute(
        _OPEN,
        {
            "portfolio_run_id": run.portfolio_run_id,
            "workflow_id": run.workflow_id,
            "schedule": run.schedule,
            "selection_hash": run.selection.hash(),
            "selection": run.selection.canonical_json().decode(),
            "chosen": run.chosen.model_dump_json(),
        },
    )


async def expect_tenants(session: AsyncSession, portfolio_run_id: UUID, tenants: int) -> None:
    """Records how many tenants an open portfolio run covers; in a session of no tenant."""
    await session.execute(_EXPECT, {"id": portfolio_run_id, "tenants": tenants})


async def record_tenant(session: AsyncSession, portfolio_run_id: UUID, outcome: TenantRunOutcome) -> list[ErrorCode]:
    """Writes down what became of the session's tenant; the error codes of its run, by that run's record."""
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
    """Closes the record, once: one that has been closed stays as it is. In a session of no tenant."""
    await session.execute(
        _CLOSE,
        {
            "id": portfolio_run_id,
            "status": ending.status,
            "error_codes": list(ending.error_codes),
            "cancel_requested_by": ending.cancel_requested_by,
            "cancel_reason": ending.cancel_reason,
            **ending.counts.model_dump(),
        },
    )


class OpenPortfolio(NamedTuple):
    """A portfolio run whose record is open, with the outcomes that have been written down."""

    portfolio_run_id: UUID
    workflow_id: str
    counts: PortfolioCounts


async def open_portfolios(session: AsyncSession, limit: int) -> list[OpenPortfolio]:
    """Up to `limit` open portfolio runs, drawn by lot; in a portfolio session."""
    return await fetch(session, _OPEN_RUNS, OpenPortfolio, {"limit": limit})


async def ended_runs(
    session: AsyncSession, run_ids: Sequence[UUID]
) -> dict[tuple[UUID, UUID], tuple[RunStatus, list[ErrorCode]]]:
    """Of these runs of any tenants, those that have ended: how, and with which error codes; in a portfolio session.

    Each by tenant and run id: two tenants may have a run of one id, if somebody has made them so.
    """
    rows = await session.execute(_ENDED_RUNS, {"run_ids": list(run_ids)})
    return {
        (row.tenant_id, row.run_id): (RunStatus(row.status), [ErrorCode(code) for code in row.error_codes])
        for row in rows
    }


async def portfolio_record(session: AsyncSession, portfolio_run_id: UUID) -> PortfolioRecord | None:
    """One portfolio run with its tenants; in a portfolio session."""
    record = await fetch_one(session, _RUN, PortfolioRecord, {"id": portfolio_run_id})
    if record is None:
        return None
    tenants = await fetch(session, _TENANTS, TenantOutcomeRecord, {"id": portfolio_run_id})
    return record.model_copy(update={"tenants": tenants})


async def ids_between(session: AsyncSession, low: UUID, high: UUID, most: int) -> list[UUID]:
    """Up to `most` ids of portfolio runs from `low` to `high`, the latest first; in a portfolio session."""
    return list((await session.execute(_IDS, {"low": low, "high": high, "most": most})).scalars())


async def recorded_portfolio_runs(session: AsyncSession, run_ids: Sequence[UUID]) -> set[UUID]:
    """Those of the portfolio runs that have a record; in a portfolio session."""
    return set((await session.execute(_RECORDED, {"run_ids": list(run_ids)})).scalars())


async def recent_portfolio_runs(session: AsyncSession, limit: int) -> list[PortfolioRecord]:
    """The latest portfolio runs, newest first, without their tenants; in a portfolio session."""
    return await fetch(session, _RECENT, PortfolioRecord, {"limit": limit})
