"""`$batch`: several GETs in one POST, answered separately and in any order."""

import base64
from collections.abc import Mapping
from random import Random
from typing import Any

import orjson

from local.simulated_graph.messages import Answer, GraphRequest, Kind

LARGEST_BATCH = 20


class BatchError(ValueError):
    """The whole batch is refused."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


def inner_requests(outer: GraphRequest) -> list[GraphRequest]:
    """The batch's requests, with the outer token. Raises `BatchError`."""
    try:
        entries = orjson.loads(outer.body)["requests"]
    except (orjson.JSONDecodeError, KeyError, TypeError):
        raise BatchError("BadRequest", "Invalid batch payload format.") from None
    if not isinstance(entries, list) or not entries or not all(isinstance(entry, dict) for entry in entries):
        raise BatchError("BadRequest", "Invalid batch payload format.")
    if len(entries) > LARGEST_BATCH:
        message = f"Number of batch request steps exceeds the maximum value of {LARGEST_BATCH}."
        raise BatchError("MaximumValueExceeded", message)
    # Graph also takes numbers, which IntuneCD sends; it reads the answers' ids as text.
    ids = [str(request_id) if isinstance(request_id := entry.get("id"), str | int) else "" for entry in entries]
    if not all(ids) or len(set(ids)) < len(ids):
        raise BatchError("BadRequest", "Request steps must have ids, no two of them the same.")
    version = outer.path.lstrip("/").partition("/")[0]
    return [
        _inner_request(outer, version, {**entry, "id": request_id})
        for request_id, entry in zip(ids, entries, strict=True)
    ]


def _inner_request(outer: GraphRequest, version: str, entry: Mapping[str, Any]) -> GraphRequest:
    url = entry.get("url")
    if not isinstance(url, str) or not url or "://" in url.partition("?")[0]:
        raise BatchError("BadRequest", f"Request step {entry['id']}: the url must be relative to the version.")
    if entry.get("dependsOn"):
        raise BatchError("BadRequest", f"Request step {entry['id']}: the simulated Graph knows no dependsOn.")
    own = entry.get("headers") or {}
    if not isinstance(own, dict):
        raise BatchError("BadRequest", "Invalid batch payload format.")
    path, _, query = url.partition("?")
    return GraphRequest(
        kind=Kind.INNER,
        method=str(entry.get("method", "")).upper(),
        path=f"/{version}/{path.lstrip('/')}",
        query=query,
        headers={
            "authorization": outer.headers.get("authorization", ""),
            **{str(name).lower(): str(value) for name, value in own.items()},
        },
        tenant_id=outer.tenant_id,
        batch_id=outer.request_id,
        arrived=outer.arrived,
        inner_id=entry["id"],
    )


def _body(answer: Answer) -> Any:
    if "json" in answer.headers.get("Content-Type", ""):
        return orjson.Fragment(answer.body)
    return base64.b64encode(answer.body).decode()


def batch_answer(outer: GraphRequest, answers: list[tuple[GraphRequest, Answer]]) -> Answer:
    """Shuffles the answers, in the same way for the same batch."""
    responses = [
        {
            "id": request.inner_id,
            "status": answer.status,
            "headers": {**request.standard_headers(), **answer.headers},
            **({"body": _body(answer)} if answer.body else {}),
        }
        for request, answer in answers
    ]
    Random(outer.body).shuffle(responses)  # noqa: S311 (repeatable, not secret)
    return Answer.of(200, {"responses": responses}, {"Content-Type": "application/json"})
