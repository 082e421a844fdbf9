"""The logins and databases that docker-compose.yml makes, on a real server, with awkward passwords."""

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from uuid import UUID, uuid4

import psycopg
import pytest
import yaml

from local.postgres import EmbeddedPostgres, _binaries
from storage.database import Database
from storage.schema import head, upgrade
from tests.deadlines import DEADLINE_SECONDS
from tests.forks import CHECKOUT
from tests.storage.support import items, observation, sync

AWKWARD = """'"\\$@:/%#?&=+;!*~^`|<>()[]{},.'$$ü\\"""
PASSWORDS = {
    "INVENTORY_OWNER_PASSWORD": f" owner {AWKWARD} ",
    "INVENTORY_WORKER_PASSWORD": f"worker {AWKWARD}",
    "TEMPORAL_PASSWORD": f"temporal{AWKWARD}",
}
LOGINS = {
    "inventory_owner": "INVENTORY_OWNER_PASSWORD",
    "inventory_worker": "INVENTORY_WORKER_PASSWORD",
    "temporal": "TEMPORAL_PASSWORD",
}
TENANT = UUID("aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee")


@pytest.fixture
def folder() -> Iterator[Path]:
    """Other pytest processes of this user would close `tmp_path` to the user that PostgreSQL runs as."""
    with TemporaryDirectory() as folder:
        yield Path(folder)


@pytest.fixture
def server(folder: Path) -> Iterator[EmbeddedPostgres]:
    """A server for one test, since roles belong to the whole server; it logs every statement that is not hidden."""
    settings = {"shared_buffers": "32MB", "log_statement": "all"}
    with EmbeddedPostgres(folder / "postgres", durable=False, settings=settings) as server:
        yield server


@pytest.fixture(scope="module")
def shared_server() -> Iterator[EmbeddedPostgres]:
    """A server with the logins and databases, for tests that do not change them."""
    with (
        TemporaryDirectory() as folder,
        EmbeddedPostgres(Path(folder) / "postgres", durable=False, settings={"shared_buffers": "32MB"}) as server,
    ):
        create(server)
        yield server


def make_databases(
    server: EmbeddedPostgres, passwords: Mapping[str, str] = PASSWORDS
) -> "subprocess.CompletedProcess[str]":
    """Runs the command of the service `databases`."""
    service = yaml.safe_load((CHECKOUT / "docker-compose.yml").read_text())["services"]["databases"]
    program, *arguments = service["entrypoint"]
    admin = psycopg.conninfo.conninfo_to_dict(server.url)
    return subprocess.run(
        [_binaries() / program, *(word.replace("=/deploy/", f"={CHECKOUT}/deploy/") for word in arguments)],
        env={
            **os.environ,
            **passwords,
            "PGHOST": str(admin["host"]),
            "PGPORT": str(admin["port"]),
            "PGUSER": str(admin["user"]),
            "PGPASSWORD": str(admin["password"]),
            "PGDATABASE": service["environment"]["PGDATABASE"],
        },
        capture_output=True,
        text=True,
        timeout=DEADLINE_SECONDS,
    )


def create(server: EmbeddedPostgres, passwords: Mapping[str, str] = PASSWORDS) -> None:
    result = make_databases(server, passwords)
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")


def url(server: EmbeddedPostgres, login: str, database: str = "tenant_inventory") -> str:
    """A URL without a password, as in docker-compose.yml."""
    admin = psycopg.conninfo.conninfo_to_dict(server.url)
    return f"postgresql://{login}@{admin['host']}:{admin['port']}/{database}"


def starter(server: EmbeddedPostgres, login: str, *arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "starter.py", *arguments],
        cwd=CHECKOUT,
        env={
            **os.environ,
            "DATABASE_URL": url(server, login),
            "PGPASSWORD": PASSWORDS[LOGINS[login]],
            "TENANT_INVENTORY_STATE": str(CHECKOUT / "no-stack"),
        },
        capture_output=True,
        text=True,
        timeout=DEADLINE_SECONDS,
    )


def connect(server: EmbeddedPostgres, login: str, database: str) -> "psycopg.Connection[tuple[object, ...]]":
    return psycopg.connect(url(server, login, database), password=PASSWORDS[LOGINS[login]], autocommit=True)


