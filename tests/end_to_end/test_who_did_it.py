"""A change with who made it, as a user gets it: from an edit in the tenant to the line of the command."""

from datetime import UTC, datetime

from tests.end_to_end.system import System

PATH = "deviceManagement/deviceCompliancePolicies"
SELECTION = ("--type", "deviceCompliancePolicies", "--type", "auditEvents")


def test_a_change_is_told_with_who_made_it(system: System) -> None:
    system.start_worker()
    edited, unknown, *_ = [one["id"] for one in system.tenant.documents(PATH)]
    system.sync(*SELECTION)
    for policy_id in (edited, unknown):
        system.tenant.rename(PATH, policy_id, f"Renamed {policy_id}")
    system.tenant.add(
        "deviceManagement/auditEvents",
        {
            "activityType": "patchDeviceCompliancePolicy",
            "activityDateTime": datetime.now(UTC).isoformat().replace("+00:00", "Z"),
            "activityOperationType": "Patch",
            "activityResult": "Success",
            "actor": {"userPrincipalName": "ada@contoso.example"},
            "resources": [{"resourceId": edited, "displayName": "Policy"}],
        },
    )
    noticed = system.sync(*SELECTION)
    system.sync("--type", "auditEvents")

    *lines, last = system.starter("changes", system.tenant.name, "--run", str(noticed.run_id), "--json").objects()
    audit = {one["external_id"]: one["audit"] for one in lines}
    assert set(audit) == {edited, unknown}
    (event,) = audit[edited]["events"]
    assert (event["actor"], event["operation"]) == ("ada@contoso.example", "Patch")
    assert audit[unknown] == {"status": "not_in_audit_log", "events": []}
    assert last["summary"]["audit"] == {"found": 1, "not_in_audit_log": 1}

    shown = system.starter("changes", system.tenant.name)
    assert shown.stdout.count("by ada@contoso.example at ") == 1
    assert shown.stdout.count("not in the audit log") == 1
