"""Requests to Graph or the token endpoint, answers and errors."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Literal
from uuid import uuid4

import orjson

from local.simulated_graph.endpoints import Area

JSON_TYPE = "application/json;odata.metadata=minimal;odata.streaming=true;IEEE754Compatible=false;charset=utf-8"
_DIAGNOSTIC = '{"ServerInfo":{"DataCenter":"Simulated","Slice":"E","Ring":"0","ScaleUnit":"000","RoleInstance":"SIM"}}'


class Kind(StrEnum):
    """A request's way: to the token endpoint, direct, a `$batch`, or inside one."""

    TOKEN = "token"  # noqa: S105 (a kind of request)
    DIRECT = "direct"
    BATCH = "batch"
    INNER = "inner"


@dataclass(frozen=True, slots=True)
class GraphRequest:
    """`path` starts with `/` and the version; `query` is undecoded. Header names are lower case.

    `tenant_id` is the tenant of a good token, or of the token endpoint's path. `batch_id` is the `request-id` of an
    inner request's `$batch`, `inner_id` its id there. `arrived` is when it, or its batch, arrived (`time.monotonic()`).
    """

    kind: Kind
    method: str
    path: str
    query: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    tenant_id: str | None = None
    body: bytes = b""
    batch_id: str | None = None
    inner_id: str | None = None
    request_id: str = field(default_factory=lambda: str(uuid4()))
    arrived: float = field(default_factory=time.monotonic)

    @property
    def address(self) -> str:
        return f"{self.path}?{self.query}" if self.query else self.path

    @property
    def client_request_id(self) -> str:
        return self.headers.get("client-request-id", self.request_id)

    def standard_headers(self) -> dict[str, str]:
        """Graph's headers of every answer, without `Date`, which the HTTP server adds."""
        return {
            "request-id": self.request_id,
            "client-request-id": self.client_request_id,
            "x-ms-ags-diagnostic": _DIAGNOSTIC,
            "Strict-Transport-Security": "max-age=31536000",
            "Cache-Control": "no-cache",
        }


@dataclass(frozen=True, slots=True)
class Delivery:
    """A bad connection: the answer starts after `wait_seconds`, its body takes `drip_seconds`, and it may be cut before
    the first byte or inside the body.
    """

    wait_seconds: float = 0
    drip_seconds: float = 0
    cut: Literal["before", "inside"] | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """In bytes, so that a hostile answer stays as it is. Status 0: a cut connection.

    Answers inside a `$batch` have no `delivery`.
    """

    status: int
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    delivery: Delivery | None = None

    @classmethod
    def of(cls, status: int, document: Any, headers: Mapping[str, str] | None = None) -> "Answer":
        return cls(status, orjson.dumps(document), {"Content-Type": JSON_TYPE, **(headers or {})})


BeforeAnswer = Callable[[GraphRequest], Answer | None]
"""Returns another answer to a request of any kind; None for the usual one.

Runs in the server's loop, so it must not block.
"""


def error(
    request: GraphRequest, status: int, code: str, message: str, headers: Mapping[str, str] | None = None
) -> Answer:
    body = {"code": code, "message": message, "innerError": inner_error(request)}
    return Answer.of(status, {"error": body}, headers)


def inner_error(request: GraphRequest) -> dict[str, str]:
    return {
        "date": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S"),
        "request-id": request.request_id,
        "client-request-id": request.client_request_id,
    }


def segment_unknown(request: GraphRequest, segment: str) -> Answer:
    return error(request, 400, "BadRequest", f"Resource not found for the segment '{segment}'.")


def not_found(request: GraphRequest, area: Area, name: str) -> Answer:
    """In the words of the area's service."""
    if area is Area.DIRECTORY:
        message = f"Resource '{name}' does not exist or one of its queried reference-property objects are not present."
        return error(request, 404, "Request_ResourceNotFound", message)
    if area is Area.IDENTITY:
        return error(request, 404, "ResourceNotFound", f"Resource '{name}' does not exist.")
    return error(request, 404, "ResourceNotFound", nested_message(request, f"Object with id '{name}' not found."))


def not_authorized(request: GraphRequest) -> Answer:
    """Intune's refusal for a missing permission."""
    return error(request, 403, "Forbidden", nested_message(request, "Application is not authorized to perform this"))


def nested_message(request: GraphRequest, text: str) -> str:
    """Intune's error message, which is JSON."""
    nested = {
        "_version": 3,
        "Message": f"{text} - Operation ID (for customer support): "
        f"00000000-0000-0000-0000-000000000000 - Activity ID: {request.request_id} - "
        "Url: https://fef.simulated.manage.microsoft.com/DeviceConfiguration/",
        "CustomApiErrorPhrase": "",
        "RetryAfter": None,
        "ErrorSourceService": "",
        "HttpHeaders": "{}",
    }
    return orjson.dumps(nested, option=orjson.OPT_INDENT_2).decode()


def method_not_allowed(request: GraphRequest) -> Answer:
    message = "Specified HTTP method is not allowed for the request target."
    return error(request, 405, "Request_BadRequest", message, {"Allow": "GET"})
