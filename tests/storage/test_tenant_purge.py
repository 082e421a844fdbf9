"""A purge deletes every trace of a tenant from the database except the receipt, and nothing of other tenants."""

import asyncio
from collections.abc import Iterator
from uuid import UUID, uuid4

import psycopg
import pytest
from psycopg.rows import dict_row
from sqlalchemy import make_url, text

from inventory.people import Action, Person, Role
from inventory.portfolio import TenantChoice
from inventory.selection import Selection
from local.postgres import EmbeddedPostgres
from storage import access_rules, audit, configured_tenants, portfolio
from storage.access import PORTFOLIO_ROLE, REVISION, WORKER_ROLE
from storage.database import Database, StorageNotReadyError
from storage.tenant_purge import tenant_purge
from tests.conftest import OWNER, copy_of, make_login, url_of
from tests.storage.all_tables import METADATA
from tests.storage.support import observation, sync
from tests.storage.tenant_rows import MINE, THEIRS, their_rows

ADA = Person(person_id="local/ada", name="ada", role=Role.ADMIN)
OF_TENANTS = {table.name for table in METADATA.sorted_tables if "tenant_id" in table.columns}

ALONE, TOGETHER, BY_TAG = (
    portfolio.PortfolioIdentity(uuid4(), f"portfolio/{name}", Selection(type_keys=("a",)), chosen, None, None)
    for name, chosen in (
        ("alone", TenantChoice(tenant_ids=(THEIRS,))),
        ("together", TenantChoice(tenant_ids=(MINE, THEIRS))),
        ("by tag", TenantChoice(tenant_ids=(THEIRS,), tags=("emea",))),
    )
)

PROMOTED = """
INSERT INTO promotion_plan (plan_id, source_tenant_id, created_by, expires_at, counts, content_hash, content)
SELECT gen_random_uuid(), source, 'ada', clock_timestamp(), '{}', sha256('a'), 'a'
FROM unnest(ARRAY[CAST(:theirs AS uuid), current_tenant()]) AS sources (source);
INSERT INTO promotion_decision (plan_id, decision, content_hash, decided_by, reason)
SELECT plan_id, 'approved', content_hash, 'grace', source_tenant_id::text FROM promotion_plan
WHERE tenant_id = current_tenant();
INSERT INTO promotion_mapping (source_tenant_id, type_key, source_id, target_id, mapped_by, reason)
VALUES (CAST(:theirs AS uuid), 'groups', 'a', 'b', 'ada', 'a reason')
"""
"""Plans of my tenant: one with content of theirs, one of earlier versions."""

Found = dict[str, set[str]]
"""Rows as text, by table."""


@pytest.fixture(params=["two roles", "one role"])
def owner_url(request: pytest.FixtureRequest, postgres: EmbeddedPostgres, one_role_template: str) -> Iterator[str]:
    """An empty inventory: a superuser's, or that of an ordinary owner, whom row-level security binds."""
    if request.param == "two roles":
        yield request.getfixturevalue("database_url")
    else:
        yield from copy_of(postgres, one_role_template, OWNER)


async def fill(owner_url: str) -> None:
    """Rows of two tenants, and rows of no tenant that name them."""
    async with Database(owner_url) as database:
        await their_rows(database)
        await sync(database, MINE, [observation("a", "1")], "a")
        async with database.tenant(MINE) as session:
            for statement in PROMOTED.split(";\n"):
                await session.execute(text(statement), {"theirs": THEIRS})
        for tenant_id in (THEIRS, MINE):
            entry = {"id": str(tenant_id), "name": f"entry of {tenant_id}"}
            configured = configured_tenants.TenantChange(ADA, tenant_id, entry, entry["name"], is_new=True)
            await asyncio.to_thread(configured_tenants.change, owner_url, configured, list)
            about = access_rules.Subject(None, Role.READER, tenant_id)
            async with database.no_tenant() as session:
                await access_rules.set_rule(session, about, is_excluded=True, set_by="ada", reason=None)
            async with database.tenant(tenant_id) as session:
                await audit.record(session, ADA, Action.PINNED, tenant_id=tenant_id, subject=f"of {tenant_id}")
        async with database.no_tenant() as session:
            await audit.record(session, ADA, Action.SIGNED_IN)
            for run in (ALONE, TOGETHER, BY_TAG):
                await portfolio.open_portfolio(session, run)


def rows_of_database(url: str) -> Found:
    """Every row of every table, all columns in one text."""
    with psycopg.connect(url) as connection:
        tables = connection.execute(
            "SELECT c.oid::regclass::text FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace"
            " WHERE c.relkind IN ('r', 'p', 'm', 'f') AND n.nspname !~ '^(pg_|information_schema)'"
        ).fetchall()
        return {
            name: {row for (row,) in connection.execute(f"SELECT t::text FROM {name} AS t".encode())}
            for (name,) in tables
        }


def naming(rows: Found, tenant_id: UUID) -> Found:
    """The rows that contain the id in any spelling, also as bytes."""
    spellings = [str(tenant_id), tenant_id.hex, str(tenant_id).encode().hex()]
    found = {
        name: {row for row in of_table if any(spelling in row.lower() for spelling in spellings)}
        for name, of_table in rows.items()
    }
    return {name: of_table for name, of_table in found.items() if of_table}


