"""The basis of a list of items."""

from datetime import datetime
from uuid import UUID

from pydantic import BaseModel

from inventory.outcomes import RunStatus


class ItemsBasis(BaseModel, frozen=True):
    """The completed run that items' states are relative to: without a selection, the latest of the collections' runs.

    `listed` counts collections read to their end; `listed_from` is the earliest start of their runs.
    """

    run_id: UUID
    status: RunStatus
    started_at: datetime
    selection_hash: str | None
    listed: int
    listed_from: datetime | None


class UnreadCollection(BaseModel, frozen=True):
    """A collection that its latest run did not read to its end.

    `items` counts items that no later run has read. `listed_at`: when a run last read the collection to its end, if
    ever.
    """

    type_key: str
    reason: str
    run_id: UUID
    items: int
    listed_at: datetime | None
