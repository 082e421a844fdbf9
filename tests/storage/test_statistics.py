"""Statistics of a new tenant: PostgreSQL makes them soon, though the tenant is a small part of the table."""

import time
from pathlib import Path

import psycopg
import pytest

from local.postgres import EmbeddedPostgres
from storage.schema import upgrade
from tests.patience import PATIENCE_SECONDS

_TENANT = "INSERT INTO tenant (tenant_id, name) VALUES (lpad(%(tenant)s, 32, '0')::uuid, %(tenant)s)"

_ITEMS = """
INSERT INTO inventory_item (tenant_id, type_key, external_id, graph_id, display_name, meta, content_hash,
    version_number, first_seen_at, first_seen_run_id, content_changed_at, last_seen_at, last_seen_run_id)
SELECT lpad(%(tenant)s, 32, '0')::uuid, 'groups', number::text, number::text, 'a group', '{}', sha256(''),
    1, now(), gen_random_uuid(), now(), now(), gen_random_uuid()
FROM generate_series(1, %(items)s) AS number
"""

_KNOWN = """
SELECT lpad('2', 32, '0')::uuid = ANY (most_common_vals::text::uuid[])
FROM pg_stats WHERE tablename = 'inventory_item' AND attname = 'tenant_id'
"""


@pytest.mark.slow
def test_a_new_tenant_is_in_the_statistics_before_the_table_has_grown_by_a_tenth(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    with EmbeddedPostgres(tmp_path / "postgres", settings={"autovacuum_naptime": "1s"}) as postgres:
        upgrade(postgres.url)
        with psycopg.connect(postgres.url, autocommit=True) as connection:
            for tenant, items in (("1", 100_000), ("2", 2_000)):
                with connection.transaction():
                    connection.execute("SELECT set_config('app.tenant_id', lpad(%s, 32, '0'), true)", [tenant])
                    connection.execute(_TENANT, {"tenant": tenant})
                    connection.execute(_ITEMS, {"tenant": tenant, "items": items})
                if tenant == "1":
                    connection.execute("ANALYZE inventory_item")
            gives_up_at = time.monotonic() + PATIENCE_SECONDS
            while connection.execute(_KNOWN).fetchone() != (True,):
                assert time.monotonic() < gives_up_at
                time.sleep(0.2)
