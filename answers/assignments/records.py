"""Who gets what, as JSON. Fixed contracts; field names never change."""

from typing import Literal
from uuid import UUID

from answers.titled_record import TitledRecord
from inventory.references import ReferenceRole


class ItemAssignment(TitledRecord):
    """One assignment in an item's current version.

    `role` says whether it includes or excludes the target, whose kind is `target`: `group`, `all devices`, `all users`,
    or another kind of Graph's. `target_name` is a group's last known name, also of a deleted one (`target_is_absent`);
    null if no run has seen the group. `intent` is that of an app's assignment. `filter_mode` says whether the filter
    includes or excludes its devices. `policy_set_id` and its name are null for a direct assignment. `text` has all of
    it in words. An item without assignments has one record with a null `role`.
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
