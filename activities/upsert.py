"""The activity that merges fetched waves into the inventory."""

from sqlalchemy.ext.asyncio import AsyncSession
from temporalio import activity

from activities.messages.merges import UpsertItems, UpsertItemsResult
from activities.observers import Observers
from activities.run_records import LEASE
from storage import confirmations as confirming
from storage import details, runs
from storage import merge as merging
from storage.database import Database


class UpsertActivities:
    def __init__(self, database: Database, observers: Observers) -> None:
        self._database = database
        self._observers = observers

    @activity.defn
    async def upsert_items(self, request: UpsertItems) -> UpsertItemsResult:
        """Merges waves in one transaction. Idempotent by fetch token: later attempts return the first one's result."""
        try:
            try:
                return await self._merged(request)
            except merging.ItemsMovedError:
                # The first attempt waited for rows of another transaction; this one finds them where they are now.
                return await self._merged(request)
        except merging.StagedRowsLostError:
            # Counted all the same: if an empty page of these waves ended a listing, nothing counts again.
            async with self._database.tenant(request.tenant_id, read_only=True) as session:
                unlisted, pending = await _left(session, request)
            return UpsertItemsResult(lost=True, unlisted=unlisted, pending=pending)

    async def _merged(self, request: UpsertItems) -> UpsertItemsResult:
        async with self._database.tenant(request.tenant_id) as session:
            merged = await merging.merge(
                session,
                request.run_id,
                request.fetch_token,
                promised_rows=request.promised_rows,
                together_with={wave.fetch_token: wave.rows for wave in request.more_waves},
                restarted=request.restarted,
                detail_refresh=request.detail_refresh,
                refreshes={key: (refresh.period, refresh.read_before) for key, refresh in request.refreshes.items()},
                deep=request.deep,
                comparison=self._observers.comparison(request.tenant_id),
            )
            unlisted, pending = await _left(session, request)
            await runs.renew_lease(session, request.run_id, LEASE)
        counted = {"unlisted": unlisted, "pending": pending, "lost": False, "lost_tokens": merged.lost}
        return UpsertItemsResult.model_validate({**merged._asdict(), **counted})


async def _left(session: AsyncSession, request: UpsertItems) -> tuple[dict[str, int], dict[str, int]]:
    """Unlisted and pending items of the collections that the waves end."""
    unlisted = await confirming.count_unlisted(session, request.run_id, request.ended) if request.ended else {}
    pending = await details.count_pending(session, request.run_id, request.detailed) if request.detailed else {}
    return unlisted, pending
