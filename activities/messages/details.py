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
    """How the collection's details failed in the latest runs."""


class FetchDetails(Message):
    """Read details of items of shares of one API version and family.

    At most `limit` requests at once, `batches` times. `wave_token` names the wave in all attempts. An item is given up
    after `attempts` failures, `malformed_attempts` answers that are no page, or its share's known failure's attempts.
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
    """One share: items that this wave completed or found gone, those left, and those that cannot be read."""

    read: int = 0
    gone: int = 0
    left: int = 0
    failed: int = 0
    moved: bool = False
    """Whether any request brought an item further."""
    failure: CursorFailure | None = None
    """The requests' failure with the longest wait, or that ends the share."""
    cause: CursorFailure | None = None
    """Why an item was given up."""


class FetchDetailsResult(Message):
    """A wave of details by type key; `changed` items differ from their last version."""

    requests: int = 0
    changed: int = 0
    collections: dict[str, DetailProgress] = {}
    paced: timedelta | None = None
    """The wait for the throttle family's turn, if no request was sent."""
    too_large: bool = False
    """The answer to several requests was too large to take in at once."""
