"""How the client gets tokens: each kind of credential, and authorities that refuse or hang."""

import asyncio
import json
import threading
import time
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from types import SimpleNamespace
from urllib.parse import parse_qs
from uuid import UUID

import certifi
import msal
import pytest
import trustme

from graph import authority_http
from graph.client import GraphClient
from graph.credentials import CredentialError
from graph.tenants import TenantConfig
from graph.tokens import AuthFailedError, TokenSource
from graph.trust import TrustError, ssl_context
from inventory.error_codes import ErrorCode
from local.processes import free_port
from local.simulated_graph import Answer, Fault, FaultKind, GraphRequest, Kind, SimulatedGraph
from tests.graph.clients import GROUPS, client_of, tenant_of

HANGING = 33
"""More than the threads of any event loop's own executor."""


async def test_token_endpoint_is_trusted_only_by_the_tls_context(
    graph: SimulatedGraph, tenant: TenantConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", certifi.where())
    trusting, foreign = ssl_context(graph.ca_file), ssl_context(None)
    trusted = len(trusting.get_ca_certs())
    assert await TokenSource(trusting, authority_url=graph.authority_url).token(tenant)
    assert len(trusting.get_ca_certs()) == trusted
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(graph.ca_file))
    with pytest.raises(AuthFailedError):
        await TokenSource(foreign, authority_url=graph.authority_url).token(tenant)


