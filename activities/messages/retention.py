"""The argument and result of retention."""

from datetime import timedelta
from uuid import UUID

from activities.messages.base import Message

EVERY_TENANT = "every_tenant"
"""The detail of a failure that other tenants' batches would meet, too."""


class ForgottenOfTenant(Message):
    """A tenant's versions that retention deleted, documents that only they used, runs and undecided plans."""

    tenant_id: UUID
    versions: int = 0
    documents: int = 0
    runs: int = 0
    plans: int = 0

    def plus(self, *, versions: int = 0, documents: int = 0, runs: int = 0, plans: int = 0) -> "ForgottenOfTenant":
        counts = {"versions": self.versions + versions, "documents": self.documents + documents}
        return self.model_copy(update={**counts, "runs": self.runs + runs, "plans": self.plans + plans})


class InventoriedTenants(Message):
    """Tenants with items, configured or not."""

    tenant_ids: list[UUID]


class ForgetVersions(Message):
    """Deletes one batch, from the first item after `after` (type key and id)."""

    tenant_id: UUID
    older_than: timedelta | None = None
    kept: int | None = None
    after: tuple[str, str] | None = None


class ForgetVersionsResult(Message):
    """`after` is the last item of the batch; None if no batch is left."""

    versions: int
    documents: int
    after: tuple[str, str] | None = None


class ForgetRuns(Message):
    tenant_id: UUID
    older_than: timedelta


class ForgetRunsResult(Message):
    """`is_last`: no run is left to delete. `plans` is the number of deleted undecided plans."""

    runs: int
    is_last: bool
    plans: int = 0
