"""The argument and result of `fetch_details`."""

from datetime import timedelta
from uuid import UUID

from activities.messages.base import Message
from activities.messages.pages import CursorFailure
from inventory.backoff import KnownFailure


class DetailShare(Message):
    """One of `of` parts of a collection's items; `part` counts from 0."""

    type_key: str
    part: int = 0
    of: int = 1
    known_failure: KnownFailure | None = None
    """The failure of its details in the latest runs."""


class FetchDetails(Message):
    """Shares of one API version and throttle family, read by `batches` of at most `limit` requests.

    `wave_token` is the idempotency key. An item is given up after `attempts` failures, `malformed_attempts` answers
    that are no page, or the attempts of the share's known failure.
    """

    tenant_id: UUID
    run_id: UUID
    api_version: str
    wave_token: UUID
    shares: list[DetailShare]
    limit: int
    attempts: int
    graph_patience: timedelta
    batches: int = 1
    malformed_attempts: int | None = None
    told_after: timedelta | None = None


class DetailProgress(Message):
    """The numbers of items that this wave read or found gone, and of the share's items left and given up."""

    read: int = 0
    gone: int = 0
    left: int = 0
    failed: int = 0
    moved: bool = False
    failure: CursorFailure | None = None
    """The failure that ends the share, or the one with the longest wait."""
    cause: CursorFailure | None = None
    """Why an item was given up."""


class FetchDetailsResult(Message):
    """`changed` counts items that differ from their last version."""

    requests: int = 0
    changed: int = 0
    collections: dict[str, DetailProgress] = {}
    paced: timedelta | None = None
    """How long the throttle family must wait; nothing was sent."""
    too_large: bool = False
    """Whether the next batch must be smaller."""
