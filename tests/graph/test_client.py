"""Tokens by MSAL and batches over HTTPS, against the simulated Graph."""

import asyncio
import base64
import json
import threading
import time
from collections.abc import AsyncIterator, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import certifi
import msal
import pytest
import trustme

from graph import authority_http
from graph.bodies import parse
from graph.client import BATCH_LIMIT, LARGE_BYTES, REFUSED_TOKENS, GraphClient, GraphGet
from graph.credentials import CredentialError
from graph.errors import BatchRefusedError, GraphRequestError
from graph.links import UntrustedLinkError
from graph.tenants import TenantConfig
from graph.tokens import AuthFailedError, TokenSource
from graph.trust import TrustError, ssl_context
from inventory.canonical import Canonicalizer, TooDeepError
from inventory.error_codes import ErrorCode
from local.processes import free_port
from local.simulated_graph import Answer, Fault, FaultKind, GraphRequest, Kind, SimulatedGraph

HANGING = 33
"""More than the threads of any event loop's own executor."""


@pytest.fixture(scope="module")
def shared_graph() -> Iterator[SimulatedGraph]:
    with SimulatedGraph(tenants=2) as graph:
        yield graph


@pytest.fixture
def graph(shared_graph: SimulatedGraph) -> Iterator[SimulatedGraph]:
    shared_graph.clear_requests()
    yield shared_graph
    shared_graph.before_answer = None


@pytest.fixture
async def client(graph: SimulatedGraph) -> AsyncIterator[GraphClient]:
    async with client_of(graph) as client:
        yield client


