"""The argument and result of `fetch_details`."""

from datetime import timedelta
from uuid import UUID

from activities.messages.base import Message
from activities.messages.pages import CursorFailure
from inventory.backoff import KnownFailure


class DetailShare(Message):
    """A share of a collection's items to read: part `part` (from 0) of `of`."""

    type_key: str
    part: int = 0
    of: int = 1
    known_failure: KnownFailure | None = None
    """How details of the collection failed in the tenant's latest runs."""


class FetchDetails(Message):
    """Read details of some items of these shares: all of one API version and family.

    At most `limit` requests at once, and at most `batches` times. `wave_token` names the wave for all attempts at it.
    An item that Graph fails `attempts` times is given up: after `malformed_attempts` with an answer that is no page,
    and with a known failure of its share after the attempts that this one allows.
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
    """One share: how many items this wave completed or found gone, how many are left, and how many cannot be read."""

    read: int = 0
    gone: int = 0
    left: int = 0
    failed: int = 0
    moved: bool = False
    """Whether any request brought an item further."""
    failure: CursorFailure | None = None
    """The failure of the requests: the one with the longest wait, or that ends the share."""
    cause: CursorFailure | None = None
    """Why an item was given up."""


class FetchDetailsResult(Message):
    """The results of one wave of details, by type key; `changed` items differ from their last version."""

    requests: int = 0
    changed: int = 0
    collections: dict[str, DetailProgress] = {}
    paced: timedelta | None = None
    """The time until the throttle family's turn, if no request was sent for that reason."""
    too_large: bool = False
    """Set where the answer to several requests was too large to be taken in at once."""
