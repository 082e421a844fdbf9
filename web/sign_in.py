"""The session cookie, and sign-in by a one-time link; `web.entra` has the sign-in with Entra ID."""

import hashlib
import secrets
from collections.abc import Sequence
from datetime import timedelta
from typing import Annotated, NamedTuple

from fastapi import APIRouter, Depends, Request, Response
from fastapi.responses import HTMLResponse, RedirectResponse

from inventory.access_rules import AccessRule
from inventory.people import Person, Role
from inventory.user_errors import UserError
from storage import access_rules, web_sessions
from storage.database import Database
from web.layout import error_page
from web.site import Site, site_of

LINK_LIFETIME = timedelta(hours=1)
"""Restarting the command makes a new link."""

SESSION_LIFETIME = timedelta(hours=12)
"""A working day."""

COOKIE = "__Host-session"
"""The prefix makes browsers refuse the cookie from another host or path, or without `Secure`:
https://developer.mozilla.org/docs/Web/HTTP/Reference/Headers/Set-Cookie#cookie_prefixes. Loopback addresses count as
secure.
"""

router = APIRouter(include_in_schema=False)


class NotSignedInError(UserError):
    """The request has no valid session."""


async def new_link(database: Database, base_url: str, person: str) -> str:
    """A link that signs the person in once, as administrator: the command's caller owns the database."""
    token = secrets.token_urlsafe(32)
    async with database.no_tenant() as session:
        owner = Person(person_id=f"local/{person}", name=person, role=Role.ADMIN)
        await web_sessions.add_link(session, digest(token), owner, LINK_LIFETIME)
    return f"{base_url}/sign-in/{token}"


class PersonAccess(NamedTuple):
    """The rules decide which tenants the person sees."""

    person: Person
    rules: Sequence[AccessRule]


async def access(request: Request, site: Annotated[Site, Depends(site_of)]) -> PersonAccess:
    """Raises `NotSignedInError`."""
    token = request.cookies.get(COOKIE)
    if token:
        async with site.database.no_tenant() as session:
            person = await web_sessions.signed_in(session, digest(token))
            rules = await access_rules.rules_about(session, person) if person else []
        if person is not None:
            request.state.person = person
            return PersonAccess(person, rules)
    if site.entra is not None:
        raise NotSignedInError("you are not signed in; sign in with Microsoft")
    raise NotSignedInError("you are not signed in; open the address that the command printed, or start it again")


HasAccess = Annotated[PersonAccess, Depends(access)]


async def signed_in(access: HasAccess) -> Person:
    return access.person


SignedIn = Annotated[Person, Depends(signed_in)]


@router.get("/sign-in/{token}")
async def redeem(request: Request, token: str, site: Annotated[Site, Depends(site_of)]) -> Response:
    cookie = secrets.token_urlsafe(32)
    async with site.database.no_tenant() as session:
        person = await web_sessions.redeem_link(session, digest(token), digest(cookie), SESSION_LIFETIME)
    if person is None:
        return HTMLResponse(
            error_page(request, "This link is used up or has expired", "Start the command again for a new one."), 403
        )
    answer = RedirectResponse("/", 303)
    set_session(answer, cookie)
    return answer


@router.post("/sign-out")
async def sign_out(request: Request, site: Annotated[Site, Depends(site_of)]) -> Response:
    token = request.cookies.get(COOKIE)
    if token:
        async with site.database.no_tenant() as session:
            await web_sessions.end_session(session, digest(token))
    remedy = "Start the command again to sign in." if site.entra is None else "Close the browser on a shared machine."
    answer = HTMLResponse(error_page(request, "You are signed out", remedy, may_sign_in=True))
    answer.delete_cookie(COOKIE, secure=True, httponly=True, samesite="lax")
    return answer


def set_session(answer: Response, cookie: str) -> None:
    answer.set_cookie(
        COOKIE, cookie, max_age=int(SESSION_LIFETIME.total_seconds()), secure=True, httponly=True, samesite="lax"
    )


def digest(token: str) -> bytes:
    """The hash that is stored in place of a token."""
    return hashlib.sha256(token.encode()).digest()
