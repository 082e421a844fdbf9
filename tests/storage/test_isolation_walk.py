"""Row-level security over PostgreSQL's own catalog: a new table, view or function is found and attacked."""

import asyncio
import re
from collections.abc import AsyncIterator, Iterator
from typing import Any
from uuid import UUID

import psycopg
import pytest
from psycopg.rows import dict_row
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from local.postgres import EmbeddedPostgres
from storage import runs
from storage.access import ALL_TENANTS, PORTFOLIO_ROLE, VISIBLE_TENANTS, WORKER_ROLE
from storage.database import Database, StorageUnavailableError
from tests.conftest import copy_of, url_of
from tests.storage.conftest import SetUp
from tests.storage.support import SLOTS, identity
from tests.storage.tenant_rows import MINE, THEIRS, their_rows

NO_ROWS_OF_TENANTS = {"alembic_version": "the revision, which every login may read"}

NO_POLICIES = {"staged_item": "nobody reads it but through its view, which is bound (decision 1)"}

OF_NO_TENANT = {
    "access_rule": "set_by",
    "configured_tenant": "changed_by",
    "portfolio_run": "portfolio_run_id",
    "audit_record": "person",
    "sign_in_flow": "goes_to",
    "sign_in_link": "person",
    "web_person": "name",
    "web_session": "person",
}
"""The tables of no tenant, each with a column of its own."""

OF_THE_WEB = OF_NO_TENANT.keys() - {"portfolio_run"}
"""The tables that even a session over all tenants does not see."""

ONE_TENANT = "(tenant_id = current_tenant())"
NO_TENANT = "(current_tenant() IS NULL)"
NO_TENANT_AND_NOT_ALL = "((current_tenant() IS NULL) AND (NOT reads_all_tenants()))"

NO_TENANT_OR_ITS_OWN = "(((current_tenant() IS NULL) OR (tenant_id = current_tenant())) AND (NOT reads_all_tenants()))"
"""An act and its record share a transaction, which may be bound to a tenant."""

VISIBLE = (
    "((NOT reads_visible_tenants()) OR (tenant_id = ANY (( SELECT visible_tenants() AS visible_tenants)::uuid[])))"
)

VISIBLE_RUNS = (
    "((NOT reads_visible_tenants()) OR ((NOT ((chosen ->> 'everyone'::text))::boolean)"
    " AND ((chosen -> 'tags'::text) = '[]'::jsonb)"
    " AND ((ARRAY( SELECT jsonb_array_elements_text((portfolio_run.chosen -> 'tenant_ids'::text))"
    " AS jsonb_array_elements_text))::uuid[] <@ ( SELECT visible_tenants() AS visible_tenants))))"
)
"""A portfolio run names the tenants that it chose."""

CALLS = {
    "current_tenant": "SELECT current_tenant()",
    "document_lock": "SELECT document_lock()",
    "forget_versions": "SELECT * FROM forget_versions(clock_timestamp(), 0, 1000, '', '') WHERE versions > 0",
    "item_key": "SELECT item_key('A')",
    "moment_of": "SELECT moment_of('2026-01-01T00:00:00Z')",
    "name_key": "SELECT name_key('A')",
    "reads_all_tenants": "SELECT reads_all_tenants()",
    "reads_visible_tenants": "SELECT reads_visible_tenants()",
    "slot_turn": "SELECT * FROM slot_turn(:run_id, 100, 100)",
    "visible_tenants": "SELECT visible_tenants()",
}
"""For each function that may be called: an attempt at the other tenant's rows."""

SAYS_NOTHING = {"forget_versions", "slot_turn"}
"""The functions that return no row to another tenant."""

NO_LINK = "portfolio_run"
"""A table without tenants, so a reference to it needs none."""


@pytest.fixture(scope="module")
def filled(postgres: EmbeddedPostgres, set_up: SetUp) -> Iterator[tuple[str, UUID]]:
    """A database with rows of another tenant in every table, and the id of a queued run of theirs."""

    async def fill(url: str) -> UUID:
        async with Database(url) as database:
            await their_rows(database)
            queued = identity("queued")
            async with database.tenant(THEIRS) as session:
                await runs.open_run(session, queued, SLOTS._replace(overall=1))
            return queued.run_id

    for url in copy_of(postgres, *set_up):
        yield url, asyncio.run(fill(url))


