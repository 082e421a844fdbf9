"""Faults as a client meets them: their effects, targets and number."""

import base64
import json
import time
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from local.simulated_graph import Fault, FaultKind, Kind, SimulatedGraph, SimulatedTenant
from tests.deadlines import DEADLINE_SECONDS
from tests.simulated_graph.conftest import Connect, batch, trusting

GROUPS = "/beta/groups?$top=2"
CONFIGURATIONS = "deviceManagement/deviceConfigurations"
SCOPE = "https://graph.microsoft.com/.default"


def inner(client: httpx.Client, *urls: str) -> list[dict[str, Any]]:
    """The answers of a batch, in the order of its requests."""
    return sorted(batch(client, *urls).json()["responses"], key=lambda response: int(response["id"]))


def sign_in(graph: SimulatedGraph, tenant: SimulatedTenant, **form: str) -> httpx.Response:
    data = {
        "grant_type": "client_credentials",
        "client_id": tenant.client_id,
        "client_secret": tenant.client_secret,
        "scope": SCOPE,
        **form,
    }
    address = f"{graph.authority_url}/{tenant.id}/oauth2/v2.0/token"
    return httpx.post(address, data=data, verify=trusting(graph.ca_file), timeout=DEADLINE_SECONDS)


STATUSES = [
    (FaultKind.BAD_REQUEST, 400, "BadRequest"),
    (FaultKind.NOT_APPLICABLE, 400, "Request not applicable to target tenant."),
    (FaultKind.NO_LICENCE, 403, "NoLicense"),
    (FaultKind.PREMIUM_REQUIRED, 400, "AadPremiumLicenseRequired"),
    (FaultKind.NON_PREMIUM_TENANT, 403, "doesn't have premium license"),
    (FaultKind.NOT_SET_UP, 403, "The MDM authority is not set."),
    (FaultKind.UNAUTHORIZED, 401, "InvalidAuthenticationToken"),
    (FaultKind.UNAUTHORIZED_EXPIRED, 401, "the token is expired"),
    (FaultKind.FORBIDDEN, 403, "Authorization_RequestDenied"),
    (FaultKind.FORBIDDEN_INTUNE, 403, '\\\\\\"_version\\\\\\": 3'),
    (FaultKind.NOT_FOUND, 404, "Request_ResourceNotFound"),
    (FaultKind.REQUEST_TIMEOUT, 408, "RequestTimeout"),
    (FaultKind.THROTTLED, 429, "TooManyRequests"),
    (FaultKind.SERVER_ERROR, 500, "InternalServerError"),
    (FaultKind.BAD_GATEWAY, 502, "<html>"),
    (FaultKind.SERVICE_UNAVAILABLE, 503, "ServiceUnavailable"),
    (FaultKind.GATEWAY_TIMEOUT, 504, '\\"_version\\": 3'),
    (FaultKind.HTML_WITH_200, 200, "<html>"),
]


@pytest.mark.parametrize(("kind", "status", "text"), STATUSES, ids=[case[0] for case in STATUSES])
def test_status_faults_affect_direct_and_batched_requests(
    graph: SimulatedGraph, connect: Connect, kind: FaultKind, status: int, text: str
) -> None:
    client = connect(graph)
    graph.faults.add(Fault(kind, path=r"/groups\b", count=2))
    direct = client.get(GROUPS)
    hit, spared = inner(client, "groups", "organization")

    assert (direct.status_code, hit["status"], spared["status"]) == (status, status, 200)
    assert text in direct.text
    body = hit["body"] if isinstance(hit["body"], dict) else base64.b64decode(hit["body"]).decode()
    assert text in (json.dumps(body) if isinstance(body, dict) else body)
    if status == 401:
        assert direct.headers["WWW-Authenticate"].startswith('Bearer realm=""')
    assert client.get(GROUPS).status_code == 200
    assert graph.faults.injected() == {kind: 2}
    assert graph.faults.active() == []
    assert [request.fault for request in graph.requests()] == [kind, kind, None, None, None]
    moments = [request.at for request in graph.requests()]
    assert moments == sorted(moments)


