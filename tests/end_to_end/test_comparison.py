"""A worker reads two tenants, and a command compares them."""

from typing import Any

import pytest

from answers.compare.records import ComparisonRecord, ItemComparison, MatrixRow
from local.simulated_graph import SimulatedTenant
from tests.end_to_end.system import System

POLICIES = "deviceManagement/deviceCompliancePolicies"
TYPES = ("--type", "deviceCompliancePolicies")
SELECTION = (*TYPES, "--type", "groups", "--type", "assignmentFilters", "--type", "roleScopeTags")


def policy(tenant: SimulatedTenant, name: str, group: str, **properties: Any) -> None:
    document = {
        "@odata.type": "#microsoft.graph.windows10CompliancePolicy",
        "displayName": name,
        "roleScopeTagIds": ["0"],
        "passwordRequired": True,
        **properties,
    }
    key = tenant.add(POLICIES, document)
    tenant.reassign(POLICIES, key, [tenant.add("groups", {"displayName": group, "securityEnabled": True})])


@pytest.mark.slow
def test_policies_of_two_tenants_are_compared_by_content(system: System) -> None:
    golden, other = system.graph.tenants
    for tenant, group, required in ((golden, "Pilot ring", True), (other, "Other ring", False)):
        policy(tenant, "Baseline same", "Same ring")
        policy(tenant, "Baseline edited", "Edited ring", passwordRequired=required)
        policy(tenant, "Baseline elsewhere", group)
    policy(golden, "Baseline golden", "Golden ring")
    system.start_worker()
    result = system.starter("portfolio", "sync", "--all-tenants", *SELECTION, "--json")
    assert result.code == 0, result.stderr

    compared = system.starter("compare", golden.name, other.name, *TYPES, "--json")
    assert (compared.code, compared.stderr) == (0, "")
    *lines, last = compared.objects()
    ours = {
        (item.here or item.there)[0].display_name: item
        for item in map(ItemComparison.model_validate, lines)
        if str((item.here or item.there)[0].display_name).startswith("Baseline")
    }
    assert {name: (item.status, sorted(field.path for field in item.fields)) for name, item in ours.items()} == {
        "Baseline same": ("same", []),
        "Baseline edited": ("different", ["passwordRequired"]),
        "Baseline elsewhere": ("different", ["assignments[group Other ring]", "assignments[group Pilot ring]"]),
        "Baseline golden": ("only_here", []),
    }
    record = ComparisonRecord.model_validate(last)
    assert [(collection.type_key, collection.is_compared) for collection in record.collections] == [
        ("deviceCompliancePolicies", True)
    ]

    matrix = system.starter("compare", "--golden", golden.name, "--all", *TYPES, "--json")
    assert (matrix.code, matrix.stderr) == (0, "")
    rows = {row.display_name: row.cells[0].status for row in map(MatrixRow.model_validate, matrix.objects()[:-1])}
    assert {name: rows[name] for name in ours} == {
        "Baseline same": "same",
        "Baseline edited": "different",
        "Baseline elsewhere": "different",
        "Baseline golden": "missing",
    }
