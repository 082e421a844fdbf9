"""Sign-in with Entra ID. A cookie binds it to one browser; Entra's code works once."""

import asyncio
import secrets
from datetime import timedelta
from typing import Annotated
from urllib.parse import urlsplit

from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi.responses import RedirectResponse

from graph.entra_sign_in import EntraSignIn, SignedInIdentity, SignInRefusedError
from inventory.people import Person, Role
from storage import web_sessions
from web.sign_in import COOKIE, SESSION_LIFETIME, NotSignedInError, digest, set_session
from web.site import Site, site_of

PATH = "/sign-in/entra"
"""The path of the app's redirect URI."""

FLOW_COOKIE = "__Host-sign-in"

FLOW_LIFETIME = timedelta(minutes=15)
"""Long enough to find the phone for the second factor."""

router = APIRouter(include_in_schema=False)


def role_of(identity: SignedInIdentity) -> Role:
    """The person's highest app role. Raises `SignInRefusedError` if there is none."""
    assigned = {name.casefold() for name in identity.roles}
    roles = [role for role in Role if role.value in assigned]
    if not roles:
        raise SignInRefusedError(
            f"{identity.name} has no role here; have one of the app's roles assigned in Entra ID"
            " (Reader, Operator, Approver, Admin)"
        )
    return roles[-1]


def own_page(address: str) -> str:
    """The address if it is on this site, else the first page."""
    parts = urlsplit(address)
    is_own = address.startswith("/") and not address.startswith(("//", "/\\")) and not (parts.scheme or parts.netloc)
    return address if is_own and address.isprintable() and "\\" not in address else "/"


def _entra(site: Annotated[Site, Depends(site_of)]) -> EntraSignIn:
    if site.entra is None:
        raise NotSignedInError("people do not sign in with Entra ID here; open the address that the command printed")
    return site.entra


Entra = Annotated[EntraSignIn, Depends(_entra)]
TheSite = Annotated[Site, Depends(site_of)]


@router.get("/sign-in")
async def begin(
    entra: Entra, site: TheSite, goes_to: Annotated[str, Query(alias="next", max_length=2000)] = "/"
) -> Response:
    flow = await asyncio.to_thread(entra.begin, f"{site.url}{PATH}")
    token = secrets.token_urlsafe(32)
    async with site.database.no_tenant() as session:
        await web_sessions.begin_flow(session, digest(token), flow, own_page(goes_to), FLOW_LIFETIME)
    answer = RedirectResponse(flow["auth_uri"], 303)
    answer.set_cookie(
        FLOW_COOKIE, token, max_age=int(FLOW_LIFETIME.total_seconds()), secure=True, httponly=True, samesite="lax"
    )
    return answer


@router.get(PATH)
async def finish(request: Request, entra: Entra, site: TheSite) -> Response:
    """Starts a new session. Raises `SignInRefusedError`, `SignInUnavailableError`."""
    token = request.cookies.get(FLOW_COOKIE)
    async with site.database.no_tenant() as session:
        begun = await web_sessions.take_flow(session, digest(token)) if token else None
    if begun is None:
        raise SignInRefusedError("this browser has begun no sign-in, or too long ago; begin again")
    identity = await asyncio.to_thread(entra.finish, begun.flow, dict(request.query_params))
    person = Person(person_id=f"{identity.tenant_id}/{identity.object_id}", name=identity.name, role=role_of(identity))
    cookie, replaced = secrets.token_urlsafe(32), request.cookies.get(COOKIE)
    async with site.database.no_tenant() as session:
        await web_sessions.sign_in(
            session, person, digest(cookie), SESSION_LIFETIME, replaced_hash=digest(replaced) if replaced else None
        )
    answer = RedirectResponse(begun.goes_to, 303)
    set_session(answer, cookie)
    answer.delete_cookie(FLOW_COOKIE, secure=True, httponly=True, samesite="lax")
    return answer
