"""The records of dependencies, and how sure it is that an object is there.

An object is only called gone or never seen if the collections that it may be in were listed to their end; otherwise
that cannot be said, with the reason.
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
    """Whether an object is in the tenant, as far as it was read."""

    PRESENT = "present"
    ABSENT = "absent"
    """It was seen, and a later complete listing omits it."""
    NEVER_SEEN = "never_seen"
    """All its possible collections were listed to their end, and none has shown it."""
    NOT_READ = "not_read"
    """It was never seen, and a possible collection was not listed to its end."""
    AUDIENCE = "audience"
    """All users or all devices: no object of the inventory."""


class ObjectState(NamedTuple):
    """Presence, its confidence and its evidence. The confidence is None if nothing can be said.

    Evidence: `listed` · `found_by_id` (a GET by id found it, and its listing did not show it) · `old_details` (its
    reference stands in details from before the latest listing) · `confirmed` (a GET by id answered 404) ·
    `not_listed` (a complete listing did not show it) ·
    `never_listed` · `listing_is_older` (no complete listing began after the reference was first observed) ·
    `<type key>:<outcome>:<error code>` for each collection that the latest run did not list to its end ·
    `<type key>:never_read` · `<type key>:not_in_the_catalog`.
    """

    presence: Presence
    confidence: Confidence | None
    evidence: str


class KnownObject(NamedTuple):
    """An item as the inventory has it. The absence is that of now, all None while it is listed.

    `found_by_id`: the run that last saw it found it by a GET, and its listing did not show it.
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
    no run has seen it. `evidence` is the basis of the presence (docs/architecture.md).
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
        """The object's name for people. Of one that was never seen, only the id is known."""
        if self.kind is None:
            return self.external_id
        return item_title(self.type_keys[0], self.external_id, self.display_name, self.kind)


class Direction(StrEnum):
    """The direction of a reference, seen from the item that was asked about."""

    NEEDS = "needs"
    NEEDED_BY = "needed_by"


class DependencyRecord(BaseModel, frozen=True):
    """One reference: `item` refers to `target`, as `version` of it says, first observed at `referred_at`.

    `distance` counts references from the item in question: 1 is its own. `path` is the reference's place by the
    catalog's rule. `intent` is that of its assignment, if any.
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
    """A reference whose target is not in the tenant: `item` refers to `target`, as `version` of it says."""

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
    """An item that is assigned to nobody, as `version` says, which was last observed at `observed_at`.

    `exclusions` counts the groups that it excludes. The confidence is high if the latest run listed the collection to
    its end, was a clean success, and found this version. Assignments in details may be older: `details_read_at`.
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
    """An assignment filter that an item uses: the devices that it includes, or excludes."""

    external_id: str
    display_name: str | None
    role: ReferenceRole


class AssignmentRecord(BaseModel, frozen=True):
    """One way in which an item includes or excludes a group: by the `group` itself, `all devices` or `all users`.

    `intent` is that of an app's assignment; `policy_set_id` is the policy set that made it, null for a direct one;
    `policy_set_name` is null if unknown. `is_overridden`: the item excludes the group from the same intent, so the
    inclusion does not reach it.
    """

    role: ReferenceRole
    through: str
    intent: str | None
    policy_set_id: str | None
    policy_set_name: str | None = None
    is_overridden: bool


class ReachRecord(BaseModel, frozen=True):
    """An item that names a group, or everyone, in an assignment or a condition.

    `reaches`: it includes the group and does not exclude it from the same intent. `through` names the ways: `group`,
    `all devices`, `all users`; `assignments` has them with intents. `excluded`: it excludes the group from some intent,
    or as a whole. `filters`, all that the item uses, may narrow its audience. Groups within groups are not read, so
    items that reach a group through its parent are missing.
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
    """A collection that leaves the answer open: it was not listed to its end, for the given `reason`.

    The type key is empty if the tenant was never read. `references` counts references whose targets may be in the
    collection, and items with unknown assignments; null if the collection's own items are missing. With the reason
    `damaged` it counts items with damaged documents; with `references_not_read`, items whose references the next run
    reads, up to 1,001, null for all items; with `old_details`, items whose details were read before the latest listing,
    the first at `read_at`.
    """

    answer: Literal["cannot_say"] = "cannot_say"
    tenant_id: UUID
    type_key: str
    reason: str
    references: int | None
    read_at: datetime | None = None
