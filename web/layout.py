"""Pages in the common layout. Tenants' texts are hostile: the templates escape all of them."""

from datetime import UTC, datetime
from functools import cache
from typing import Any, NamedTuple
from uuid import uuid4

from fastapi import Request
from fastapi.responses import HTMLResponse
from jinja2 import ChoiceLoader, Environment, PackageLoader

from answers import pages
from inventory.elapsed_time import elapsed, lasting
from inventory.people import Role
from inventory.plurals import counted
from web.site import item_path


class Entry(NamedTuple):
    """An entry of the navigation, shown to persons of its role."""

    name: str
    path: str
    role: Role = Role.READER


NAVIGATION = (
    Entry("Tenants", "/"),
    Entry("Changes", "/changes"),
    Entry("Drift", "/drift"),
    Entry("Compare", "/compare"),
    Entry("Search", "/search"),
    Entry("Settings", "/settings"),
    Entry("References to nothing", "/dangling"),
    Entry("Assigned to nobody", "/unassigned"),
)
"""The pages over all of the person's tenants."""

TENANT_NAVIGATION = (
    Entry("Inventory", "/items"),
    Entry("Changes", "/changes"),
    Entry("Drift", "/drift"),
    Entry("Missing", "/missing"),
    Entry("Coverage", "/coverage"),
    Entry("Assignments", "/assignments"),
    Entry("Dependencies", "/dependencies"),
    Entry("References to nothing", "/dangling"),
    Entry("Assigned to nobody", "/unassigned"),
    Entry("Runs", "/runs"),
)
"""The pages of a tenant; their paths follow the one of its own page."""


def page(request: Request, template: str, **shown: Any) -> HTMLResponse:
    """A template of a question in the common layout, for the signed-in person of the request."""
    return HTMLResponse(_render(request, template, shown))


def error_page(request: Request, title: str, remedy: str) -> str:
    """A page that says what is wrong and what to do."""
    return _render(request, "layout/error.html", {"title": title, "remedy": remedy})


def _render(request: Request, template: str, shown: dict[str, Any]) -> str:
    common = {
        "person": getattr(request.state, "person", None),
        "sees_no_tenant": getattr(request.state, "sees_no_tenant", False),
        "now": datetime.now(UTC),
        "path": request.url.path,
        "navigation": NAVIGATION,
        "tenant_navigation": TENANT_NAVIGATION,
    }
    return _environment().get_template(template).render(**common, **shown)


@cache
def _environment() -> Environment:
    own = pages.environment()
    loader = ChoiceLoader([PackageLoader("web", "templates"), *([own.loader] if own.loader else [])])
    environment = own.overlay(loader=loader)
    environment.filters |= {"ago": _ago, "counted": counted, "lasting": lasting}
    environment.globals |= {"item_path": item_path, "new_request_id": uuid4}
    return environment


def _ago(moment: datetime | None, now: datetime) -> str:
    if moment is None:
        return "never"
    return elapsed(moment, now) or f"{moment.astimezone(UTC):%Y-%m-%d}"
