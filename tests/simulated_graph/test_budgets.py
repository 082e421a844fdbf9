"""Budgets and waits: throttling of tenants, and violations by clients that retry early."""

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from local.simulated_graph import REAL_BUDGETS, Budget, Budgets, Fault, FaultKind, SimulatedGraph
from local.simulated_graph.budgets import family_of
from local.simulated_graph.waits import Waits, usable_seconds
from tests.simulated_graph.conftest import Connect, batch

GROUPS = "/beta/groups?$top=2"
LOCATIONS = "/beta/identity/conditionalAccess/namedLocations"


@pytest.mark.parametrize(
    ("path", "family"),
    [
        ("/beta/deviceManagement/deviceConfigurations/1", "device-configuration"),
        ("/beta/deviceManagement/configurationPolicies", "settings-catalog"),
        ("/v1.0/deviceAppManagement/mobileApps", "apps"),
        ("/beta/identity/conditionalAccess/policies", "conditional-access"),
        ("/beta/policies/authenticationStrengthPolicies", "directory"),
        ("/beta/groups", "directory"),
    ],
)
def test_path_has_its_throttle_family(path: str, family: str) -> None:
    assert family_of(path) == family
    assert family in REAL_BUDGETS


def test_sliding_window_counts_refused_requests() -> None:
    budgets = Budgets({"directory": Budget(2, 10)})

    def spend(now: float) -> float | None:
        exceeded = budgets.spend("tenant", "/beta/groups", now)
        return exceeded.retry_after_seconds if exceeded else None

    assert [spend(0), spend(4), spend(5), spend(9)] == [None, None, 9, 6]
    assert [spend(16), spend(17), spend(27)] == [None, 9, None]


def test_full_window_throttles_one_family_of_one_tenant(connect: Connect) -> None:
    with SimulatedGraph(tenants=2, budgets={"directory": Budget(2, 1000)}) as graph:
        first_client, second_client = (connect(graph, tenant) for tenant in graph.tenants)
        answers = {
            response["id"]: response
            for response in batch(first_client, "groups", "organization", "groups?$top=1").json()["responses"]
        }
        assert [answers[number]["status"] for number in "012"] == [200, 200, 429]
        assert answers["2"]["headers"]["Retry-After"] == "1000"
        assert [second_client.get(GROUPS).status_code, first_client.get(LOCATIONS).status_code] == [200, 200]
        assert graph.violations() == []

        graph.budgets.set({"conditional-access": Budget(1, 1000, retry_after=False)})
        assert second_client.get(LOCATIONS).status_code == 200
        refused = second_client.get(LOCATIONS)
        assert refused.status_code == 429
        assert "Retry-After" not in refused.headers
        graph.budgets.clear()
        assert second_client.get(LOCATIONS).status_code == 200
        assert graph.violations() == []


def test_invalid_budgets_are_refused(graph: SimulatedGraph) -> None:
    with pytest.raises(ValueError, match="no family everything"):
        graph.budgets.set({"everything": Budget(1, 1)})
    with pytest.raises(ValueError, match="1 request or more"):
        Budget(0, 1)


def test_early_retry_in_a_full_window_is_a_violation(graph: SimulatedGraph, connect: Connect) -> None:
    graph.budgets.set({"directory": Budget(1, 1000)})
    client = connect(graph)
    assert [client.get(GROUPS).status_code for _ in range(3)] == [200, 429, 429]
    [violation] = graph.violations()
    assert (violation.tenant_id, violation.scope, violation.path) == (graph.tenants[0].id, GROUPS, GROUPS)
    assert violation.number == graph.requests()[-1].number
    # Retry-After is in whole seconds, rounded up.
    assert 900 < violation.early_by_seconds <= 1001


