"""The web application: routes behind sign-in, and error pages."""

from collections.abc import Awaitable, Callable, Sequence
from functools import cache
from http import HTTPStatus
from importlib import import_module
from pathlib import Path
from typing import Any

from fastapi import APIRouter, Depends, FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, JSONResponse, Response
from fastapi.staticfiles import StaticFiles
from pydantic import BaseModel
from starlette.exceptions import HTTPException
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.routing import BaseRoute

from graph.entra_sign_in import SignInRefusedError
from inventory.user_errors import NotHereError, UnavailableError, UserError
from inventory.validation_problem import problem_text
from inventory.version import VERSION
from web import codec, entra, sign_in
from web.layout import error_page
from web.metrics import Metrics
from web.roles import RoleNeededError
from web.scope import without_nul
from web.security import Security
from web.site import Site

ROUTERS: Sequence[APIRouter] = [
    import_module(f"answers.{routes}").router
    for routes in (
        "status.routes",
        "changes.routes",
        "drift.routes",
        "drift.decision_routes",
        "drift.baseline_routes",
        "items.routes",
        "versions.routes",
        "compare.routes",
        "coverage.routes",
        "runs.routes",
        "runs.portfolio_routes",
        "search.routes",
        "dependencies.routes",
        "assignments.routes",
        "export.routes",
        "schedules.routes",
        "promotion.routes",
        "watch.routes",
        "notifications.routes",
        "access.routes",
        "configured_tenants.routes",
        "audit.routes",
    )
]
"""The routes that need a signed-in person."""

STATIC = Path(__file__).resolve().parent / "static"


class Problem(BaseModel):
    """Why a request for JSON has no answer, and what to do."""

    detail: str


PROBLEMS: dict[int | str, dict[str, Any]] = {
    status: {"model": Problem} for status in (400, 401, 403, 404, 422, 500, 503)
}
"""For the OpenAPI document."""


def create_app(site: Site, *, only_codec: bool = False) -> FastAPI:
    app = FastAPI(
        title="Tenant Inventory",
        version=VERSION,
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        routes=[*(_codec_routes() if only_codec else _routes())],
    )
    app.state.site = site
    temporal_web = codec.origin_of(site.settings.temporal_web_url)
    app.add_middleware(codec.CodecCors, origin=temporal_web)
    app.add_middleware(TrustedHostMiddleware, allowed_hosts=site.place.hosts)
    app.add_middleware(Security, place=site.place, shared_prefix=codec.PREFIX, shared_with=temporal_web)
    app.add_middleware(Metrics, meter=site.meter)
    _answer_errors(app)
    return app


@cache
def _routes() -> Sequence[BaseRoute]:
    """Cached, since FastAPI needs a third of a second of processor time."""
    everybody = _sign_in_routes()
    everybody.include_router(codec.router)
    signed_in = APIRouter(dependencies=[Depends(sign_in.signed_in), Depends(without_nul)], responses=PROBLEMS)
    for router in ROUTERS:
        signed_in.include_router(router)

    @signed_in.get("/api/openapi.json", include_in_schema=False)
    async def openapi(request: Request) -> JSONResponse:
        app: FastAPI = request.app
        return JSONResponse(app.openapi())

    everybody.include_router(signed_in)
    return everybody.routes


@cache
def _codec_routes() -> Sequence[BaseRoute]:
    everybody = _sign_in_routes()
    everybody.include_router(codec.router)
    everybody.include_router(codec.home)
    return everybody.routes


def _sign_in_routes() -> APIRouter:
    everybody = APIRouter()
    everybody.mount("/static", StaticFiles(directory=STATIC), name="static")
    everybody.include_router(entra.router)
    everybody.include_router(sign_in.router)
    return everybody


def _answer_errors(app: FastAPI) -> None:
    for kind, code, title in (
        (sign_in.NotSignedInError, 401, "Please sign in"),
        (SignInRefusedError, 403, "You are not signed in"),
        (RoleNeededError, 403, "This is not for your role"),
        (NotHereError, 404, "This is not here"),
        (UnavailableError, 503, "This cannot be answered now"),
        (UserError, 400, "This cannot be answered"),
    ):
        app.exception_handler(kind)(_handler(code, title))

    @app.exception_handler(HTTPException)
    async def http_error(request: Request, error: HTTPException) -> Response:
        if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
            title, remedy = "This address is not asked in this way", "Follow a link or use a form of the page."
        else:
            title, remedy = "This page is not here", "Check the address."
        answer = _error(request, error.status_code, title, remedy)
        answer.headers.update(error.headers or {})
        return answer

    @app.exception_handler(RequestValidationError)
    async def invalid(request: Request, error: RequestValidationError) -> Response:
        # A place is `query`, `path` or `body`, then the name; a list's position and a union's type may follow.
        problems = {str(problem["loc"][:2][-1]): problem_text(problem) for problem in reversed(error.errors())}
        words = "; ".join(f"{name}: {text}" for name, text in reversed(problems.items()))
        return _error(request, 422, "This address has a part that is not valid", f"Check {words}.")

    @app.exception_handler(Exception)
    async def unexpected(request: Request, _: Exception) -> Response:
        return _error(request, 500, "Something went wrong here", "The log of the web process names the error.")


def _handler(status: int, title: str) -> Callable[[Request, Exception], Awaitable[Response]]:
    async def answer(request: Request, error: Exception) -> Response:
        return _error(request, status, title, f"{str(error)[:1].upper()}{str(error)[1:]}.")

    return answer


def _error(request: Request, status: int, title: str, remedy: str) -> Response:
    if request.url.path.startswith("/api/"):
        return JSONResponse(Problem(detail=f"{title}: {remedy}").model_dump(), status)
    return HTMLResponse(error_page(request, title, remedy, may_sign_in=status in (401, 403)), status)
