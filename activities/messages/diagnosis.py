"""The request and the result of a worker's diagnosis."""

from enum import StrEnum
from uuid import UUID

from activities.messages.base import Message


class CheckVerdict(StrEnum):
    """The result of one check. A warning needs somebody's attention soon, a failure now."""

    OK = "ok"
    WARNING = "warning"
    FAILED = "failed"


class CheckResult(Message):
    """One check: its name, the process that made it (`command` or `worker`), and the result with its remedy."""

    check: str
    place: str
    tenant_id: UUID | None = None
    tenant: str | None = None
    verdict: CheckVerdict
    message: str


class DiagnoseWorker(Message):
    """The tenants to sign in to; all of the worker's tenants file if there are none."""

    tenant_ids: tuple[UUID, ...] = ()


class DiagnosisResult(Message):
    """The checks that a worker made, in the order of their printing."""

    checks: tuple[CheckResult, ...]
