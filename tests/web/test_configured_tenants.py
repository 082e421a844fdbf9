"""The pages of configured tenants: administrators change tenants in the database."""

import asyncio
from pathlib import Path
from uuid import UUID, uuid4

import httpx
import pytest
from fastapi import FastAPI
from pydantic import SecretStr

from configuration import Settings, TenantsFrom
from graph.tenants import load_tenants
from inventory.people import Role
from storage.database import Database
from tenants_table import TableEdit, TableSource
from tests.web.support import CONTOSO, FABRIKAM, HOSTILE, json_of, person_of, words_of
from web.application import create_app
from web.site import Site

Clients = dict[Role, httpx.AsyncClient]

PATH = "/configured-tenants"


def form(**fields: str) -> dict[str, str]:
    return {
        "request_id": str(uuid4()),
        "confirmed": "yes",
        "credential": "client_secret_file",
        "reference": "tailspin",
        "client_id": "an app",
        **fields,
    }


@pytest.fixture
async def table(database_url: str, tenants_file: Path) -> TableSource:
    source = TableSource(database_url, tenants_file.parent)
    edit = TableEdit(source, person_of(Role.ADMIN))
    for tenant in load_tenants(tenants_file):
        await asyncio.to_thread(edit.add, tenant.model_dump(mode="json", exclude_defaults=True))
    return source


@pytest.fixture
def app(database: Database, database_url: str, table: TableSource, tmp_path: Path) -> FastAPI:
    settings = Settings(
        database_url=SecretStr(database_url),
        tenants_from=TenantsFrom.TABLE,
        tenants_file=tmp_path / "no-file.toml",
        _env_file=None,
    )
    return create_app(Site(settings, database))


def names(entries: list[dict[str, str]]) -> list[str]:
    return [entry["name"] for entry in entries]


async def test_tenant_is_added_changed_and_removed_with_audit_records(clients: Clients, table: TableSource) -> None:
    admin, added = clients[Role.ADMIN], uuid4()
    assert "Contoso" in await words_of(admin, "/")
    new = form(name="Tailspin", tenant_id=str(added), tags="emea, vip", reason="a new customer")
    assert (await admin.post(PATH, data=new)).status_code == 303
    assert names(await json_of(admin, f"/api{PATH}")) == ["Contoso", "Fabrikam", "Never read", "Tailspin"]
    assert "Tailspin" in await words_of(admin, "/"), "every page shows it at once"
    assert await asyncio.to_thread(table.entry, added) == {
        "id": str(added),
        "name": "Tailspin",
        "client_id": "an app",
        "client_secret_file": "tailspin",
        "tags": ["emea", "vip"],
    }
    page = await words_of(admin, f"{PATH}/{added}")
    assert 'value="emea, vip"' in page
    change = form(name="Tailspin Toys", credential="client_secret_env", reference="TENANT_SECRET_TOYS", disabled="true")
    assert (await admin.post(f"{PATH}/{added}", data=change)).status_code == 303
    (entry,) = [entry for entry in await json_of(admin, f"/api{PATH}") if entry["tenant_id"] == str(added)]
    assert (entry["name"], entry["credential"], entry["disabled"]) == ("Tailspin Toys", "client_secret_env", True)
    assert "Tailspin Toys" in (await admin.get(f"{PATH}.csv")).text
    assert (await admin.post(f"{PATH}/{added}/remove", data=form(reason="left"))).status_code == 303
    assert "Tailspin Toys" not in names(await json_of(admin, f"/api{PATH}"))
    await admin.post(PATH, data=new)
    assert "Tailspin" not in names(await json_of(admin, f"/api{PATH}")), "a repeated form adds nothing"
    acts = await json_of(admin, "/api/audit")
    assert [(act["action"], act["subject"], act["reason"]) for act in acts if act["tenant_id"] == str(added)] == [
        ("tenant_removed", "Tailspin Toys", "left"),
        ("tenant_configured", "Tailspin Toys", None),
        ("tenant_configured", "Tailspin", "a new customer"),
    ]


