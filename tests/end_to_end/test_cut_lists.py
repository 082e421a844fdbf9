"""Expanded lists that Graph truncates: a run reads them to their end, or reports incomplete details."""

from typing import Any

import pytest

from local.simulated_graph import Fault, FaultKind
from tests.end_to_end.cases import TenantPair

CONFIGURATIONS, SETS = "deviceManagement/deviceConfigurations", "deviceAppManagement/policySets"
COMPLIANCE = "deviceManagement/deviceCompliancePolicies"
GROUPS = [f"10000000-0000-4000-8000-0000000000{number:02}" for number in range(5)]


def _group_ids(document: dict[str, Any]) -> set[str]:
    return {assignment["target"].get("groupId") for assignment in document["assignments"]}


@pytest.mark.slow
def test_every_run_reads_the_rest_of_truncated_expansions(pair: TenantPair) -> None:
    key = str(pair.tenant.documents(CONFIGURATIONS)[0]["id"])
    pair.tenant.reassign(CONFIGURATIONS, key, GROUPS)
    pair.tenant.cut_expansions(2)
    record = pair.sync(["deviceConfigurations"])
    assert (record.status, record.error_codes) == ("success", [])
    assert _group_ids(pair.show("deviceConfigurations", key)) == set(GROUPS)
    assert pair.sync(["deviceConfigurations"]).counts.changed == 0
    # The truncated list is the same as before.
    pair.tenant.reassign(CONFIGURATIONS, key, [*GROUPS[:4], "10000000-0000-4000-8000-000000000099"])
    assert pair.sync(["deviceConfigurations"]).counts.changed == 1
    assert _group_ids(pair.show("deviceConfigurations", key)) - set(GROUPS) == {"10000000-0000-4000-8000-000000000099"}
    pair.tenant.cut_expansions(None)
    assert pair.sync(["deviceConfigurations"]).counts.changed == 0


def test_list_truncated_in_get_by_id_is_read_to_its_end(pair: TenantPair) -> None:
    key = str(pair.tenant.documents(SETS)[0]["id"])
    items = [{"id": f"added {number}", "displayName": f"Added {number}"} for number in range(130)]
    pair.tenant.change(SETS, key, {"items": items})
    assert pair.sync(["policySets"]).status == "success"
    assert len(pair.show("policySets", key)["items"]) == 130


def test_list_truncated_inside_an_expansion_is_read_to_its_end(pair: TenantPair) -> None:
    key = str(pair.tenant.documents(COMPLIANCE)[0]["id"])
    actions = [
        {"id": str(rule), "scheduledActionConfigurations": [{"id": f"{rule}-{number}"} for number in range(5)]}
        for rule in range(3)
    ]
    pair.tenant.change(COMPLIANCE, key, {"scheduledActionsForRule": actions})
    assert pair.sync(["deviceCompliancePolicies"]).status == "success"
    document = pair.show("deviceCompliancePolicies", key)
    pair.tenant.cut_expansions(2)
    record = pair.sync(["deviceCompliancePolicies"])
    assert (record.status, record.counts.changed) == ("success", 0)
    assert pair.show("deviceCompliancePolicies", key) == document
    assert [len(rule["scheduledActionConfigurations"]) for rule in document["scheduledActionsForRule"]] == [5, 5, 5]


def test_unreadable_rest_of_a_list_is_reported_as_incomplete_details(pair: TenantPair) -> None:
    key = str(pair.tenant.documents(CONFIGURATIONS)[0]["id"])
    pair.tenant.reassign(CONFIGURATIONS, key, GROUPS)
    pair.tenant.cut_expansions(2)
    faults = pair.system.graph.faults
    fault = Fault(FaultKind.FORBIDDEN, tenant_id=pair.tenant.id, path=f".*/{key}/assignments")
    number = faults.add(fault)
    record = pair.sync(["deviceConfigurations"])
    assert (record.status, record.error_codes) == ("partial", ["detail_incomplete"])
    assert record.collections["deviceConfigurations"].context["details_incomplete"] == 1
    faults.remove(number)
    record = pair.sync(["deviceConfigurations"])
    assert (record.status, record.counts.changed) == ("success", 0)
    assert _group_ids(pair.show("deviceConfigurations", key)) == set(GROUPS)
    assert not [
        change for change in pair.changes("deviceConfigurations") if change.external_id == key and change.fields
    ]


def test_next_link_to_a_foreign_host_is_not_followed(pair: TenantPair) -> None:
    key = str(pair.tenant.documents(CONFIGURATIONS)[0]["id"])
    cut = {
        "@odata.type": "#microsoft.graph.windows10CustomConfiguration",
        "id": key,
        "displayName": "Cut",
        "assignments": [],
        "assignments@odata.nextLink": f"https://evil.example/beta/{CONFIGURATIONS}/{key}/assignments?$skiptoken=a",
    }
    pair.answer_with(rf"/beta/{CONFIGURATIONS}\?.*", 200, {"value": [cut]})
    record = pair.sync(["deviceConfigurations"])
    assert (record.status, record.error_codes) == ("partial", ["detail_incomplete"])
    context = record.collections["deviceConfigurations"].context
    assert (context["detail_error_code"], context["details_incomplete"]) == ("graph_untrusted_link", 1)
    assert pair.system.graph.violations() == []


def test_more_than_twenty_relations_of_a_directory_object_are_read(pair: TenantPair) -> None:
    key = str(pair.tenant.documents("applications")[0]["id"])
    owners = {str(number) for number in range(25)}
    pair.tenant.change("applications", key, {"owners": [{"id": owner} for owner in owners]})
    assert pair.sync(["applications"]).status == "success"
    assert {owner["id"] for owner in pair.show("applications", key)["owners"]} == owners
