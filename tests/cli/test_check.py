"""`check` against the simulated Graph, with neither a database nor Temporal."""

import asyncio
import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from uuid import UUID, uuid4

import pytest
from sqlalchemy import text
from typer.testing import CliRunner

from cli.app import app
from graph.catalog import Collection, load_catalog
from local.processes import free_port
from local.simulated_graph import REAL_BUDGETS, Fault, FaultKind, Kind, SimulatedGraph
from local.state import State
from storage import request_pace as pacing
from storage.database import Database
from tests.end_to_end.system import CommandResult
from tests.entry_tests import of_each
from tests.forks import CHECKOUT

COLLECTIONS = load_catalog().collections

Check = Callable[..., CommandResult]


@pytest.fixture
def environment(graph: SimulatedGraph, tmp_path: Path) -> dict[str, str]:
    state = State(tmp_path)
    state.write_tenants([tenant.entry() for tenant in graph.tenants])
    return {
        "DATABASE_URL": "postgresql://nobody@127.0.0.1:1/none",
        "GRAPH_BASE_URL": graph.base_url,
        "GRAPH_AUTHORITY_URL": graph.authority_url,
        "GRAPH_CA_FILE": str(graph.ca_file),
        "TENANTS_FILE": str(state.tenants_file),
        "TENANT_INVENTORY_STATE": str(tmp_path / "no-stack"),
    }


@pytest.fixture
def check(graph: SimulatedGraph, environment: dict[str, str]) -> Check:
    """Checks the first tenant in this process, since there are many checks."""

    def run(*arguments: str, **otherwise: str) -> CommandResult:
        words = ["check", graph.tenants[0].name, *arguments]
        result = CliRunner().invoke(app, words, env={**environment, **otherwise})
        assert isinstance(result.exception, SystemExit | None), result.exception
        return CommandResult(result.exit_code, result.stdout, result.stderr)

    return run


def test_check_sends_small_requests_per_collection_expansion_and_detail(graph: SimulatedGraph, check: Check) -> None:
    result = check("--category", "scripts", "--category", "conditional-access", "--type", "groups", "--json")
    listed = {record["type_key"]: record["readability"] for record in result.objects()}
    assert {key for key, answer in listed.items() if answer == "readable"} >= {
        *load_catalog().in_categories(["scripts"]),
        "conditionalAccessPolicies",
        "namedLocations",
        "groups",
    }
    inner = graph.requests(Kind.INNER)
    requests, below = inner[: len(listed)], inner[len(listed) :]
    readable = [COLLECTIONS[key] for key in listed if listed[key] == "readable"]
    expanding = [entry for entry in readable if entry.expand is not None]
    details = [call for entry in readable for call in entry.details if not call.types and not call.only_where]
    assert len(below) == len(expanding) + len(details)
    assert {request.query for request in requests if request.path.endswith("/groups")} == {"$top=1"}
    for request in requests:
        assert "$expand" not in request.query
        if "conditionalAccess" in request.path:
            assert "$top" not in request.query


def test_check_keeps_the_rate_limit_of_conditional_access(graph: SimulatedGraph, check: Check) -> None:
    graph.budgets.set(REAL_BUDGETS)
    assert check("--type", "conditionalAccessPolicies", "--type", "namedLocations").code == 0
    assert [request.status for request in graph.requests(Kind.INNER)] == [200, 200]


