"""Deletes all rows of a tenant, as the tables' owner, in one transaction."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from graphlib import TopologicalSorter
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import Connection, create_engine, text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import SQLAlchemyError

from inventory.people import Action, Role
from storage.access import ALL_TENANTS, SETTABLE, check_revision
from storage.database import PROBE, database_url
from storage.errors import StorageNotReadyError, StorageUnavailableError, classified
from storage.models.base import table
from storage.models.web import AuditRecord
from storage.timeouts import LOCK_TIMEOUT_SECONDS, connection_parameters

GUARDED = "audit_record"
"""The table that refuses deletions; records of earlier purges stay."""

_MAY_BE_OWNER = text(f"SELECT pg_has_role(session_user, :owner, {SETTABLE})")

_TABLES = text("""
-- the tables whose rows belong to a tenant, and which of them each refers to
WITH tables AS (
    SELECT c.oid, c.relname
    FROM pg_class AS c
    JOIN pg_class AS run ON run.oid = to_regclass('sync_run') AND run.relnamespace = c.relnamespace
    WHERE c.relkind IN ('r', 'p') AND EXISTS (
        SELECT FROM pg_attribute AS a WHERE a.attrelid = c.oid AND a.attname = 'tenant_id' AND NOT a.attisdropped
    )
)
SELECT quote_ident(relname), ARRAY(
    SELECT DISTINCT quote_ident(other.relname)
    FROM pg_constraint AS k JOIN tables AS other ON other.oid = k.confrelid
    WHERE k.conrelid = tables.oid AND k.contype = 'f' AND k.confrelid <> k.conrelid
)
FROM tables
""")

_BIND = text("SELECT set_config('app.tenant_id', :tenant_id, true)")

_LOCK = text("SELECT name FROM tenant WHERE tenant_id = :tenant_id FOR UPDATE")
"""Keeps runs of the tenant from being recorded until the row is gone."""

_NO_CURRENT_VERSIONS = text("UPDATE inventory_item SET version_number = 0 WHERE tenant_id = :tenant_id")
"""The database refuses to delete current versions: this leaves none."""

_ALONE = text("""
DELETE FROM portfolio_run
WHERE chosen -> 'tenant_ids' = jsonb_build_array(CAST(:tenant_id AS text)) AND chosen -> 'tags' = '[]'
    AND NOT (chosen ->> 'everyone')::boolean
""")

_AMONG_OTHERS = text("""
UPDATE portfolio_run SET chosen = jsonb_set(chosen, '{tenant_ids}', (chosen -> 'tenant_ids') - CAST(:tenant_id AS text))
WHERE chosen -> 'tenant_ids' ? CAST(:tenant_id AS text)
""")


_COPIES = {
    "promotion_decision": "(tenant_id, plan_id) IN ("
    "SELECT tenant_id, plan_id FROM promotion_plan WHERE source_tenant_id = :tenant_id)",
    "promotion_plan": "source_tenant_id = :tenant_id",
    "promotion_mapping": "source_tenant_id = :tenant_id",
}
"""Other tenants' rows with content of this one, in the order of foreign keys."""

_TARGETS = text("""
SELECT tenant_id FROM promotion_plan WHERE source_tenant_id = :tenant_id
UNION SELECT tenant_id FROM promotion_mapping WHERE source_tenant_id = :tenant_id
""")

_SEARCH_PATH = text("SELECT set_config('search_path', :path, true)")


class PurgedRows(NamedTuple):
    """Numbers of deleted rows by table, and of portfolio runs from which the tenant was erased."""

    tables: Mapping[str, int]
    portfolio_runs: int


