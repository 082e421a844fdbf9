"""A worker's diagnosis, whatever fails."""

from collections.abc import Hashable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self, cast
from uuid import UUID

from temporalio.testing import ActivityEnvironment

from activities.diagnosis import DiagnosisActivities
from activities.messages.diagnosis import CheckVerdict, DiagnoseWorker
from activities.tenants import TenantsFile
from graph.catalog import load_catalog
from graph.client import GraphClient
from graph.errors import GraphRequestError
from graph.tenants import TenantConfig, Tenants
from inventory.error_codes import ErrorCode
from storage.database import Database, StorageUnavailableError

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


async def checks(database: Database, tenants: TenantsFile) -> list[tuple[CheckVerdict, str]]:
    """The results that are about tenants."""
    activities = DiagnosisActivities(
        lambda: cast("GraphClient", Graph()), database, load_catalog(), tenants, (), lambda: datetime.now(UTC)
    )
    result = await ActivityEnvironment().run(activities.diagnose_worker, DiagnoseWorker(tenant_ids=()))
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


async def test_a_diagnosis_says_that_the_table_of_tenants_cannot_be_read(database: Database) -> None:
    reason = "nothing listens at the host and port of DATABASE_URL"
    assert await checks(database, TenantsFile(cast("Any", NoTable()))) == [(CheckVerdict.FAILED, reason)]