def test_each_kind_of_answer_has_its_own_result(graph: SimulatedGraph, check: Check) -> None:
    graph.faults.add(Fault(FaultKind.FORBIDDEN, path="/groups"))
    graph.faults.add(Fault(FaultKind.NOT_APPLICABLE, path="/roleScopeTags"))
    graph.faults.add(Fault(FaultKind.NOT_FOUND, path="/subscribedSkus"))
    graph.faults.add(Fault(FaultKind.BAD_REQUEST, path="/mobileApps"))
    names = ("groups", "roleScopeTags", "subscribedSkus", "mobileApps", "assignmentFilters")
    result = check(*[part for name in names for part in ("--type", name)], "--json")
    assert result.code == 3
    assert {record["type_key"]: (record["readability"], record["error_code"]) for record in result.objects()} == {
        "assignmentFilters": ("readable", None),
        "groups": ("permission_missing", "graph_permission_missing"),
        "mobileApps": ("failed", "graph_bad_request"),
        "roleScopeTags": ("not_licensed", "graph_not_licensed"),
        "subscribedSkus": ("not_found", "graph_not_found"),
    }
    fields = [
        *("type_key", "category", "readability", "permission", "licence_hint", "error_code", "context"),
        "compares_hidden_values",
    ]
    assert [list(record) for record in result.objects()] == [fields] * len(names)
    (missing,) = [record for record in result.objects() if record["type_key"] == "groups"]
    assert missing["context"]["permission"] == missing["permission"] == "Group.ReadBasic.All"


def test_children_of_refused_parents_need_the_parents_permission(graph: SimulatedGraph, check: Check) -> None:
    graph.faults.add(Fault(FaultKind.FORBIDDEN, path="/groups"))
    result = check("--type", "groupEligibilitySchedules", "--json")
    (missing,) = result.objects()
    assert (missing["readability"], missing["context"]["permission"]) == ("permission_missing", "Group.ReadBasic.All")


def test_an_unavailable_collection_is_no_error(graph: SimulatedGraph, check: Check) -> None:
    graph.faults.add(Fault(FaultKind.NOT_APPLICABLE, path="/roleScopeTags"))
    graph.faults.add(Fault(FaultKind.NOT_FOUND, path="/subscribedSkus"))
    graph.faults.add(Fault(FaultKind.FORBIDDEN, path="/onPremisesSynchronization"))
    names = ("roleScopeTags", "subscribedSkus", "onPremisesSynchronization")
    result = check(*[part for name in names for part in ("--type", name)])
    assert result.code == 0
    assert "delegated only" in result.stdout


def test_check_requests_details_that_need_another_permission(graph: SimulatedGraph, check: Check) -> None:
    selection = ("--type", "domains", "--type", "administrativeUnits", "--type", "groups")
    tenant = graph.tenants[0]
    granted = {
        *("Domain.Read.All", "AdministrativeUnit.Read.All", "RoleManagement.Read.Directory"),
        *("Group.ReadBasic.All", "GroupMember.Read.All", "GroupSettings.Read.All"),
    }
    tenant.grant(granted)
    other_result = check(*selection, "--json")
    assert other_result.code == 3
    readable = {
        probe["type_key"]: (probe["readability"], probe["context"].get("permission"))
        for probe in other_result.objects()
    }
    assert readable == {
        "administrativeUnits": ("readable", None),
        "domains": ("permission_missing", "Domain-InternalFederation.Read.All"),
        "groups": ("readable", None),
    }
    result = check(*selection)
    assert "grant, with admin consent: Domain-InternalFederation.Read.All" in result.stdout
    tenant.grant({*granted, "Domain-InternalFederation.Read.All"})
    assert check(*selection).code == 0, "most domains have no federation"


def test_check_requests_expanded_properties(graph: SimulatedGraph, check: Check) -> None:
    graph.faults.add(Fault(FaultKind.FORBIDDEN, path="/microsoftTunnelSites/"))
    result = check("--type", "microsoftTunnelSites", "--json")
    assert [(record["readability"], record["permission"]) for record in result.objects()] == [
        ("permission_missing", COLLECTIONS["microsoftTunnelSites"].permission)
    ]
    queries = [
        request.query
        for request in graph.requests(Kind.INNER)
        if request.path.rpartition("/")[0].endswith("TunnelSites")
    ]
    assert queries == ["$expand=microsoftTunnelConfiguration"]


