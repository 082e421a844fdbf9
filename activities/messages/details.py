"""The argument and result of `fetch_details`."""

from datetime import timedelta
from uuid import UUID

from activities.messages.base import Message
from activities.messages.pages import CursorFailure
from inventory.backoff import KnownFailure


class DetailShare(Message):
    """Part `part` (from 0) of `of` of a collection's items."""

    type_key: str
    part: int = 0
    of: int = 1
    known_failure: KnownFailure | None = None
    """The failure of the collection's details in the latest runs."""


class FetchDetails(Message):
    """Reads shares of one API version and throttle family, by `batches` of at most `limit` requests.

    `wave_token` is the idempotency key. An item is given up after `attempts` failures, after `malformed_attempts`
    answers that are no page, or after the number that its share's known failure has.
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
    """One share's progress: items that this wave completed or found gone, items left, and items that cannot be read."""

    read: int = 0
    gone: int = 0
    left: int = 0
    failed: int = 0
    moved: bool = False
    """Whether any request brought an item further."""
    failure: CursorFailure | None = None
    """The failure that ends the share, or else the one with the longest wait; None if no request failed."""
    cause: CursorFailure | None = None
    """Why an item was given up."""


class FetchDetailsResult(Message):
    """`changed` counts items that differ from their last version."""

    requests: int = 0
    changed: int = 0
    collections: dict[str, DetailProgress] = {}
    paced: timedelta | None = None
    """The wait for the throttle family's turn; then no request was sent."""
    too_large: bool = False
    """Whether the answer to several requests was too large, so that the next batch must be smaller."""