@pytest.fixture
def catalog(postgres: EmbeddedPostgres, filled: tuple[str, UUID]) -> Iterator[psycopg.Connection[dict[str, Any]]]:
    """A superuser's view of the database."""
    url = url_of(postgres, filled[0].rpartition("/")[2])
    with psycopg.connect(url, autocommit=True, row_factory=dict_row) as connection:
        yield connection


@pytest.fixture
async def database(filled: tuple[str, UUID]) -> AsyncIterator[Database]:
    async with Database(filled[0]) as database:
        yield database


def relations(catalog: psycopg.Connection[dict[str, Any]]) -> dict[str, str]:
    """The relations that hold or show rows, with their kinds."""
    found = catalog.execute(
        "SELECT relname, relkind::text FROM pg_class"
        " WHERE relnamespace = 'public'::regnamespace AND relkind NOT IN ('i', 'I', 'c', 't') ORDER BY relname"
    )
    return {row["relname"]: row["relkind"] for row in found if row["relname"] not in NO_ROWS_OF_TENANTS}


def tables(catalog: psycopg.Connection[dict[str, Any]]) -> list[str]:
    """The tables alone."""
    return [name for name, kind in relations(catalog).items() if kind in "rp"]


def functions(catalog: psycopg.Connection[dict[str, Any]]) -> list[dict[str, Any]]:
    """The functions, procedures and aggregates of the product."""
    found = catalog.execute(
        "SELECT proname, oid, prosecdef, coalesce(proconfig, '{}') AS settings, prorettype = 'trigger'::regtype"
        " AS is_trigger, proacl IS NULL OR EXISTS (SELECT FROM aclexplode(proacl) WHERE grantee = 0) AS is_public"
        " FROM pg_proc WHERE pronamespace = 'public'::regnamespace ORDER BY proname"
    )
    return list(found)


def test_only_tables_and_views_hold_or_show_rows(catalog: psycopg.Connection[dict[str, Any]]) -> None:
    """A materialized view or a foreign table would have no policies, and a sequence counts over all tenants."""
    assert set(relations(catalog).values()) == {"r", "v"}


def test_policies_bind_every_table_to_one_tenant_for_every_role(
    catalog: psycopg.Connection[dict[str, Any]], set_up: SetUp
) -> None:
    unforced = catalog.execute(
        "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p')"
        " AND NOT (relrowsecurity AND relforcerowsecurity)"
    )
    assert {row["relname"] for row in unforced} == NO_POLICIES.keys() | NO_ROWS_OF_TENANTS.keys()
    for table in set(tables(catalog)) - NO_POLICIES.keys():
        policies = catalog.execute(
            "SELECT cmd, roles::text[] AS roles, permissive, qual, with_check FROM pg_policies WHERE tablename = %s",
            [table],
        )
        found = {tuple(map(str, policy.values())) for policy in policies}
        if table == "audit_record":
            assert found == {("ALL", "['public']", "PERMISSIVE", NO_TENANT_OR_ITS_OWN, NO_TENANT_OR_ITS_OWN)}
            continue
        if table in OF_THE_WEB:
            assert found == {("ALL", "['public']", "PERMISSIVE", NO_TENANT_AND_NOT_ALL, NO_TENANT_AND_NOT_ALL)}, table
            continue
        condition = NO_TENANT if table in OF_NO_TENANT else ONE_TENANT
        across = ("SELECT", f"['{PORTFOLIO_ROLE}']", "PERMISSIVE", "true", "None")
        bound = PORTFOLIO_ROLE if set_up.login is None else "public"
        assert [policy for policy in found if policy[2] == "RESTRICTIVE"] == [
            ("SELECT", f"['{bound}']", "RESTRICTIVE", VISIBLE_RUNS if table == "portfolio_run" else VISIBLE, "None")
        ], table
        assert {policy for policy in found if policy[2] == "PERMISSIVE"} == {
            ("ALL", "['public']", "PERMISSIVE", condition, condition),
            ("SELECT", "['public']", "PERMISSIVE", "reads_all_tenants()", "None"),
            *([across] if set_up.login is None else []),
        }, table


