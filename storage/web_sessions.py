"""Sign-ins to the web page; in sessions of no tenant. Tokens are random, so a plain SHA-256 reveals nothing."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any, NamedTuple

from sqlalchemy import Interval, delete, insert, literal, select, text
from sqlalchemy.ext.asyncio import AsyncSession

from inventory.people import Person
from storage.models.base import CLOCK, table
from storage.models.web import SignInFlow, SignInLink, WebSession
from storage.rows import fetch_one

_LINK = table(SignInLink)
_SESSION = table(WebSession)
_FLOW = table(SignInFlow)

_REDEEM = text("""
WITH redeemed AS (
    DELETE FROM sign_in_link WHERE link_hash = :link_hash RETURNING person_id, person, role, expires_at
),
-- a link works once, and only while it is valid
session AS (
    INSERT INTO web_session (session_hash, person_id, person, role, expires_at)
    SELECT :session_hash, person_id, person, role, clock_timestamp() + :lifetime
    FROM redeemed WHERE redeemed.expires_at > clock_timestamp()
    RETURNING person_id, person, role
),
person_record AS (
    INSERT INTO web_person (person_id, name, role) SELECT person_id, person, role FROM session
    ON CONFLICT (person_id) DO UPDATE
    SET name = excluded.name, role = excluded.role, signed_in_at = excluded.signed_in_at
),
audit AS (
    INSERT INTO audit_record (person_id, person, role, action) SELECT person_id, person, role, 'signed_in' FROM session
)
SELECT person_id, person AS name, role FROM session
""")

_SIGN_IN = text("""
WITH ended AS (
    DELETE FROM web_session WHERE session_hash = :replaced_hash
),
session AS (
    INSERT INTO web_session (session_hash, person_id, person, role, expires_at)
    VALUES (:session_hash, :person_id, :name, :role, clock_timestamp() + :lifetime)
),
person_record AS (
    INSERT INTO web_person (person_id, name, role) VALUES (:person_id, :name, :role)
    ON CONFLICT (person_id) DO UPDATE
    SET name = excluded.name, role = excluded.role, signed_in_at = excluded.signed_in_at
)
INSERT INTO audit_record (person_id, person, role, action) VALUES (:person_id, :name, :role, 'signed_in')
""")

_END = text("""
WITH ended AS (
    DELETE FROM web_session WHERE session_hash = :session_hash RETURNING person_id, person, role
)
INSERT INTO audit_record (person_id, person, role, action) SELECT person_id, person, role, 'signed_out' FROM ended
""")


class BegunSignIn(NamedTuple):
    """`flow` is MSAL's record; `goes_to`, the page that the person asked for."""

    flow: dict[str, Any]
    goes_to: str


async def add_link(session: AsyncSession, link_hash: bytes, person: Person, lifetime: timedelta) -> None:
    """The link works once. Deletes expired links and sessions."""
    for expiring in (_LINK, _SESSION):
        await session.execute(delete(expiring).where(expiring.c.expires_at < CLOCK))
    await session.execute(
        insert(_LINK).values(
            link_hash=link_hash,
            person_id=person.person_id,
            person=person.name,
            role=person.role,
            expires_at=CLOCK + literal(lifetime, Interval),
        )
    )


async def redeem_link(
    session: AsyncSession, link_hash: bytes, session_hash: bytes, lifetime: timedelta
) -> Person | None:
    """Uses up a link; None if it is used, expired or unknown."""
    parameters = {"link_hash": link_hash, "session_hash": session_hash, "lifetime": lifetime}
    return await fetch_one(session, _REDEEM, Person, parameters)


async def begin_flow(
    session: AsyncSession, flow_hash: bytes, flow: Mapping[str, Any], goes_to: str, lifetime: timedelta
) -> None:
    """Stores a begun sign-in. Deletes expired ones and expired sessions."""
    for expiring in (_FLOW, _SESSION):
        await session.execute(delete(expiring).where(expiring.c.expires_at < CLOCK))
    expires_at = CLOCK + literal(lifetime, Interval)
    await session.execute(
        insert(_FLOW).values(flow_hash=flow_hash, flow=dict(flow), goes_to=goes_to, expires_at=expires_at)
    )


async def take_flow(session: AsyncSession, flow_hash: bytes) -> BegunSignIn | None:
    """Uses up a begun sign-in; None if it is used, expired or unknown."""
    taken = delete(_FLOW).where(_FLOW.c.flow_hash == flow_hash, _FLOW.c.expires_at > CLOCK)
    return await fetch_one(session, taken.returning(_FLOW.c.flow, _FLOW.c.goes_to), BegunSignIn)


async def sign_in(
    session: AsyncSession, person: Person, session_hash: bytes, lifetime: timedelta, *, replaced_hash: bytes | None
) -> None:
    """Begins a session, and ends the browser's earlier one."""
    parameters = {"session_hash": session_hash, "lifetime": lifetime, "replaced_hash": replaced_hash}
    await session.execute(_SIGN_IN, {**person.model_dump(), **parameters})


async def signed_in(session: AsyncSession, session_hash: bytes) -> Person | None:
    """None if the session expired, ended or is unknown."""
    people = select(_SESSION.c.person_id, _SESSION.c.person.label("name"), _SESSION.c.role)
    is_valid = (
        _SESSION.c.session_hash == session_hash,
        _SESSION.c.expires_at > CLOCK,
        _SESSION.c.person_id.is_not(None),
    )
    return await fetch_one(session, people.where(*is_valid), Person)


async def end_session(session: AsyncSession, session_hash: bytes) -> None:
    await session.execute(_END, {"session_hash": session_hash})


async def end_sessions(session: AsyncSession, person_id: str) -> int:
    """Signs a person out everywhere; returns the number of sessions."""
    ended = await session.execute(
        delete(_SESSION).where(_SESSION.c.person_id == person_id).returning(_SESSION.c.session_hash)
    )
    return len(ended.all())
