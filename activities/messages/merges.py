"""The argument and result of `upsert_items`."""

from datetime import datetime, timedelta
from uuid import UUID

from activities.messages.base import Message


class PromisedWave(Message):
    fetch_token: UUID
    rows: int


class DetailRefresh(Message):
    """Details are due at an age between half of `period` and all of it, even if the list shows nothing new.

    With `read_before`, only details read before it are due, so that runs share the work.
    """

    period: timedelta
    read_before: datetime | None = None


class UpsertItems(Message):
    """Merges the rows of a fetch token and of `more_waves`.

    `restarted`: collections whose listing began anew. `ended`: collections whose unlisted items to count. `detailed`:
    those whose pending items to count. `refreshes`, by type key, go before `detail_refresh`.
    """

    tenant_id: UUID
    run_id: UUID
    fetch_token: UUID
    promised_rows: int
    more_waves: list[PromisedWave] = []
    restarted: list[str] = []
    ended: list[str] = []
    detailed: list[str] = []
    detail_refresh: timedelta = timedelta(days=7)
    refreshes: dict[str, DetailRefresh] = {}
    deep: bool = False


class UpsertItemsResult(Message):
    """Counts of items, also by type key. With `lost`, staged rows are gone and nothing was merged: fetch them again."""

    created: int = 0
    changed: int = 0
    unchanged: int = 0
    duplicates: dict[str, int] = {}
    """Items that this run had seen on an earlier page."""
    duplicate_ids: list[tuple[str, str]] = []
    reread: dict[str, int] = {}
    """Items that this run had seen before their listing began anew."""
    unlisted: dict[str, int] = {}
    """Items that were present before the run and not seen by it."""
    pending: dict[str, int] = {}
    """Items with details to read."""
    lost: bool = False
    lost_tokens: list[UUID] = []
    """Fetch tokens without their staged rows; other waves are merged."""