NOT_VALID: list[tuple[dict[str, str], str]] = [
    ({"name": "contoso"}, "another tenant has the same id or name"),
    ({"name": "x", "tenant_id": str(FABRIKAM)}, "another tenant has the same id or name"),
    ({"name": ""}, "name"),
    ({"name": "x", "reference": ""}, "needs exactly one of"),
    ({"name": "x", "reference": "/etc/passwd"}, "a file below TENANT_SECRETS_FOLDER"),
    ({"name": "x", "reference": "a/../../b"}, "a file below TENANT_SECRETS_FOLDER"),
    ({"name": "x", "credential": "client_secret_env", "reference": "DATABASE_URL"}, "begins with TENANT_SECRET_"),
    ({"name": "x", "credential": "password"}, "credential is one of"),
    ({"name": "x", "credential": "client_secret_vault", "reference": "database"}, "that begins with tenant-"),
    ({"name": "x", "credential": "certificate_vault", "reference": "tenant-a/../b"}, "certificate_vault"),
    ({"name": "x", "certificate_password_env": "TENANT_SECRET_X"}, "certificate_password_env needs"),
    ({"name": "x", "tags": "a b c!"}, "tags"),
    ({"name": "x", "client_id": ""}, "client_id is missing"),
    ({"name": "x", "confirmed": ""}, "not ticked"),
]


async def test_invalid_form_changes_nothing(clients: Clients) -> None:
    admin = clients[Role.ADMIN]
    before = await json_of(admin, f"/api{PATH}")
    for fields, line in NOT_VALID:
        answer = await admin.post(PATH, data=form(**{"tenant_id": str(uuid4()), **fields}))
        assert answer.status_code == 400, answer.text
        assert line in answer.text
        assert await json_of(admin, f"/api{PATH}") == before, fields


async def test_hostile_name_is_escaped(clients: Clients) -> None:
    admin, added = clients[Role.ADMIN], uuid4()
    assert (await admin.post(PATH, data=form(name=HOSTILE, tenant_id=str(added)))).status_code == 303
    for address in (PATH, f"{PATH}/{added}", "/", f"/tenants/{added}", "/audit"):
        page = await words_of(admin, address)
        assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page, address
        assert "<script>alert" not in page, address


async def test_concurrent_forms_add_a_name_once(table: TableSource, clients: Clients) -> None:
    admin = clients[Role.ADMIN]
    answers = await asyncio.gather(
        *(admin.post(PATH, data=form(name="Tailspin", tenant_id=str(uuid4()))) for _ in range(5))
    )
    assert sorted(answer.status_code for answer in answers) == [303, 400, 400, 400, 400]
    assert names(await json_of(admin, f"/api{PATH}")).count("Tailspin") == 1


async def test_configured_tenants_require_role_admin_and_tenant_access(clients: Clients) -> None:
    for role in (Role.READER, Role.OPERATOR, Role.APPROVER):
        for address in (PATH, f"/api{PATH}", f"{PATH}.csv", f"{PATH}/new", f"{PATH}/{CONTOSO}"):
            assert (await clients[role].get(address)).status_code == 403, (role, address)
        for address in (PATH, f"{PATH}/{CONTOSO}", f"{PATH}/{CONTOSO}/remove"):
            sent = form(name="Contoso", tenant_id=str(CONTOSO))
            assert (await clients[role].post(address, data=sent)).status_code == 403, (role, address)
    admin = clients[Role.ADMIN]
    hide = {"request_id": str(uuid4()), "confirmed": "yes", "who": "admin", "what": f"tenant:{CONTOSO}"}
    assert (await admin.post("/access", data=hide | {"is_excluded": "true"})).status_code == 303
    assert "Contoso" not in names(await json_of(admin, f"/api{PATH}"))
    for address in (f"{PATH}/{CONTOSO}", f"{PATH}/{CONTOSO}/remove"):
        assert (await admin.post(address, data=form(name="Contoso"))).status_code == 404


async def test_unknown_tenant_is_not_found(clients: Clients) -> None:
    for tenant_id in (uuid4(), UUID(int=0)):
        assert (await clients[Role.ADMIN].get(f"{PATH}/{tenant_id}")).status_code == 404
