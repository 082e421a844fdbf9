"""Requests, counted by path."""

from typing import Any

import pytest

from local.simulated_graph import Kind, SimulatedGraph
from local.simulated_graph.endpoints import template
from tests.simulated_graph.conftest import batch

POLICIES = "/deviceManagement/configurationPolicies"


def test_requests_are_counted_by_kind_and_by_path(connect: Any) -> None:
    with SimulatedGraph(tenants=2) as graph:
        first, second = graph.tenants
        policies = [policy["id"] for policy in first.documents(POLICIES)[:3]]
        client = connect(graph, first)
        batch(client, POLICIES, *(f"{POLICIES}/{policy_id}/settings?$top=1000" for policy_id in policies))
        batch(client, f"{POLICIES}/{policies[0]}", f"{POLICIES}/gone/settings")
        client.get(f"/beta{POLICIES}")
        batch(connect(graph, second), POLICIES)
        of_first = {POLICIES: 1, f"{POLICIES}/{{id}}": 1, f"{POLICIES}/{{id}}/settings": 4}
        assert graph.request_paths(Kind.INNER, first.id) == of_first
        assert graph.request_paths(Kind.INNER)[POLICIES] == 2
        assert graph.request_paths(tenant_id=first.id) == {"/beta/$batch": 2, **of_first, POLICIES: 2}
        graph.clear_requests()
        assert graph.request_paths() == {}


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/beta/deviceManagement/intents/1/categories/2/settings/3",
         "/deviceManagement/intents/{id}/categories/{id}/settings/{id}"),
        ("/v1.0/policies/authorizationPolicy", "/policies/authorizationPolicy"),
        ("/v1.0/policies/crossTenantAccessPolicy/partners/1", "/policies/crossTenantAccessPolicy/partners/{id}"),
        ("/v1.0/organization/1/branding/localizations/de", "/organization/{id}/branding/localizations/{id}"),
        ("/beta/deviceManagement/depOnboardingSettings/1/defaultIosEnrollmentProfile",
         "/deviceManagement/depOnboardingSettings/{id}/defaultIosEnrollmentProfile"),
        ("/v1.0/deviceManagement/deviceConfigurations/1/getOmaSettingPlainTextValue(secretReferenceValueId='2')",
         "/deviceManagement/deviceConfigurations/{id}/getOmaSettingPlainTextValue"),
        ("/v1.0/groups/1/unheardOf", "/groups/{id}/unheardOf"),
        ("/beta/unheardOf/1", "/beta/unheardOf/1"),
    ],
)  # fmt: skip
def test_a_path_is_counted_without_ids(path: str, expected: str) -> None:
    assert template(path) == expected
