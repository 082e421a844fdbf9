"""`$batch`: its rules, its order, and a separate answer for each inner request."""

from typing import Any

import pytest

from local.simulated_graph import Answer, GraphRequest, Kind, SimulatedGraph

BATCH = "/beta/$batch"


def steps(*urls: str) -> dict[str, Any]:
    return {"requests": [{"id": str(number), "method": "GET", "url": url} for number, url in enumerate(urls)]}


def test_each_inner_request_has_its_own_answer(sample: SimulatedGraph, connect: Any) -> None:
    client = connect(sample)
    urls = ["/deviceManagement/configurationPolicies?$expand=assignments", "groups?$top=3", "unheardOf", "groups/none"]
    batch = steps(*urls)
    batch["requests"].append({"id": "w", "method": "DELETE", "url": "groups/1"})
    answer = client.post(BATCH, json=batch)

    assert answer.status_code == 200
    inner = {response["id"]: response for response in answer.json()["responses"]}
    assert {key: response["status"] for key, response in inner.items()} == {
        "0": 200,
        "1": 200,
        "2": 400,
        "3": 404,
        "w": 405,
    }
    assert len({response["headers"]["request-id"] for response in inner.values()}) == 5
    link = inner["0"]["body"]["@odata.nextLink"]
    assert link.startswith(f"{sample.base_url}/beta/deviceManagement/configurationPolicies?")
    # A nextLink from a batch works directly and inside another batch.
    relative = link.removeprefix(f"{sample.base_url}/beta/")
    [again] = client.post(BATCH, json=steps(relative)).json()["responses"]
    assert again["body"] == client.get(link).json()


def test_answers_are_shuffled_in_a_stable_order(sample: SimulatedGraph, connect: Any) -> None:
    batch = steps(*["groups?$top=1"] * 20)
    orders = [
        [response["id"] for response in connect(sample).post(BATCH, json=batch).json()["responses"]] for _ in range(2)
    ]
    assert orders[0] == orders[1]
    assert orders[0] != sorted(orders[0], key=int)
    assert sorted(orders[0], key=int) == [str(number) for number in range(20)]


def test_ids_may_be_numbers(sample: SimulatedGraph, connect: Any) -> None:
    batch = {"requests": [{"id": number, "method": "GET", "url": "groups?$top=1"} for number in range(2)]}
    responses = connect(sample).post(BATCH, json=batch).json()["responses"]
    assert sorted(response["id"] for response in responses) == ["0", "1"]


@pytest.mark.parametrize(
    ("batch", "message"),
    [
        (steps(*["groups"] * 21), "exceeds the maximum value of 20"),
        ({"requests": [{"id": "1", "method": "GET", "url": "groups"}] * 2}, "no two of them the same"),
        ({"requests": [{"method": "GET", "url": "groups"}]}, "must have ids"),
        (steps("https://graph.microsoft.com/beta/groups"), "must be relative"),
        ({"requests": []}, "Invalid batch payload"),
        ({"requests": "none"}, "Invalid batch payload"),
        (["none"], "Invalid batch payload"),
        ({"requests": [{"id": "1", "method": "GET", "url": "groups", "dependsOn": ["2"]}]}, "dependsOn"),
    ],
)
def test_bad_batches_are_refused_as_a_whole(sample: SimulatedGraph, connect: Any, batch: Any, message: str) -> None:
    answer = connect(sample).post(BATCH, json=batch)
    assert answer.status_code == 400
    assert message in answer.json()["error"]["message"]


def test_batch_without_a_token_is_unauthorized(sample: SimulatedGraph, connect: Any) -> None:
    assert connect(sample, signed_in=False).post(BATCH, json=steps("groups")).status_code == 401


def test_inner_requests_use_the_batchs_version(sample: SimulatedGraph, connect: Any) -> None:
    [answer] = connect(sample).post("/v1.0/$batch", json=steps("deviceManagement/intents")).json()["responses"]
    assert answer["status"] == 400
    assert "segment 'intents'" in answer["body"]["error"]["message"]


def test_inner_requests_are_recorded_with_their_batch(graph: SimulatedGraph, connect: Any) -> None:
    batch = steps("groups?$top=3", "organization")
    batch["requests"][1]["headers"] = {"Prefer": "include-unknown-enum-members", "client-request-id": "inner"}
    answer = connect(graph).post(BATCH, json=batch, headers={"client-request-id": "outer"})

    [outer] = graph.requests(Kind.BATCH)
    inner = {request.inner_id: request for request in graph.requests(Kind.INNER)}
    assert outer.headers["client-request-id"] == "outer"
    assert outer.request_id == answer.headers["request-id"]
    assert {request.batch_id for request in inner.values()} == {outer.request_id}
    assert (inner["0"].path, inner["0"].query) == ("/beta/groups", "$top=3")
    assert (inner["1"].headers["prefer"], inner["1"].headers["client-request-id"]) == (
        "include-unknown-enum-members",
        "inner",
    )
    assert {request.tenant_id for request in graph.requests()} == {graph.tenants[0].id}
    assert len({request.token_fingerprint for request in graph.requests()}) == 1


def test_fault_leaves_other_inner_requests_alone(graph: SimulatedGraph, connect: Any) -> None:
    def throttled(request: GraphRequest) -> Answer | None:
        if request.kind is Kind.INNER and request.path == "/beta/groups":
            return Answer.of(429, {"error": {"code": "TooManyRequests"}}, {"Retry-After": "2.5"})
        if request.path == "/beta/organization":
            return Answer(502, b"<html>Bad Gateway</html>", {"Content-Type": "text/html"})
        return None

    graph.before_answer = throttled
    client = connect(graph)
    answers = client.post(BATCH, json=steps("groups", "organization", "subscribedSkus")).json()["responses"]
    inner = {answer["id"]: answer for answer in answers}
    assert {key: response["status"] for key, response in inner.items()} == {"0": 429, "1": 502, "2": 200}
    assert inner["0"]["headers"]["Retry-After"] == "2.5"
    assert client.get("/beta/organization").text == "<html>Bad Gateway</html>"
    assert graph.request_counts()["inner 429"] == 1

    graph.before_answer = None
    assert client.get("/beta/organization").status_code == 200
