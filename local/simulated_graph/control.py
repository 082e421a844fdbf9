"""The simulator's own addresses, `/_simulator/…`, for other processes: edits, generations, faults, requests."""

import hmac
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Mount, Route

from local.simulated_graph.budgets import Budget, Budgets
from local.simulated_graph.faults import Fault, Faults
from local.simulated_graph.messages import Kind
from local.simulated_graph.recording import Recorder
from local.simulated_graph.tenant import SimulatedTenant
from local.simulated_graph.waits import Waits

KEY_HEADER = "x-simulator-key"

_Handler = Callable[[Request], Awaitable[Any]]


@dataclass(frozen=True, slots=True)
class Steered:
    """The state that the control addresses reach."""

    tenants: Mapping[str, SimulatedTenant]
    recorder: Recorder
    faults: Faults
    budgets: Budgets
    waits: Waits


def control_routes(steered: Steered, key: str) -> list[Mount]:
    """Routes for who sends the control key as `X-Simulator-Key`; only `health` is open to all.

    GET health · GET tenants · PUT generation `{"generation", "tenant_id"?}` · POST edits
    `{"tenant_id", "action": "add|change|rename|remove|reassign", "path", …}` · GET and DELETE requests.
    GET faults · POST faults, a `Fault` as JSON · DELETE faults, all or by `?id=` or `?tenant_id=` · GET and DELETE
    violations · PUT budgets `{family: {"requests", "window_seconds", "retry_after"?}}`, none to end them.
    Wrong input is 400 and an unknown tenant, path or key 404, with the reason as `{"error"}`.
    """
    tenants, recorder = steered.tenants, steered.recorder

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
        wanted, tenant_id = Kind(kind) if kind else None, request.query_params.get("tenant_id")
        found = recorder.requests(wanted, tenant_id, int(request.query_params.get("after", "0")))
        return {
            "requests": [asdict(request) for request in found],
            "counts": recorder.counts(),
            "paths": recorder.paths(wanted, tenant_id),
        }

    routes = [
        Route("/health", _answering(health)),
        Route("/tenants", _guarded(list_tenants, key)),
        Route("/generation", _guarded(set_generation, key), methods=["PUT"]),
        Route("/edits", _guarded(edit, key), methods=["POST"]),
        Route("/requests", _guarded(requests, key), methods=["GET", "DELETE"]),
        *_fault_routes(steered, key),
    ]
    return [Mount("/_simulator", routes=routes)]


def _fault_routes(steered: Steered, key: str) -> list[Route]:
    async def faults(request: Request) -> Any:
        if request.method == "POST":
            return {"id": _add_fault(steered, orjson.loads(await request.body()))}
        if request.method == "DELETE":
            if "id" in request.query_params:
                steered.faults.remove(int(request.query_params["id"]))
            else:
                tenant_id = request.query_params.get("tenant_id")
                steered.faults.clear(None if tenant_id is None else steered.tenants[tenant_id].id)
        return {"active": [asdict(fault) for fault in steered.faults.active()], "injected": steered.faults.injected()}

    async def violations(request: Request) -> Any:
        if request.method == "DELETE":
            steered.waits.clear_violations()
        return {"violations": [asdict(violation) for violation in steered.waits.violations()]}

    async def set_budgets(request: Request) -> Any:
        wanted = orjson.loads(await request.body())
        if not isinstance(wanted, dict):
            raise TypeError("budgets are an object, by family")
        steered.budgets.set({family: Budget(**budget) for family, budget in wanted.items()})
        return {"budgets": {family: asdict(budget) for family, budget in steered.budgets.active().items()}}

    return [
        Route("/faults", _guarded(faults, key), methods=["GET", "POST", "DELETE"]),
        Route("/violations", _guarded(violations, key), methods=["GET", "DELETE"]),
        Route("/budgets", _guarded(set_budgets, key), methods=["PUT"]),
    ]


def _add_fault(steered: Steered, wanted: Mapping[str, Any]) -> int:
    fault = Fault(**wanted)
    if fault.tenant_id is not None and fault.tenant_id not in steered.tenants:
        raise KeyError(fault.tenant_id)
    return steered.faults.add(fault)


def _edit(tenant: SimulatedTenant, wanted: Mapping[str, Any]) -> str:
    path = wanted["path"]
    match wanted["action"]:
        case "add":
            return tenant.add(path, wanted["document"], raw=bool(wanted.get("raw", False)))
        case "change":
            tenant.change(path, wanted["key"], wanted["changes"], silently=bool(wanted.get("silently", False)))
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
