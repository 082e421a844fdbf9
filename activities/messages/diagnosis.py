"""The argument and result of `diagnose_worker`."""

from enum import StrEnum
from uuid import UUID

from activities.messages.base import Message


class CheckVerdict(StrEnum):
    """A warning needs attention soon, a failure now."""

    OK = "ok"
    WARNING = "warning"
    FAILED = "failed"


class CheckResult(Message):
    """One check: its name, its process (`command` or `worker`), and the result with its remedy."""

    check: str
    place: str
    tenant_id: UUID | None = None
    tenant: str | None = None
    verdict: CheckVerdict
    message: str


class DiagnoseWorker(Message):
    """The tenants to sign in to; none stands for all."""

    tenant_ids: tuple[UUID, ...] = ()


class DiagnosisResult(Message):
    """The checks, in the order to print."""

    checks: tuple[CheckResult, ...]
