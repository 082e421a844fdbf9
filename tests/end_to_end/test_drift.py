"""Drift, as an operator sees it: an edited tenant, a partial run, and decisions about findings."""

from typing import Any

import pytest

from answers.drift.records import DriftFindingRecord, DriftReport
from local.simulated_graph import Fault, FaultKind
from tests.end_to_end.system import System

POLICIES = "deviceManagement/deviceCompliancePolicies"
CONDITIONAL_ACCESS = "identity/conditionalAccess/policies"
SELECTION = ("--type", "deviceCompliancePolicies", "--type", "conditionalAccessPolicies")


def drift(system: System, *options: str, code: int = 0) -> tuple[DriftReport, dict[tuple[str, str], Any]]:
    """The report, and the findings by item and field."""
    result = system.starter("drift", system.tenant.name, *options, "--json")
    assert result.code == code, result.stderr
    report, *lines = result.objects()
    findings = [DriftFindingRecord.model_validate(line) for line in lines]
    return DriftReport.model_validate(report), {
        (finding.external_id, finding.path or finding.kind): finding for finding in findings
    }


@pytest.mark.slow
def test_partial_run_keeps_findings_and_new_value_reopens_a_decision(system: System) -> None:
    system.start_worker()
    tenant, name = system.tenant, system.tenant.name
    run = system.sync(*SELECTION)
    set_one = system.starter("baseline", "set", name, "golden", "--run", str(run.run_id), "--reason", "approved")
    assert set_one.code == 0, set_one.stderr
    assert drift(system)[1] == {}

    strict, removed = (document["id"] for document in tenant.documents(POLICIES)[:2])
    access = tenant.documents(CONDITIONAL_ACCESS)[0]
    tenant.change(POLICIES, strict, {"passwordMinimumLength": 99})
    tenant.change(
        CONDITIONAL_ACCESS, access["id"], {"state": "disabled" if access["state"] == "enabled" else "enabled"}
    )
    tenant.remove(POLICIES, removed)
    system.sync(*SELECTION)
    _, found = drift(system)
    assert set(found) == {(strict, "passwordMinimumLength"), (access["id"], "state"), (removed, "item_missing")}
    assert found[removed, "item_missing"].evidence == "confirmed"
    assert {place: finding.severity for place, finding in found.items()} == {
        (strict, "passwordMinimumLength"): "low",
        (access["id"], "state"): "high" if access["state"] == "enabled" else "low",
        (removed, "item_missing"): "high",
    }, "a longer password strengthens"

    fingerprint = found[access["id"], "state"].fingerprint
    decided = system.starter("drift", "decide", name, fingerprint[:12], "--as", "expected", "--why", "a pilot")
    assert decided.code == 0, decided.stderr
    fault = system.graph.faults.add(Fault(FaultKind.FORBIDDEN, tenant_id=tenant.id, path=POLICIES))
    assert system.sync(*SELECTION).status == "partial"
    system.graph.faults.remove(fault)
    report, still_open = drift(system, code=3)
    assert [collection.type_key for collection in report.left_out] == ["deviceCompliancePolicies"]
    assert set(still_open) == {(strict, "passwordMinimumLength"), (removed, "item_missing")}, "as they were"
    assert not any(finding.is_checked for finding in still_open.values())

    tenant.change(POLICIES, strict, {"passwordMinimumLength": None})
    tenant.change(CONDITIONAL_ACCESS, access["id"], {"state": "enabledForReportingButNotEnforced"})
    system.sync(*SELECTION)
    _, found = drift(system)
    fallen = found[access["id"], "state"]
    assert (fallen.fingerprint, fallen.decision, fallen.decided.fallen) == (fingerprint, "open", "value_changed")
