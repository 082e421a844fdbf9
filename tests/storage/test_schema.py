import asyncio
from hashlib import sha256
from uuid import uuid4

import psycopg
import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import create_engine, text

from storage.compression import decompress
from storage.database import (
    Database,
    DatabaseUrlError,
    StorageUnavailableError,
)
from storage.database import (
    database_url as sqlalchemy_url,
)
from storage.roles import ROLES
from storage.schema import _config, head, upgrade
from tests.storage.all_tables import METADATA


def test_migrations_agree_with_the_models(database_url: str) -> None:
    engine = create_engine(sqlalchemy_url(database_url))
    with engine.connect() as connection:
        context = MigrationContext.configure(
            connection, opts={"compare_type": True, "compare_server_default": False, "target_metadata": METADATA}
        )
        assert compare_metadata(context, METADATA) == []
    engine.dispose()


FILLED_AT_0001 = """
SELECT set_config('app.tenant_id', gen_random_uuid()::text, false);
INSERT INTO tenant (name) VALUES ('Contoso');
INSERT INTO sync_run (run_id, workflow_id, selection_hash, selection, status, started_at, finished_at)
    SELECT gen_random_uuid(), 'sync/y', repeat('b', 64), '{}', 'success', now() + hour * interval '1 hour',
        now() + hour * interval '1 hour' + interval '1 minute'
    FROM generate_series(-2, 2) AS hour;
INSERT INTO sync_run_collection (run_id, type_key, outcome)
    SELECT run_id, 'groups', CASE WHEN started_at > now() + interval '90 minutes' THEN 'failed' ELSE 'complete' END
    FROM sync_run;
INSERT INTO sync_run (run_id, workflow_id, selection_hash, selection, lease_expires_at)
    VALUES (gen_random_uuid(), 'sync/x', repeat('a', 64), '{}', clock_timestamp() + interval '1 minute');
INSERT INTO inventory_item (type_key, external_id, display_name, meta, content_hash, version_number, first_seen_at,
        first_seen_run_id, content_changed_at, last_seen_at, last_seen_run_id)
    SELECT type_key, n::text, 'now', '{}', sha256(n::text::bytea), 2, now(), gen_random_uuid(), now(), now(),
        gen_random_uuid()
    FROM generate_series(1, 1500) AS n, unnest(ARRAY['groups', 'configurationPolicies']) AS type_key;
INSERT INTO document (content_hash, body) SELECT sha256(n::text::bytea), n::text FROM generate_series(0, 1500) AS n;
INSERT INTO item_version (type_key, external_id, version_number, content_hash, observed_at, run_id)
    SELECT type_key, external_id, number, sha256(CASE number WHEN 1 THEN '0' ELSE external_id END::bytea), now(),
        first_seen_run_id
    FROM inventory_item, generate_series(1, 2) AS number
"""

# The run an hour later did not see the groups; the run two hours later failed to read them.
FILLED_IN = """
SELECT count(*), count(DISTINCT item.absent_from), bool_and(noticed_at = absence.absent_from + interval '1 minute'),
    bool_and((evidence, confidence) = ('not_listed', 'high')),
    bool_and((outcome, listed_from) = ('failed', item.absent_from)), bool_and(first_listed_at < listed_from)
FROM inventory_item AS item JOIN item_absence AS absence USING (tenant_id, type_key, external_id, absent_from)
    JOIN collection_coverage USING (tenant_id, type_key)
WHERE item.absent_from > item.last_seen_at
"""

UPGRADED = """
SELECT
    (SELECT count(*) FROM inventory_item WHERE missing_confirmed_at IS NULL) AS items,
    (SELECT count(*) FROM inventory_item WHERE NOT details_complete) AS to_be_detailed,
    (SELECT count(*) FROM item_version WHERE display_name = 'now' AND version_number = 2) AS named,
    (SELECT count(*) FROM item_version WHERE last_observed_at IS NULL AND first_observed_at IS NOT NULL) AS versions,
    (SELECT count(*) FROM item_version WHERE NOT details_complete AND type_key = 'configurationPolicies') AS incomplete
"""


def test_upgrade_from_the_first_release_keeps_the_data(empty_database_url: str) -> None:
    engine = create_engine(sqlalchemy_url(empty_database_url))
    with engine.connect() as connection:
        command.upgrade(_config(connection), "0001")
        connection.execute(text(FILLED_AT_0001))
        connection.commit()
    assert upgrade(empty_database_url) == ("0001", head(), ROLES)
    with engine.connect() as connection:
        kept = connection.execute(text(UPGRADED)).one()
        documents = connection.execute(text("SELECT content_hash, body, size FROM document")).all()
        turn = connection.execute(
            text(
                "SELECT may_start, ahead FROM slot_turn((SELECT run_id FROM sync_run WHERE started_at IS NULL), 2, 20)"
            )
        )
        assert (tuple(kept), tuple(turn.one())) == ((3000, 1500, 3000, 6000, 3000), (True, 0))
        assert tuple(connection.execute(text(FILLED_IN)).one()) == (1500, 1, True, True, True, True)
        assert connection.execute(text("SELECT count(absent_from) FROM inventory_item")).scalar_one() == 1500
    assert sorted(decompress(row.body) for row in documents) == sorted(str(n).encode() for n in range(1501))
    assert all(sha256(decompress(row.body)).digest() == bytes(row.content_hash) for row in documents)
    assert all(len(decompress(row.body)) == row.size for row in documents)
    engine.dispose()


def test_upgrading_an_upgraded_database_changes_nothing(empty_database_url: str) -> None:
    assert upgrade(empty_database_url) == (None, head(), ROLES)
    assert upgrade(empty_database_url) == (head(), head(), ROLES)


async def test_two_upgrades_at_once_both_succeed(empty_database_url: str) -> None:
    results = await asyncio.gather(*(asyncio.to_thread(upgrade, empty_database_url) for _ in range(2)))
    assert {upgraded.before for upgraded in results} == {None, head()}


@pytest.mark.parametrize("url", ["mysql://user:hunter2@host/db", "hunter2", ""])
def test_a_url_that_is_not_postgresql_is_refused_without_repeating_it(url: str) -> None:
    with pytest.raises(DatabaseUrlError) as refused:
        sqlalchemy_url(url)
    assert "hunter2" not in str(refused.value)


async def test_an_unreachable_database_is_unavailable_and_its_password_stays_secret() -> None:
    async with Database("postgresql://user:hunter2@127.0.0.1:1/db") as database:
        with pytest.raises(StorageUnavailableError) as unreachable:
            async with database.tenant(uuid4()):
                pass
        assert "hunter2" not in str(unreachable.value)


async def test_lost_connection_is_unavailable_and_the_next_connection_works(database_url: str) -> None:
    async with Database(database_url) as database:
        with pytest.raises(StorageUnavailableError):
            async with database.tenant(uuid4()) as session:
                pid = (await session.execute(text("SELECT pg_backend_pid()"))).scalar_one()
                with psycopg.connect(database_url, autocommit=True) as other:
                    other.execute("SELECT pg_terminate_backend(%s)", (pid,))
                await session.execute(text("SELECT 1"))
        async with database.tenant(uuid4()) as session:
            assert (await session.execute(text("SELECT 1"))).scalar_one() == 1


async def test_callers_broken_pipe_is_not_classified_as_a_database_error(database: Database) -> None:
    with pytest.raises(BrokenPipeError):
        async with database.tenant(uuid4()):
            raise BrokenPipeError
