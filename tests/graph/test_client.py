"""Batches over HTTPS, against the simulated Graph."""

import asyncio
import base64
import json
from collections.abc import Iterator
from typing import Any

import pytest

from graph.bodies import Unpacking, parse
from graph.client import BATCH_LIMIT, LARGE_BYTES, REFUSED_TOKENS, GraphClient, GraphGet
from graph.errors import BatchRefusedError, GraphRequestError
from graph.links import UntrustedLinkError
from graph.tenants import TenantConfig
from graph.tokens import AuthFailedError
from inventory.canonical import Canonicalizer, TooDeepError
from inventory.error_codes import ErrorCode
from local.processes import free_port
from local.simulated_graph import Answer, GraphRequest, Kind, SimulatedGraph
from tests.graph.clients import GROUPS, client_of

RECORD_BYTES = 16 * 1024
"""The largest TLS record (RFC 8446, section 5.1)."""


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
async def test_planned_path_is_only_read(
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


async def test_large_answer_is_received_in_parts_larger_than_tls_records(
    client: GraphClient, tenant: TenantConfig, graph: SimulatedGraph, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes: list[int] = []

    class Noted(Unpacking):
        def pieces(self, packed: bytes) -> Iterator[bytes]:
            sizes.append(len(packed))
            return super().pieces(packed)

    graph.tenants[0].add("groups", {"id": "large", "description": "x" * (100 * RECORD_BYTES)})
    monkeypatch.setattr("graph.client.Unpacking", Noted)
    await client.read_batch(tenant, "v1.0", GROUPS)
    assert sum(sizes) > 100 * RECORD_BYTES
    assert max(sizes) > RECORD_BYTES


async def test_token_is_requested_once(client: GraphClient, tenant: TenantConfig, graph: SimulatedGraph) -> None:
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
async def test_a_401_is_retried_once_with_a_new_token(
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
    assert len(graph.requests(Kind.INNER)) == (3 if inner else 2), "answered requests are not repeated"


async def test_a_repeated_401_is_the_pages_answer(
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
async def test_batch_survives_revoked_tokens_up_to_the_limit(
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


async def test_claims_challenge_reaches_the_token_endpoint(
    client: GraphClient, tenant: TenantConfig, graph: SimulatedGraph
) -> None:
    claims = base64.b64encode(b'{"access_token":{"nbf":{"essential":true,"value":"1"}}}').decode()
    challenge = f'Bearer realm="", error="insufficient_claims", claims="{claims}"'
    bodies: list[bytes] = []

    def challenge_once(request: GraphRequest) -> Answer | None:
        if request.kind is Kind.TOKEN and request.method == "POST":
            bodies.append(request.body)
        if request.kind is Kind.BATCH and len(graph.requests(Kind.BATCH)) == 0:
            return Answer.of(401, {"error": {"code": "x"}}, {"WWW-Authenticate": challenge})
        return None

    graph.before_answer = challenge_once
    answers = await client.read_batch(tenant, "v1.0", GROUPS)
    assert answers["groups"].status == 200
    assert b"nbf" in bodies[-1]


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
async def test_invalid_batch_answer_is_malformed(
    client: GraphClient, tenant: TenantConfig, graph: SimulatedGraph, body: bytes, message: str
) -> None:
    graph.before_answer = lambda request: Answer(200, body, {}) if request.kind is Kind.BATCH else None
    with pytest.raises(GraphRequestError, match=message) as failed:
        await client.read_batch(tenant, "v1.0", GROUPS)
    assert (failed.value.code, failed.value.retryable) == (ErrorCode.GRAPH_MALFORMED_RESPONSE, True)


async def test_throttled_batch_reports_retry_after(
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


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_redirect_is_not_followed(
    client: GraphClient, tenant: TenantConfig, graph: SimulatedGraph, status: int
) -> None:
    graph.before_answer = lambda request: (
        Answer.of(status, {}, {"Location": f"{graph.base_url}/v1.0/groups"}) if request.kind is Kind.BATCH else None
    )
    with pytest.raises(GraphRequestError) as failed:
        await client.read_batch(tenant, "v1.0", GROUPS)
    assert failed.value.code is ErrorCode.GRAPH_MALFORMED_RESPONSE
    assert [request.kind for request in graph.requests() if request.kind is not Kind.TOKEN] == [Kind.BATCH]


async def test_an_unreachable_graph_is_unavailable(graph: SimulatedGraph, tenant: TenantConfig) -> None:
    async with client_of(graph, base_url=f"https://127.0.0.1:{free_port()}") as client:
        with pytest.raises(GraphRequestError) as failed:
            await client.read_batch(tenant, "v1.0", GROUPS)
    assert (failed.value.code, failed.value.retryable) == (ErrorCode.GRAPH_UNAVAILABLE, True)


async def test_untrusted_servers_get_no_request(graph: SimulatedGraph, tenant: TenantConfig) -> None:
    async with client_of(graph, ca_file=None) as client:
        with pytest.raises(AuthFailedError):
            await client.read_batch(tenant, "v1.0", GROUPS)
    assert graph.requests() == []


@pytest.mark.parametrize("count", [0, BATCH_LIMIT + 1])
async def test_a_batch_has_1_to_20_requests(client: GraphClient, tenant: TenantConfig, count: int) -> None:
    with pytest.raises(ValueError, match="1 to 20"):
        await client.read_batch(tenant, "v1.0", [GraphGet(str(number), "/groups") for number in range(count)])


def test_json_that_orjson_refuses_is_still_read() -> None:
    assert parse(b'{"a": "\\ud800"}') == {"a": "\ud800"}
    assert parse(b'{"a": [') is None
    deep: Any = 1
    for _ in range(300):
        deep = {"a": deep}
    assert parse(str(deep).replace("'", '"').encode()) == deep


@pytest.mark.parametrize("levels", [600, 5_000, 200_000])
def test_too_deep_object_does_not_spoil_its_page(levels: int) -> None:
    deep = b'{"a":[' * levels + b"1" + b"]}" * levels
    body = b'{"value":[{"id":"\\"[{"},{"id":"deep","d":' + deep + b',"e":[]},{"id":"last"}]}'
    first, second, last = parse(body)["value"]
    assert (first, last) == ({"id": '"[{'}, {"id": "last"})
    assert (second["id"], second["e"]) == ("deep", [])
    with pytest.raises(TooDeepError):
        Canonicalizer().canonical(second)


def test_truncated_deep_json_is_rejected() -> None:
    assert parse(b'{"a":[' * 5_000) is None
    assert parse(b'{"a":[' * 5_000 + b"]}" * 4_999) is None


async def test_only_one_large_answer_is_read_at_a_time(
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
