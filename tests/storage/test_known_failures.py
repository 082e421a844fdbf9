from collections.abc import Mapping
from datetime import timedelta
from types import MappingProxyType
from uuid import UUID

import psycopg
import pytest
from sqlalchemy import text

from inventory.backoff import MEMORY
from inventory.error_codes import ErrorCode
from inventory.outcomes import CollectionResult, Counts, Outcome, RunStatus
from local.postgres import EmbeddedPostgres
from storage import known_failures, runs
from storage.database import Database
from storage.known_failures import LatestFailure, latest_failures
from tests.conftest import copy_of
from tests.storage.support import begin, end

TENANT, OTHER_TENANT = UUID(int=1), UUID(int=2)
UNAVAILABLE = LatestFailure(ErrorCode.GRAPH_UNAVAILABLE, 1, in_details=False)


async def fail(
    database: Database,
    *type_keys: str,
    code: ErrorCode | None = ErrorCode.GRAPH_UNAVAILABLE,
    outcome: Outcome = Outcome.FAILED,
    status: RunStatus = RunStatus.PARTIAL,
    tenant_id: UUID = TENANT,
    context: Mapping[str, str | int] = MappingProxyType({}),
) -> None:
    """A run in which the first collection has this outcome, and the others are complete."""
    run = await begin(database, tenant_id, *type_keys)
    results = {key: CollectionResult(outcome=Outcome.COMPLETE) for key in type_keys}
    results[type_keys[0]] = CollectionResult(outcome=outcome, error_code=code, context={**context})
    async with database.tenant(tenant_id) as session:
        await runs.finish_run(session, run, runs.RunEnd(status, Counts(), [], results))


async def known(database: Database, *type_keys: str, tenant_id: UUID = TENANT) -> dict[str, LatestFailure]:
    async with database.tenant(tenant_id, read_only=True) as session:
        return await latest_failures(session, type_keys or ("a", "b"))


async def test_latest_run_shows_how_a_collection_failed(database: Database) -> None:
    assert await known(database) == {}
    await fail(database, "a", "b")
    assert await known(database) == {"a": UNAVAILABLE}
    await fail(database, "a", "b", code=ErrorCode.GRAPH_THROTTLED, context={"failing_runs": 4})
    assert await known(database) == {"a": LatestFailure(ErrorCode.GRAPH_THROTTLED, 4, in_details=False)}


async def test_complete_read_resets_a_collections_failure(database: Database) -> None:
    await fail(database, "a", context={"failing_runs": 9})
    await fail(database, "a", code=None, outcome=Outcome.COMPLETE, status=RunStatus.SUCCESS)
    assert await known(database) == {}
    await fail(database, "a")
    assert await known(database) == {"a": UNAVAILABLE}


async def test_latest_run_of_any_selection_counts(database: Database) -> None:
    await fail(database, "a", "c", context={"failing_runs": 2})
    await fail(database, "b")
    assert set(await known(database)) == {"a", "b"}
    await fail(database, "b", "a", code=ErrorCode.GRAPH_THROTTLED)
    assert set(await known(database)) == {"b"}, "the latest run listed it"


async def test_failures_of_another_tenant_do_not_count(database: Database) -> None:
    await fail(database, "a", tenant_id=OTHER_TENANT)
    assert await known(database) == {}
    assert set(await known(database, tenant_id=OTHER_TENANT)) == {"a"}


async def test_failed_details_are_reported_by_their_cause(database: Database) -> None:
    cause: dict[str, str | int] = {"detail_error_code": "graph_unavailable", "failing_runs": 3}
    await fail(database, "a", code=ErrorCode.DETAIL_INCOMPLETE, outcome=Outcome.COMPLETE, context=cause)
    assert await known(database) == {"a": LatestFailure(ErrorCode.GRAPH_UNAVAILABLE, 3, in_details=True)}