async def test_the_token_endpoint_is_trusted_by_the_context_alone(
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


@pytest.fixture
def tenant(graph: SimulatedGraph, monkeypatch: pytest.MonkeyPatch) -> TenantConfig:
    monkeypatch.setenv("TEST_SECRET", graph.tenants[0].client_secret)
    return tenant_of(graph)


def client_of(graph: SimulatedGraph, **overrides: Any) -> GraphClient:
    endpoints = {"base_url": graph.base_url, "authority_url": graph.authority_url, "ca_file": graph.ca_file}
    return GraphClient.from_endpoints(**{**endpoints, **overrides})


def tenant_of(graph: SimulatedGraph, **overrides: Any) -> TenantConfig:
    served = graph.tenants[0]
    credential = (
        {} if {"client_secret_file", "federated_token_file"} & set(overrides) else {"client_secret_env": "TEST_SECRET"}
    )
    return TenantConfig.model_validate(
        {"id": served.id, "name": served.name, "client_id": served.client_id, **credential, **overrides}
    )


GROUPS = [GraphGet("groups", "/groups?$top=999")]


async def test_a_batch_answers_every_request_by_its_key(
    client: GraphClient, tenant: TenantConfig, graph: SimulatedGraph
) -> None:
    gets = [GraphGet(f"get{number}", f"/groups?$top={number + 1}") for number in range(BATCH_LIMIT)]
    answers = await client.read_batch(tenant, "v1.0", gets)
    assert {key: len(answer.body["value"]) for key, answer in answers.items()} == {
        f"get{number}": number + 1 for number in range(BATCH_LIMIT)
    }
    (batch,) = graph.requests(Kind.BATCH)
    inner = graph.requests(Kind.INNER)
    assert {request.method for request in inner} == {"GET"}
    assert len({request.headers["client-request-id"] for request in inner}) == BATCH_LIMIT
    assert {request.headers["prefer"] for request in inner} == {"include-unknown-enum-members"}
    assert batch.method == "POST"


@pytest.mark.parametrize(
    "path",
    [
        "/deviceManagement/deviceConfigurations",
        "/deviceManagement/deviceConfigurations/11111111-0000-4000-8000-000000000001/assign",
        "/identity/conditionalAccess/policies/11111111-0000-4000-8000-000000000001",
    ],
)
async def test_a_planned_path_is_read_at_most(
    client: GraphClient, tenant: TenantConfig, graph: SimulatedGraph, path: str
) -> None:
    await client.read_batch(tenant, "beta", [GraphGet("planned", path)])
    assert {request.method for request in graph.requests(Kind.INNER)} == {"GET"}
    assert {request.method for request in graph.requests(Kind.BATCH)} == {"POST"}


async def test_next_links_are_followed_to_the_end(
    client: GraphClient, tenant: TenantConfig, graph: SimulatedGraph
) -> None:
    url: str | None = "/deviceManagement/configurationPolicies"
    ids: list[str] = []
    while url is not None:
        answer = (await client.read_batch(tenant, "beta", [GraphGet("page", url)]))["page"]
        assert answer.status == 200
        ids += [item["id"] for item in answer.body["value"]]
        url = answer.body.get("@odata.nextLink")
    assert ids == [document["id"] for document in graph.tenants[0].documents("deviceManagement/configurationPolicies")]


async def test_a_token_is_asked_for_once(client: GraphClient, tenant: TenantConfig, graph: SimulatedGraph) -> None:
    for _ in range(3):
        await client.read_batch(tenant, "v1.0", GROUPS)
    assert len([request for request in graph.requests(Kind.TOKEN) if request.method == "POST"]) == 1


async def test_a_foreign_link_is_never_requested(
    client: GraphClient, tenant: TenantConfig, graph: SimulatedGraph
) -> None:
    with pytest.raises(UntrustedLinkError):
        await client.read_batch(tenant, "v1.0", [GraphGet("x", "https://evil.example/v1.0/groups")])
    assert graph.requests() == []


@pytest.mark.parametrize("inner", [True, False])
async def test_a_401_is_met_once_with_a_fresh_token(
    client: GraphClient, tenant: TenantConfig, graph: SimulatedGraph, inner: bool
) -> None:
    refused: list[str] = []

    def refuse_once(request: GraphRequest) -> Answer | None:
        if request.kind is (Kind.INNER if inner else Kind.BATCH) and not refused:
            refused.append(request.path)
            return Answer.of(401, {"error": {"code": "InvalidAuthenticationToken", "message": "expired"}})
        return None

    graph.before_answer = refuse_once
    gets = [*GROUPS, GraphGet("skus", "/subscribedSkus")]
    answers = await client.read_batch(tenant, "v1.0", gets)
    assert {answer.status for answer in answers.values()} == {200}
    assert len(graph.requests(Kind.BATCH)) == 2
    assert len([entry for entry in graph.requests(Kind.TOKEN) if entry.method == "POST"]) == 2
    assert len(graph.requests(Kind.INNER)) == (3 if inner else 2), "what was answered is not asked for again"


async def test_a_401_that_stays_is_the_pages_answer(
    client: GraphClient, tenant: TenantConfig, graph: SimulatedGraph
) -> None:
    def refuse(request: GraphRequest) -> Answer | None:
        return Answer.of(401, {"error": {"code": "x"}}) if request.kind is Kind.INNER else None

    graph.before_answer = refuse
    answers = await client.read_batch(tenant, "v1.0", GROUPS)
    assert answers["groups"].status == 401
    assert len(graph.requests(Kind.BATCH)) == 2


@pytest.mark.parametrize(
    ("refused", "serves"), [(REFUSED_TOKENS - 1, True), (REFUSED_TOKENS, False)], ids=["in time", "for ever"]
)
async def test_a_batch_outlasts_challenges_of_others_that_revoke_its_new_token(
    client: GraphClient, tenant: TenantConfig, graph: SimulatedGraph, refused: int, serves: bool
) -> None:
    def challenge(request: GraphRequest) -> Answer | None:
        if request.kind is Kind.INNER and len(graph.requests(Kind.INNER)) == 0:
            return Answer.of(401, {"error": {"code": "x"}})
        if request.kind is Kind.BATCH and 1 <= len(graph.requests(Kind.BATCH)) <= refused:
            return Answer.of(401, {"error": {"code": "x"}})
        return None

    graph.before_answer = challenge
    gets = [*GROUPS, GraphGet("skus", "/subscribedSkus")]
    if serves:
        answers = await client.read_batch(tenant, "v1.0", gets)
        assert {key: answer.status for key, answer in answers.items()} == {"groups": 200, "skus": 200}
    else:
        with pytest.raises(BatchRefusedError) as failed:
            await client.read_batch(tenant, "v1.0", gets)
        assert failed.value.code is ErrorCode.GRAPH_UNAUTHORIZED
    assert len(graph.requests(Kind.BATCH)) == REFUSED_TOKENS + 1


async def test_a_claims_challenge_is_answered(client: GraphClient, tenant: TenantConfig, graph: SimulatedGraph) -> None:
    claims = base64.b64encode(b'{"access_token":{"nbf":{"essential":true,"value":"1"}}}').decode()
    challenge = f'Bearer realm="", error="insufficient_claims", claims="{claims}"'
    asked: list[bytes] = []

    def challenge_once(request: GraphRequest) -> Answer | None:
        if request.kind is Kind.TOKEN and request.method == "POST":
            asked.append(request.body)
        if request.kind is Kind.BATCH and len(graph.requests(Kind.BATCH)) == 0:
            return Answer.of(401, {"error": {"code": "x"}}, {"WWW-Authenticate": challenge})
        return None

    graph.before_answer = challenge_once
    answers = await client.read_batch(tenant, "v1.0", GROUPS)
    assert answers["groups"].status == 200
    assert b"nbf" in asked[-1]


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"<html>", "not JSON"),
        (b'{"responses": [', "not JSON"),
        (b"[]", "no responses"),
        (b'{"responses": []}', "lacks a response"),
        (b'{"responses": [{"id": "7", "status": 200}]}', "not asked for"),
        (b'{"responses": [{"id": "0", "status": 200}, {"id": "0", "status": 200}]}', "not asked for"),
        (b'{"responses": [{"id": "0", "status": "ok"}]}', "not asked for"),
        (b'{"responses": ["odd"]}', "not asked for"),
    ],
)
async def test_a_batch_that_is_none_is_malformed(
    client: GraphClient, tenant: TenantConfig, graph: SimulatedGraph, body: bytes, message: str
) -> None:
    graph.before_answer = lambda request: Answer(200, body, {}) if request.kind is Kind.BATCH else None
    with pytest.raises(GraphRequestError, match=message) as failed:
        await client.read_batch(tenant, "v1.0", GROUPS)
    assert (failed.value.code, failed.value.retryable) == (ErrorCode.GRAPH_MALFORMED_RESPONSE, True)