@pytest.mark.parametrize(
    "text", ["2", "2.128", "0", "-5", "99999999999", "soon", "Wed, 21 Oct 2015 07:28:00 GMT", None]
)
@pytest.mark.parametrize("kind", [FaultKind.THROTTLED, FaultKind.SERVICE_UNAVAILABLE])
def test_retry_after_is_sent_as_it_is(sample: SimulatedGraph, connect: Connect, kind: FaultKind, text: str) -> None:
    fault = sample.faults.add(Fault(kind, path="subscribedSkus.*retry", retry_after=text))
    address = f"/beta/subscribedSkus?$select=id&$filter=retry-{kind}-{text}"
    answer = connect(sample).get(address)
    sample.faults.remove(fault)
    assert answer.headers.get("Retry-After") == text


def test_throttling_errors_vary_in_code_and_message(graph: SimulatedGraph, connect: Connect) -> None:
    graph.faults.add(Fault(FaultKind.THROTTLED))
    client = connect(graph)
    errors = [client.get(GROUPS).json()["error"] for _ in range(5)]
    assert {error["code"] for error in errors} == {"TooManyRequests", "activityLimitReached", "UnknownError"}
    assert "" in {error["message"] for error in errors}
    assert errors[0] == errors[4] | {"innerError": errors[0]["innerError"]}


def test_empty_truncated_and_valueless_bodies(graph: SimulatedGraph, connect: Connect) -> None:
    client = connect(graph)
    graph.faults.add(Fault(FaultKind.EMPTY_BODY, count=2))
    assert client.get(GROUPS).content == b""
    [empty] = inner(client, "groups")
    assert "body" not in empty

    graph.faults.add(Fault(FaultKind.TRUNCATED_JSON, count=2))
    cut = client.get(GROUPS)
    assert int(cut.headers["Content-Length"]) == len(cut.content)
    [cut_inner] = inner(client, "groups")
    for text in (cut.text, cut_inner["body"]):
        assert text.startswith('{"@odata.context"')
        with pytest.raises(json.JSONDecodeError):
            json.loads(text)

    graph.faults.add(Fault(FaultKind.NO_VALUE))
    assert "value" not in client.get(GROUPS).json()
    group = graph.tenants[0].documents("groups")[0]["id"]
    assert client.get(f"/beta/groups/{group}").json()["id"] == group
    assert graph.faults.injected()["no_value"] == 1


def test_page_expires_only_with_a_skiptoken(graph: SimulatedGraph, connect: Connect) -> None:
    client = connect(graph)
    graph.faults.add(Fault(FaultKind.PAGE_EXPIRED))
    first = client.get(GROUPS)
    expired = client.get(first.json()["@odata.nextLink"])
    assert (first.status_code, expired.status_code) == (200, 400)
    assert expired.json()["error"]["code"] == "Directory_ExpiredPageToken"


def test_next_links_repeat_or_lead_elsewhere(graph: SimulatedGraph, connect: Connect) -> None:
    client = connect(graph)
    right = client.get(GROUPS).json()["@odata.nextLink"]

    def link(kind: FaultKind, address: str = GROUPS, **options: Any) -> str:
        fault = graph.faults.add(Fault(kind, count=1, **options))
        [answer] = inner(client, address.removeprefix("/beta/"))
        assert answer["status"] == 200
        graph.faults.remove(fault)
        return str(answer["body"]["@odata.nextLink"])

    assert link(FaultKind.NEXT_LINK_REPEATS) == f"{graph.base_url}{GROUPS}"
    assert link(FaultKind.NEXT_LINK_REPEATS, right.removeprefix(graph.base_url)) == right
    assert link(FaultKind.NEXT_LINK_FOREIGN_HOST) == right.replace(graph.base_url, "https://evil.example")
    assert link(FaultKind.NEXT_LINK_FOREIGN_HOST, link="https://x.test/y") == "https://x.test/y"
    assert link(FaultKind.NEXT_LINK_HTTP) == right.replace("https:", "http:")
    assert link(FaultKind.NEXT_LINK_OTHER_VERSION) == right.replace("/beta/", "/v1.0/")
    foreign = link(FaultKind.NEXT_LINK_OTHER_TENANT)
    assert foreign != right
    assert foreign.startswith(f"{graph.base_url}{GROUPS}&$skiptoken=")
    assert client.get(foreign).json()["error"]["message"] == "Invalid Skip Token"

    graph.faults.add(Fault(FaultKind.NEXT_LINK_HTTP))
    assert "@odata.nextLink" not in client.get("/beta/organization").json()
    assert graph.faults.injected()["next_link_http"] == 1


