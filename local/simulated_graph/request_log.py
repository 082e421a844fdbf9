"""Records of requests, for tests."""

import hashlib
import time
from collections import Counter, deque
from collections.abc import Mapping
from dataclasses import dataclass
from threading import Lock

from local.simulated_graph.endpoints import template
from local.simulated_graph.messages import Answer, GraphRequest, Kind

_KEPT_HEADERS = ("accept", "client-request-id", "consistencylevel", "content-type", "prefer", "user-agent")
_KEPT_REQUESTS = 200_000


@dataclass(frozen=True, slots=True)
class RecordedRequest:
    """`number` counts from 1 and never starts again. Status 0: cut before an answer.

    `token_fingerprint`, equal for equal tokens, stands for the credential. `at` is `time.monotonic()` of the answer,
    `fault` the last kind of fault in it.
    """

    number: int
    kind: Kind
    method: str
    path: str
    query: str
    tenant_id: str | None
    status: int
    request_id: str
    batch_id: str | None
    inner_id: str | None
    headers: Mapping[str, str]
    token_fingerprint: str | None
    answer_size_bytes: int
    at: float
    fault: str | None


class Recorder:
    """Keeps the latest requests, and counts all. Thread-safe."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._number = 0
        self._requests: deque[RecordedRequest] = deque(maxlen=_KEPT_REQUESTS)
        self._counts: Counter[str] = Counter()
        self._paths: Counter[tuple[Kind, str | None, str]] = Counter()

    def record(self, request: GraphRequest, answer: Answer, fault: str | None = None) -> int:
        """Returns the request's number."""
        path = template(request.path)
        with self._lock:
            self._number += 1
            self._counts.update((request.kind.value, f"{request.kind.value} {answer.status}"))
            self._paths[request.kind, request.tenant_id, path] += 1
            self._requests.append(
                RecordedRequest(
                    number=self._number,
                    kind=request.kind,
                    method=request.method,
                    path=request.path,
                    query=request.query,
                    tenant_id=request.tenant_id,
                    status=answer.status,
                    request_id=request.request_id,
                    batch_id=request.batch_id,
                    inner_id=request.inner_id,
                    headers={name: request.headers[name] for name in _KEPT_HEADERS if name in request.headers},
                    token_fingerprint=_fingerprint(request.headers.get("authorization", "")),
                    answer_size_bytes=len(answer.body),
                    at=time.monotonic(),
                    fault=fault,
                )
            )
            return self._number

    def requests(self, kind: Kind | None = None, tenant_id: str | None = None, after: int = 0) -> list[RecordedRequest]:
        with self._lock:
            return [
                request
                for request in self._requests
                if request.number > after and kind in {None, request.kind} and tenant_id in {None, request.tenant_id}
            ]

    def counts(self) -> dict[str, int]:
        """Numbers of requests by kind (`inner`), and by kind and status (`inner 404`)."""
        with self._lock:
            return dict(sorted(self._counts.items()))

    def paths(self, kind: Kind | None = None, tenant_id: str | None = None) -> dict[str, int]:
        """Numbers of requests, also failed ones, by path without version and with `{id}` for ids."""
        paths: Counter[str] = Counter()
        with self._lock:
            for (of_kind, of_tenant, path), requests in self._paths.items():
                if kind in {None, of_kind} and tenant_id in {None, of_tenant}:
                    paths[path] += requests
        return dict(sorted(paths.items()))

    def clear(self) -> None:
        with self._lock:
            self._requests.clear()
            self._counts.clear()
            self._paths.clear()


def _fingerprint(authorization: str) -> str | None:
    scheme, _, token = authorization.partition(" ")
    return hashlib.sha256(token.encode()).hexdigest()[:16] if scheme.lower() == "bearer" and token else None
