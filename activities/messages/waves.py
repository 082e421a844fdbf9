"""The argument and result of `read_wave`."""

from datetime import timedelta
from uuid import UUID

from activities.messages.base import Message
from activities.messages.confirmation import ConfirmMissing, ConfirmMissingResult
from activities.messages.details import FetchDetails, FetchDetailsResult
from activities.messages.pages import CursorFailure, CursorRequest, FetchPages, FetchPagesResult


class ReadWave(Message):
    """Batches of one kind, of any API versions and families, `at_once` side by side.

    `in_turn`: their family allows one request at a time; the wave waits for its turn.
    """

    tenant_id: UUID
    pages: list[FetchPages] = []
    confirmations: list[ConfirmMissing] = []
    details: list[FetchDetails] = []
    at_once: int = 1
    in_turn: bool = False
    graph_patience: timedelta = timedelta(hours=1)


class PageBatch(Message):
    """A batch of pages: its result, or the `failure` of the whole `$batch`."""

    cursors: list[CursorRequest]
    fetched: FetchPagesResult | None = None
    failure: CursorFailure | None = None


class ConfirmedBatch(Message):
    """A batch of confirmations: its result, or the `failure` of the whole batch; neither if it was not asked."""

    fetched: ConfirmMissingResult | None = None
    failure: CursorFailure | None = None


class DetailBatch(Message):
    """A batch of details: its result, or the `failure` of the whole batch; neither if it was not read."""

    fetched: FetchDetailsResult | None = None
    failure: CursorFailure | None = None


class ReadWaveResult(Message):
    """The batches of the request, in its order.

    An entry of `pages` holds the requested pages, then those that follow; empty if not read.
    """

    pages: list[list[PageBatch]] = []
    confirmations: list[ConfirmedBatch] = []
    details: list[DetailBatch] = []