def walk(client: httpx.Client, address: str) -> list[str]:
    ids: list[str] = []
    while address:
        body = client.get(address).json()
        ids += [document["id"] for document in body["value"]]
        address = body.get("@odata.nextLink", "")
    return ids


def test_items_repeat_or_slip_between_pages(graph: SimulatedGraph, connect: Connect) -> None:
    client = connect(graph)
    ids = walk(client, GROUPS)
    graph.faults.add(Fault(FaultKind.DUPLICATE_ON_NEXT_PAGE, count=1))
    assert walk(client, GROUPS) == [*ids[:2], *ids[1:]]
    graph.faults.add(Fault(FaultKind.SLIP, count=1))
    assert walk(client, GROUPS) == [*ids[:2], *ids[3:]]
    assert client.get(f"/beta/groups/{ids[2]}").json()["id"] == ids[2]
    assert walk(client, GROUPS) == ids
    graph.faults.add(Fault(FaultKind.SLIP))
    assert client.get(f"/beta/groups/{ids[2]}?$skiptoken=none").status_code == 200


def test_noise_changes_only_order_and_metadata(
    graph: SimulatedGraph, connect: Connect, tenant: SimulatedTenant
) -> None:
    client = connect(graph)
    key = tenant.documents(CONFIGURATIONS)[0]["id"]
    tenant.reassign(CONFIGURATIONS, key, ["a", "b"])
    tenant.change(CONFIGURATIONS, key, {"roleScopeTagIds": ["0", "1"]})
    address = f"/beta/{CONFIGURATIONS}/{key}?$expand=assignments"
    quiet = client.get(address).json()
    graph.faults.add(Fault(FaultKind.NOISE))
    noisy = client.get(address).json()

    changed = {name for name in noisy if noisy[name] != quiet.get(name)}
    volatile = {"lastModifiedDateTime", "@odata.editLink", "noise@odata.context"}
    # The reference to a secret differs at every read, with or without noise.
    assert changed == {"assignments", "roleScopeTagIds", "omaSettings"} | volatile
    assert noisy["assignments"] == quiet["assignments"][::-1]
    assert noisy["roleScopeTagIds"] == ["1", "0"]
    assert set(quiet) <= set(noisy)
    listed = client.get(f"/beta/{CONFIGURATIONS}").json()
    assert all("@odata.editLink" in document for document in listed["value"])


def test_unknown_properties_are_added(graph: SimulatedGraph, connect: Connect) -> None:
    graph.faults.add(Fault(FaultKind.UNKNOWN_PROPERTIES))
    assert all("simulatedNewProperty" in group for group in connect(graph).get(GROUPS).json()["value"])


def test_claims_challenge_lasts_until_it_is_answered(
    graph: SimulatedGraph, connect: Connect, tenant: SimulatedTenant
) -> None:
    early = connect(graph)
    graph.faults.add(Fault(FaultKind.UNAUTHORIZED_CLAIMS_CHALLENGE, count=1))
    challenged = early.get(GROUPS)
    assert challenged.status_code == 401
    challenge = challenged.headers["WWW-Authenticate"]
    assert 'error="insufficient_claims"' in challenge
    claims = base64.b64decode(challenge.partition('claims="')[2].rstrip('"')).decode()
    assert json.loads(claims)["access_token"]["nbf"]["essential"] is True

    def status(token: str) -> int:
        return early.get(GROUPS, headers={"Authorization": f"Bearer {token}"}).status_code

    capable = json.dumps({"access_token": {"xms_cc": {"values": ["CP1"]}}})
    unanswered = [sign_in(graph, tenant).json()["access_token"]]
    unanswered.append(sign_in(graph, tenant, claims=capable).json()["access_token"])
    assert [status(response) for response in unanswered] == [401, 401]
    assert batch(early, "groups").status_code == 401
    answered = sign_in(graph, tenant, claims=claims).json()["access_token"]
    assert [status(answered), status(tenant.token()), status(unanswered[0])] == [200, 200, 401]
    assert graph.faults.injected() == {"unauthorized_claims_challenge": 5}


