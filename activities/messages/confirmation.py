"""The argument and result of `confirm_missing`."""

from datetime import timedelta
from uuid import UUID

from activities.messages.base import Message
from activities.messages.pages import CursorFailure


class ConfirmMissing(Message):
    """Ask by id for unlisted items of collections of one API version and family."""

    tenant_id: UUID
    run_id: UUID
    api_version: str
    type_keys: list[str]
    limit: int
    graph_patience: timedelta
    told_after: timedelta | None = None


class ConfirmedShare(Message):
    """One collection: items that a GET by id found or answered with 404, and the number left."""

    found: int = 0
    gone: int = 0
    left: int = 0
    pending: int = 0
    """The collection's items with details to read, including found ones."""
    failure: CursorFailure | None = None
    """The GETs' failure with the longest wait."""


class ConfirmMissingResult(Message):
    """The results, by type key."""

    requests: int = 0
    collections: dict[str, ConfirmedShare] = {}
    paced: timedelta | None = None
    """The wait for the throttle family's turn, if no request was sent."""
