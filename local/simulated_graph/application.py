"""The HTTP side: addresses of Graph, the token endpoint, and the simulator's own."""

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from local.simulated_graph.delivery import DeliveredResponse
from local.simulated_graph.messages import GraphRequest, Kind, segment_unknown
from local.simulated_graph.service import Service

_METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]


def application(service: Service, control: Route) -> Starlette:
    """All methods reach the service, which refuses and records writes."""

    async def token(request: Request) -> Response:
        return await answered(request, Kind.TOKEN)

    async def graph(request: Request) -> Response:
        return await answered(request, Kind.BATCH if request.path_params["path"] == "$batch" else Kind.DIRECT)

    async def nowhere(request: Request) -> Response:
        graph_request = await _graph_request(request, Kind.DIRECT)
        answer = segment_unknown(graph_request, graph_request.path.split("/")[1])
        service.recorder.record(graph_request, answer)
        return Response(answer.body, answer.status, {**graph_request.standard_headers(), **answer.headers})

    async def answered(request: Request, kind: Kind) -> Response:
        graph_request = await _graph_request(request, kind)
        answer = await service.answer(graph_request)
        headers = {**graph_request.standard_headers(), **answer.headers}
        if answer.delivery is not None:
            return DeliveredResponse(answer.body, answer.status, headers, answer.delivery)
        return Response(answer.body, answer.status, headers)

    return Starlette(
        routes=[
            control,
            Route("/{tenant}/v2.0/.well-known/openid-configuration", token, methods=_METHODS),
            Route("/{tenant}/oauth2/v2.0/token", token, methods=_METHODS),
            Route("/{tenant}/oauth2/v2.0/authorize", token, methods=_METHODS),
            Route("/{tenant}/discovery/v2.0/keys", token, methods=_METHODS),
            Route("/v1.0/{path:path}", graph, methods=_METHODS),
            Route("/beta/{path:path}", graph, methods=_METHODS),
            Route("/{path:path}", nowhere, methods=_METHODS),
        ]
    )


async def _graph_request(request: Request, kind: Kind) -> GraphRequest:
    return GraphRequest(
        kind=kind,
        method=request.method,
        path=request.scope["path"],
        query=request.scope["query_string"].decode("latin-1"),
        headers=dict(request.headers),
        tenant_id=request.path_params.get("tenant"),
        body=await request.body(),
    )
