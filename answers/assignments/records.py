"""Who gets what, as JSON. Fixed contracts; field names never change."""

from typing import Literal
from uuid import UUID

from answers.titled_record import TitledRecord
from inventory.references import ReferenceRole


class ItemAssignment(TitledRecord):
    """One assignment in an item's current version.

    `role` is whether the assignment includes or excludes the target, `target` its kind: `group`, `all devices`, `all
    users`, or another kind of Graph's. `target_name` is the last known name of a group, also of a deleted one
    (`target_is_absent`); it is null if no run has seen the group. `intent` is that of an app's assignment.
    `filter_mode` is whether the filter includes or excludes its devices. `policy_set_id` and its name are null for a
    direct assignment. `text` has all of it in words. An item without assignments has one record, whose `role` is null.
    """

    record: Literal["assignment"] = "assignment"
    tenant_id: UUID
    type_key: str
    external_id: str
    display_name: str | None
    kind: str
    role: ReferenceRole | None = None
    target: str | None = None
    target_id: str | None = None
    target_name: str | None = None
    target_is_absent: bool = False
    intent: str | None = None
    filter_id: str | None = None
    filter_name: str | None = None
    filter_mode: str | None = None
    policy_set_id: str | None = None
    policy_set_name: str | None = None
    text: str
