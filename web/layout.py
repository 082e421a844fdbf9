"""Pages in the common layout. Templates escape all texts, since tenants' may be hostile."""

from datetime import UTC, datetime
from functools import cache
from typing import Any, NamedTuple
from urllib.parse import quote
from uuid import uuid4

from fastapi import Request
from fastapi.responses import HTMLResponse
from jinja2 import ChoiceLoader, Environment, PackageLoader

from answers import pages
from answers.dependencies.evidence_words import evidence_in_words
from inventory.elapsed_time import elapsed, lasting
from inventory.people import Role
from inventory.plurals import counted
from web.site import item_path, site_of


class Entry(NamedTuple):
    name: str
    path: str
    role: Role = Role.READER


NAVIGATION = (
    Entry("Tenants", "/"),
    Entry("Runs", "/runs"),
    Entry("Portfolio runs", "/portfolio-runs"),
    Entry("Schedules", "/schedules"),
    Entry("Watch", "/watch"),
    Entry("Notifications", "/notifications"),
    Entry("Changes", "/changes"),
    Entry("Drift", "/drift"),
    Entry("Compare", "/compare"),
    Entry("Search", "/search"),
    Entry("Settings", "/settings"),
    Entry("Assignments", "/assignments"),
    Entry("Dangling", "/dangling"),
    Entry("Unassigned", "/unassigned"),
    Entry("Audit", "/audit"),
    Entry("Access", "/access", Role.ADMIN),
    Entry("Configured tenants", "/configured-tenants", Role.ADMIN),
)

TENANT_NAVIGATION = (
    Entry("Inventory", "/items"),
    Entry("Changes", "/changes"),
    Entry("Drift", "/drift"),
    Entry("Missing", "/missing"),
    Entry("Coverage", "/coverage"),
    Entry("Assignments", "/assignments"),
    Entry("Dependencies", "/dependencies"),
    Entry("Dangling", "/dangling"),
    Entry("Unassigned", "/unassigned"),
    Entry("Plans", "/plans"),
    Entry("Runs", "/runs"),
    Entry("Notifications", "/notifications"),
)


def page(request: Request, template: str, **context: Any) -> HTMLResponse:
    return HTMLResponse(_render(request, template, context))


def fragment(request: Request, template: str, **context: Any) -> str:
    return _render(request, template, context)


def error_page(request: Request, title: str, remedy: str, *, may_sign_in: bool = False) -> str:
    """`may_sign_in`: link to Entra ID's sign-in, if that is in use."""
    shown = {"title": title, "remedy": remedy, "sign_in": _sign_in_path(request) if may_sign_in else None}
    return _render(request, "layout/error.html", shown)


def _sign_in_path(request: Request) -> str | None:
    if site_of(request).entra is None or getattr(request.state, "person", None) is not None:
        return None
    if request.method != "GET" or request.url.path.startswith("/sign-"):
        return "/sign-in"
    query = f"?{request.url.query}" if request.url.query else ""
    return f"/sign-in?next={quote(request.url.path + query, safe='')}"


def _render(request: Request, template: str, context: dict[str, Any]) -> str:
    common = {
        "person": getattr(request.state, "person", None),
        "sees_no_tenant": getattr(request.state, "sees_no_tenant", False),
        "now": datetime.now(UTC),
        "path": request.url.path,
        "navigation": NAVIGATION,
        "tenant_navigation": TENANT_NAVIGATION,
    }
    return _environment().get_template(template).render(**common, **context)


@cache
def _environment() -> Environment:
    own = pages.environment()
    loader = ChoiceLoader([PackageLoader("web", "templates"), *([own.loader] if own.loader else [])])
    environment = own.overlay(loader=loader)
    environment.filters |= {"ago": _ago, "counted": counted, "evidence": evidence_in_words, "lasting": lasting}
    environment.globals |= {"item_path": item_path, "new_request_id": uuid4}
    return environment


def _ago(moment: datetime | None, now: datetime) -> str:
    if moment is None:
        return "never"
    return elapsed(moment, now) or f"{moment.astimezone(UTC):%Y-%m-%d}"
