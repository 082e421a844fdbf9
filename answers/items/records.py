"""What a list of items rests on."""

from datetime import datetime
from uuid import UUID

from pydantic import BaseModel, ConfigDict

from inventory.outcomes import RunStatus


class ItemsBasis(BaseModel):
    """The completed run that the states of items are relative to."""

    model_config = ConfigDict(frozen=True)

    run_id: UUID
    status: RunStatus
    started_at: datetime
    selection_hash: str