def test_every_key_and_reference_names_the_tenant(catalog: psycopg.Connection[dict[str, Any]]) -> None:
    """A key over all tenants reveals another tenant's row, and forbids a tenant its own."""
    keys = catalog.execute(
        "SELECT i.indexrelid::regclass::text AS name, i.indrelid::regclass::text AS of_table, EXISTS ("
        "   SELECT FROM pg_attribute AS a WHERE a.attrelid = i.indrelid AND a.attname = 'tenant_id'"
        "       AND a.attnum = ANY (i.indkey)"
        " ) AS has_tenant FROM pg_index AS i JOIN pg_class AS c ON c.oid = i.indrelid"
        " WHERE i.indisunique AND c.relnamespace = 'public'::regnamespace"
    ).fetchall()
    without = {key["name"] for key in keys if not key["has_tenant"]}
    assert without == {
        "alembic_version_pkc",
        *(f"{table}_pkey" for table in OF_NO_TENANT.keys() - {"configured_tenant"}),
    }
    references = catalog.execute(
        "SELECT conname, confrelid::regclass::text AS target, ARRAY("
        "   SELECT mine.attname || '=' || theirs.attname FROM unnest(c.conkey, c.confkey) AS pair (mine, theirs)"
        "   JOIN pg_attribute AS mine ON mine.attrelid = c.conrelid AND mine.attnum = pair.mine"
        "   JOIN pg_attribute AS theirs ON theirs.attrelid = c.confrelid AND theirs.attnum = pair.theirs"
        " ) AS pairs FROM pg_constraint AS c WHERE contype = 'f' AND c.connamespace = 'public'::regnamespace"
    ).fetchall()
    assert len(references) > 10
    for reference in references:
        assert reference["target"] == NO_LINK or "tenant_id=tenant_id" in reference["pairs"], reference["conname"]


async def test_no_table_or_view_shows_a_row_of_another_tenant(
    catalog: psycopg.Connection[dict[str, Any]], database: Database, set_up: SetUp
) -> None:
    for name in relations(catalog):
        if name in NO_POLICIES and set_up.login is not None:
            continue  # the owner may read it (decision 3)
        if name in NO_POLICIES:
            for tenant_id in (MINE, THEIRS):
                with pytest.raises(StorageUnavailableError, match="permission denied"):
                    async with database.tenant(tenant_id) as session:
                        await session.execute(text(f"SELECT tenant_id FROM {name}"))
            continue
        owner = None if name in OF_NO_TENANT else THEIRS
        async with database.tenant(THEIRS) if owner else database.no_tenant() as session:
            assert (await session.execute(text(f"SELECT count(*) FROM {name}"))).scalar_one() > 0, f"{name}: fill it"
        for other in (database.tenant(MINE), database.no_tenant() if owner else database.tenant(THEIRS)):
            async with other as session:
                assert (await session.execute(text(f"SELECT count(*) FROM {name}"))).scalar_one() == 0, name


async def test_no_table_or_view_accepts_a_change_of_another_tenants_rows(
    catalog: psycopg.Connection[dict[str, Any]], database: Database, set_up: SetUp
) -> None:
    bound = relations(catalog).keys() - (set() if set_up.login is None else NO_POLICIES.keys())
    for name in sorted(bound):
        column = OF_NO_TENANT.get(name, "tenant_id")
        before = _count(catalog, name)
        for statement in (f"DELETE FROM {name}", f"UPDATE {name} SET {column} = {column}"):
            try:
                async with database.tenant(MINE) as session:
                    result = await session.execute(text(statement))
                    assert result.rowcount == 0, statement  # type: ignore[attr-defined]
            except StorageUnavailableError as error:
                assert "permission denied" in str(error), statement
            assert _count(catalog, name) == before, statement


def test_with_two_roles_neither_role_may_truncate_or_create_tables(
    catalog: psycopg.Connection[dict[str, Any]], set_up: SetUp
) -> None:
    """Policies do not bind TRUNCATE, triggers or foreign keys."""
    if set_up.login is not None:
        pytest.skip("the owner may; `database upgrade` says so")
    for role in (WORKER_ROLE, PORTFOLIO_ROLE):
        for table in tables(catalog):
            may = catalog.execute("SELECT has_table_privilege(%s, %s, 'TRUNCATE, TRIGGER, REFERENCES')", [role, table])
            assert may.fetchone() == {"has_table_privilege": False}, table
        may = catalog.execute("SELECT has_schema_privilege(%s, 'public', 'CREATE')", [role])
        assert may.fetchone() == {"has_schema_privilege": False}