def statistics_naming(url: str, tenant_id: UUID) -> set[str]:
    """Tables whose statistics hold the id; PostgreSQL keeps those of an empty table until it has rows again."""
    with psycopg.connect(url) as connection:
        found = connection.execute(
            "SELECT tablename FROM pg_stats WHERE schemaname = 'public'"
            " AND most_common_vals::text || coalesce(histogram_bounds::text, '') LIKE %s",
            [f"%{tenant_id}%"],
        )
        return {name for (name,) in found}


async def test_only_the_receipt_names_the_tenant_after_a_purge(postgres: EmbeddedPostgres, owner_url: str) -> None:
    await fill(owner_url)
    url = url_of(postgres, str(make_url(owner_url).database))
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("ANALYZE")
    before = rows_of_database(url)
    theirs = naming(before, THEIRS)
    assert theirs.keys() == OF_TENANTS | {"portfolio_run"}, "the walk covers each table"
    assert statistics_naming(url, THEIRS) >= {"sync_run", "inventory_item"}

    with tenant_purge(owner_url, THEIRS) as purge:
        assert purge.name() is not None
        assert purge.workflow_ids()
        purged = purge.delete()
        purge.record("ada@host", "Theirs", {"rows": dict(purged.tables)})

    after = rows_of_database(url)
    remaining = naming(after, THEIRS)
    assert remaining.keys() == {"audit_record"}
    (receipt,) = remaining["audit_record"]
    assert "tenant_purged" in receipt
    assert not [name for name in statistics_naming(url, THEIRS) if after[name]]
    counts = {name: len(of_table) for name, of_table in theirs.items()}
    assert purged.tables == {**counts, "portfolio_run": 2}, "of this tenant alone"
    assert purged.portfolio_runs == 2
    for name in before:
        if name not in ("portfolio_run", "audit_record"):
            assert after[name] == before[name] - theirs.get(name, set()), name
    assert len(after["portfolio_run"]) == len(before["portfolio_run"]) - 2 == 2
    assert after["audit_record"] - {receipt} == before["audit_record"] - theirs["audit_record"]


async def test_remaining_records_are_readable_after_a_purge(owner_url: str) -> None:
    await fill(owner_url)
    with tenant_purge(owner_url, THEIRS) as purge:
        purge.delete()
        purge.record("ada@host", "Theirs", {"rows": {"tenant": 1}})
    with tenant_purge(owner_url, THEIRS) as purge:
        assert purge.name() is None
        assert purge.delete() == ({}, 0), "the first receipt stays"
    async with Database(owner_url) as database:
        async with database.portfolio() as session:
            assert await portfolio.portfolio_record(session, ALONE.portfolio_run_id) is None
            together = await portfolio.portfolio_record(session, TOGETHER.portfolio_run_id)
            by_tag = await portfolio.portfolio_record(session, BY_TAG.portfolio_run_id)
        assert together is not None
        assert by_tag is not None
        assert (together.chosen, by_tag.chosen) == (TenantChoice(tenant_ids=(MINE,)), TenantChoice(tags=("emea",)))
        with psycopg.connect(owner_url.replace("+psycopg", ""), row_factory=dict_row) as connection:
            (act,) = connection.execute("SELECT * FROM audit_record WHERE action = 'tenant_purged'").fetchall()
            assert (act["tenant_id"], act["person"], act["subject"]) == (THEIRS, "ada@host", "Theirs")
            assert act["receipt"] == {"rows": {"tenant": 1}}
            with pytest.raises(psycopg.errors.InsufficientPrivilege, match="only added"):
                connection.execute("DELETE FROM audit_record")
        # The tenant may come back as a new tenant.
        await sync(database, THEIRS, [observation("a", "1")], "a")


def test_failed_purge_deletes_nothing(database_url: str) -> None:
    with psycopg.connect(database_url) as connection:
        connection.execute("INSERT INTO tenant (tenant_id, name) VALUES (%s, 'Theirs')", [THEIRS])
    with pytest.raises(ZeroDivisionError), tenant_purge(database_url, THEIRS) as purge:
        assert purge.delete().tables == {"tenant": 1}
        raise ZeroDivisionError
    assert naming(rows_of_database(database_url), THEIRS).keys() == {"tenant"}


def test_another_revision_is_refused_with_its_remedy(database_url: str) -> None:
    with psycopg.connect(database_url, autocommit=True) as connection:
        try:
            for revision, remedy in (("0001", "database upgrade"), ("9999", "update the program")):
                connection.execute("UPDATE alembic_version SET version_num = %s", [revision])
                with (
                    pytest.raises(StorageNotReadyError, match=f"at revision {revision} .*{remedy}$"),
                    tenant_purge(database_url, THEIRS),
                ):
                    pytest.fail("it may not")
        finally:
            connection.execute("UPDATE alembic_version SET version_num = %s", [REVISION])


def test_only_the_owner_purges(postgres: EmbeddedPostgres, database_url: str) -> None:
    login = "purge_worker"
    with psycopg.connect(postgres.url, autocommit=True) as connection:
        make_login(connection, login)
        connection.execute(f"GRANT {WORKER_ROLE}, {PORTFOLIO_ROLE} TO {login}")
    url = url_of(postgres, database_url.rpartition("/")[2], login)
    with pytest.raises(StorageNotReadyError, match="only the owner of the tables"), tenant_purge(url, THEIRS):
        pytest.fail("it may not")
