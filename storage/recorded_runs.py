"""Recorded runs: the tenant's, or all tenants' in a portfolio session."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from inventory.user_errors import UserError
from storage.models.base import among, table
from storage.models.runs import SyncRun

_RUN = table(SyncRun)


class UnknownSelectionError(UserError):
    """The hash or name fits none of the tenant's selections, or several."""


async def run_ids_between(session: AsyncSession, low: UUID, high: UUID, most: int) -> list[UUID]:
    """Up to `most` run ids from `low` to `high`, latest first."""
    ids = select(_RUN.c.run_id).distinct().where(_RUN.c.run_id.between(low, high))
    return list((await session.execute(ids.order_by(_RUN.c.run_id.desc()).limit(most))).scalars())


async def with_record(session: AsyncSession, run_ids: Sequence[UUID]) -> set[tuple[UUID, UUID]]:
    """(tenant id, run id) of each recorded run."""
    recorded = select(_RUN.c.tenant_id, _RUN.c.run_id).where(among(_RUN.c.run_id, run_ids))
    return {(row.tenant_id, row.run_id) for row in await session.execute(recorded)}


async def latest_queued_at(session: AsyncSession) -> datetime | None:
    """When the newest run was queued; None without runs."""
    newest: datetime | None = (await session.execute(select(func.max(_RUN.c.queued_at)))).scalar_one()
    return newest


async def resolve_selection_hash(session: AsyncSession, prefix: str) -> str:
    """Finds the tenant's selection by its name or the beginning of its hash. Raises `UnknownSelectionError`."""
    is_meant = func.starts_with(_RUN.c.selection_hash, prefix.lower()) | (_RUN.c.selection_name == prefix)
    found = select(_RUN.c.selection_hash).distinct().where(is_meant)
    hashes = (await session.execute(found.order_by(_RUN.c.selection_hash).limit(2))).scalars().all()
    if len(hashes) == 1:
        return str(hashes[0])
    if hashes:
        raise UnknownSelectionError(
            f"several selections of this tenant begin with {prefix!r} or have that name; give more of the hash"
        )
    raise UnknownSelectionError(
        f"no run of this tenant has a selection named {prefix!r} or a selection hash that begins with it;"
        " `python starter.py runs TENANT` shows the hashes"
    )