def test_the_table_names_the_permissions_to_grant(graph: SimulatedGraph, check: Check) -> None:
    graph.faults.add(Fault(FaultKind.FORBIDDEN_INTUNE, path="/deviceManagement/"))
    result = check("--type", "roleScopeTags", "--type", "roleDefinitions", "--type", "groups")
    assert result.code == 3
    assert "3 collections: 1 readable, 2 permission missing" in result.stdout
    assert "consent: DeviceManagementConfiguration.Read.All, DeviceManagementRBAC.Read.All" in result.stdout


def test_only_throttled_requests_are_retried(graph: SimulatedGraph, check: Check) -> None:
    graph.faults.add(Fault(FaultKind.THROTTLED, path="/roleScopeTags", count=1, retry_after="1"))
    assert check("--type", "roleScopeTags", "--type", "roleDefinitions").code == 0
    names = [request.path.rpartition("/")[2] for request in graph.requests(Kind.INNER)]
    names.remove("assignments")
    assert sorted(names) == ["roleDefinitions", "roleScopeTags", "roleScopeTags"]


def test_endless_throttling_is_a_failure(graph: SimulatedGraph, check: Check) -> None:
    graph.faults.add(Fault(FaultKind.THROTTLED, path="/roleScopeTags", retry_after="0"))
    result = check("--type", "roleScopeTags", "--json")
    assert [record["error_code"] for record in result.objects()] == ["graph_throttled"]
    assert result.code == 3


def test_a_child_collection_is_read_below_its_first_parent(graph: SimulatedGraph, check: Check) -> None:
    result = check("--type", "depEnrollmentProfiles", "--json")
    assert [(record["type_key"], record["readability"]) for record in result.objects()] == [
        ("depEnrollmentProfiles", "readable")
    ]
    parents, below = graph.requests(Kind.INNER)
    assert parents.path.endswith("/depOnboardingSettings")
    assert below.path.endswith("/enrollmentProfiles")


def test_a_refused_credential_is_reported_once(graph: SimulatedGraph, check: Check) -> None:
    graph.faults.add(Fault(FaultKind.TOKEN_INVALID_CLIENT))
    result = check("--type", "groups", "--type", "roleScopeTags", "--json")
    assert (result.code, result.stdout) == (2, "")
    assert "no token: AADSTS7000215: the client secret is wrong" in result.stderr


@of_each(COLLECTIONS)
def test_a_probe_requests_as_little_as_possible(entry: Collection) -> None:
    path, _, query = entry.probe_url(uuid4()).partition("?")
    assert "{tenant_id}" not in path
    assert ("$top=1" in query) == (entry.page_size is not None and not entry.singleton)
    assert ("$filter" in query) == (entry.filter is not None)
    assert "$expand" not in query


UNREACHED = pytest.mark.parametrize(
    "service", ["no name", "nothing there", pytest.param("silent", marks=pytest.mark.slow)]
)
"""The silent server is slow: the check waits ten seconds for it."""


