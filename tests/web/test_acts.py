"""Every act on the web page has a role, one transaction with its audit record, and a form that works once."""

import asyncio
from typing import Annotated, Any, get_args
from uuid import UUID, uuid4

import httpx
import pytest
from fastapi import APIRouter, Depends, FastAPI, Form
from fastapi.responses import RedirectResponse
from fastapi.routing import APIRoute
from sqlalchemy import text
from starlette.types import Message, Receive, Scope, Send

from inventory.people import Action, Person, Role
from storage import audit
from storage.database import Database
from tests.web.support import CONTOSO, FABRIKAM, person_of, signed_in_as
from web.application import ROUTERS
from web.forms import ConfirmedOnce, Once
from web.roles import Needs, needs
from web.scope import NoTenantToChange, TenantToChange, without_nul
from web.security import SAFE_METHODS
from web.sign_in import signed_in

Operator = Annotated[Person, Depends(needs(Role.OPERATOR))]

router = APIRouter(dependencies=[Depends(signed_in), Depends(without_nul)])


@router.post("/tenants/{tenant_id}/rename")
async def rename(
    scope: TenantToChange, person: Operator, once: Once, name: Annotated[str, Form()], fail: bool = False
) -> RedirectResponse:
    """An act: a new name for the tenant."""
    if await audit.record(
        scope.session, person, Action.PINNED, tenant_id=scope.tenant.id, subject=name, reason="a test", request_id=once
    ):
        await scope.session.execute(text("INSERT INTO tenant (name) VALUES (:name)"), {"name": name})
    if fail:
        raise RuntimeError("after the act")
    return RedirectResponse("/", 303)


@router.post("/note")
async def note(scope: NoTenantToChange, person: Operator, once: Once) -> RedirectResponse:
    """An act about no tenant."""
    await audit.record(scope.session, person, Action.SCHEDULE_CHANGED, subject="nightly", request_id=once)
    return RedirectResponse("/", 303)


@pytest.fixture
def app(app: FastAPI) -> FastAPI:
    app.include_router(router)
    return app


Clients = dict[Role, httpx.AsyncClient]


def form(**fields: str) -> dict[str, str]:
    return {"request_id": str(uuid4()), "name": "Contoso", **fields}


async def acts(database: Database) -> list[tuple[Any, ...]]:
    async with database.no_tenant() as session:
        found = await session.execute(
            text(
                "SELECT person_id, role, action, tenant_id, subject, reason FROM audit_record"
                " WHERE action <> 'signed_in' ORDER BY at"
            )
        )
        return [tuple(row) for row in found]


async def names(database: Database, tenant_id: UUID) -> list[str]:
    async with database.tenant(tenant_id) as session:
        return list((await session.execute(text("SELECT name FROM tenant"))).scalars())


async def test_an_act_and_its_record_are_committed_before_the_answer(app: FastAPI, database: Database) -> None:
    committed: list[object] = []

    async def looking(scope: Scope, receive: Receive, send: Send) -> None:
        async def look(message: Message) -> None:
            if message["type"] == "http.response.start":
                committed.extend([await names(database, CONTOSO), await acts(database)])
            await send(message)

        await app(scope, receive, look)

    person = person_of(Role.OPERATOR)
    async with signed_in_as(looking, database, person) as client:
        answer = await client.post(f"/tenants/{CONTOSO}/rename", data=form())
    assert answer.status_code == 303, answer.text
    assert committed == [["Contoso"], [(person.person_id, "operator", "pinned", CONTOSO, "Contoso", "a test")]]


async def test_failed_act_leaves_no_audit_record(database: Database, clients: Clients) -> None:
    answer = await clients[Role.OPERATOR].post(f"/tenants/{CONTOSO}/rename?fail=1", data=form())
    assert answer.status_code == 500
    assert (await acts(database), await names(database, CONTOSO)) == ([], [])


async def test_repeated_form_acts_once(database: Database, clients: Clients) -> None:
    sent = form()
    answers = await asyncio.gather(
        *(clients[Role.OPERATOR].post(f"/tenants/{CONTOSO}/rename", data=sent) for _ in range(4))
    )
    assert [answer.status_code for answer in answers] == [303] * 4, "a second insert would break the tenant's key"
    assert len(await acts(database)) == 1
    again = await clients[Role.OPERATOR].post(f"/tenants/{FABRIKAM}/rename", data=sent)
    assert again.status_code == 303
    assert await names(database, FABRIKAM) == ["Contoso"], "one form may act on several tenants"
    for _ in range(2):
        await clients[Role.OPERATOR].post("/note", data=sent)
    assert [act[3] for act in await acts(database)] == [CONTOSO, FABRIKAM, None]


async def test_refusal_names_the_role_that_an_act_needs(database: Database, clients: Clients) -> None:
    for role, client in clients.items():
        answer = await client.post("/note", data=form())
        may = role.includes(Role.OPERATOR)
        assert answer.status_code == (303 if may else 403), role
        if not may:
            assert "takes the role operator or a higher one, and yours is reader" in answer.text
    assert {act[1] for act in await acts(database)} == {"operator", "approver", "admin"}


async def test_form_without_id_or_with_nul_is_refused(database: Database, clients: Clients) -> None:
    operator = clients[Role.OPERATOR]
    assert (await operator.post(f"/tenants/{CONTOSO}/rename", data={"name": "x"})).status_code == 422
    assert (await operator.post(f"/tenants/{CONTOSO}/rename", data=form(request_id="1"))).status_code == 422
    assert (await operator.post(f"/tenants/{CONTOSO}/rename", data=form(name="a\0b"))).status_code == 400
    assert (await operator.post(f"/tenants/{uuid4()}/rename", data=form())).status_code == 404
    assert await acts(database) == []


async def test_tenant_session_writes_and_reads_only_its_own_acts(database: Database) -> None:
    person = person_of(Role.ADMIN)
    async with database.tenant(CONTOSO) as session:
        await audit.record(session, person, Action.PINNED, tenant_id=CONTOSO)
    for tenant_id in (CONTOSO, None):
        with pytest.raises(Exception, match="row-level security"):
            async with database.tenant(FABRIKAM) as session:
                await audit.record(session, person, Action.PINNED, tenant_id=tenant_id)
    for tenant_id, visible in ((CONTOSO, 1), (FABRIKAM, 0)):
        async with database.tenant(tenant_id) as session:
            assert (await session.execute(text("SELECT count(*) FROM audit_record"))).scalar_one() == visible
    async with database.portfolio() as session:
        count = text("SELECT count(*) FROM audit_record")
        with pytest.raises(Exception, match="permission denied"):
            await session.execute(count)


ON_PAGES_OF_THEIR_OWN = {"/tenants/{tenant_id}/sync", "/schedules"}
"""Acts that have their own page, whose button is the confirmation."""


def test_every_acting_route_has_role_confirmation_and_request_id() -> None:
    for router in ROUTERS:
        for route in router.routes:
            assert isinstance(route, APIRoute)
            if set(route.methods or ()) - SAFE_METHODS:
                calls = [dependency.call for dependency in route.dependant.dependencies]
                assert any(isinstance(call, Needs) for call in calls), route.path
                dependants = [route.dependant, *route.dependant.dependencies]
                assert "request_id" in {field.alias for part in dependants for field in part.body_params}, route.path
                is_confirmed = get_args(ConfirmedOnce)[1].dependency in calls
                assert is_confirmed is (route.path not in ON_PAGES_OF_THEIR_OWN), route.path
