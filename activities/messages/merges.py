"""The argument and result of `upsert_items`."""

from datetime import datetime, timedelta
from uuid import UUID

from activities.messages.base import Message


class PromisedWave(Message):
    """So many rows are staged under this token."""

    fetch_token: UUID
    rows: int


class DetailRefresh(Message):
    """When details of a collection are due though its list shows nothing new.

    An item's details are due at an age between half of `period` and the whole. With `read_before` only details that
    were read before this moment are due, so one run reads no more than its share.
    """

    period: timedelta
    read_before: datetime | None = None


class UpsertItems(Message):
    """Merge the rows of one fetch token, and of further waves together with it.

    `restarted`: collections whose listing began anew in this run. `ended`: collections whose listing ends with these
    waves, so that their unlisted items are counted. `detailed`: collections whose pending items are counted.
    `refreshes`: when details are due, by type key; `detail_refresh` holds for the other collections.
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
    """Whether the details of all items are read, even if their list document is unchanged."""


class UpsertItemsResult(Message):
    """The result of one merge. With `lost` it did nothing: staged rows are gone; the waves must be fetched again."""

    created: int = 0
    changed: int = 0
    unchanged: int = 0
    duplicates: dict[str, int] = {}
    """Items that this run had already seen on an earlier page, by type key."""
    duplicate_ids: list[tuple[str, str]] = []
    reread: dict[str, int] = {}
    """Items that this run had already seen before their listing began anew, by type key."""
    unlisted: dict[str, int] = {}
    """Items of ended collections that were present before the run and that it has not seen, by type key."""
    pending: dict[str, int] = {}
    """Items of detailed collections whose details are to be read, by type key."""
    lost: bool = False
    lost_tokens: list[UUID] = []
    """The tokens of several waves whose staged rows are gone; the others are merged."""
