"""Events of Intune's and Entra's audit logs."""

from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

INTUNE_LOG = "deviceManagement/auditEvents"
ENTRA_LOG = "auditLogs/directoryAudits"

LATEST = timedelta(hours=1)

_MEDIAN_SECONDS = {ENTRA_LOG: 13.0, INTUNE_LOG: 130.0}
_SPREAD = 1.345
"""The standard deviation of the delay's logarithm.

Microsoft on Entra's log: 95 % within 2 minutes, 99 % within 5
(https://learn.microsoft.com/azure/active-directory/reports-monitoring/reference-reports-latencies). For Intune's log,
ten times that is an assumption.
"""


def audit_delay(log: str, chance: Random) -> timedelta:
    """The time from a change until its event is listed."""
    seconds = _MEDIAN_SECONDS[log] * chance.lognormvariate(0, _SPREAD)
    return min(timedelta(seconds=seconds), LATEST)


def audit_event(log: str, object_id: str, operation: str, happened_at: datetime) -> dict[str, Any]:
    """`operation` is such as `Create` or `Patch` in Intune's log, `Add` or `Update` in Entra's."""
    at = happened_at.astimezone(UTC).isoformat().replace("+00:00", "Z")
    if log == INTUNE_LOG:
        return {
            "activityType": f"{operation} DeviceCompliancePolicy",
            "activityDateTime": at,
            "activityOperationType": operation,
            "activityResult": "Success",
            "actor": {"userPrincipalName": "ada@contoso.example"},
            "resources": [{"resourceId": object_id, "displayName": "Policy"}],
        }
    return {
        "activityDisplayName": f"{operation} policy",
        "activityDateTime": at,
        "operationType": operation,
        "result": "success",
        "initiatedBy": {"app": None, "user": {"id": "u1", "userPrincipalName": "grace@contoso.example"}},
        "targetResources": [{"id": object_id, "type": "Policy", "modifiedProperties": []}],
    }