@pytest.mark.parametrize("kind", [FaultKind.THROTTLED, FaultKind.SERVICE_UNAVAILABLE])
def test_early_retry_after_a_fault_is_a_violation(graph: SimulatedGraph, connect: Connect, kind: FaultKind) -> None:
    client = connect(graph)
    graph.faults.add(Fault(kind, path="groups", count=1, retry_after="900.5"))
    [first] = batch(client, "groups?$top=2").json()["responses"]
    assert first["headers"]["Retry-After"] == "900.5"
    assert client.get("/beta/groups?$top=3").status_code == 200
    again = client.get(GROUPS)
    assert (again.status_code, again.headers["Retry-After"]) == (429, "900.5")
    [inner] = batch(client, "groups?$top=2").json()["responses"]
    assert inner["status"] == 429
    assert [violation.path for violation in graph.violations()] == [GROUPS, GROUPS]
    assert graph.faults.injected() == {kind: 1}
    graph.clear_violations()
    assert graph.violations() == []


def test_early_retry_of_a_batch_is_a_violation(graph: SimulatedGraph, connect: Connect) -> None:
    client = connect(graph)
    graph.faults.add(Fault(FaultKind.BATCH_THROTTLED, count=1, retry_after="900"))
    assert batch(client, "groups", "organization").status_code == 429
    assert batch(client, "subscribedSkus").status_code == 200
    assert batch(client, "organization", "subscribedSkus").status_code == 429
    assert client.get("/beta/groups").status_code == 429
    assert [(violation.scope, violation.path) for violation in graph.violations()] == [
        ("/beta/organization", "/beta/$batch"),
        ("/beta/groups", "/beta/groups"),
    ]


def test_unreceived_retry_after_causes_no_violation(graph: SimulatedGraph, connect: Connect) -> None:
    client = connect(graph)
    graph.faults.add(Fault(FaultKind.THROTTLED, count=1, retry_after="900"))
    graph.faults.add(Fault(FaultKind.BATCH_TRUNCATED_JSON, count=1))
    assert batch(client, "groups").status_code == 200
    assert graph.request_counts()["inner 429"] == 1
    assert client.get("/beta/groups").status_code == 200
    assert graph.violations() == []


@pytest.mark.parametrize("text", ["0", "-5", "99999999999", "soon", "nan", "Wed, 21 Oct 2015 07:28:00 GMT", None])
def test_invalid_retry_after_causes_no_violation(graph: SimulatedGraph, connect: Connect, text: str | None) -> None:
    graph.faults.add(Fault(FaultKind.THROTTLED, count=1, retry_after=text))
    client = connect(graph)
    assert [client.get(GROUPS).status_code for _ in range(2)] == [429, 200]
    assert graph.violations() == []


def test_retry_after_as_a_date_is_a_wait(graph: SimulatedGraph, connect: Connect) -> None:
    moment = format_datetime(datetime.now(UTC) + timedelta(minutes=5), usegmt=True)
    assert 200 < (usable_seconds(moment) or 0) <= 300
    graph.faults.add(Fault(FaultKind.THROTTLED, count=1, retry_after=moment))
    client = connect(graph)
    assert [client.get(GROUPS).status_code for _ in range(2)] == [429, 429]
    assert len(graph.violations()) == 1


def test_violation_restarts_the_wait() -> None:
    waits = Waits()
    waits.set("tenant", "/a", "10", 100.0)
    assert waits.early("tenant", "/a", None, 100.0) is None, "the request was under way"
    assert waits.early("other", "/a", None, 105.0) is None
    early = waits.early("tenant", "/a", None, 105.0)
    assert early is not None
    assert early.early_by_seconds == 5
    again = waits.early("tenant", "/a", None, 112.0)
    assert again is not None, "the wait restarted at 105"
    assert again.early_by_seconds == 3
    assert waits.early("tenant", "/a", None, 121.96) is None, "within the tolerance"
    assert waits.early("tenant", "/a", None, 122.0) is None


def test_requests_just_after_throttling_are_no_violation() -> None:
    waits = Waits()
    waits.set_family("tenant", "apps", "10", 100.0)
    waits.set_family("tenant", "apps", "20", 100.1)
    assert waits.early("tenant", "/other", "apps", 100.2) is None
    early = waits.early("tenant", "/other", "apps", 104.0)
    assert early is not None
    assert (early.scope, early.early_by_seconds) == ("apps", 6)