def _count(catalog: psycopg.Connection[dict[str, Any]], name: str) -> int:
    row = catalog.execute(f"SELECT count(*) FROM {name}".encode()).fetchone()
    assert row is not None
    return int(row["count"])


async def test_no_table_accepts_a_copy_of_another_tenants_row(
    catalog: psycopg.Connection[dict[str, Any]], database: Database
) -> None:
    for name in tables(catalog):
        row = catalog.execute(f"SELECT to_jsonb(t)::text AS row FROM {name} AS t LIMIT 1".encode()).fetchone()
        assert row is not None, f"{name}: fill it"
        columns = ", ".join(
            entry["attname"]
            for entry in catalog.execute(
                "SELECT quote_ident(attname) AS attname FROM pg_attribute"
                " WHERE attrelid = %s::regclass AND attnum > 0 AND NOT attisdropped AND attgenerated = ''",
                [name],
            )
        )
        planted = f"INSERT INTO {name} ({columns}) SELECT {columns} FROM jsonb_populate_record(NULL::{name}, :row)"
        with pytest.raises((DBAPIError, StorageUnavailableError)) as refused:
            async with database.tenant(MINE) as session:
                await session.execute(text(planted.replace(":row", "CAST(:row AS jsonb)")), {"row": row["row"]})
        refusals = "violates row-level security policy|permission denied for table staged_item"
        assert re.search(refusals, str(refused.value)), name


def test_security_definer_functions_fix_their_search_path_and_are_not_public(
    catalog: psycopg.Connection[dict[str, Any]], set_up: SetUp
) -> None:
    for function in functions(catalog):
        if function["prosecdef"]:
            (path,) = (value for value in function["settings"] if value.startswith("search_path="))
            assert path.endswith(", pg_temp"), function["proname"]
            assert not function["is_public"], function["proname"]
            if function["is_trigger"] and set_up.login is None:
                may = "SELECT has_function_privilege(%s, %s::oid, 'EXECUTE') AS may"
                for role in (WORKER_ROLE, PORTFOLIO_ROLE):
                    assert catalog.execute(may, [role, function["oid"]]).fetchone() == {"may": False}, function[
                        "proname"
                    ]
    for view in (name for name, kind in relations(catalog).items() if kind == "v"):
        options = catalog.execute("SELECT reloptions::text FROM pg_class WHERE oid = %s::regclass", [view]).fetchone()
        assert options is not None
        assert "security_barrier=" in options["reloptions"] or "security_invoker=" in options["reloptions"], view


async def test_no_function_returns_or_changes_another_tenants_rows(
    catalog: psycopg.Connection[dict[str, Any]], database: Database, filled: tuple[str, UUID]
) -> None:
    callable_ones = {function["proname"] for function in functions(catalog) if not function["is_trigger"]}
    assert callable_ones == CALLS.keys(), "write an attack for each"
    before = {name: _count(catalog, name) for name in tables(catalog)}
    run_id = {"run_id": filled[1]}
    async with database.tenant(THEIRS) as session:
        assert (await session.execute(text(CALLS["slot_turn"]), run_id)).one().ahead == 0
        theirs = (await session.execute(text(CALLS["document_lock"]))).scalar_one()
    async with database.tenant(MINE) as session:
        for name, call in CALLS.items():
            found = (await session.execute(text(call), run_id)).all()
            assert not (name in SAYS_NOTHING and found), name
            assert str(THEIRS) not in str(found), name
            assert (theirs,) not in found, name
        assert (await session.execute(text(CALLS["reads_all_tenants"]))).scalar_one() is False
    assert {name: _count(catalog, name) for name in tables(catalog)} == before


async def test_two_tenants_may_use_the_same_run_id(database: Database, filled: tuple[str, UUID]) -> None:
    mine = identity("squatted", run_id=filled[1])
    async with database.tenant(MINE) as session:
        opening = await runs.open_run(session, mine, SLOTS)
        assert opening.state is runs.OpeningState.RUNNING
        await session.rollback()


def test_switch_schemas_are_empty(catalog: psycopg.Connection[dict[str, Any]]) -> None:
    for switch in (ALL_TENANTS, VISIBLE_TENANTS):
        count = catalog.execute("SELECT count(*) FROM pg_class WHERE relnamespace = %s::regnamespace", [switch])
        assert count.fetchone() == {"count": 0}
