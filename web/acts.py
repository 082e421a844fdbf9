"""Persons' acts, recorded before they are requested of Temporal (decision 47)."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import NamedTuple, TypeVar
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession
from temporalio.client import Client

from inventory.people import Action, Person
from inventory.typed_text import MOST_CHARACTERS
from inventory.user_errors import UnavailableError, UserError
from storage import audit
from web.scope import TenantScope
from web.site import Site

ResultT = TypeVar("ResultT")


class Act(NamedTuple):
    """`once`: the form's id. `tenant_id`: None for acts on no single tenant."""

    person: Person
    action: Action
    subject: str
    once: UUID
    reason: str | None = None
    tenant_id: UUID | None = None


async def recorded(
    scope: TenantScope, person: Person, action: Action, subject: str, once: UUID, reason: str | None = None
) -> bool:
    """Records the act in the scope's transaction; False if the form was received before."""
    act = Act(person, action, subject[:MOST_CHARACTERS], once, reason, scope.tenant.id)
    return await _record(scope.session, act, act.subject, once)


async def carry_out(site: Site, act: Act, request: Callable[[Client], Awaitable[ResultT]]) -> ResultT | None:
    """Records the act, then requests it; None if the form was received before.

    Records a failed request, too. Raises `UnavailableError`, `UserError`.
    """
    async with _session(site, act.tenant_id) as session:
        if not await _record(session, act, act.subject, act.once):
            return None
    try:
        async with site.temporal.answering(to_start=True) as client:
            return await request(client)
    except (UnavailableError, UserError) as error:
        async with _session(site, act.tenant_id) as session:
            await _record(session, act, f"not done: {act.subject} ({error})", None)
        raise


@asynccontextmanager
async def _session(site: Site, tenant_id: UUID | None) -> AsyncIterator[AsyncSession]:
    database = site.database
    async with database.no_tenant() if tenant_id is None else database.tenant(tenant_id) as session:
        yield session


async def _record(session: AsyncSession, act: Act, subject: str, once: UUID | None) -> bool:
    return await audit.record(
        session,
        act.person,
        act.action,
        tenant_id=act.tenant_id,
        subject=subject,
        reason=act.reason,
        request_id=once,
    )
