"""An inventory of any size, written into an empty database without a run."""

import hashlib
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any
from uuid import UUID, uuid4

import orjson
import psycopg

from benchmarks.machine import FIRST_RELEASE
from inventory.observation import Observation
from inventory.selection import Selection
from local.simulated_graph.documents import made_id
from storage.compression import compress

TENANT = UUID(made_id("tenant/0/0"))
"""The first tenant of a simulated Graph."""

OTHER_TENANTS = 50
FIRST_OTHER = 1_000
"""The id of the first other tenant, as a number."""

ITEMS_OF_OTHERS = 1_000
RUNS_OF_A_TENANT = 40
MISSING_EVERY = 4_999
"""One item in this many is missing: no multiple of the number of collections, so that each misses some."""

ITEM_TYPES = FIRST_RELEASE
SELECTION = Selection(type_keys=ITEM_TYPES)
FILLED_AT_ONCE = 20_000

_COPY_ITEMS = """
COPY inventory_item (
    tenant_id, type_key, external_id, display_name, meta, content_hash, version_number,
    first_seen_at, first_seen_run_id, content_changed_at, last_seen_at, last_seen_run_id, absent_from
) FROM STDIN
"""

_FILL_COVERAGE = """
INSERT INTO collection_coverage (
    tenant_id, type_key, run_id, run_started_at, outcome, first_listed_at, listed_run_id, listed_from, listed_at,
    listed_cleanly
)
SELECT %(tenant)s, type_key, %(run)s, %(seen_at)s, 'complete', %(seen_at)s, %(run)s, %(seen_at)s, %(seen_at)s, true
FROM unnest(CAST(%(type_keys)s AS text[])) AS type_key
"""

_COPY_DOCUMENTS = "COPY document (tenant_id, content_hash, body_hash, body, size) FROM STDIN"

_COPY_VERSIONS = """
COPY item_version (
    tenant_id, type_key, external_id, version_number, content_hash, display_name,
    first_observed_at, first_observed_run_id
) FROM STDIN
"""

_FILL_RUNS = """
WITH filled AS (
    INSERT INTO sync_run (
        tenant_id, run_id, workflow_id, selection_hash, selection, status, queued_at, started_at, finished_at
    )
    SELECT %(tenant)s, CASE WHEN day = 0 THEN %(run)s ELSE gen_random_uuid() END, 'sync/growth', %(hash)s,
        %(selection)s, 'success', at - interval '10 minutes', at - interval '10 minutes', at
    FROM generate_series(0, %(runs)s - 1) AS day
        CROSS JOIN LATERAL (SELECT CAST(%(seen_at)s AS timestamptz) - day * interval '1 day' AS at) AS moments
    RETURNING tenant_id, run_id
)
INSERT INTO sync_run_collection (tenant_id, run_id, type_key, outcome)
SELECT tenant_id, run_id, type_key, 'complete'
FROM filled CROSS JOIN unnest(CAST(%(type_keys)s AS text[])) AS type_key
"""


def observation(number: int, edition: int = 0) -> Observation:
    """The item of this number, about 1.2 KB, in the order of a listing: collections take turns, ids are random."""
    random = Random(number)  # noqa: S311 - the same items each time
    external_id = str(UUID(int=random.getrandbits(128)))
    document = orjson.dumps(
        {
            "displayName": f"Policy {number}",
            "edition": edition,
            "id": external_id,
            "settings": [
                {"definition": f"device_vendor_msft_policy_config_{random.getrandbits(16)}", "value": chosen}
                for chosen in random.choices(("enabled", "disabled", "notConfigured"), k=13)
            ],
        }
    )
    content_hash = hashlib.sha256(document).digest()
    return Observation(
        type_key=ITEM_TYPES[number % len(ITEM_TYPES)],
        external_id=external_id,
        display_name=f"Policy {number}",
        meta={"createdDateTime": "2024-05-01T08:00:00Z", "roleScopeTagIds": ["0"]},
        meta_dropped=0,
        content_hash=content_hash,
        body_hash=content_hash,
        document=document,
    )


def fill(url: str, size: int, tenant_id: UUID = TENANT, observed: Callable[[int], Observation] = observation) -> None:
    """Gives a tenant so many items, each with a version and its document, and run records. A few are missing."""
    run_id, seen_at = uuid4(), datetime.now(UTC)
    earlier = seen_at - timedelta(days=RUNS_OF_A_TENANT)
    with psycopg.connect(url) as connection, connection.cursor() as cursor:
        cursor.execute("INSERT INTO tenant (tenant_id, name) VALUES (%s, %s)", (tenant_id, f"tenant {tenant_id}"))
        filled_runs = {
            "tenant": tenant_id,
            "run": run_id,
            "hash": SELECTION.hash(),
            "selection": SELECTION.canonical_json().decode(),
            "runs": RUNS_OF_A_TENANT,
            "seen_at": seen_at,
            "type_keys": list(SELECTION.type_keys),
        }
        cursor.execute(_FILL_RUNS, filled_runs)
        cursor.execute(_FILL_COVERAGE, filled_runs)
        for start in range(0, size, FILLED_AT_ONCE):
            numbers = range(start, min(start + FILLED_AT_ONCE, size))
            filled = [observed(number) for number in numbers]
            seen = [seen_at if number % MISSING_EVERY else earlier for number in numbers]
            _copy(
                cursor,
                _COPY_ITEMS,
                (
                    (tenant_id, item.type_key, item.external_id, item.display_name, orjson.dumps(item.meta).decode(),
                     item.content_hash, 1, earlier, run_id, earlier, last_seen_at, run_id,
                     seen_at if last_seen_at < seen_at else None)
                    for item, last_seen_at in zip(filled, seen, strict=True)
                ),
            )  # fmt: skip
            _copy(
                cursor,
                _COPY_DOCUMENTS,
                (
                    (
                        tenant_id,
                        observed_item.content_hash,
                        observed_item.body_hash,
                        compress(observed_item.document),
                        len(observed_item.document),
                    )
                    for observed_item in filled
                ),
            )
            _copy(
                cursor,
                _COPY_VERSIONS,
                (
                    (
                        tenant_id,
                        observed_item.type_key,
                        observed_item.external_id,
                        1,
                        observed_item.content_hash,
                        observed_item.display_name,
                        earlier,
                        run_id,
                    )
                    for observed_item in filled
                ),
            )


def fill_portfolio(url: str, size: int) -> None:
    """Gives a tenant so many items, and fifty others a thousand each; vacuums and analyses."""
    for number in range(OTHER_TENANTS):
        fill(url, ITEMS_OF_OTHERS, UUID(int=FIRST_OTHER + number))
    fill(url, size)
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("VACUUM (ANALYZE)")


def _copy(cursor: psycopg.Cursor[Any], statement: str, rows: Iterable[tuple[Any, ...]]) -> None:
    with cursor.copy(statement.encode()) as copy:
        for row in rows:
            copy.write_row(row)
