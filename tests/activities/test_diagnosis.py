"""A worker's diagnosis, whatever fails."""

from collections.abc import Hashable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self, cast
from uuid import UUID

import psycopg
from sqlalchemy import text
from temporalio.testing import ActivityEnvironment

from activities.diagnosis import DiagnosisActivities
from activities.messages.diagnosis import CheckVerdict, DiagnoseWorker
from activities.tenants import TenantsFile
from graph.catalog import load_catalog
from graph.client import GraphClient
from graph.errors import GraphRequestError
from graph.tenants import TenantConfig, Tenants
from inventory.error_codes import ErrorCode
from local.postgres import EmbeddedPostgres
from storage.database import Database, StorageUnavailableError
from storage.protection import SPILL, check_disk
from tests.conftest import copy_of

CONTOSO, FABRIKAM = UUID(int=1), UUID(int=2)


class Graph:
    """Refuses one tenant's sign-in, and fails at the other's."""

    clock = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        pass

    async def sign_in(self, tenant: TenantConfig) -> None:
        if tenant.id == CONTOSO:
            raise KeyError("a defect")
        raise GraphRequestError(ErrorCode.AUTH_FAILED, "a wrong secret", retryable=False)


class NoTable:
    """A table of tenants in a database that does not answer."""

    named = "the table of tenants"

    def stamp(self) -> Hashable:
        raise StorageUnavailableError("nothing listens at the host and port of DATABASE_URL")

    def load(self) -> Tenants:
        raise NotImplementedError


FULL = """
CREATE FUNCTION generate_series(integer, integer) RETURNS SETOF integer LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'could not write to file' USING ERRCODE = '53100';
END $$
"""
"""Before PostgreSQL's own function, it fails as that one does on a full disk."""


def diagnosis_of(database: Database, tenants: TenantsFile) -> DiagnosisActivities:
    return DiagnosisActivities(
        lambda: cast("GraphClient", Graph()), database, load_catalog(), tenants, (), lambda: datetime.now(UTC)
    )


async def checks(database: Database, tenants: TenantsFile) -> list[tuple[CheckVerdict, str]]:
    """The results that are about tenants."""
    diagnosis = diagnosis_of(database, tenants)
    result = await ActivityEnvironment().run(diagnosis.diagnose_worker, DiagnoseWorker(tenant_ids=()))
    return [(check.verdict, check.message) for check in result.checks if check.check.startswith("tenant")]


async def test_a_defect_in_one_tenants_check_ends_no_other(database: Database, tmp_path: Path) -> None:
    file = tmp_path / "tenants.toml"
    file.write_text(
        "".join(
            f'[[tenant]]\nid = "{tenant_id}"\nname = "{tenant_id}"\nmanaged_identity = true\n'
            for tenant_id in (CONTOSO, FABRIKAM)
        )
    )
    _, contoso, fabrikam = await checks(database, TenantsFile(file))
    assert contoso == (CheckVerdict.FAILED, "cannot be checked: unexpected_error; the worker's log says why")
    assert fabrikam == (CheckVerdict.FAILED, "no token: a wrong secret")


async def test_a_diagnosis_finds_the_full_disk_of_a_database_that_answers(
    postgres: EmbeddedPostgres, migrated_template: str, tmp_path: Path
) -> None:
    for url in copy_of(postgres, migrated_template):
        with psycopg.connect(url) as connection:
            connection.execute(FULL)
            connection.execute(f"ALTER DATABASE {connection.info.dbname} SET search_path = public, pg_catalog".encode())
        async with Database(url) as database:
            diagnosis = diagnosis_of(database, TenantsFile(tmp_path / "none"))
            result = await ActivityEnvironment().run(diagnosis.diagnose_worker, DiagnoseWorker(tenant_ids=()))
        reason = "PostgreSQL's disk is full; free space on its server"
        assert [(check.verdict, check.message) for check in result.checks if check.check == "database"] == [
            (CheckVerdict.FAILED, reason)
        ]


async def test_the_check_of_the_disk_writes_a_temporary_file(database: Database) -> None:
    async with database.no_tenant(read_only=True) as session:
        await check_disk(session)
        plan = (await session.execute(text(f"EXPLAIN (ANALYZE, BUFFERS) {SPILL}"))).scalars()
        assert "temp" in "".join(plan)


async def test_a_diagnosis_says_that_the_table_of_tenants_cannot_be_read(database: Database) -> None:
    reason = "nothing listens at the host and port of DATABASE_URL"
    assert await checks(database, TenantsFile(cast("Any", NoTable()))) == [(CheckVerdict.FAILED, reason)]
