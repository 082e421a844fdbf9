"""The argument and result of `read_wave`."""

from datetime import timedelta
from uuid import UUID

from activities.messages.base import Message
from activities.messages.confirmation import ConfirmMissing, ConfirmMissingResult
from activities.messages.details import FetchDetails, FetchDetailsResult
from activities.messages.pages import CursorFailure, CursorRequest, FetchPages, FetchPagesResult


class ReadWave(Message):
    """One wave: batches of one kind, of any API versions and throttle families, at most `at_once` side by side.

    `in_turn`: their family is asked one request at a time, so the wave waits for its next turn.
    """

    tenant_id: UUID
    pages: list[FetchPages] = []
    confirmations: list[ConfirmMissing] = []
    details: list[FetchDetails] = []
    at_once: int = 1
    in_turn: bool = False
    graph_patience: timedelta = timedelta(hours=1)


class PageBatch(Message):
    """One `$batch` of pages: the fetched pages, or the failure of all of it."""

    cursors: list[CursorRequest]
    fetched: FetchPagesResult | None = None
    failure: CursorFailure | None = None


class ConfirmedBatch(Message):
    """One batch of confirmations: its result, or why all of it failed. With neither, nobody was asked."""

    fetched: ConfirmMissingResult | None = None
    failure: CursorFailure | None = None


class DetailBatch(Message):
    """One batch of details: its result, or why all of it failed. With neither, nothing was read."""

    fetched: FetchDetailsResult | None = None
    failure: CursorFailure | None = None


class ReadWaveResult(Message):
    """The batches as they were read, in the order of the request.

    A batch of `pages` is a list: the requested pages first, then the pages that follow them; empty if it was not read.
    """

    pages: list[list[PageBatch]] = []
    confirmations: list[ConfirmedBatch] = []
    details: list[DetailBatch] = []
