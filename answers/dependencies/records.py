"""Dependencies as JSON.

An object is called gone or never seen only if its possible collections were listed to their end.
"""

from datetime import datetime
from enum import StrEnum
from typing import Any, Literal, NamedTuple
from uuid import UUID

from pydantic import BaseModel, computed_field

from answers.titled_record import TitledRecord
from graph.catalog import item_title
from inventory.missing import Confidence
from inventory.references import ReferenceRole


class Presence(StrEnum):
    """Whether an object is in the tenant."""

    PRESENT = "present"
    ABSENT = "absent"
    """It was seen, and a later complete listing omits it."""
    NEVER_SEEN = "never_seen"
    """All its possible collections were listed to their end without it."""
    NOT_READ = "not_read"
    """It was never seen, and not all possible collections were listed to their end."""
    AUDIENCE = "audience"
    """All users or all devices."""


class ObjectState(NamedTuple):
    """The confidence is None if nothing can be said.

    Evidence: `listed` · `found_by_id` · `not_listed` · `confirmed` · `old_details` (the reference is in details older
    than the latest listing) · `never_listed` · `listing_is_older` (no complete listing began after the reference was
    first observed) · `<type key>:<outcome>:<error code>` for each collection that the latest run did not list to its
    end · `<type key>:never_read` · `<type key>:not_in_the_catalog`.
    """

    presence: Presence
    confidence: Confidence | None
    evidence: str


class KnownObject(NamedTuple):
    """`absence_…` are None for a present object.

    `found_by_id`: the run that last saw it found it by a GET, not in its listing.
    """

    type_key: str
    display_name: str | None
    meta: dict[str, Any]
    last_seen_at: datetime
    absence_evidence: str | None
    absence_confidence: str | None
    details_read_at: datetime | None = None
    found_by_id: bool | None = None


class ObjectRecord(BaseModel, frozen=True):
    """One end of a reference: an item, an audience, or an object that is not in the inventory.

    `type_keys` are its possible collections: one if known, none for an audience. `last_seen_at` and `kind` are null if
    no run has seen it. `evidence`: see docs/architecture.md.
    """

    type_keys: list[str]
    external_id: str
    display_name: str | None
    kind: str | None
    presence: Presence
    confidence: Confidence | None
    evidence: str
    last_seen_at: datetime | None

    @computed_field  # type: ignore[prop-decorator]  # mypy does not know decorated properties
    @property
    def title(self) -> str:
        """The object's name for people; its id if it was never seen."""
        if self.kind is None:
            return self.external_id
        return item_title(self.type_keys[0], self.external_id, self.display_name, self.kind)


class Direction(StrEnum):
    """The direction of a reference, seen from the requested item."""

    NEEDS = "needs"
    NEEDED_BY = "needed_by"


class DependencyRecord(BaseModel, frozen=True):
    """One reference: `item` refers to `target`, as its `version` says, first observed at `referred_at`.

    `distance` counts references from the item in question. `path` is the place by the catalog's rule. `intent` is of
    its assignment.
    """

    answer: Literal["dependency"] = "dependency"
    tenant_id: UUID
    direction: Direction
    distance: int
    item: ObjectRecord
    version: int
    referred_at: datetime
    path: str
    role: ReferenceRole
    intent: str | None = None
    target: ObjectRecord


class DanglingRecord(BaseModel, frozen=True):
    """A reference whose target is not in the tenant."""

    answer: Literal["dangling"] = "dangling"
    tenant_id: UUID
    item: ObjectRecord
    version: int
    referred_at: datetime
    path: str
    role: ReferenceRole
    intent: str | None = None
    target: ObjectRecord


class UnassignedRecord(TitledRecord):
    """An item that is assigned to nobody, as its `version` says, last observed at `observed_at`.

    `exclusions` counts groups that it excludes. The confidence is high if the latest run was a clean success, listed
    the collection to its end and found this version. Assignments in details may be older: `details_read_at`.
    """

    answer: Literal["unassigned"] = "unassigned"
    tenant_id: UUID
    type_key: str
    external_id: str
    display_name: str | None
    kind: str
    version: int
    observed_at: datetime
    exclusions: int
    confidence: Confidence
    evidence: str
    details_read_at: datetime | None = None


class FilterRecord(BaseModel, frozen=True):
    """An assignment filter: the devices that an item includes, or excludes."""

    external_id: str
    display_name: str | None
    role: ReferenceRole


class AssignmentRecord(BaseModel, frozen=True):
    """One way in which an item includes or excludes a group: by the `group` itself, `all devices` or `all users`.

    `intent` is of an app's assignment. `policy_set_id` made the assignment, null if direct. `is_overridden`: the item
    excludes the group from the same intent, so this does not reach it.
    """

    role: ReferenceRole
    through: str
    intent: str | None
    policy_set_id: str | None
    policy_set_name: str | None = None
    is_overridden: bool


class ReachRecord(BaseModel, frozen=True):
    """An item that names a group, or everyone, in an assignment or a condition.

    `reaches`: it includes the group and does not exclude it from the same intent. `through` names the ways,
    `assignments` has them with intents. `excluded`: from some intent, or as a whole. `filters` may narrow the audience.
    Items that reach a group through its parent are missing, since groups within groups are not read.
    """

    answer: Literal["reach"] = "reach"
    tenant_id: UUID
    group_id: str
    item: ObjectRecord
    version: int
    reaches: bool
    through: list[str]
    excluded: bool
    assignments: list[AssignmentRecord] = []
    filters: list[FilterRecord]


class CannotSayRecord(BaseModel, frozen=True):
    """A collection that leaves the answer open, for `reason`: the latest run did not list it to its end, or as below.

    The type key is empty if the tenant was never read. `references` counts references whose targets may be in the
    collection, and items with unknown assignments; null if the collection's own items are missing. With `damaged` it
    counts items with damaged documents; with `references_not_read`, items that the next run reads, up to 1,001, null
    for all; with `old_details`, items whose details were read before the latest listing, the first at `read_at`.
    """

    answer: Literal["cannot_say"] = "cannot_say"
    tenant_id: UUID
    type_key: str
    reason: str
    references: int | None
    read_at: datetime | None = None
