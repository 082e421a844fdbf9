"""The basis of a list of items."""

from datetime import datetime
from uuid import UUID

from pydantic import BaseModel

from inventory.outcomes import RunStatus


class ItemsBasis(BaseModel, frozen=True):
    """The completed run that the states of items are relative to.

    Without a selection (`selection_hash` is None) it is the latest of the collections' runs. `listed` counts the
    collections read to their end, `listed_from` is the earliest start of these runs.
    """

    run_id: UUID
    status: RunStatus
    started_at: datetime
    selection_hash: str | None
    listed: int
    listed_from: datetime | None


class UnreadCollection(BaseModel, frozen=True):
    """A collection that its latest run did not read to its end.

    `items` counts the items that no later run has read. `listed_at` is when a run last read it to its end, None if none
    has.
    """

    type_key: str
    reason: str
    run_id: UUID
    items: int
    listed_at: datetime | None
