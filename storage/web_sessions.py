"""Signing in to the web page, in sessions of no tenant (`Database.no_tenant`).

Tokens are random, so a plain SHA-256 of each is enough to find it and gives nothing away. What a person does and its
audit record share a transaction.
"""

from datetime import timedelta

from sqlalchemy import Interval, delete, insert, literal, select, text
from sqlalchemy.ext.asyncio import AsyncSession

from inventory.people import Person
from storage.models.base import CLOCK, table
from storage.models.web import AuditRecord, SignInLink, WebSession
from storage.rows import fetch_one

_LINK = table(SignInLink)
_SESSION = table(WebSession)
_AUDIT = table(AuditRecord)

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
known AS (
    INSERT INTO web_person (person_id, name, role) SELECT person_id, person, role FROM session
    ON CONFLICT (person_id) DO UPDATE
    SET name = excluded.name, role = excluded.role, signed_in_at = excluded.signed_in_at
),
audit AS (
    INSERT INTO audit_record (person_id, person, role, action) SELECT person_id, person, role, 'signed_in' FROM session
)
SELECT person_id, person AS name, role FROM session
""")

_END = text("""
WITH ended AS (
    DELETE FROM web_session WHERE session_hash = :session_hash RETURNING person_id, person, role
)
INSERT INTO audit_record (person_id, person, role, action) SELECT person_id, person, role, 'signed_out' FROM ended
""")


async def add_link(session: AsyncSession, link_hash: bytes, person: Person, lifetime: timedelta) -> None:
    """Makes a link that signs the person in once. Links and sessions that have expired are deleted on the way."""
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
    """Uses a link up and signs its person in; None where it is used, expired or unknown."""
    parameters = {"link_hash": link_hash, "session_hash": session_hash, "lifetime": lifetime}
    return await fetch_one(session, _REDEEM, Person, parameters)


async def signed_in(session: AsyncSession, session_hash: bytes) -> Person | None:
    """The person of a session that has not expired."""
    found = select(_SESSION.c.person_id, _SESSION.c.person.label("name"), _SESSION.c.role)
    is_valid = (
        _SESSION.c.session_hash == session_hash,
        _SESSION.c.expires_at > CLOCK,
        _SESSION.c.person_id.is_not(None),
    )
    return await fetch_one(session, found.where(*is_valid), Person)


async def end_session(session: AsyncSession, session_hash: bytes) -> None:
    """Signs a person out."""
    await session.execute(_END, {"session_hash": session_hash})