@pytest.mark.slow
async def test_each_login_does_its_work_with_an_awkward_password(
    server: EmbeddedPostgres, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    create(server)
    result = starter(server, "inventory_owner", "database", "upgrade")
    assert result.returncode == 0, result.stderr
    assert f"from empty to revision {head()}" in result.stdout
    assert "it works under two roles" in result.stdout
    assert starter(server, "inventory_worker", "runs").returncode == 0

    monkeypatch.setenv("PGPASSWORD", PASSWORDS["INVENTORY_WORKER_PASSWORD"])
    async with Database(url(server, "inventory_worker")) as database:
        assert await database.excess() == [], "the workers' login may do more than it needs"
        await sync(database, TENANT, [observation("a", "1")], "a")
        assert set(await items(database, TENANT)) == {"1"}

    with connect(server, "temporal", "temporal") as connection:
        connection.execute("CREATE TABLE executions (id int)")
    with connect(server, "temporal", "temporal_visibility") as connection:
        connection.execute("CREATE EXTENSION btree_gin")

    log = (folder / "postgres" / "log").read_text()
    assert "CREATE TABLE executions" in log
    for login in LOGINS:
        assert f"ALTER ROLE {login}" not in log


@pytest.mark.parametrize(
    ("login", "database"),
    [
        ("temporal", "tenant_inventory"),
        ("inventory_worker", "temporal"),
        ("inventory_owner", "temporal"),
        ("inventory_owner", "temporal_visibility"),
    ],
)
def test_a_login_reaches_no_database_of_another_login(
    shared_server: EmbeddedPostgres, login: str, database: str
) -> None:
    with pytest.raises(psycopg.OperationalError, match="permission denied for database"):
        connect(shared_server, login, database)


def test_no_login_has_superuser_rights(shared_server: EmbeddedPostgres) -> None:
    with psycopg.connect(shared_server.url) as connection:
        found = connection.execute(
            "SELECT rolname FROM pg_roles WHERE rolsuper OR rolcreatedb OR rolcreaterole OR rolbypassrls"
            " OR rolreplication"
        ).fetchall()
    assert found == [("postgres",)]


@pytest.mark.slow
async def test_an_existing_volume_gets_its_new_owners_and_keeps_its_rows(
    server: EmbeddedPostgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("tenant_inventory", "temporal", "temporal_visibility"):
        server.create_database(name)
    admin = server.database_url("tenant_inventory")
    upgrade(admin)
    database = Database(admin)
    await sync(database, TENANT, [observation("a", "1")], "a")
    await database.close()
    with psycopg.connect(server.database_url("temporal_visibility")) as connection:
        connection.execute("CREATE EXTENSION btree_gin")
        connection.execute("CREATE TABLE executions_visibility (id bigserial, at int GENERATED ALWAYS AS IDENTITY)")

    create(server)
    result = starter(server, "inventory_owner", "database", "upgrade")
    assert (result.returncode, result.stderr) == (0, "")
    assert f"at revision {head()} already" in result.stdout
    assert owned_by_the_superuser(server, "tenant_inventory") == []
    assert owned_by_the_superuser(server, "temporal_visibility") == []
    monkeypatch.setenv("PGPASSWORD", PASSWORDS["INVENTORY_WORKER_PASSWORD"])
    async with Database(url(server, "inventory_worker")) as database:
        await sync(database, TENANT, [observation("a", "1"), observation("a", "2")], "a")
        assert set(await items(database, TENANT)) == {"1", "2"}
        await sync(database, uuid4(), [observation("a", "3")], "a")
        assert set(await items(database, TENANT)) == {"1", "2"}
    with connect(server, "temporal", "temporal_visibility") as connection:
        connection.execute("ALTER TABLE executions_visibility ADD COLUMN more int")


def owned_by_the_superuser(server: EmbeddedPostgres, name: str) -> list[tuple[object, ...]]:
    """Tables, functions and schemas that are neither PostgreSQL's own nor an extension's."""
    with psycopg.connect(server.database_url(name)) as connection:
        return connection.execute(
            """
            SELECT c.oid::regclass::text FROM pg_class AS c
            WHERE relowner = 10 AND relnamespace::regnamespace::text IN ('public', 'tenant_inventory_all_tenants')
            UNION ALL
            SELECT p.oid::regprocedure::text FROM pg_proc AS p
            WHERE proowner = 10 AND pronamespace = 'public'::regnamespace
                AND NOT EXISTS (SELECT FROM pg_depend WHERE objid = p.oid AND deptype = 'e')
            UNION ALL
            SELECT nspname::text FROM pg_namespace
            WHERE nspowner = 10 AND nspname !~ '^pg_' AND nspname <> 'information_schema'
            """
        ).fetchall()


def test_a_new_password_applies_at_the_next_start(server: EmbeddedPostgres) -> None:
    create(server)
    changed = {**PASSWORDS, "INVENTORY_WORKER_PASSWORD": "another"}
    create(server, changed)
    psycopg.connect(url(server, "inventory_worker"), password="another").close()
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        connect(server, "inventory_worker", "tenant_inventory")


def test_an_unsendable_temporal_password_is_refused_before_any_role_is_made(server: EmbeddedPostgres) -> None:
    result = make_databases(server, {**PASSWORDS, "TEMPORAL_PASSWORD": "two words"})
    assert result.returncode == 3
    assert "ERROR:  TEMPORAL_PASSWORD has a space, which Temporal cannot send; choose one without" in result.stderr
    assert "two words" not in result.stderr
    with psycopg.connect(server.url) as connection:
        assert connection.execute("SELECT count(*) FROM pg_roles WHERE rolname = 'temporal'").fetchone() == (0,)


@pytest.mark.parametrize("password", [PASSWORDS["TEMPORAL_PASSWORD"], "plain", "\\\\\\", '"', "- #"])
def test_the_temporal_server_reads_awkward_passwords_unchanged(tmp_path: Path, password: str) -> None:
    printing = tmp_path / "entrypoint.sh"
    printing.write_text('#!/bin/sh\nprintf %s "$POSTGRES_PWD"\n')
    printing.chmod(0o755)
    script = (CHECKOUT / "deploy" / "temporal-server.sh").read_text()
    result = subprocess.run(
        ["sh", "-c", script.replace("/etc/temporal/entrypoint.sh", str(printing))],
        env={"PATH": os.environ["PATH"], "POSTGRES_PWD": password},
        capture_output=True,
        text=True,
        timeout=DEADLINE_SECONDS,
    )
    assert (result.returncode, result.stderr) == (0, "")
    # common/config/config_template_embedded.yaml of temporalio/temporal: password: "{{ … (env "POSTGRES_PWD") }}"
    assert yaml.safe_load(f'password: "{result.stdout}"') == {"password": password}
