"""The actor of a change, as a user gets it: from an edit in the tenant to the line of `changes`."""

from datetime import UTC, datetime
from typing import Any

import pytest

from tests.end_to_end.system import System

POLICIES = "identity/conditionalAccess/policies"
PATH = "deviceManagement/deviceCompliancePolicies"
SELECTION = ("--type", "deviceCompliancePolicies", "--type", "auditEvents")


@pytest.mark.slow
def test_changes_name_the_actor_of_an_intune_change(system: System) -> None:
    system.start_worker()
    edited, unknown, *_ = [document["id"] for document in system.tenant.documents(PATH)]
    system.sync(*SELECTION)
    for policy_id in (edited, unknown):
        system.tenant.rename(PATH, policy_id, f"Renamed {policy_id}")
    system.tenant.add(
        "deviceManagement/auditEvents",
        {
            "activityType": "patchDeviceCompliancePolicy",
            "activityDateTime": now(),
            "activityOperationType": "Patch",
            "activityResult": "Success",
            "actor": {"userPrincipalName": "ada@contoso.example"},
            "resources": [{"resourceId": edited, "displayName": "Policy"}],
        },
    )
    noticed = system.sync(*SELECTION)
    system.sync("--type", "auditEvents")

    *lines, last = system.starter("changes", system.tenant.name, "--run", str(noticed.run_id), "--json").objects()
    audit = {line["external_id"]: line["audit"] for line in lines}
    assert set(audit) == {edited, unknown}
    (event,) = audit[edited]["events"]
    assert (event["actor"], event["operation"]) == ("ada@contoso.example", "Patch")
    assert audit[unknown] == {"status": "not_in_audit_log", "log": "auditEvents", "events": []}
    assert last["summary"]["audit"] == {"found": 1, "not_in_audit_log": 1}

    result = system.starter("changes", system.tenant.name)
    assert result.stdout.count("by ada@contoso.example at ") == 1
    assert result.stdout.count("not in the audit log") == 1


@pytest.mark.slow
def test_changes_name_the_actor_of_an_entra_change(system: System) -> None:
    system.start_worker()
    types = ("--type", "conditionalAccessPolicies", "--type", "groups")
    policy, group = (system.tenant.documents(path)[0]["id"] for path in (POLICIES, "groups"))
    system.sync(*types)
    system.tenant.rename(POLICIES, policy, "Require a second factor")
    system.tenant.rename("groups", group, "Pilot")
    noticed = system.sync(*types)
    first = system.starter("changes", system.tenant.name)
    assert "Entra's audit log was not read; sync --type directoryAudits reads it" in first.stderr
    assert "Intune" not in first.stderr, "no change is Intune's"

    system.tenant.add("auditLogs/directoryAudits", directory_audit(policy, "Update conditional access policy"))
    # Intune's log names the group as the target of an assignment, which is no change of the group.
    system.tenant.add(
        "deviceManagement/auditEvents",
        {
            "activityType": "assign",
            "activityDateTime": now(),
            "activityOperationType": "Assign",
            "activityResult": "Success",
            "resources": [{"resourceId": group}],
        },
    )
    system.sync("--type", "auditEvents", "--type", "directoryAudits")
    *lines, last = system.starter("changes", system.tenant.name, "--run", str(noticed.run_id), "--json").objects()
    audit = {line["external_id"]: line["audit"] for line in lines}
    (event,) = audit[policy]["events"]
    assert (event["actor"], event["operation"]) == ("grace@contoso.example", "Update")
    assert audit[group] == {"status": "not_in_audit_log", "log": "directoryAudits", "events": []}
    assert last["summary"]["audit_logs"]["directoryAudits"]["not_read"] == 0
    result = system.starter("changes", system.tenant.name)
    assert result.stdout.count("by grace@contoso.example at ") == 1
    assert "audit log was" not in result.stderr


def directory_audit(object_id: str, activity: str) -> dict[str, Any]:
    return {
        "activityDisplayName": activity,
        "activityDateTime": now(),
        "operationType": "Update",
        "result": "success",
        "initiatedBy": {"app": None, "user": {"id": "u1", "userPrincipalName": "grace@contoso.example"}},
        "targetResources": [{"id": object_id, "type": "Policy", "modifiedProperties": []}],
    }


def now() -> str:
    return datetime.now(UTC).isoformat().replace("+00:00", "Z")
