"""`check` against the simulated Graph, with neither a database nor Temporal."""

from collections.abc import Callable
from pathlib import Path
from uuid import uuid4

import pytest

from graph.catalog import load_catalog
from local.simulated_graph import REAL_BUDGETS, Fault, FaultKind, Kind, SimulatedGraph
from local.state import State
from tests.end_to_end.system import Finished, starter

COLLECTIONS = load_catalog().collections

Check = Callable[..., Finished]


@pytest.fixture
def check(graph: SimulatedGraph, tmp_path: Path) -> Check:
    state = State(tmp_path)
    state.write_tenants(
        [
            {"id": str(one.id), "name": one.name, "client_id": one.client_id, "client_secret": one.client_secret}
            for one in graph.tenants
        ]
    )
    environment = {
        "DATABASE_URL": "postgresql://nobody@127.0.0.1:1/none",
        "GRAPH_BASE_URL": graph.base_url,
        "GRAPH_AUTHORITY_URL": graph.authority_url,
        "GRAPH_CA_FILE": str(graph.ca_file),
        "TENANTS_FILE": str(state.tenants_file),
        "TENANT_INVENTORY_STATE": str(tmp_path / "no-stack"),
    }

    def run(*arguments: str) -> Finished:
        return starter("check", graph.tenants[0].name, *arguments, environment=environment, folder=tmp_path)

    return run


def test_a_readable_collection_costs_one_small_request(graph: SimulatedGraph, check: Check) -> None:
    done = check("--category", "scripts", "--category", "conditional-access", "--type", "groups", "--json")
    listed = {one["type_key"]: one["readability"] for one in done.objects()}
    assert {key for key, answer in listed.items() if answer == "readable"} >= {
        *load_catalog().in_categories(["scripts"]),
        "conditionalAccessPolicies",
        "namedLocations",
        "groups",
    }
    asked = graph.requests(Kind.INNER)
    assert len(asked) == len(listed)
    assert {one.query for one in asked if one.path.endswith("/groups")} == {"$top=1"}
    for one in asked:
        assert "$expand" not in one.query
        if "conditionalAccess" in one.path:
            assert "$top" not in one.query


def test_conditional_access_is_never_asked_too_fast(graph: SimulatedGraph, check: Check) -> None:
    graph.budgets.set(REAL_BUDGETS)
    assert check("--type", "conditionalAccessPolicies", "--type", "namedLocations").code == 0
    assert [one.status for one in graph.requests(Kind.INNER)] == [200, 200]


def test_each_answer_is_told_apart(graph: SimulatedGraph, check: Check) -> None:
    graph.faults.add(Fault(FaultKind.FORBIDDEN, path="/groups"))
    graph.faults.add(Fault(FaultKind.NOT_APPLICABLE, path="/roleScopeTags"))
    graph.faults.add(Fault(FaultKind.NOT_FOUND, path="/subscribedSkus"))
    graph.faults.add(Fault(FaultKind.BAD_REQUEST, path="/mobileApps"))
    names = ("groups", "roleScopeTags", "subscribedSkus", "mobileApps", "assignmentFilters")
    done = check(*[part for name in names for part in ("--type", name)], "--json")
    assert done.code == 3
    assert {one["type_key"]: (one["readability"], one["error_code"]) for one in done.objects()} == {
        "assignmentFilters": ("readable", None),
        "groups": ("permission_missing", "graph_permission_missing"),
        "mobileApps": ("failed", "graph_bad_request"),
        "roleScopeTags": ("not_licensed", "graph_not_licensed"),
        "subscribedSkus": ("not_found", "graph_not_found"),
    }
    fields = ["type_key", "category", "readability", "permission", "licence_hint", "error_code", "context"]
    assert [list(one) for one in done.objects()] == [fields] * len(names)
    (missing,) = [one for one in done.objects() if one["type_key"] == "groups"]
    assert missing["context"]["permission"] == missing["permission"] == "Group.ReadBasic.All"


def test_what_a_tenant_cannot_have_is_no_error(graph: SimulatedGraph, check: Check) -> None:
    graph.faults.add(Fault(FaultKind.NOT_APPLICABLE, path="/roleScopeTags"))
    graph.faults.add(Fault(FaultKind.NOT_FOUND, path="/subscribedSkus"))
    assert check("--type", "roleScopeTags", "--type", "subscribedSkus").code == 0


def test_people_read_what_to_grant(graph: SimulatedGraph, check: Check) -> None:
    graph.faults.add(Fault(FaultKind.FORBIDDEN_INTUNE, path="/deviceManagement/"))
    done = check("--type", "roleScopeTags", "--type", "roleDefinitions", "--type", "groups")
    assert done.code == 3
    assert "3 collections: 1 readable, 2 permission missing" in done.stdout
    assert "consent: DeviceManagementConfiguration.Read.All, DeviceManagementRBAC.Read.All" in done.stdout


def test_throttling_is_waited_for_and_only_what_was_throttled_is_asked_again(
    graph: SimulatedGraph, check: Check
) -> None:
    graph.faults.add(Fault(FaultKind.THROTTLED, path="/roleScopeTags", count=1, retry_after="1"))
    assert check("--type", "roleScopeTags", "--type", "roleDefinitions").code == 0
    asked = [one.path.rpartition("/")[2] for one in graph.requests(Kind.INNER)]
    assert sorted(asked) == ["roleDefinitions", "roleScopeTags", "roleScopeTags"]


def test_a_throttling_that_does_not_end_is_a_failure(graph: SimulatedGraph, check: Check) -> None:
    graph.faults.add(Fault(FaultKind.THROTTLED, path="/roleScopeTags", retry_after="0"))
    done = check("--type", "roleScopeTags", "--json")
    assert [one["error_code"] for one in done.objects()] == ["graph_throttled"]
    assert done.code == 3


def test_a_collection_within_another_is_asked_by_the_other(graph: SimulatedGraph, check: Check) -> None:
    done = check("--type", "depEnrollmentProfiles", "--json")
    assert [(one["type_key"], one["readability"]) for one in done.objects()] == [("depEnrollmentProfiles", "readable")]
    (asked,) = graph.requests(Kind.INNER)
    assert asked.path.endswith("/depOnboardingSettings")


def test_a_refused_credential_is_said_once(graph: SimulatedGraph, check: Check) -> None:
    graph.faults.add(Fault(FaultKind.TOKEN_INVALID_CLIENT))
    done = check("--type", "groups", "--type", "roleScopeTags", "--json")
    assert (done.code, done.stdout) == (2, "")
    assert "no token: AADSTS7000215: the client secret is wrong" in done.stderr


@pytest.mark.parametrize("type_key", sorted(COLLECTIONS))
def test_a_probe_asks_for_little(type_key: str) -> None:
    entry = COLLECTIONS[type_key]
    path, _, query = entry.probe_url(uuid4()).partition("?")
    assert "{tenant_id}" not in path
    assert ("$top=1" in query) == (entry.page_size is not None and not entry.singleton)
    assert ("$filter" in query) == (entry.filter is not None)
    assert "$expand" not in query