class TenantPurge:
    """A transaction of the tables' owner."""

    def __init__(self, connection: Connection, tenant_id: UUID) -> None:
        self._connection = connection
        self._tenant_id = {"tenant_id": str(tenant_id)}

    def name(self) -> str | None:
        """Locks the tenant; returns its latest name, None if no run was recorded."""
        name: str | None = self._connection.execute(_LOCK, self._tenant_id).scalar_one_or_none()
        return name

    def workflow_ids(self) -> list[str]:
        found = text("SELECT DISTINCT workflow_id FROM sync_run WHERE tenant_id = :tenant_id ORDER BY workflow_id")
        return list(self._connection.execute(found, self._tenant_id).scalars())

    def delete(self) -> PurgedRows:
        """Deletes the tenant's rows, other tenants' rows with its content, and its part in portfolio runs."""
        self._connection.execute(_NO_CURRENT_VERSIONS, self._tenant_id)
        tables = self._tables()
        purged = dict.fromkeys(tables, 0)
        for name in tables:
            purged[name] += self._delete(name)
        for target in self._targets():
            self._connection.execute(_BIND, {"tenant_id": str(target)})
            for name, condition in _COPIES.items():
                statement = text(f"DELETE FROM {name} WHERE tenant_id = current_tenant() AND {condition}")
                purged[name] += self._connection.execute(statement, self._tenant_id).rowcount
        # A session bound to a tenant does not see rows of no tenant, such as access rules.
        self._connection.execute(_BIND, {"tenant_id": ""})
        for name in tables:
            purged[name] += self._delete(name)
        self._connection.execute(text(f"ALTER TABLE {GUARDED} DISABLE TRIGGER USER"))
        purged[GUARDED] = self._delete(GUARDED, f"action <> '{Action.TENANT_PURGED}'")
        self._connection.execute(text(f"ALTER TABLE {GUARDED} ENABLE TRIGGER USER"))
        purged["portfolio_run"] = self._connection.execute(_ALONE, self._tenant_id).rowcount
        portfolio_runs = self._connection.execute(_AMONG_OTHERS, self._tenant_id).rowcount
        for name in (name for name, rows in purged.items() if rows):
            # The planner's statistics hold frequent values, also deleted ones.
            self._connection.execute(text(f"ANALYZE {name}"))
        return PurgedRows({name: rows for name, rows in sorted(purged.items()) if rows}, portfolio_runs)

    def record(self, person: str, name: str, receipt: Mapping[str, object]) -> None:
        self._connection.execute(
            insert(table(AuditRecord)).values(
                person=person,
                role=Role.ADMIN,
                action=Action.TENANT_PURGED,
                tenant_id=self._tenant_id["tenant_id"],
                subject=name,
                receipt=dict(receipt),
            )
        )

    def _tables(self) -> list[str]:
        refers_to = {name: set(others) for name, others in self._connection.execute(_TABLES)}
        order = TopologicalSorter(refers_to).static_order()
        return [name for name in reversed(list(order)) if name != GUARDED]

    def _targets(self) -> list[UUID]:
        """Tenants with promotion plans or mappings from this one."""
        path = self._connection.execute(text("SELECT current_setting('search_path')")).scalar_one()
        self._connection.execute(_SEARCH_PATH, {"path": f"{path}, {ALL_TENANTS}"})
        targets = list(self._connection.execute(_TARGETS, self._tenant_id).scalars())
        self._connection.execute(_SEARCH_PATH, {"path": path})
        return targets

    def _delete(self, name: str, condition: str = "true") -> int:
        statement = text(f"DELETE FROM {name} WHERE tenant_id = :tenant_id AND {condition}")
        return self._connection.execute(statement, self._tenant_id).rowcount


@contextmanager
def tenant_purge(url: str, tenant_id: UUID) -> Iterator[TenantPurge]:
    """Commits if the body succeeds. Raises `StorageNotReadyError`, also if the login may not act as the owner, and
    `StorageUnavailableError`.
    """
    settings = {"lock_timeout": f"{LOCK_TIMEOUT_SECONDS}s", "timezone": "UTC"}
    engine = create_engine(
        database_url(url), hide_parameters=True, connect_args=connection_parameters("tenant-inventory purge", settings)
    )
    try:
        with engine.begin() as connection:
            _become_owner(connection)
            connection.execute(_BIND, {"tenant_id": str(tenant_id)})
            yield TenantPurge(connection, tenant_id)
    except SQLAlchemyError as error:
        raise classified(error) or StorageUnavailableError("PostgreSQL refused to delete the tenant") from None
    finally:
        engine.dispose()


def _become_owner(connection: Connection) -> None:
    database_state: Any = connection.execute(PROBE).one_or_none()
    check_revision(database_state)
    if not connection.execute(_MAY_BE_OWNER, {"owner": database_state.owner_name}).scalar_one():
        raise StorageNotReadyError(
            f"only the owner of the tables, {database_state.owner_name}, deletes a tenant: run this with that login in"
            " DATABASE_URL"
        )
    connection.execute(text("SELECT set_config('role', :owner, true)"), {"owner": database_state.owner_name})