async def test_a_throttled_batch_says_when_to_come_back(
    client: GraphClient, tenant: TenantConfig, graph: SimulatedGraph
) -> None:
    graph.before_answer = lambda request: (
        Answer.of(429, {"error": {"code": "x"}}, {"Retry-After": "2.5"}) if request.kind is Kind.BATCH else None
    )
    with pytest.raises(GraphRequestError) as failed:
        await client.read_batch(tenant, "v1.0", GROUPS)
    assert failed.value.code is ErrorCode.GRAPH_THROTTLED
    assert failed.value.retry_after is not None
    assert failed.value.retry_after.total_seconds() == 2.5


async def test_a_redirect_is_not_followed(client: GraphClient, tenant: TenantConfig, graph: SimulatedGraph) -> None:
    graph.before_answer = lambda request: (
        Answer.of(302, {}, {"Location": f"{graph.base_url}/v1.0/groups"}) if request.kind is Kind.BATCH else None
    )
    with pytest.raises(GraphRequestError) as failed:
        await client.read_batch(tenant, "v1.0", GROUPS)
    assert failed.value.code is ErrorCode.GRAPH_MALFORMED_RESPONSE
    assert len(graph.requests(Kind.BATCH)) == 1


async def test_an_unreachable_graph_is_unavailable(graph: SimulatedGraph, tenant: TenantConfig) -> None:
    async with client_of(graph, base_url=f"https://127.0.0.1:{free_port()}") as client:
        with pytest.raises(GraphRequestError) as failed:
            await client.read_batch(tenant, "v1.0", GROUPS)
    assert (failed.value.code, failed.value.retryable) == (ErrorCode.GRAPH_UNAVAILABLE, True)


async def test_a_graph_that_nobody_vouches_for_gets_no_token(graph: SimulatedGraph, tenant: TenantConfig) -> None:
    async with client_of(graph, ca_file=None) as client:
        with pytest.raises(AuthFailedError):
            await client.read_batch(tenant, "v1.0", GROUPS)
    assert graph.requests() == []


@pytest.mark.parametrize("count", [0, BATCH_LIMIT + 1])
async def test_a_batch_has_1_to_20_requests(client: GraphClient, tenant: TenantConfig, count: int) -> None:
    with pytest.raises(ValueError, match="1 to 20"):
        await client.read_batch(tenant, "v1.0", [GraphGet(str(number), "/groups") for number in range(count)])


