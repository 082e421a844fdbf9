"""Portfolio runs, with their tenants' outcomes so far.

Row-level security shows a person who does not see all tenants only runs that chose visible tenants by id (decision 46).
"""

from collections.abc import Iterable, Sequence
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from answers.runs.answer import UnknownRunError
from inventory.outcomes import RunStatus
from inventory.portfolio import PortfolioRecord
from storage import portfolio
from storage.portfolio import PortfolioPlace


async def recent_portfolio_runs(
    session: AsyncSession, limit: int, after: UUID | None = None, status: RunStatus | None = None
) -> list[PortfolioRecord]:
    """Portfolio runs without their tenants, newest first, after the run `after`. Raises `UnknownRunError`."""
    place = None
    if after is not None:
        run = await portfolio_run(session, after)
        place = PortfolioPlace(run.started_at, run.portfolio_run_id)
    return await _counted(session, await portfolio.recent_portfolio_runs(session, limit, place, status))


def newest_portfolio_runs(
    recorded: Sequence[PortfolioRecord], queued: Iterable[PortfolioRecord], limit: int
) -> list[PortfolioRecord]:
    """As `newest_runs`."""
    known = {record.portfolio_run_id for record in recorded}
    found = [*recorded, *(record for record in queued if record.portfolio_run_id not in known)]
    return sorted(found, key=lambda record: record.started_at, reverse=True)[:limit]


async def portfolio_run(session: AsyncSession, portfolio_run_id: UUID) -> PortfolioRecord:
    """Raises `UnknownRunError`."""
    found = await portfolio.portfolio_record(session, portfolio_run_id)
    if found is None:
        raise UnknownRunError("there is no such portfolio run, or it also reads tenants that you do not see")
    (counted,) = await _counted(session, [found])
    return counted


async def _counted(session: AsyncSession, runs: list[PortfolioRecord]) -> list[PortfolioRecord]:
    open_runs = [run.portfolio_run_id for run in runs if not run.status.ended]
    counts = await portfolio.counts_so_far(session, open_runs) if open_runs else {}
    return [
        run.model_copy(update={"counts": counts[run.portfolio_run_id]}) if run.portfolio_run_id in counts else run
        for run in runs
    ]
