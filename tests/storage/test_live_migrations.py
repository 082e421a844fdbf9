"""Migrations on a database in use: brief waits for locks, indexes built beside writers, moved rows."""

from collections.abc import Iterator
from pathlib import Path
from threading import Thread
from time import sleep
from uuid import UUID, uuid4

import psycopg
import pytest
from alembic import command
from sqlalchemy import create_engine, text

from inventory.searched_settings import written
from local.postgres import EmbeddedPostgres
from storage import access, schema
from storage.database import Database, StorageNotReadyError, StorageUnavailableError
from storage.database import database_url as sqlalchemy_url
from storage.roles import ROLES, settle
from storage.schema import LockRetries, head, upgrade
from tests.conftest import OWNER, copy_of, url_of
from tests.storage.earlier_release import write_item
from tests.storage.support import items, observation, sync

LAST_RELEASE = "0012"
STAMP = "UPDATE alembic_version SET version_num = %s"
AT_ONCE = LockRetries(timeout_ms=200, attempts=300, pause_seconds=0)


@pytest.fixture(params=["two roles", "one role"])
def copied(
    request: pytest.FixtureRequest, postgres: EmbeddedPostgres, migrated_template: str, one_role_template: str
) -> Iterator[str]:
    """A migrated database of this test's own."""
    if request.param == "two roles":
        yield from copy_of(postgres, migrated_template)
    else:
        yield from copy_of(postgres, one_role_template, OWNER)


@pytest.fixture
def a_copy(postgres: EmbeddedPostgres, migrated_template: str) -> Iterator[str]:
    yield from copy_of(postgres, migrated_template)


def stamp(url: str, revision: str) -> None:
    """Sets the database's revision. Migrations from 0013 on may run again."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(STAMP, [revision])


def test_the_revision_that_commands_compare_is_the_newest_migration() -> None:
    assert head() == access.REVISION


@pytest.mark.parametrize(
    ("revision", "words"),
    [
        (LAST_RELEASE, "run: python starter.py database upgrade"),
        ("9999", "older than the database: update the program"),
    ],
)
async def test_another_revision_is_refused_at_start_and_not_while_running(
    a_copy: str, revision: str, words: str
) -> None:
    running, started = Database(a_copy), Database(a_copy)
    try:
        async with running.tenant(uuid4()):
            pass
        stamp(a_copy, revision)
        async with running.tenant(uuid4()) as session:
            assert (await session.execute(text("SELECT count(*) FROM tenant"))).scalar_one() == 0
        with pytest.raises(StorageNotReadyError, match=f"at revision {revision}") as refused:
            async with started.portfolio():
                pass
        assert str(refused.value).endswith(words)
        stamp(a_copy, head())
        async with started.portfolio():
            pass
    finally:
        await running.close()
        await started.close()


async def test_a_database_of_the_last_release_is_upgraded_with_its_data(empty_database_url: str) -> None:
    engine = create_engine(sqlalchemy_url(empty_database_url))
    with engine.connect() as connection:
        settle(connection)
        command.upgrade(schema._config(connection), LAST_RELEASE)
    before = Database(empty_database_url)
    before._access = access.Access(*ROLES)
    mine, theirs = uuid4(), uuid4()
    try:
        with engine.begin() as connection:
            for tenant_id in (mine, theirs):
                write_item(connection, tenant_id, "a", {"id": "1"})
        engine.dispose()
        assert upgrade(empty_database_url) == (LAST_RELEASE, head(), ROLES)
        # A running worker goes on, and a new worker starts.
        for database in (before, Database(empty_database_url)):
            await sync(database, mine, [observation("a", "1"), observation("a", "2")], "a")
            assert set(await items(database, mine)) == {"1", "2"}
            assert set(await items(database, theirs)) == {"1"}
            await database.close()
    finally:
        await before.close()


SETTINGS_IN_ROWS = """
INSERT INTO tenant (tenant_id, name) SELECT CAST(lpad(n::text, 32, '0') AS uuid), 'x' FROM generate_series(1, 2) AS n;
INSERT INTO item_setting (tenant_id, type_key, external_id, position, setting, value)
SELECT tenant_id, 'a', item, position, setting, value FROM tenant CROSS JOIN (VALUES
    ('p', 1, 'pin', NULL), ('p', 0, 'camera', 'on'), ('q', 0, 'camera', 'off'), ('q', 1, 'camera', '')
) AS made (item, position, setting, value)
"""


async def test_upgrade_joins_rows_of_settings_into_a_text_per_item(empty_database_url: str) -> None:
    engine = create_engine(sqlalchemy_url(empty_database_url))
    with engine.connect() as connection:
        settle(connection)
        command.upgrade(schema._config(connection), "0046")
        connection.execute(text(SETTINGS_IN_ROWS))
        connection.commit()
    engine.dispose()
    upgrade(empty_database_url)
    async with Database(empty_database_url) as database:
        for number in (1, 2):
            async with database.tenant(UUID(str(number).rjust(32, "0")), read_only=True) as session:
                kept = await session.execute(text("SELECT external_id, settings FROM item_settings ORDER BY 1"))
                assert [tuple(row) for row in kept] == [
                    ("p", written([("camera", "on"), ("pin", None)]).text),
                    ("q", written([("camera", "off"), ("camera", "")]).text),
                ]
                known = await session.execute(text("SELECT type_key, setting FROM collection_setting ORDER BY 2"))
                assert [tuple(row) for row in known] == [("a", "camera"), ("a", "pin")]


def test_waiting_migration_names_the_lock_and_then_continues(copied: str, postgres: EmbeddedPostgres) -> None:
    stamp(copied, LAST_RELEASE)
    messages: list[str] = []
    superuser = url_of(postgres, copied.rpartition("/")[2])
    with psycopg.connect(superuser, application_name="a report") as holder:
        holder.execute("LOCK TABLE sync_run IN ACCESS SHARE MODE")
        pid = holder.info.backend_pid

        def tell(line: str) -> None:
            messages.append(line)
            if "sync_run" in line:
                holder.rollback()

        assert upgrade(copied, retries=AT_ONCE, tell=tell).before == LAST_RELEASE
    assert messages[-1].startswith(f"waiting for the lock of sync_run, held by a report (pid {pid}) (attempt ")


def test_upgrade_fails_if_a_lock_is_never_free(a_copy: str) -> None:
    stamp(a_copy, LAST_RELEASE)
    retries = LockRetries(timeout_ms=1, attempts=3, pause_seconds=0)
    messages: list[str] = []
    with psycopg.connect(a_copy) as holder:
        holder.execute("LOCK TABLE sync_run IN ACCESS SHARE MODE")
        with pytest.raises(StorageUnavailableError, match=r"the migration did not get .* lock.* in 3 attempts"):
            upgrade(a_copy, retries=retries, tell=messages.append)
    assert len(messages) == 2
    assert upgrade(a_copy).before == LAST_RELEASE


MIGRATION = """
from alembic import op
from storage.migrations import operations