async def test_authorities_that_hang_for_many_tenants_hold_up_no_other(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
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


async def test_a_credential_that_is_gone_leaves_the_last_valid_one(graph: SimulatedGraph, tmp_path: Path) -> None:
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
async def test_a_clock_that_is_set_back_or_forward_costs_no_token(
    client: GraphClient, tenant: TenantConfig, graph: SimulatedGraph, monkeypatch: pytest.MonkeyPatch, hours: int
) -> None:
    await client.read_batch(tenant, "v1.0", GROUPS)
    real = time.time
    for module in (msal.application, msal.token_cache):
        monkeypatch.setattr(module, "time", SimpleNamespace(time=lambda: real() + hours * 3600, sleep=time.sleep))
    await client.read_batch(tenant, "v1.0", GROUPS)
    assert len([request for request in graph.requests(Kind.TOKEN) if request.method == "POST"]) == 1
    # What Graph does not take any more is renewed, though the clock says that it still lasts.
    graph.faults.add(Fault(FaultKind.UNAUTHORIZED_EXPIRED, count=1))
    answers = await client.read_batch(tenant, "v1.0", GROUPS)
    assert answers["groups"].status == 200


async def test_an_assertion_at_a_wrong_time_is_tried_again(graph: SimulatedGraph, tenant: TenantConfig) -> None:
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


async def test_a_federated_token_is_read_anew_from_its_file(
    graph: SimulatedGraph, client: GraphClient, tmp_path: Path
) -> None:
    path = tmp_path / "token"
    path.write_text("federated-1")
    graph.tenants[0].register_federated_token("federated-1")
    answers = await client.read_batch(tenant_of(graph, federated_token_file=path), "v1.0", GROUPS)
    assert answers["groups"].status == 200


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
async def test_no_token_says_why_and_repeats_no_secret(
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


async def test_a_credential_that_is_not_there_says_so(
    graph: SimulatedGraph, client: GraphClient, tmp_path: Path
) -> None:
    with pytest.raises(CredentialError, match="environment variable TEST_NOTHING is not set") as failed:
        await client.read_batch(tenant_of(graph, client_secret_env="TEST_NOTHING"), "v1.0", GROUPS)
    assert (failed.value.code, failed.value.retryable) == (ErrorCode.CONFIGURATION_INVALID, True)
    with pytest.raises(CredentialError, match="cannot be read by the worker: No such file"):
        await client.read_batch(tenant_of(graph, client_secret_file=tmp_path / "none"), "v1.0", GROUPS)


async def test_an_unreachable_authority_may_come_back(graph: SimulatedGraph, tenant: TenantConfig) -> None:
    async with client_of(graph, authority_url=f"https://127.0.0.1:{free_port()}") as client:
        with pytest.raises(AuthFailedError) as failed:
            await client.read_batch(tenant, "v1.0", GROUPS)
    assert failed.value.retryable


def test_a_ca_file_that_is_none_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "ca.pem"
    path.write_text("no certificate")
    with pytest.raises(TrustError, match="not a bundle of PEM certificates"):
        ssl_context(path)


def test_json_that_orjson_refuses_is_still_read() -> None:
    assert parse(b'{"a": "\\ud800"}') == {"a": "\ud800"}
    assert parse(b'{"a": [') is None
    deep: Any = 1
    for _ in range(300):
        deep = {"a": deep}
    assert parse(str(deep).replace("'", '"').encode()) == deep


@pytest.mark.parametrize("levels", [600, 5_000, 200_000])
def test_an_object_that_is_nested_too_deeply_spoils_no_page(levels: int) -> None:
    deep = b'{"a":[' * levels + b"1" + b"]}" * levels
    body = b'{"value":[{"id":"\\"[{"},{"id":"deep","d":' + deep + b',"e":[]},{"id":"last"}]}'
    first, second, last = parse(body)["value"]
    assert (first, last) == ({"id": '"[{'}, {"id": "last"})
    assert (second["id"], second["e"]) == ("deep", [])
    with pytest.raises(TooDeepError):
        Canonicalizer().canonical(second)


def test_text_that_ends_too_early_is_no_json_however_deep() -> None:
    assert parse(b'{"a":[' * 5_000) is None
    assert parse(b'{"a":[' * 5_000 + b"]}" * 4_999) is None


async def test_a_managed_identity_needs_no_secret(
    graph: SimulatedGraph, client: GraphClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The machine's identity endpoint (IMDS) is plain HTTP on a fixed path; here it listens on loopback."""
    asked: list[str] = []

    class Identity(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
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
        served = graph.tenants[0]
        config = TenantConfig.model_validate({"id": served.id, "name": served.name, "managed_identity": True})
        answers = await client.read_batch(config, "v1.0", GROUPS)
        server.shutdown()
    assert answers["groups"].status == 200
    assert "resource=https%3A%2F%2Fgraph.microsoft.com" in asked[0]


async def test_one_large_answer_at_a_time_holds_for_all_who_read(
    client: GraphClient, tenant: TenantConfig, graph: SimulatedGraph
) -> None:
    body = json.dumps({"responses": [{"id": "0", "status": 200, "body": "x" * (LARGE_BYTES + 1)}]}).encode()
    graph.before_answer = lambda request: Answer(200, body, {}) if request.kind is Kind.BATCH else None
    async with client.admission() as first:
        await client.read_batch(tenant, "v1.0", GROUPS, first)
        waiting = [asyncio.create_task(client.read_batch(tenant, "v1.0", GROUPS))]
        async with client.admission() as second:
            waiting.append(asyncio.create_task(client.read_batch(tenant, "v1.0", GROUPS, second)))
            async with asyncio.timeout(120):
                while len(client._large_answer._waiters or ()) < len(waiting):
                    assert not any(task.done() for task in waiting)
                    await asyncio.sleep(0.01)
                first.end()
                await waiting[0]
                assert (await waiting[1])["groups"].status == 200