async def test_hanging_authorities_do_not_delay_another_tenant(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(authority_http, "ANSWER_SECONDS", 3600)
    with SimulatedGraph(tenants=HANGING + 1, items_per_collection=1) as graph:
        monkeypatch.setenv("TEST_SECRET", graph.tenants[0].client_secret)
        other, *hanging = (
            tenant_of(graph, id=entry.id, client_id=entry.client_id, name=entry.name) for entry in graph.tenants
        )
        for tenant in hanging:
            graph.faults.add(Fault(FaultKind.SLOW_FIRST_BYTE, path=str(tenant.id), seconds=3600))
        source = TokenSource(ssl_context(graph.ca_file), authority_url=graph.authority_url)
        waiting = [asyncio.create_task(source.token(tenant)) for tenant in hanging]
        await asyncio.sleep(0)
        async with asyncio.timeout(120):
            assert await source.token(other)
        for task in waiting:
            task.cancel()
        await asyncio.wait(waiting)


async def test_last_valid_secret_serves_while_its_file_is_gone(graph: SimulatedGraph, tmp_path: Path) -> None:
    path = tmp_path / "secret"
    path.write_text(graph.tenants[0].client_secret)
    tenant = tenant_of(graph, client_secret_file=path)
    source = TokenSource(ssl_context(graph.ca_file), authority_url=graph.authority_url)
    first = await source.token(tenant)
    path.unlink()
    second = await source.token(tenant, refused=first)
    assert first != second
    path.write_text("hunter2-hunter2")
    with pytest.raises(AuthFailedError, match="the client secret is wrong"):
        await source.token(tenant, refused=second)
    path.write_text(graph.tenants[0].client_secret)
    assert await source.token(tenant, refused=second) not in (first, second)


@pytest.mark.parametrize("hours", [-1, 1])
async def test_changed_clock_causes_no_token_request(
    client: GraphClient, tenant: TenantConfig, graph: SimulatedGraph, monkeypatch: pytest.MonkeyPatch, hours: int
) -> None:
    await client.read_batch(tenant, "v1.0", GROUPS)
    real = time.time
    for module in (msal.application, msal.token_cache):
        monkeypatch.setattr(module, "time", SimpleNamespace(time=lambda: real() + hours * 3600, sleep=time.sleep))
    await client.read_batch(tenant, "v1.0", GROUPS)
    assert len([request for request in graph.requests(Kind.TOKEN) if request.method == "POST"]) == 1
    # A token that Graph refuses is renewed, although it is valid by the clock.
    graph.faults.add(Fault(FaultKind.UNAUTHORIZED_EXPIRED, count=1))
    answers = await client.read_batch(tenant, "v1.0", GROUPS)
    assert answers["groups"].status == 200


async def test_assertion_refused_for_its_time_is_retryable(graph: SimulatedGraph, tenant: TenantConfig) -> None:
    refusal = {"error": "invalid_client", "error_description": "AADSTS700024: not valid", "error_codes": [700024]}
    graph.before_answer = lambda request: (
        Answer.of(401, refusal) if request.kind is Kind.TOKEN and request.method == "POST" else None
    )
    with pytest.raises(AuthFailedError, match="check the machine's clock") as failed:
        await TokenSource(ssl_context(graph.ca_file), authority_url=graph.authority_url).token(tenant)
    assert failed.value.retryable


async def test_a_secret_comes_from_a_file(graph: SimulatedGraph, client: GraphClient, tmp_path: Path) -> None:
    path = tmp_path / "secret"
    path.write_text(graph.tenants[0].client_secret + "\n")
    answers = await client.read_batch(tenant_of(graph, client_secret_file=path), "v1.0", GROUPS)
    assert answers["groups"].status == 200


async def test_federated_token_is_read_from_its_file(
    graph: SimulatedGraph, client: GraphClient, tmp_path: Path
) -> None:
    path = tmp_path / "token"
    path.write_text("federated-1")
    graph.tenants[0].register_federated_token("federated-1")
    answers = await client.read_batch(tenant_of(graph, federated_token_file=path), "v1.0", GROUPS)
    assert answers["groups"].status == 200


async def test_each_sign_in_reads_the_federated_token_anew(graph: SimulatedGraph, tmp_path: Path) -> None:
    path = tmp_path / "token"
    tenant = tenant_of(graph, federated_token_file=path)
    source = TokenSource(ssl_context(graph.ca_file), authority_url=graph.authority_url)
    assertions: list[str] = []

    def note(request: GraphRequest) -> None:
        assertions.extend(parse_qs(request.body.decode()).get("client_assertion", []))

    graph.before_answer = note
    granted = None
    for federated in ("federated-1", "federated-2"):
        path.write_text(federated)
        graph.tenants[0].register_federated_token(federated)
        granted = await source.token(tenant, refused=granted)
    assert assertions == ["federated-1", "federated-2"]


async def test_a_certificate_signs_the_assertion(graph: SimulatedGraph, client: GraphClient, tmp_path: Path) -> None:
    certificate, pem = _self_signed()
    path = tmp_path / "app.pem"
    path.write_bytes(pem + certificate)
    graph.tenants[0].register_certificate(certificate)
    config = TenantConfig.model_validate(
        {
            "id": graph.tenants[0].id,
            "name": "x",
            "client_id": graph.tenants[0].client_id,
            "certificate_file": path,
        }
    )
    answers = await client.read_batch(config, "v1.0", GROUPS)
    assert answers["groups"].status == 200


def _self_signed() -> tuple[bytes, bytes]:
    """A certificate and its private key, PEM."""
    leaf = trustme.CA(key_type=trustme.KeyType.RSA).issue_cert("app.example", key_type=trustme.KeyType.RSA)
    return leaf.cert_chain_pems[0].bytes(), leaf.private_key_pem.bytes()


@pytest.mark.parametrize(
    ("overrides", "aadsts"),
    [({"client_id": str(UUID(int=1))}, 700016), ({"id": str(UUID(int=1))}, 90002), ({}, 7000215)],
)
async def test_refused_sign_in_has_its_code_and_no_secret(
    graph: SimulatedGraph,
    client: GraphClient,
    monkeypatch: pytest.MonkeyPatch,
    overrides: dict[str, str],
    aadsts: int,
) -> None:
    monkeypatch.setenv("TEST_SECRET", graph.tenants[0].client_secret if overrides else "hunter2-hunter2")
    with pytest.raises(AuthFailedError) as failed:
        await client.read_batch(tenant_of(graph, **overrides), "v1.0", GROUPS)
    assert failed.value.context["aadsts"] == aadsts
    assert not failed.value.retryable
    assert "hunter2" not in str(failed.value)


async def test_missing_credential_is_named(graph: SimulatedGraph, client: GraphClient, tmp_path: Path) -> None:
    with pytest.raises(CredentialError, match="environment variable TEST_NOTHING is not set") as failed:
        await client.read_batch(tenant_of(graph, client_secret_env="TEST_NOTHING"), "v1.0", GROUPS)
    assert (failed.value.code, failed.value.retryable) == (ErrorCode.CONFIGURATION_INVALID, True)
    with pytest.raises(CredentialError, match="cannot be read by the process that signs in: No such file"):
        await client.read_batch(tenant_of(graph, client_secret_file=tmp_path / "none"), "v1.0", GROUPS)


async def test_unreachable_authority_is_retryable(graph: SimulatedGraph, tenant: TenantConfig) -> None:
    async with client_of(graph, authority_url=f"https://127.0.0.1:{free_port()}") as client:
        with pytest.raises(AuthFailedError) as failed:
            await client.read_batch(tenant, "v1.0", GROUPS)
    assert failed.value.retryable


def test_invalid_ca_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "ca.pem"
    path.write_text("no certificate")
    with pytest.raises(TrustError, match="not a bundle of PEM certificates"):
        ssl_context(path)


async def test_a_managed_identity_needs_no_secret(
    graph: SimulatedGraph, client: GraphClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The machine's identity endpoint (IMDS) is plain HTTP on a fixed path; here it listens on loopback."""
    paths: list[str] = []

    class Identity(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            paths.append(self.path)
            answer = {"access_token": graph.tenants[0].token(), "expires_in": "3600", "resource": "x"}
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.end_headers()
            self.wfile.write(json.dumps(answer).encode())

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class names it so
            """Keeps the test's output clean."""

    with HTTPServer(("127.0.0.1", 0), Identity) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        monkeypatch.setenv("AZURE_POD_IDENTITY_AUTHORITY_HOST", f"http://127.0.0.1:{server.server_port}")
        tenant = graph.tenants[0]
        config = TenantConfig.model_validate({"id": tenant.id, "name": tenant.name, "managed_identity": True})
        answers = await client.read_batch(config, "v1.0", GROUPS)
        server.shutdown()
    assert answers["groups"].status == 200
    assert "resource=https%3A%2F%2Fgraph.microsoft.com" in paths[0]
