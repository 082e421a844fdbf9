"""What `confirm_missing` takes and answers."""

from datetime import timedelta
from uuid import UUID

from activities.messages.base import Message
from activities.messages.pages import CursorFailure


class ConfirmMissing(Message):
    """Ask by id for some items of these collections that are not listed: all of one API version and family."""

    tenant_id: UUID
    run_id: UUID
    api_version: str
    type_keys: list[str]
    limit: int
    graph_patience: timedelta
    told_after: timedelta | None = None


class ConfirmedShare(Message):
    """One collection's share: how many items a GET by id found or answered with 404, and how many are still left."""

    found: int = 0
    gone: int = 0
    left: int = 0
    pending: int = 0
    """How many items of the collection have details to be read, with those that were found."""
    failure: CursorFailure | None = None
    """Why a GET came to nothing: the one that asks for most patience."""


class ConfirmMissingResult(Message):
    """What was confirmed, by type key."""

    requests: int = 0
    collections: dict[str, ConfirmedShare] = {}
    paced: timedelta | None = None
    """The time until the throttle family's turn, if no request was sent for that reason."""
