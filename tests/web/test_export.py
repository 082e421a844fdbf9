"""The archive of a tenant's documents: contents, permissions and audit record."""

import io
import json
from pathlib import Path
from uuid import UUID, uuid4
from zipfile import ZipFile

import httpx
import pytest
from sqlalchemy import text

from answers.export.rules import MANIFEST, read_manifest
from inventory.error_codes import ErrorCode
from inventory.outcomes import Outcome, RunStatus
from inventory.people import Role
from storage.database import Database
from tests.storage.support import observation, sync
from tests.web.support import CONTOSO, HOSTILE, LOCATIONS, POLICIES, UNREAD, words_of

PAGE = f"/tenants/{CONTOSO}/export"


async def request_export(client: httpx.AsyncClient, page: str = PAGE, **fields: str) -> httpx.Response:
    """The answer to the export form."""
    return await client.post(page, data={"request_id": str(uuid4()), "confirmed": "yes", **fields})


def unpack(answer: httpx.Response) -> ZipFile:
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/zip"
    archive = ZipFile(io.BytesIO(answer.content))
    assert archive.testzip() is None
    return archive


async def exports(database: Database, tenant_id: UUID = CONTOSO) -> list[tuple[str, str | None]]:
    """Person and subject of each export in the audit records."""
    async with database.no_tenant() as session:
        await session.execute(text("RESET ROLE"))
        found = await session.execute(
            text("SELECT person, subject FROM audit_record WHERE action = 'exported' AND tenant_id = :id ORDER BY at"),
            {"id": tenant_id},
        )
        return [(row.person, row.subject) for row in found]


async def sync_policies(database: Database) -> None:
    refused = (Outcome.FAILED, ErrorCode.GRAPH_PERMISSION_MISSING)
    await sync(
        database,
        CONTOSO,
        [observation(POLICIES, "p1", displayName="Require MFA", state="enabled"), observation(POLICIES, HOSTILE)],
        POLICIES,
        LOCATIONS,
        status=RunStatus.PARTIAL,
        outcomes={POLICIES: (Outcome.COMPLETE, None), LOCATIONS: refused},
    )


async def test_archive_has_every_document_and_names_unread_collections(
    database: Database, clients: dict[Role, httpx.AsyncClient], tmp_path: Path
) -> None:
    await sync_policies(database)
    answer = await request_export(clients[Role.OPERATOR])
    assert answer.headers["content-disposition"] == 'attachment; filename="Contoso.zip"'
    archive = unpack(answer)
    documents = [name for name in archive.namelist() if name.startswith("conditional-access/")]
    assert len(documents) == 2
    (policy,) = [name for name in documents if "Require MFA" in name]
    assert json.loads(archive.read(policy)) == {"displayName": "Require MFA", "id": "p1", "state": "enabled"}
    record = json.loads(archive.read("export.json"))
    assert (record["written"], record["types_not_read"]) == (2, [LOCATIONS])
    assert read_manifest(archive.read(MANIFEST)).files == set(documents)
    for member in archive.infolist():
        assert (tmp_path / member.filename).resolve().is_relative_to(tmp_path), "it is unpacked below its folder"
    assert await exports(database) == [("the operator", "all collections")]


async def test_equal_documents_make_equal_archives(database: Database, clients: dict[Role, httpx.AsyncClient]) -> None:
    await sync_policies(database)
    first, second = [(await request_export(clients[Role.OPERATOR], decoded="true")).content for _ in range(2)]
    assert first == second
    assert [name for name in ZipFile(io.BytesIO(first)).namelist() if name.endswith(".txt")]


async def test_archive_is_limited_to_a_category_as_of_a_run(
    database: Database, clients: dict[Role, httpx.AsyncClient]
) -> None:
    await sync_policies(database)
    async with database.tenant(CONTOSO) as session:
        run_id = (await session.execute(text("SELECT run_id FROM sync_run"))).scalar_one()
    await sync(database, CONTOSO, [observation(POLICIES, "p1", displayName="Require MFA", state="off")], POLICIES)
    then = unpack(await request_export(clients[Role.OPERATOR], at=str(run_id), category="conditional-access"))
    (policy,) = [name for name in then.namelist() if "Require MFA" in name]
    assert json.loads(then.read(policy))["state"] == "enabled"
    assert (await exports(database))[0][1] == f"conditional-access, as of {run_id}"
    wrong = await request_export(clients[Role.OPERATOR], at="yesteryear")
    assert wrong.status_code == 404
    assert (await request_export(clients[Role.OPERATOR], category="nonsense")).status_code == 400
    assert len(await exports(database)) == 1, "a refused export is not recorded"


async def test_repeated_form_gives_one_archive(database: Database, clients: dict[Role, httpx.AsyncClient]) -> None:
    await sync_policies(database)
    client, request_id = clients[Role.APPROVER], str(uuid4())
    unpack(await request_export(client, request_id=request_id))
    again = await request_export(client, request_id=request_id)
    assert (again.status_code, again.headers["location"]) == (303, f"{PAGE}?used=true")
    assert "That form was used" in await words_of(client, again.headers["location"])
    assert len(await exports(database)) == 1


async def test_archive_requires_role_operator_and_confirmation(
    database: Database, clients: dict[Role, httpx.AsyncClient]
) -> None:
    await sync_policies(database)
    reader = clients[Role.READER]
    assert (await request_export(reader)).status_code == 403
    await words_of(reader, PAGE, 403)
    assert "/export" not in await words_of(reader, f"/tenants/{CONTOSO}/items")
    assert f'href="{PAGE}"' in await words_of(clients[Role.OPERATOR], f"/tenants/{CONTOSO}/items")
    assert (await request_export(clients[Role.OPERATOR], confirmed="")).status_code == 400
    assert await exports(database) == []


@pytest.mark.parametrize("tenant_id", [UNREAD, uuid4()], ids=["never read", "unknown tenant"])
async def test_unread_or_unknown_tenant_has_no_archive(
    database: Database, clients: dict[Role, httpx.AsyncClient], tenant_id: UUID
) -> None:
    answer = await request_export(clients[Role.OPERATOR], f"/tenants/{tenant_id}/export")
    assert answer.status_code == (400 if tenant_id == UNREAD else 404)
    assert await exports(database, tenant_id) == []


async def test_slow_archive_suggests_a_category(
    database: Database, clients: dict[Role, httpx.AsyncClient], monkeypatch: pytest.MonkeyPatch
) -> None:
    await sync_policies(database)
    monkeypatch.setattr("answers.export.routes.EXPORT_SECONDS", 0)
    answer = await request_export(clients[Role.OPERATOR])
    assert answer.status_code == 503
    assert "choose a category" in answer.text
    assert await exports(database) == []
