"""The simulator's own addresses, `/_simulator/…`, for another process: edits, generations, and what was asked of it."""

import hmac
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import asdict
from typing import Any

import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Mount, Route

from local.simulated_graph.messages import Kind
from local.simulated_graph.recording import Recorder
from local.simulated_graph.tenant import SimulatedTenant

KEY_HEADER = "x-simulator-key"

_Handler = Callable[[Request], Awaitable[Any]]


def control_routes(tenants: Mapping[str, SimulatedTenant], recorder: Recorder, key: str) -> list[Mount]:
    """Routes for who sends the control key as `X-Simulator-Key`; only `health` is open to all.

    GET health · GET tenants · PUT generation `{"generation", "tenant_id"?}` · POST edits
    `{"tenant_id", "action": "add|change|rename|remove|reassign", "path", …}` · GET and DELETE requests.
    Wrong input is 400 and an unknown tenant, path or key 404, with the reason as `{"error"}`.
    """

    async def health(_: Request) -> Any:
        return {"status": "ok", "tenants": len(tenants)}

    async def list_tenants(_: Request) -> Any:
        return {"tenants": [_described(tenant) for tenant in tenants.values()]}

    async def set_generation(request: Request) -> Any:
        wanted = orjson.loads(await request.body())
        chosen = [tenants[wanted["tenant_id"]]] if "tenant_id" in wanted else list(tenants.values())
        for tenant in chosen:
            tenant.set_generation(int(wanted["generation"]))
        return {"tenants": [_described(tenant) for tenant in chosen]}

    async def edit(request: Request) -> Any:
        wanted = orjson.loads(await request.body())
        return {"key": _edit(tenants[wanted["tenant_id"]], wanted)}

    async def requests(request: Request) -> Any:
        if request.method == "DELETE":
            recorder.clear()
        kind = request.query_params.get("kind")
        found = recorder.requests(
            Kind(kind) if kind else None,
            request.query_params.get("tenant_id"),
            int(request.query_params.get("after", "0")),
        )
        return {"requests": [asdict(each) for each in found], "counts": recorder.counts()}

    routes = [
        Route("/health", _answering(health)),
        Route("/tenants", _guarded(list_tenants, key)),
        Route("/generation", _guarded(set_generation, key), methods=["PUT"]),
        Route("/edits", _guarded(edit, key), methods=["POST"]),
        Route("/requests", _guarded(requests, key), methods=["GET", "DELETE"]),
    ]
    return [Mount("/_simulator", routes=routes)]


def _edit(tenant: SimulatedTenant, wanted: Mapping[str, Any]) -> str:
    path = wanted["path"]
    match wanted["action"]:
        case "add":
            return tenant.add(path, wanted["document"], raw=bool(wanted.get("raw", False)))
        case "change":
            tenant.change(path, wanted["key"], wanted["changes"])
        case "rename":
            tenant.rename(path, wanted["key"], wanted["name"])
        case "remove":
            tenant.remove(path, wanted["key"])
        case "reassign":
            tenant.reassign(path, wanted["key"], wanted["group_ids"])
        case action:
            raise ValueError(f"unknown action {action}")
    return str(wanted["key"])


def _described(tenant: SimulatedTenant) -> dict[str, Any]:
    return {"id": tenant.id, "name": tenant.name, "client_id": tenant.client_id, "generation": tenant.generation}


def _guarded(handler: _Handler, key: str) -> Callable[[Request], Awaitable[Response]]:
    answering = _answering(handler)

    async def guarded(request: Request) -> Response:
        if not hmac.compare_digest(request.headers.get(KEY_HEADER, "").encode(), key.encode()):
            return _json(401, {"error": f"the control key is missing or wrong ({KEY_HEADER})"})
        return await answering(request)

    return guarded


def _answering(handler: _Handler) -> Callable[[Request], Awaitable[Response]]:
    async def answering(request: Request) -> Response:
        try:
            return _json(200, await handler(request))
        except KeyError as missing:
            return _json(404, {"error": f"not found or not given: {missing.args[0]}"})
        except (ValueError, TypeError) as invalid:
            return _json(400, {"error": str(invalid)})

    return answering


def _json(status: int, document: Any) -> Response:
    return Response(orjson.dumps(document), status, media_type="application/json")