def test_revoked_app_gets_neither_token_nor_answer(
    graph: SimulatedGraph, connect: Connect, tenant: SimulatedTenant
) -> None:
    client = connect(graph)
    fault = graph.faults.add(Fault(FaultKind.APP_REVOKED, tenant_id=tenant.id))
    assert [client.get(GROUPS).status_code, batch(client, "groups").status_code] == [401, 401]
    refused = sign_in(graph, tenant)
    assert (refused.status_code, refused.json()["error_codes"]) == (400, [700016])
    graph.faults.remove(fault)
    assert [client.get(GROUPS).status_code, sign_in(graph, tenant).status_code] == [200, 200]


@pytest.mark.parametrize(
    ("kind", "status", "text"),
    [
        (FaultKind.BATCH_THROTTLED, 429, "TooManyRequests"),
        (FaultKind.BATCH_SERVER_ERROR, 500, "InternalServerError"),
        (FaultKind.BATCH_BAD_GATEWAY, 502, "<html>"),
        (FaultKind.BATCH_UNAVAILABLE, 503, "ServiceUnavailable"),
        (FaultKind.BATCH_HTML_200, 200, "<html>"),
    ],
)
def test_batch_fault_fails_the_whole_batch(
    graph: SimulatedGraph, connect: Connect, kind: FaultKind, status: int, text: str
) -> None:
    client = connect(graph)
    graph.faults.add(Fault(kind, count=1))
    assert client.get(GROUPS).status_code == 200
    failed = batch(client, "groups")
    assert failed.status_code == status
    assert text in failed.text
    assert graph.requests(Kind.INNER) == []
    assert batch(client, "groups").json()["responses"]


def test_batch_answers_are_missing_duplicated_or_truncated(graph: SimulatedGraph, connect: Connect) -> None:
    client = connect(graph)
    urls = ["groups", "organization", "subscribedSkus"]
    graph.faults.add(Fault(FaultKind.BATCH_MISSING_RESPONSE, count=1))
    assert len(inner(client, *urls)) == 2
    graph.faults.add(Fault(FaultKind.BATCH_DUPLICATE_RESPONSE, count=1))
    ids = [response["id"] for response in inner(client, *urls)]
    assert (len(ids), set(ids)) == (4, {"0", "1", "2"})
    graph.faults.add(Fault(FaultKind.BATCH_TRUNCATED_JSON, count=1))
    cut = batch(client, *urls)
    assert (cut.status_code, cut.text[:13]) == (200, '{"responses":')
    with pytest.raises(json.JSONDecodeError):
        cut.json()


@pytest.mark.parametrize(
    ("kind", "status", "code"),
    [
        (FaultKind.TOKEN_SERVER_ERROR, 500, 90033),
        (FaultKind.TOKEN_THROTTLED, 429, 90055),
        (FaultKind.TOKEN_INVALID_CLIENT, 401, 7000215),
    ],
)
def test_token_fault_fails_the_sign_in(
    graph: SimulatedGraph, tenant: SimulatedTenant, kind: FaultKind, status: int, code: int
) -> None:
    graph.faults.add(Fault(kind, count=1, retry_after="7"))
    failed = sign_in(graph, tenant)
    assert (failed.status_code, failed.json()["error_codes"]) == (status, [code])
    assert failed.headers["Retry-After"] == "7"
    assert sign_in(graph, tenant).status_code == 200


@pytest.mark.parametrize("kind", [FaultKind.RESET_BEFORE_BODY, FaultKind.RESET_IN_BODY])
def test_reset_cuts_the_connection(
    graph: SimulatedGraph, connect: Connect, tenant: SimulatedTenant, kind: FaultKind
) -> None:
    client = connect(graph)
    graph.faults.add(Fault(kind, count=3))
    calls: list[Callable[[], httpx.Response]] = [
        lambda: client.get(GROUPS),
        lambda: batch(client, "groups"),
        lambda: sign_in(graph, tenant),
    ]
    for ask in calls:
        with pytest.raises((httpx.ReadError, httpx.RemoteProtocolError)):
            ask()
    assert [client.get(GROUPS).status_code, sign_in(graph, tenant).status_code] == [200, 200]
    assert graph.faults.injected() == {kind: 3}


