"""Prometheus' view of a running worker and web page. Alerts and the dashboard use only exposed series."""

import asyncio
import re
import socket

import httpx
import pytest

from connections import connect_temporal
from local.processes import free_port
from tests.deadlines import DEADLINE_SECONDS, until
from tests.deployment.test_monitoring import expressions, names
from tests.end_to_end.system import System
from tests.web.process import addresses

SCRAPED = {"up"}
"""The series that Prometheus itself adds."""


def scrape(address: str) -> str:
    """The metrics at an address, as Prometheus gets them."""
    answer = httpx.get(f"http://{address}/metrics", timeout=DEADLINE_SECONDS, trust_env=False)
    answer.raise_for_status()
    return answer.text


def exposed(text: str) -> set[str]:
    """The names of all series."""
    return {re.split("[{ ]", line, maxsplit=1)[0] for line in text.splitlines() if line and not line.startswith("#")}


def value(text: str, series: str) -> float:
    """The value of one series, named with its labels as the text spells them."""
    (line,) = [line for line in text.splitlines() if line.startswith(f"{series} ")]
    return float(line.rpartition(" ")[2])


@pytest.fixture
def addresses_of_metrics(system: System) -> tuple[str, str]:
    """The addresses at which the test's worker and web page serve metrics."""
    worker, web = (f"127.0.0.1:{free_port()}" for _ in range(2))
    system.environment |= {"WORKER_METRICS_ADDRESS": worker, "WEB_METRICS_ADDRESS": web}
    return worker, web


@pytest.mark.slow
def test_alerts_and_dashboard_use_only_exposed_metrics(system: System, addresses_of_metrics: tuple[str, str]) -> None:
    worker, web = addresses_of_metrics
    system.start_worker()
    record = system.sync("--type", "deviceCompliancePolicies", "--type", "groups")
    asyncio.run(break_a_workflow_task(system))
    with_pages = system.popen("web", "--port=0", "--json", log=system.folder / "web.log")
    printed = addresses(with_pages)
    with httpx.Client(base_url=printed["url"], timeout=DEADLINE_SECONDS, trust_env=False) as client:
        cookie = client.get(printed["sign_in_url"]).headers["set-cookie"].partition(";")[0]
        assert client.get(f"/tenants/{system.tenant.id}", headers={"Cookie": cookie}).status_code == 200
        assert client.get("/none?secret=hunter2", headers={"Cookie": cookie}).status_code == 404
    # The gauges are refreshed every minute.
    until(lambda: "tenant_inventory_oldest_read_timestamp_seconds " in scrape(worker))
    of_worker, of_web = scrape(worker), scrape(web)

    queried = {name for expression in expressions() for name in names(expression)}
    assert queried - exposed(of_worker) - exposed(of_web) == SCRAPED
    assert value(of_worker, 'tenant_inventory_runs_finished_total{status="success"}') == 1
    assert value(of_worker, 'tenant_inventory_items_total{result="created"}') == record.counts.created > 0
    assert value(of_worker, 'tenant_inventory_collections_total{outcome="complete"}') == 2
    assert value(of_worker, 'tenant_inventory_graph_requests_total{status="200"}') >= record.counts.requests
    assert value(of_worker, "tenant_inventory_tenants") == len(system.graph.tenants)
    assert value(of_worker, "tenant_inventory_tenants_never_read") == len(system.graph.tenants) - 1
    assert record.started_at is not None
    oldest = value(of_worker, "tenant_inventory_oldest_read_timestamp_seconds")
    assert oldest == pytest.approx(record.started_at.timestamp(), abs=0.001)
    page = 'tenant_inventory_web_requests_total{method="GET",route="/tenants/{tenant_id}",status="200"}'
    assert value(of_web, page) == 1

    # No label contains a tenant or a part of a request.
    for text in (of_worker, of_web):
        for tenant in system.graph.tenants:
            assert str(tenant.id) not in text
            assert tenant.name not in text
            assert tenant.client_secret not in text
        assert "hunter2" not in text
        assert printed["sign_in_url"].rpartition("/")[2] not in text


def test_metrics_tenants_setting_adds_tenant_labels(system: System, addresses_of_metrics: tuple[str, str]) -> None:
    system.start_worker()
    system.environment["METRICS_TENANTS"] = "true"
    system.environment["WORKER_METRICS_ADDRESS"] = second = f"127.0.0.1:{free_port()}"
    assert system.sync("--type", "deviceCompliancePolicies").counts.created > 0
    system.start_worker()
    series = f'tenant_inventory_latest_read_timestamp_seconds{{tenant_id="{system.tenant.id}"}}'
    until(lambda: series in scrape(second))


def test_taken_metrics_address_is_one_error_line(system: System) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        result = system.starter("web", "--port=0", WEB_METRICS_ADDRESS=address)
    assert (result.code, result.stdout) == (2, "")
    assert result.stderr == f"error: metrics cannot be served at {address}: Address already in use (os error 98)\n"


async def break_a_workflow_task(system: System) -> None:
    """Starts a workflow of a later release, which no worker knows, and terminates it once a worker has failed on it."""
    client = await connect_temporal({"target_host": system.environment["TEMPORAL_ADDRESS"]})
    task_queue, address = (system.environment[name] for name in ("TEMPORAL_TASK_QUEUE", "WORKER_METRICS_ADDRESS"))
    unknown = await client.start_workflow("LaterWorkflow", id=f"unknown-{task_queue}", task_queue=task_queue)
    until(lambda: "temporal_workflow_task_execution_failed_total" in scrape(address))
    await unknown.terminate()
