"""A PostgreSQL that refuses every tenant's rows ends an activity over many tenants once, without a line a tenant."""

from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import cast
from uuid import UUID, uuid4

import psycopg
import pytest
from sqlalchemy import text
from temporalio.client import Client
from temporalio.exceptions import ApplicationError
from temporalio.testing import ActivityEnvironment

from activities.messages.notifications import LookForEvents
from activities.messages.portfolio import PortfolioRun, RecordPortfolio, TenantOutcome
from activities.messages.retention import ForgetRuns, ForgetVersions
from activities.messages.watch import WatchTenants
from activities.notifications import NotificationActivities, NotificationsFile
from activities.observers import Observers
from activities.portfolio import PortfolioActivities
from activities.retention import RetentionActivities, RetentionLimits
from activities.tenants import TenantsFile
from activities.watch import WatchActivities
from graph.catalog import load_catalog
from graph.client import GraphClient
from inventory.error_codes import ErrorCode
from inventory.outcomes import RunStatus
from inventory.portfolio import TenantChoice
from inventory.selection import Selection
from storage.database import Database
from tests.activities.intercepted_activity import intercepted
from tests.storage.support import observation, sync
from workflows.failures import concerns_every_tenant

TENANTS = [UUID(int=1), UUID(int=2), UUID(int=3)]
RULES = """
[[target]]
name = "ops"
kind = "webhook"
url = "http://127.0.0.1:9/never-reached"
secret_env = "HOOK_SECRET"

[[rule]]
targets = ["ops"]
kinds = ["plan_waiting"]
"""


@pytest.fixture
def tenants(tmp_path: Path) -> TenantsFile:
    file = tmp_path / "tenants.toml"
    entry = '[[tenant]]\nid = "{0}"\nname = "{0}"\nmanaged_identity = true\n'
    file.write_text("".join(entry.format(tenant_id) for tenant_id in TENANTS))
    return TenantsFile(file)


@pytest.fixture
def refuse(database_url: str) -> Iterator[Callable[[str, str], None]]:
    """Makes PostgreSQL refuse the rows of a table for all tenants."""
    with psycopg.connect(database_url, autocommit=True) as connection:

        def refuse(table: str, sqlstate: str) -> None:
            connection.execute(
                "CREATE FUNCTION refuse(tenant uuid) RETURNS bool LANGUAGE plpgsql AS"
                f" $$ BEGIN RAISE EXCEPTION 'refused' USING ERRCODE = '{sqlstate}'; END $$"
            )
            connection.execute(
                f"CREATE POLICY refused ON {table} AS RESTRICTIVE USING (refuse(tenant_id))"
                " WITH CHECK (refuse(tenant_id))"
            )

            connection.execute(
                "CREATE FUNCTION refuse_delete() RETURNS trigger LANGUAGE plpgsql AS"
                f" $$ BEGIN RAISE EXCEPTION 'refused' USING ERRCODE = '{sqlstate}'; END $$"
            )
            connection.execute(f"CREATE TRIGGER refused BEFORE DELETE ON {table} EXECUTE FUNCTION refuse_delete()")

        yield refuse
        connection.execute("DROP FUNCTION IF EXISTS refuse, refuse_delete CASCADE")


async def ends_once(caplog: pytest.LogCaptureFixture, method: Callable[..., object], request: object) -> bool:
    """Whether Temporal retries the activity, which ends with the server's fault."""
    with pytest.raises(ApplicationError, match=r"disk is full|read-only") as raised:
        await intercepted(ActivityEnvironment(), method, request)  # type: ignore[arg-type]
    assert raised.value.type == ErrorCode.STORAGE_UNAVAILABLE
    assert caplog.messages == []
    return not raised.value.non_retryable


@pytest.mark.parametrize(
    ("table", "name", "request_type"),
    [("item_version", "forget_versions", ForgetVersions), ("sync_run", "forget_runs", ForgetRuns)],
)
async def test_retention_tells_the_workflow_that_every_tenant_is_refused(
    database: Database,
    refuse: Callable[[str, str], None],
    table: str,
    name: str,
    request_type: type[ForgetVersions] | type[ForgetRuns],
) -> None:
    await sync(database, TENANTS[0], [observation("groups", "g")], "groups")
    refuse(table, "53100")
    day = timedelta(days=1)
    retention = RetentionActivities(database, RetentionLimits(day, 1, day))
    request = request_type(tenant_id=TENANTS[0], older_than=day)
    with pytest.raises(ApplicationError, match="disk is full") as raised:
        await intercepted(ActivityEnvironment(), getattr(retention, name), request)
    assert concerns_every_tenant(raised.value)


async def test_a_look_of_watch_ends_without_a_retry(
    database: Database, tenants: TenantsFile, refuse: Callable[[str, str], None], caplog: pytest.LogCaptureFixture
) -> None:
    for tenant_id in TENANTS:
        await sync(database, tenant_id, [], "groups")
        async with database.tenant(tenant_id) as session:
            await session.execute(text("INSERT INTO audit_log_position (type_key) VALUES ('auditEvents')"))
    refuse("audit_log_position", "53100")
    watch = WatchActivities(cast("GraphClient", None), database, load_catalog(), tenants, cast("Observers", None))
    request = WatchTenants(look_id=uuid4(), workflow_id="watch", tenant_ids=TENANTS)
    assert not await ends_once(caplog, watch.watch_tenants, request)


@pytest.mark.parametrize("sqlstate", ["53100", "25006"])
async def test_a_look_for_notifications_ends_at_the_first_tenant(
    database: Database,
    tenants: TenantsFile,
    refuse: Callable[[str, str], None],
    caplog: pytest.LogCaptureFixture,
    tmp_path: Path,
    sqlstate: str,
) -> None:
    for tenant_id in TENANTS:
        await sync(database, tenant_id, [], "groups")
    file = tmp_path / "notifications.toml"
    file.write_text(RULES)
    refuse("notification_position", sqlstate)
    noting = NotificationActivities(database, tenants, NotificationsFile(file))
    assert await ends_once(caplog, noting.look_for_events, LookForEvents(look_id=uuid4()))


async def test_outcomes_of_a_portfolio_run_end_at_the_first_tenant(
    database: Database, tenants: TenantsFile, refuse: Callable[[str, str], None], caplog: pytest.LogCaptureFixture
) -> None:
    refuse("portfolio_run_tenant", "53100")
    run = PortfolioRun(
        portfolio_run_id=uuid4(),
        workflow_id="portfolio/x",
        selection=Selection(type_keys=("groups",)),
        chosen=TenantChoice(tenant_ids=tuple(TENANTS)),
    )
    outcomes = [TenantOutcome(tenant_id=tenant_id, status=RunStatus.SUCCESS) for tenant_id in TENANTS]
    recording = PortfolioActivities(database, tenants, cast("Client", None), 5)
    assert await ends_once(caplog, recording.record_portfolio, RecordPortfolio(run=run, outcomes=outcomes))
