"""Every page and every query is limited to the tenants that the person sees."""

from uuid import UUID

import httpx
import pytest
from fastapi import FastAPI
from sqlalchemy import text

from inventory.people import Role
from storage import access_rules
from storage.database import Database
from tests.storage.support import observation, sync
from tests.web.support import CONTOSO, FABRIKAM, POLICIES, json_of, person_of, signed_in_as, words_of
from web.scope import AllTenants


async def sync_both(database: Database) -> None:
    await sync(database, CONTOSO, [observation(POLICIES, "p1", displayName="Ours")], POLICIES)
    await sync(database, FABRIKAM, [observation(POLICIES, "p2", displayName="Theirs")], POLICIES)


@pytest.mark.parametrize("role", Role)
async def test_person_sees_only_the_tenants_of_access_rules(app: FastAPI, database: Database, role: Role) -> None:
    await sync_both(database)
    async with signed_in_as(app, database, person_of(role), [CONTOSO]) as client:
        portfolio = await words_of(client, "/")
        assert "Contoso" in portfolio
        assert "Fabrikam" not in portfolio
        assert [tenant["tenant_id"] for tenant in await json_of(client, "/api/status")] == [str(CONTOSO)]
        assert "Ours" in await words_of(client, f"/tenants/{CONTOSO}/items")
        refused = await words_of(client, f"/tenants/{FABRIKAM}/items", 404)
        unknown = await words_of(client, f"/tenants/{UUID(int=9)}/items", 404)
        assert refused.replace(str(FABRIKAM), "") == unknown.replace(str(UUID(int=9)), ""), (
            "its existence is not revealed"
        )


async def test_row_level_security_limits_the_portfolio_to_visible_tenants(app: FastAPI, database: Database) -> None:
    """Even a page that selects every row gets only visible tenants' rows."""
    await sync_both(database)

    @app.get("/every-row")
    async def every_row(scope: AllTenants) -> list[str]:
        rows = await scope.session.execute(text("SELECT DISTINCT tenant_id::text FROM inventory_item"))
        return list(rows.scalars())

    for tenants in ([CONTOSO], [FABRIKAM], [CONTOSO, FABRIKAM], []):
        async with signed_in_as(app, database, person_of(Role.READER), tenants) as client:
            assert set(await json_of(client, "/every-row")) == {str(tenant_id) for tenant_id in tenants}
        await forget_rules(database)


async def forget_rules(database: Database) -> None:
    async with database.no_tenant() as session:
        for rule in await access_rules.rules(session):
            subject = access_rules.Subject(rule.person_id, rule.role, rule.tenant_id, rule.tag)
            assert await access_rules.delete_rule(session, subject) is not None


async def test_person_without_tenants_is_referred_to_an_administrator(app: FastAPI, database: Database) -> None:
    async with signed_in_as(app, database, person_of(Role.OPERATOR), []) as client:
        assert "ask an administrator" in await words_of(client, "/")
        assert await json_of(client, "/api/status") == []


async def test_rule_for_role_and_tag_applies_at_the_next_request(
    database: Database, clients: dict[Role, httpx.AsyncClient]
) -> None:
    reader = clients[Role.READER]
    assert "Contoso" in await words_of(reader, "/")
    async with database.no_tenant() as session:
        subject = access_rules.Subject(None, Role.READER, tag="emea")
        await access_rules.set_rule(session, subject, is_excluded=True, set_by="ada", reason=None)
    page = await words_of(reader, "/")
    assert "Contoso" not in page
    assert "Fabrikam" in page
    assert "Contoso" in await words_of(clients[Role.OPERATOR], "/"), "another role"
