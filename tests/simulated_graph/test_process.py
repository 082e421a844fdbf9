"""The simulated Graph as its own process, whose generation is set over HTTPS."""

import json
import os
import signal
import ssl
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.deadlines import DEADLINE_SECONDS

CHECKOUT = Path(__file__).parents[2]
CATALOG = "deviceManagement/configurationPolicies"
GENERATION = "/_simulator/generation"


@contextmanager
def process(state: Path, *options: str) -> Iterator[tuple[dict[str, Any], subprocess.Popen[str]]]:
    """The first line of the process, parsed, and the process."""
    command = [sys.executable, "-m", "local.simulated_graph", "--state", str(state), *options]
    with subprocess.Popen(command, cwd=CHECKOUT, stdout=subprocess.PIPE, text=True) as running:
        assert running.stdout is not None
        try:
            yield json.loads(running.stdout.readline()), running
        finally:
            if running.poll() is None:
                running.kill()


def client_of(ready: dict[str, Any], **headers: str) -> httpx.Client:
    context = ssl.create_default_context(cafile=ready["ca_file"])
    return httpx.Client(verify=context, base_url=ready["base_url"], headers=headers, timeout=DEADLINE_SECONDS)


@contextmanager
def signed_in_client(ready: dict[str, Any]) -> Iterator[httpx.Client]:
    tenant = ready["tenants"][0]
    form = {
        "grant_type": "client_credentials",
        "client_id": tenant["client_id"],
        "client_secret": tenant["client_secret"],
        "scope": "https://graph.microsoft.com/.default",
    }
    with client_of(ready) as client:
        answer = client.post(f"{ready['authority_url']}/{tenant['id']}/oauth2/v2.0/token", data=form)
        client.headers["Authorization"] = f"Bearer {answer.json()['access_token']}"
        yield client


def control_client(ready: dict[str, Any]) -> httpx.Client:
    return client_of(ready, **{"X-Simulator-Key": Path(ready["control_key_file"]).read_text()})


def test_serves_its_tenants_and_sets_generations(tmp_path: Path) -> None:
    with (
        process(tmp_path, "--tenants", "3", "--generation", "1", "--alike") as (ready, _),
        signed_in_client(ready) as client,
        control_client(ready) as control,
    ):
        assert len(ready["tenants"]) == 3

        def names() -> list[str]:
            ids, link = [], "/beta/deviceManagement/deviceConfigurations"
            while link:
                page = client.get(link).json()
                ids += [document["id"] for document in page["value"]]
                link = page.get("@odata.nextLink")
            return ids

        before = names()
        assert before
        assert control.put(GENERATION, json={"generation": 2}).json() == {"generation": 2}
        assert names() != before
        assert control.put(GENERATION, json={"generation": 1}).status_code == 200
        assert names() == before
        senseless: list[Any] = [{"generation": -1}, {"generation": "next"}, {}, []]
        for wrong in senseless:
            assert control.put(GENERATION, json=wrong).status_code == 400


def test_control_needs_its_key(tmp_path: Path) -> None:
    with process(tmp_path, "--tenants", "1") as (ready, _), client_of(ready, **{"X-Simulator-Key": "guess"}) as client:
        assert client.put(GENERATION, json={"generation": 3}).status_code == 401


@pytest.mark.parametrize("stop", [signal.SIGTERM, pytest.param(signal.SIGINT, marks=pytest.mark.slow)])
def test_stops_cleanly_and_keeps_its_ca(tmp_path: Path, stop: signal.Signals) -> None:
    with process(tmp_path) as (ready, running), signed_in_client(ready) as client:
        first = client.get(f"/beta/{CATALOG}").json()["value"]
        running.send_signal(stop)
        assert running.wait(timeout=DEADLINE_SECONDS) == 0
    trusted = Path(ready["ca_file"]).read_bytes()
    with process(tmp_path) as (again, _), signed_in_client(again) as client:
        assert again["tenants"] == ready["tenants"]
        assert client.get(f"/beta/{CATALOG}").json()["value"] == first
    assert Path(again["ca_file"]).read_bytes() == trusted
    for secret in ("ca.key", "control.key"):
        assert (tmp_path / secret).stat().st_mode & 0o077 == 0


def test_help_names_every_option() -> None:
    command = [sys.executable, "-m", "local.simulated_graph", "--help"]
    result = subprocess.run(
        command, cwd=CHECKOUT, capture_output=True, text=True, check=True, env={**os.environ, "COLUMNS": "120"}
    )
    for option in ("state", "port", "tenants", "generation", "alike"):
        assert f"--{option} " in result.stdout
