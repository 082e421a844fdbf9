"""Coverage of collections."""

from datetime import datetime
from uuid import UUID

from pydantic import BaseModel

from inventory.error_codes import ErrorCode
from inventory.outcomes import Outcome

NEVER_READ = "never_read"
"""`Coverage.reason` if no completed run has selected the collection."""

TENANT_NEVER_READ = "this tenant was never read: no run has completed"


class Coverage(BaseModel, frozen=True):
    """The latest completed run that selected a collection, and the latest complete listing.

    The `listed_` fields are of the latest run that listed it to its end, from `listed_from` to `listed_at`; null if
    none has. `listed_cleanly`: that run was a success without an error.
    """

    type_key: str
    run_id: UUID
    run_started_at: datetime
    outcome: Outcome
    error_code: ErrorCode | None
    first_listed_at: datetime | None
    listed_run_id: UUID | None
    listed_from: datetime | None
    listed_at: datetime | None
    listed_cleanly: bool | None

    @property
    def is_current(self) -> bool:
        """Whether the latest completed run listed the collection to its end."""
        return self.outcome is Outcome.COMPLETE

    @property
    def is_skipped(self) -> bool:
        """Whether the tenant cannot have the collection, by the latest completed run."""
        return self.outcome is Outcome.SKIPPED

    @property
    def reason(self) -> str:
        """Why the collection is not current: `incomplete:graph_throttled`."""
        return f"{self.outcome}:{self.error_code}" if self.error_code else str(self.outcome)
