"""The simulator's own address, with which other processes set the generation."""

import hmac
from collections.abc import Callable

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

KEY_HEADER = "x-simulator-key"


def control_route(set_generation: Callable[[int], None], key: str) -> Route:
    """PUT `{"generation": 1}` with the control key as `X-Simulator-Key`: 401 without the key, 400 for wrong input."""

    async def put(request: Request) -> Response:
        if not hmac.compare_digest(request.headers.get(KEY_HEADER, "").encode(), key.encode()):
            return JSONResponse({"error": f"the control key is missing or wrong ({KEY_HEADER})"}, 401)
        try:
            generation = int((await request.json())["generation"])
            set_generation(generation)
        except (KeyError, TypeError, ValueError) as invalid:
            return JSONResponse({"error": str(invalid)}, 400)
        return JSONResponse({"generation": generation})

    return Route("/_simulator/generation", put, methods=["PUT"])
