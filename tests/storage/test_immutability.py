"""Neither the worker's role nor the tables' owner can change versions and documents."""

from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from psycopg import sql
from psycopg.errors import InsufficientPrivilege, IntegrityError

from storage.database import WORKER_ROLE, Database
from tests.storage.all_tables import METADATA
from tests.storage.support import observation, sync

IMMUTABLE = ("document", "item_version")
OBSERVED = {"last_observed_at": "2030-01-01T00:00:00Z", "last_observed_run_id": str(UUID(int=1))}
"""Columns of a version that are set once, when the next version follows."""

texts = st.text(st.characters(codec="utf-8", exclude_characters="\0"))
VALUES: dict[str, st.SearchStrategy[Any]] = {
    "tenant_id": st.uuids().map(str),
    "type_key": texts,
    "external_id": texts,
    "version_number": st.integers(0, 2**63 - 1),
    "content_hash": st.binary(min_size=32, max_size=32),
    "display_name": texts | st.none(),
    "details_complete": st.just(False),
    "stale_parts": st.just('[{"detail": "settings"}]'),
    "first_observed_at": st.datetimes().map(lambda moment: f"{moment.isoformat()}Z"),
    "first_observed_run_id": st.uuids().map(str),
    "body": st.binary(),
    "body_hash": st.binary(min_size=32, max_size=32),
    "size": st.integers(-(2**63), 2**63 - 1),
}
COLUMNS = {
    table: sorted(column.name for column in METADATA.tables[table].columns if column.name not in OBSERVED)
    for table in IMMUTABLE
}


@pytest.fixture
async def tenant_id(database: Database) -> UUID:
    """A tenant with an item of two versions."""
    tenant_id = uuid4()
    for name in ("one", "two"):
        await sync(database, tenant_id, [observation("groups", "a", displayName=name)], "groups")
    return tenant_id


def update(
    connection: psycopg.Connection, table: str, values: dict[str, Any], tenant_id: UUID, role: str | None = None
) -> int:
    """The number of rows that the update changes, as a role or as the owner; it is rolled back."""
    pairs = [sql.SQL("{} = {}").format(sql.Identifier(name), sql.Literal(value)) for name, value in values.items()]
    statement = sql.SQL("UPDATE {} SET {} WHERE tenant_id = {}").format(
        sql.Identifier(table), sql.SQL(", ").join(pairs), sql.Literal(str(tenant_id))
    )
    with connection.transaction(force_rollback=True):
        if role is not None:
            connection.execute("SELECT set_config('role', %s, true)", [role])
        connection.execute("SELECT set_config('app.tenant_id', %s, true)", [str(tenant_id)])
        return connection.execute(statement).rowcount


@pytest.mark.parametrize("table", IMMUTABLE)
def test_updates_of_versions_and_documents_are_refused(table: str, tenant_id: UUID, database_url: str) -> None:
    changes = st.lists(st.sampled_from(COLUMNS[table]), min_size=1, max_size=3, unique=True).flatmap(
        lambda names: st.fixed_dictionaries({name: VALUES[name] for name in names})
    )
    with psycopg.connect(database_url, autocommit=True) as connection:

        @given(changes, st.booleans())
        @settings(suppress_health_check=[HealthCheck.too_slow])
        def assert_refused(values: dict[str, Any], with_observed: bool) -> None:
            with pytest.raises(InsufficientPrivilege):
                update(connection, table, values, tenant_id, WORKER_ROLE)
            both = {**values, **OBSERVED} if with_observed and table == "item_version" else values
            with pytest.raises(IntegrityError, match="immutable"):
                update(connection, table, both, tenant_id)

        assert_refused()


def test_last_observation_of_a_version_is_set_once(tenant_id: UUID, database_url: str) -> None:
    with psycopg.connect(database_url, autocommit=True) as connection:
        # The older of the two versions has it already.
        for role in (WORKER_ROLE, None):
            with pytest.raises(IntegrityError, match="immutable"):
                update(connection, "item_version", OBSERVED, tenant_id, role)
            with pytest.raises(IntegrityError, match="immutable"):
                update(connection, "item_version", dict.fromkeys(OBSERVED), tenant_id, role)
        connection.execute("DELETE FROM item_version WHERE last_observed_at IS NOT NULL")
        assert update(connection, "item_version", OBSERVED, tenant_id, WORKER_ROLE) == 1
        with connection.transaction(force_rollback=True):
            assert connection.execute("UPDATE item_version SET last_observed_at = now()").rowcount == 1
            with pytest.raises(IntegrityError, match="immutable"):
                update(connection, "item_version", OBSERVED, tenant_id)


def test_strategies_cover_every_column() -> None:
    assert {name for names in COLUMNS.values() for name in names} == set(VALUES)
