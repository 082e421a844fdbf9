"""The argument and result of `read_wave`."""

from datetime import timedelta
from uuid import UUID

from activities.messages.base import Message
from activities.messages.confirmation import ConfirmMissing, ConfirmMissingResult
from activities.messages.details import FetchDetails, FetchDetailsResult
from activities.messages.pages import CursorFailure, CursorRequest, FetchPages, FetchPagesResult


class ReadWave(Message):
    """Batches of one kind, of any API versions and throttle families, `at_once` side by side.

    `in_turn`: their family allows one request at a time, and the wave waits for its turns.
    """

    tenant_id: UUID
    pages: list[FetchPages] = []
    confirmations: list[ConfirmMissing] = []
    details: list[FetchDetails] = []
    at_once: int = 1
    in_turn: bool = False
    graph_patience: timedelta = timedelta(hours=1)


class PageBatch(Message):
    """The result of a batch, or its `failure` as a whole."""

    cursors: list[CursorRequest]
    fetched: FetchPagesResult | None = None
    failure: CursorFailure | None = None


class ConfirmedBatch(Message):
    """The result of a batch, or its `failure` as a whole; neither if it was not read."""

    fetched: ConfirmMissingResult | None = None
    failure: CursorFailure | None = None


class DetailBatch(Message):
    """The result of a batch, or its `failure` as a whole; neither if it was not read."""

    fetched: FetchDetailsResult | None = None
    failure: CursorFailure | None = None


class ReadWaveResult(Message):
    """The request's batches, in its order.

    An entry of `pages` holds the requested pages, then following ones; it is empty if they were not read.
    """

    pages: list[list[PageBatch]] = []
    confirmations: list[ConfirmedBatch] = []
    details: list[DetailBatch] = []
