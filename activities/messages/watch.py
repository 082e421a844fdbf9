"""The arguments and results of `watch`'s activities."""

from uuid import UUID

from activities.messages.base import Message, WorkflowId
from inventory.error_codes import ErrorCode
from inventory.portfolio import RequestedTenants


class WatchChoice(Message):
    chosen: RequestedTenants


class WatchedTenants(Message):
    tenant_ids: list[UUID]


class WatchTenants(Message):
    """Looks at audit logs and reads changed items."""

    look_id: UUID
    workflow_id: WorkflowId
    tenant_ids: list[UUID]


class WatchTenantsResult(Message):
    """Sums over tenants, and the codes of those that failed."""

    looked: int = 0
    requests: int = 0
    read: int = 0
    created: int = 0
    changed: int = 0
    gone: int = 0
    unknown_events: int = 0
    failed: dict[UUID, ErrorCode] = {}