async def test_unknown_cause_of_a_newer_release_is_ignored(database: Database) -> None:
    cause = {"detail_error_code": "graph_of_tomorrow"}
    await fail(database, "a", code=ErrorCode.DETAIL_INCOMPLETE, outcome=Outcome.COMPLETE, context=cause)
    assert await known(database) == {"a": LatestFailure(ErrorCode.DETAIL_INCOMPLETE, 1, in_details=False)}


async def test_skipped_collection_has_not_failed(database: Database) -> None:
    await fail(database, "a", context={"failing_runs": 9})
    await fail(database, "a", code=ErrorCode.GRAPH_NOT_LICENSED, outcome=Outcome.SKIPPED)
    assert await known(database) == {}


@pytest.mark.parametrize("code", [ErrorCode.STORAGE_UNAVAILABLE, ErrorCode.UNEXPECTED_ERROR, ErrorCode.RUN_ABANDONED])
async def test_failures_outside_graph_are_ignored(database: Database, code: ErrorCode) -> None:
    await fail(database, "a", context={"failing_runs": 5})
    await fail(database, "a", code=code, status=RunStatus.FAILED)
    assert (await known(database))["a"].runs == 5


async def test_cancelled_or_abandoned_run_is_ignored(database: Database) -> None:
    await fail(database, "a", context={"failing_runs": 5})
    cancelled = await begin(database, TENANT, "a")
    await end(database, TENANT, cancelled, RunStatus.CANCELLED, {"a": (Outcome.FAILED, ErrorCode.GRAPH_THROTTLED)})
    assert (await known(database))["a"].runs == 5
    abandoned = await begin(database, TENANT, "a", slots=runs.Slots(100, 100, timedelta(0)))
    async with database.tenant(TENANT) as session:
        assert await runs.close_abandoned(session, abandoned.run_id)
    assert (await known(database))["a"].runs == 5


async def test_open_run_is_ignored(database: Database) -> None:
    await fail(database, "a", context={"failing_runs": 5})
    await begin(database, TENANT, "a")
    assert (await known(database))["a"].runs == 5


async def test_failures_older_than_the_memory_are_ignored(database: Database) -> None:
    await fail(database, "a")
    age = text("UPDATE sync_run SET queued_at = queued_at - CAST(:age AS interval)")
    for by, expected in ((MEMORY - timedelta(hours=1), {"a"}), (timedelta(hours=2), set())):
        async with database.tenant(TENANT) as session:
            await session.execute(age, {"age": by})
        assert set(await known(database)) == expected


_MANY_RUNS = """
INSERT INTO sync_run (
    tenant_id, run_id, workflow_id, selection_hash, selection, status, queued_at, started_at, finished_at
)
SELECT tenant_id, gen_random_uuid(), 'sync/test', repeat('0', 64), '{}', 'success', at, at, at
FROM tenant, generate_series(now() - interval '400 days', now() + interval '1 day', '1 hour') AS at
"""

_THEIR_COLLECTIONS = """
INSERT INTO sync_run_collection (tenant_id, run_id, type_key, outcome)
SELECT tenant_id, run_id, 'b', 'complete' FROM sync_run WHERE selection = '{}'
"""


async def test_latest_failure_is_found_by_index(postgres: EmbeddedPostgres, migrated_template: str) -> None:
    for url in copy_of(postgres, migrated_template):
        database = Database(url, pool_size=1)
        for tenant_id in (TENANT, OTHER_TENANT):
            await fail(database, "a", tenant_id=tenant_id)
        with psycopg.connect(url, autocommit=True) as connection:
            for statement in (_MANY_RUNS, _THEIR_COLLECTIONS, "VACUUM (ANALYZE)"):
                connection.execute(statement)
        assert await known(database) == {"a": UNAVAILABLE}
        parameters = {"type_keys": ["a"], "memory": MEMORY, "telling": known_failures.TELLING_CODES}
        async with database.tenant(TENANT, read_only=True) as session:
            explain = text(f"EXPLAIN {known_failures._LATEST.text}")
            plan = "\n".join((await session.execute(explain, parameters)).scalars())
        await database.close()
        assert "Seq Scan on sync_run" not in plan, plan
        assert "sync_run_recent" in plan, plan
