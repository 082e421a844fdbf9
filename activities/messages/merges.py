"""The argument and result of `upsert_items`."""

from datetime import datetime, timedelta
from uuid import UUID

from activities.messages.base import Message


class PromisedWave(Message):
    """The number of rows staged under a token."""

    fetch_token: UUID
    rows: int


class DetailRefresh(Message):
    """When details are due though their list shows nothing new.

    Due at an age between half of `period` and the whole. With `read_before`, only details read before it are due, so
    one run reads no more than its share.
    """

    period: timedelta
    read_before: datetime | None = None


class UpsertItems(Message):
    """Merge the rows of a fetch token, and of further waves with it.

    `restarted`: collections whose listing began anew. `ended`: collections whose listing ends here, to count unlisted
    items. `detailed`: collections to count pending items of. `refreshes`: when details are due, by type key;
    `detail_refresh` for other collections.
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
    """Whether details of all items are read."""


class UpsertItemsResult(Message):
    """A merge's result. With `lost`, staged rows are gone and nothing was done: fetch the waves again."""

    created: int = 0
    changed: int = 0
    unchanged: int = 0
    duplicates: dict[str, int] = {}
    """Items, by type key, that this run had seen on an earlier page."""
    duplicate_ids: list[tuple[str, str]] = []
    reread: dict[str, int] = {}
    """Items, by type key, that this run had seen before their listing began anew."""
    unlisted: dict[str, int] = {}
    """Items of ended collections, by type key, that were present before the run and not seen by it."""
    pending: dict[str, int] = {}
    """Items of detailed collections, by type key, with details to read."""
    lost: bool = False
    lost_tokens: list[UUID] = []
    """Tokens whose staged rows are gone; other waves are merged."""
