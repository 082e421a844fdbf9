"""The argument and result of retention."""

from datetime import timedelta
from uuid import UUID

from activities.messages.base import Message


class ForgottenOfTenant(Message):
    """How many versions, documents that only they referred to, runs and undecided plans of a tenant were forgotten."""

    tenant_id: UUID
    versions: int = 0
    documents: int = 0
    runs: int = 0
    plans: int = 0

    def plus(self, *, versions: int = 0, documents: int = 0, runs: int = 0, plans: int = 0) -> "ForgottenOfTenant":
        """These counts plus those of one more batch."""
        counts = {"versions": self.versions + versions, "documents": self.documents + documents}
        return self.model_copy(update={**counts, "runs": self.runs + runs, "plans": self.plans + plans})


class InventoriedTenants(Message):
    """The tenants with at least one item, whether they are still configured or not."""

    tenant_ids: list[UUID]


class ForgetVersions(Message):
    """Forget one batch of a tenant's versions, from the first item behind `after` (type key and id)."""

    tenant_id: UUID
    older_than: timedelta | None = None
    kept: int | None = None
    after: tuple[str, str] | None = None


class ForgetVersionsResult(Message):
    """One batch; `after` says where the next one begins, and None that there is none."""

    versions: int
    documents: int
    after: tuple[str, str] | None = None


class ForgetRuns(Message):
    """Forget one batch of a tenant's runs."""

    tenant_id: UUID
    older_than: timedelta


class ForgetRunsResult(Message):
    """One batch; `is_last` where no run is left to be forgotten. `plans` counts undecided plans."""

    runs: int
    is_last: bool
    plans: int = 0
