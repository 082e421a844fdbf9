"""Assignments as JSON; field names never change."""

from typing import Literal
from uuid import UUID

from answers.titled_record import TitledRecord
from inventory.references import ReferenceRole


class ItemAssignment(TitledRecord):
    """One assignment in an item's current version; an item without any has one record with a null `role`.

    `target` is `group`, `all devices`, `all users`, or another of Graph's kinds. `target_name` is a group's last known
    name, null if no run has seen it; `target_is_absent`: it was deleted. `intent` is given for an app's assignment.
    `filter_mode` says whether the filter includes or excludes its devices. `policy_set_id` is null for a direct
    assignment. `text` is the whole assignment in words.
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