revision, down_revision, branch_labels, depends_on = "9001", "{head}", None, None

def upgrade():
    {upgrade}
"""
INDEX = 'operations.create_index("tenant_named", "tenant (name)", unique=True)'
IS_VALID = "SELECT indisvalid FROM pg_index WHERE indexrelid = to_regclass('tenant_named')"


@pytest.fixture
def next_migration(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file in which a test writes a further migration."""
    configured = schema._config
    versions = Path(schema.__file__).parent / "migrations" / "versions"

    def config(*arguments: object, **options: object) -> object:
        made = configured(*arguments, **options)  # type: ignore[arg-type]
        made.set_main_option("path_separator", "newline")
        made.set_main_option("version_locations", f"{versions}\n{tmp_path}")
        return made

    monkeypatch.setattr(schema, "_config", config)
    return tmp_path / "9001_next.py"


@pytest.fixture
def migration_that_moves_rows(next_migration: Path) -> None:
    move = "UPDATE inventory_item SET display_name = 'moved' WHERE tenant_id = current_tenant()"
    loop = f"for _ in operations.each_tenant(): op.execute({move!r})"
    next_migration.write_text(MIGRATION.format(head=head(), upgrade=loop))


@pytest.mark.usefixtures("migration_that_moves_rows")
async def test_migration_moves_rows_of_all_tenants_despite_policies(copied: str) -> None:
    tenants = uuid4(), uuid4()
    async with Database(copied) as database:
        for tenant_id in tenants:
            await sync(database, tenant_id, [observation("a", "1")], "a")
        assert upgrade(copied).after == "9001"
        for tenant_id in tenants:
            assert [item.display_name for item in (await items(database, tenant_id)).values()] == ["moved"]


async def test_upgrade_sorts_items_without_a_name_last(copied: str) -> None:
    tenants = uuid4(), uuid4()
    keys = text("SELECT external_id FROM item_name ORDER BY name_key")
    async with Database(copied) as database:
        for tenant_id in tenants:
            await sync(database, tenant_id, [observation("a", "1"), observation("a", "2", displayName="Z")], "a")
            async with database.tenant(tenant_id) as session:
                await session.execute(text("UPDATE item_name SET name_key = '' WHERE external_id = '1'"))
        stamp(copied, "0045")
        upgrade(copied)
        for tenant_id in tenants:
            async with database.tenant(tenant_id, read_only=True) as session:
                assert list((await session.execute(keys)).scalars()) == ["2", "1"]


def test_an_index_is_built_beside_writers(a_copy: str, next_migration: Path) -> None:
    next_migration.write_text(MIGRATION.format(head=head(), upgrade=INDEX))
    add = "INSERT INTO tenant (tenant_id, name) VALUES (gen_random_uuid(), %s)"
    upgrading = Thread(target=upgrade, args=(a_copy,), kwargs={"retries": AT_ONCE})
    waits = "SELECT count(*) FROM pg_stat_progress_create_index WHERE phase LIKE 'waiting for writers%'"
    with psycopg.connect(a_copy) as writer, psycopg.connect(a_copy, autocommit=True) as other:
        writer.execute(add, ["one"])
        upgrading.start()
        while other.execute(waits).fetchone() == (0,):
            sleep(0.01)
        other.execute(add, ["two"])  # A build that locks the table would block this until the writer ends.
        writer.commit()
        upgrading.join()
        assert other.execute(IS_VALID).fetchone() == (True,)


def test_invalid_index_of_a_failed_build_is_rebuilt(a_copy: str, next_migration: Path) -> None:
    next_migration.write_text(MIGRATION.format(head=head(), upgrade=INDEX))
    with psycopg.connect(a_copy, autocommit=True) as connection:
        connection.execute(
            "INSERT INTO tenant (tenant_id, name) SELECT gen_random_uuid(), 'x' FROM generate_series(1, 2)"
        )
        with pytest.raises(Exception, match="could not create unique index"):
            upgrade(a_copy)
        assert connection.execute(IS_VALID).fetchone() == (False,)
        connection.execute("UPDATE tenant SET name = tenant_id::text")
        assert upgrade(a_copy).after == "9001"
        assert connection.execute(IS_VALID).fetchone() == (True,)