@pytest.fixture
def silent_port() -> Iterator[int]:
    """The port of a server that accepts connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


@UNREACHED
def test_an_unreachable_sign_in_service_is_reported_once_with_its_cause(
    check: Check, silent_port: int, service: str
) -> None:
    address, words = {
        "no name": ("https://nobody.invalid", "the name nobody.invalid cannot be resolved; check DNS"),
        "nothing there": (f"https://127.0.0.1:{free_port()}", "refuses connections; check the address"),
        "silent": (f"https://127.0.0.1:{silent_port}", "check the network, the firewall and the proxy"),
    }[service]
    result = check("--type", "groups", "--type", "roleScopeTags", "--json", GRAPH_AUTHORITY_URL=address)
    assert (result.code, result.stdout) == (1, "")
    (line,) = [line for line in result.stderr.splitlines() if line.startswith("error:")]
    assert words in line


def test_an_untrusted_certificate_is_reported(graph: SimulatedGraph, check: Check) -> None:
    result = check("--type", "groups", GRAPH_CA_FILE="")
    assert (result.code, result.stdout) == (1, "")
    assert "is not trusted" in result.stderr
    assert "GRAPH_CA_FILE" in result.stderr


@UNREACHED
def test_an_unreachable_graph_is_reported_once_with_its_cause(check: Check, silent_port: int, service: str) -> None:
    address, words = {
        "no name": ("https://nobody.invalid", "cannot be resolved"),
        "nothing there": (f"https://127.0.0.1:{free_port()}", "refuses connections"),
        "silent": (f"https://127.0.0.1:{silent_port}", "does not answer"),
    }[service]
    result = check("--type", "groups", "--type", "roleScopeTags", GRAPH_BASE_URL=address)
    assert (result.code, result.stdout) == (1, "")
    assert result.stderr.count(words) == 1


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        ({"id": str(UUID(int=7))}, "AADSTS90002: there is no such tenant"),
        ({"client_id": str(UUID(int=7))}, "AADSTS700016: the tenant does not know this client_id"),
        ({"client_secret": "hunter2-hunter2"}, "AADSTS7000215: the client secret is wrong"),
    ],
)
def test_wrong_tenant_client_and_secret_have_different_errors(
    graph: SimulatedGraph, check: Check, tmp_path: Path, entry: dict[str, str], words: str
) -> None:
    tenant = graph.tenants[0]
    right = tenant.entry()
    State(tmp_path).write_tenants([{**right, **entry}])
    result = check("--type", "groups", "--type", "roleScopeTags")
    assert (result.code, result.stdout) == (2, "")
    assert result.stderr.count(words) == 1
    assert "hunter2" not in result.stderr


@pytest.mark.slow
def test_a_retry_after_is_reported_and_kept_in_full(graph: SimulatedGraph, check: Check) -> None:
    graph.faults.add(Fault(FaultKind.THROTTLED, path="/roleScopeTags", count=1, retry_after="33"))
    result = check("--type", "roleScopeTags")
    assert result.code == 0, result.stderr
    assert "Graph asks to wait 33.0 s" in result.stderr
    assert graph.violations() == []


def test_an_unreachable_database_is_reported_and_stops_no_check(check: Check) -> None:
    result = check("--type", "roleScopeTags")
    assert result.code == 0
    assert "shares no request limits with runs" in result.stderr


def _first_stderr_line(tenant: str, environment: dict[str, str]) -> str:
    """The first line of a check of Conditional Access, which the test then kills."""
    with subprocess.Popen(
        [sys.executable, CHECKOUT / "starter.py", "check", tenant, "--type", "conditionalAccessPolicies"],
        env={**os.environ, **environment},
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            assert process.stderr is not None
            return process.stderr.readline()
        finally:
            process.kill()


async def test_a_check_shares_request_pauses_with_runs(
    graph: SimulatedGraph, environment: dict[str, str], check: Check, database: Database, database_url: str
) -> None:
    tenant_id = UUID(graph.tenants[0].id)
    async with database.tenant(tenant_id) as session:
        await session.execute(text("INSERT INTO tenant (name) VALUES ('Contoso')"))
        await pacing.pause(session, "conditional-access", timedelta(hours=1))
    notice = await asyncio.to_thread(
        _first_stderr_line, graph.tenants[0].name, {**environment, "DATABASE_URL": database_url}
    )
    assert notice.startswith("Graph, for conditional-access, asks to wait")
    assert not graph.requests(Kind.INNER)
    async with database.tenant(tenant_id) as session:
        await session.execute(text("UPDATE request_pace SET not_before = clock_timestamp()"))
    graph.faults.add(Fault(FaultKind.THROTTLED, path="/conditionalAccess/policies", count=1, retry_after="4"))
    await asyncio.to_thread(check, "--type", "conditionalAccessPolicies", DATABASE_URL=database_url)
    async with database.tenant(tenant_id) as session:
        paused = await session.execute(text("SELECT count(*) FROM request_pace"))
        assert paused.scalar_one() == 1