def test_reset_in_the_body_comes_after_half_of_it(graph: SimulatedGraph, connect: Connect) -> None:
    client = connect(graph)
    body = client.get(GROUPS).content
    graph.faults.add(Fault(FaultKind.RESET_IN_BODY))
    got = bytearray()
    with (
        pytest.raises((httpx.ReadError, httpx.RemoteProtocolError)),
        client.stream("GET", GROUPS) as answer,
    ):
        assert int(answer.headers["Content-Length"]) == len(body)
        for piece in answer.iter_raw():
            got += piece
    assert bytes(got) == body[: len(body) // 2]


@pytest.mark.parametrize("kind", [FaultKind.SLOW_FIRST_BYTE, FaultKind.SLOW_DRIP])
def test_slow_answers_are_complete(graph: SimulatedGraph, connect: Connect, kind: FaultKind) -> None:
    client = connect(graph)
    body = client.get(GROUPS).content
    graph.faults.add(Fault(kind, seconds=0.05))
    began = time.monotonic()
    with client.stream("GET", GROUPS) as answer:
        pieces = list(answer.iter_raw())
    assert time.monotonic() - began >= 0.05
    assert b"".join(pieces) == body


def test_faults_affect_their_tenant_and_path(connect: Connect) -> None:
    with SimulatedGraph(tenants=2) as graph:
        first_client, second_client = (connect(graph, tenant) for tenant in graph.tenants)
        graph.faults.add(Fault(FaultKind.FORBIDDEN, tenant_id=graph.tenants[0].id))
        graph.faults.add(Fault(FaultKind.NOT_FOUND, tenant_id=graph.tenants[1].id, path=r"groups\?\$top=2$"))
        assert [client.get(GROUPS).status_code for client in (first_client, second_client)] == [403, 404]
        assert second_client.get("/beta/groups").status_code == 200
        graph.faults.clear(graph.tenants[0].id)
        assert [client.get(GROUPS).status_code for client in (first_client, second_client)] == [200, 404]
        graph.faults.clear()
        assert second_client.get(GROUPS).status_code == 200
        assert graph.faults.injected() == {"forbidden": 1, "not_found": 2}


def test_probability_repeats_with_the_same_seed(graph: SimulatedGraph, connect: Connect) -> None:
    client = connect(graph)

    def drawn(seed: int) -> list[int]:
        fault = graph.faults.add(Fault(FaultKind.SERVER_ERROR, probability=0.5, seed=seed))
        statuses = [client.get(GROUPS).status_code for _ in range(20)]
        graph.faults.remove(fault)
        return statuses

    assert drawn(1) == drawn(1)
    assert drawn(1) != drawn(2)
    assert set(drawn(1)) == {200, 500}


def test_skip_and_count_limit_a_fault(graph: SimulatedGraph, connect: Connect) -> None:
    client = connect(graph)
    fault = graph.faults.add(Fault(FaultKind.SERVER_ERROR, skip=2, count=1))
    [active] = graph.faults.active()
    assert (active.id, active.injected) == (fault, 0)
    assert [client.get(GROUPS).status_code for _ in range(4)] == [200, 200, 500, 200]
    with pytest.raises(KeyError):
        graph.faults.remove(fault + 1)


@pytest.mark.parametrize(
    "wrong",
    [
        {"kind": "unheard_of"},
        {"probability": 2},
        {"probability": "often"},
        {"count": -1},
        {"path": "("},
        {"retry_after": 2},
        {"retry_after": "2\r\nX: y"},
        {"unheard_of": 1},
    ],
)
def test_invalid_faults_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="validation error"):
        Fault(**{"kind": FaultKind.THROTTLED, **wrong})


def test_faults_are_added_and_removed_while_the_server_runs(graph: SimulatedGraph, connect: Connect) -> None:
    client = connect(graph)
    fault = Fault(FaultKind.THROTTLED, tenant_id=graph.tenants[0].id, retry_after="0")
    added = graph.faults.add(fault)
    assert client.get(GROUPS).status_code == 429
    assert graph.faults.injected() == {"throttled": 1}
    [active] = graph.faults.active()
    assert (active.id, active.injected, active.fault.kind) == (added, 1, "throttled")
    graph.faults.remove(added)
    assert graph.faults.active() == []
    assert client.get(GROUPS).status_code == 200
    graph.faults.add(fault)
    for tenant_id in (graph.tenants[0].id, None):
        graph.faults.clear(tenant_id)
        assert graph.faults.active() == []
