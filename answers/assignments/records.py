"""Who gets what, as JSON. Fixed contracts; field names never change."""

from typing import Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict

from inventory.references import ReferenceRole


class ItemAssignment(BaseModel):
    """One assignment of an item, as its current version says it.

    `role` is whether the target is included or excluded, `target` what it is: `group`, `all devices`, `all users`, or
    another kind of Graph's. `target_name` is the last known name of a group, also of a deleted one
    (`target_is_absent`); it is null where no run has seen the group. `intent` is that of an app's assignment.
    `filter_mode` says whether the filter's devices are included or excluded. The assignment came through the policy
    set, where there is one. `text` says all of it in words. An item without assignments has one record, whose `role`
    is null.
    """

    model_config = ConfigDict(frozen=True)

    record: Literal["assignment"] = "assignment"
    tenant_id: UUID
    type_key: str
    external_id: str
    display_name: str | None
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
