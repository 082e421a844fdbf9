"""The argument and result of `confirm_missing`."""

from datetime import timedelta
from uuid import UUID

from activities.messages.base import Message
from activities.messages.pages import CursorFailure


class ConfirmMissing(Message):
    """Asks for unlisted items of one API version and throttle family."""

    tenant_id: UUID
    run_id: UUID
    api_version: str
    type_keys: list[str]
    limit: int
    graph_patience: timedelta
    told_after: timedelta | None = None


class ConfirmedShare(Message):
    """The numbers of a collection's items that are found, that are gone (404), and that are left to ask for."""

    found: int = 0
    gone: int = 0
    left: int = 0
    pending: int = 0
    """The number of items with details to read, including found ones."""
    failure: CursorFailure | None = None
    """A final failure, else the one with the longest wait."""


class ConfirmMissingResult(Message):
    requests: int = 0
    collections: dict[str, ConfirmedShare] = {}
    paced: timedelta | None = None
    """How long the throttle family must wait; nothing was sent."""
