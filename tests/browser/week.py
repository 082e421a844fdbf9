"""A week of four simulated tenants: rolled out, read, edited, read again, with a baseline and two decisions."""

from datetime import UTC, datetime

from local.simulated_graph import INTUNE_LOG, Fault, FaultKind
from tests.deadlines import until
from tests.end_to_end.system import System

TYPES = (
    "deviceConfigurations", "deviceCompliancePolicies", "configurationPolicies", "conditionalAccessPolicies",
    "namedLocations", "groups", "assignmentFilters",
)  # fmt: skip
SELECTION = tuple(word for key in TYPES for word in ("--type", key))
CONFIGURATIONS = "deviceManagement/deviceConfigurations"
COMPLIANCE = "deviceManagement/deviceCompliancePolicies"
ACCESS = "identity/conditionalAccess/policies"
CATALOG = "deviceManagement/configurationPolicies"


def live_a_week(system: System) -> None:
    """Writes the tenants' week to the database and leaves a worker running."""
    system.environment["LOGNAME"] = "ada"
    system.start_worker()
    _roll_out(system)
    mine = system.tenant
    for tenant in system.graph.tenants:
        assert system.starter("sync", tenant.name, *SELECTION, "--json").code == 0
    assert system.starter("baseline", "set", mine.name, "golden", "--reason", "as approved in March").code == 0
    _edit(system)
    system.graph.faults.add(Fault(FaultKind.FORBIDDEN, tenant_id=mine.id, path="/namedLocations"))
    # The log is read last, so that it is known to be complete.
    for selection in (SELECTION, ("--type", "auditEvents")):
        assert system.starter("sync", mine.name, *selection, "--json").code in (0, 3)
    result = system.starter("portfolio", "sync", "--tenant", mine.name, "--type", "assignmentFilters", "--json")
    assert result.code == 0, result.stderr
    _decide(system)
    _, other, *_ = system.graph.tenants
    result = system.starter("promote", "plan", mine.name, other.name, "--json")
    assert result.code == 3, result.stderr
    _watch(system)


def _roll_out(system: System) -> None:
    """Adds compliance policies that should be the same in all tenants and differ slightly."""
    for number, tenant in enumerate(system.graph.tenants):
        for document in tenant.documents(COMPLIANCE):
            tenant.remove(COMPLIANCE, document["id"])
        for place, name in enumerate(("Windows, laptops", "Windows, kiosks", "Frontline tablets", "Executives")):
            if number != place:
                policy = {
                    "@odata.type": "#microsoft.graph.windows10CompliancePolicy",
                    "displayName": f"Compliance - {name}",
                    "description": None,
                    "passwordRequired": True,
                    "passwordMinimumLength": 8 if number + place == 3 else 12,
                    "bitLockerEnabled": number + place != 4,
                    "roleScopeTagIds": ["0"],
                }
                tenant.add(COMPLIANCE, policy)


def _watch(system: System) -> None:
    """Turns watch on: it may not read one log, and the other log names edited items."""
    mine = system.tenant
    system.graph.faults.add(Fault(FaultKind.FORBIDDEN, tenant_id=mine.id, path="/directoryAudits"))
    printers = mine.documents(CONFIGURATIONS)[1]["id"]
    mine.change(CONFIGURATIONS, printers, {"description": "Printers of all sites and of the depot."})
    mine.log_event(INTUNE_LOG, printers, "Patch")
    assert system.starter("watch", "on", "--tenant", mine.name, "--every", "1h", "--json").code == 0
    until(lambda: system.starter("runs", mine.name, "--watch", "--json").objects())


def _decide(system: System) -> None:
    """Decides two findings."""
    mine = system.tenant.name
    findings = [record for record in system.starter("drift", mine, "--json").objects() if "fingerprint" in record]
    for finding, decision, reason in zip(
        findings,
        ("accepted", "expected"),
        ("pilot of the service desk", "kiosks come with the next wave"),
        strict=False,
    ):
        result = system.starter("drift", "decide", mine, finding["fingerprint"], "--as", decision, "--why", reason)
        assert result.code == 0, result.stderr


def _edit(system: System) -> None:
    """Makes a week's edits by administrators, some with an audit event."""
    tenant = system.graph.tenants[0]
    kiosk, printers, *_ = [document["id"] for document in tenant.documents(CONFIGURATIONS)]
    groups = [document["id"] for document in tenant.documents("groups", "v1.0")]
    policy, *_ = tenant.documents(CATALOG)
    access = [document["id"] for document in tenant.documents(ACCESS, "v1.0")]
    compliance = [document["id"] for document in tenant.documents(COMPLIANCE)]
    tenant.rename(CONFIGURATIONS, kiosk, "Kiosk baseline (pilot)")
    tenant.change(CONFIGURATIONS, printers, {"description": "Printers of all sites.\nAsk the service desk first."})
    tenant.reassign(CONFIGURATIONS, printers, groups[:2])
    tenant.change(ACCESS, access[0], {"state": "disabled"})
    tenant.remove(COMPLIANCE, compliance[0])
    tenant.change(CATALOG, policy["id"], {"description": "Changed by hand"})
    tenant.add(CONFIGURATIONS, {"@odata.type": "#microsoft.graph.iosCustomConfiguration", "displayName": "Wi-Fi <new>"})
    for object_id, operation, actor in (
        (kiosk, "Patch", "ada@contoso.example"),
        (printers, "Patch", "grace@contoso.example"),
        (compliance[0], "Delete", "ada@contoso.example"),
    ):
        tenant.add(
            "deviceManagement/auditEvents",
            {
                "activityType": f"{operation} DevicePolicy",
                "displayName": f"{operation} DevicePolicy",
                "activityDateTime": datetime.now(UTC).isoformat().replace("+00:00", "Z"),
                "activityOperationType": operation,
                "activityResult": "Success",
                "actor": {"userPrincipalName": actor},
                "resources": [{"resourceId": object_id, "displayName": "Policy"}],
            },
        )
