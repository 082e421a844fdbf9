"""The arguments and results of `watch`'s activities."""

from uuid import UUID

from activities.messages.base import Message, WorkflowId
from inventory.error_codes import ErrorCode
from inventory.portfolio import RequestedTenants


class WatchChoice(Message):
    """The tenants of a watch: all, or by tag or id."""

    chosen: RequestedTenants


class WatchedTenants(Message):
    """The chosen tenants by the tenants file now."""

    tenant_ids: list[UUID]


class WatchTenants(Message):
    """Look at tenants' audit logs and read changed items. `look_id` names the look."""

    look_id: UUID
    workflow_id: WorkflowId
    tenant_ids: list[UUID]


class WatchTenantsResult(Message):
    """The number of tenants looked at, and sums of all looks; `failed` tenants with their codes."""

    looked: int = 0
    requests: int = 0
    read: int = 0
    created: int = 0
    changed: int = 0
    gone: int = 0
    unknown_events: int = 0
    failed: dict[UUID, ErrorCode] = {}
