"""Documents and differences as JSON. Fixed contracts; field names never change."""

from datetime import datetime
from typing import Any
from uuid import UUID

from pydantic import BaseModel, ConfigDict, computed_field

from answers.field_text import field_text
from answers.titled_record import TitledRecord
from inventory.differences import DifferenceKind
from inventory.missing import Confidence, State
from inventory.stale import Staleness


class ShownRecord(TitledRecord):
    """What `show` says of a document, beside the document itself. The state is the item's, not the version's.

    `stale` tells of details that could not be read: of the current version now, of another when it was first observed.
    """

    model_config = ConfigDict(frozen=True)

    tenant_id: UUID
    type_key: str
    external_id: str
    display_name: str | None
    kind: str
    version: int
    is_current: bool
    details_complete: bool
    first_observed_at: datetime
    last_observed_at: datetime | None
    state: State | None
    confidence: Confidence | None
    evidence: str | None
    content_hash: str
    size_bytes: int
    details_read_at: datetime | None = None
    stale: Staleness | None = None

    def _kind_in_words(self) -> str | None:
        return self.kind


class DifferenceRecord(BaseModel):
    """One field that differs between two versions: `before` is null where it was added, `after` where it was removed.

    Of a `hidden` value nothing is shown but that it changed. Numbers have all their digits. `label` says the path with
    names; `before_named` and `after_named` have names in the place of ids, and are null where that is the same. `text`
    is what people read of it.
    """

    model_config = ConfigDict(frozen=True)

    path: str
    kind: DifferenceKind
    before: Any
    after: Any
    hidden: bool
    label: str = ""
    before_named: Any = None
    after_named: Any = None

    @property
    def difference(self) -> DifferenceKind:
        """What became of the field."""
        return self.kind

    @computed_field  # type: ignore[prop-decorator]  # mypy does not know decorated properties
    @property
    def text(self) -> str:
        """What people read of it."""
        return field_text(self).text()
