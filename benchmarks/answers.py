"""How long the answers take at a million items and ten million versions.

    python -m benchmarks.answers [--items 1000000] [--versions 10] [--rounds 5]

One tenant with so many items in forty collections, each with so many versions and two references each, one item in five
thousand absent; fifty other tenants with a thousand items each. Versions share their documents: an answer reads no more
documents than it shows. After a baseline is set, one item in two thousand is changed. Three hundred items of each other
tenant have a second version, with a document of its own: the changes of all these tenants are read one tenant after
another, as `changes --all-tenants --json` does.
"""

import argparse
import hashlib
import statistics
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import datetime, timedelta
from random import Random
from uuid import UUID

import orjson
import psycopg
from sqlalchemy import text

from answers.changes import answer as changes
from answers.changes import queries as noticed
from answers.dependencies import answer as dependencies
from answers.dependencies.tenant_coverage import TenantCoverage
from answers.drift import answer as drift
from answers.drift import baselines
from answers.drift.evaluation import evaluate
from answers.times import EARLIEST
from benchmarks.filled_inventory import FIRST_OTHER, OTHER_TENANTS, TENANT, fill_portfolio, observation
from benchmarks.machine import empty_inventory, facts, played, spread
from benchmarks.search import processor_seconds
from inventory.observation import Observation
from process_exit import run_to_exit
from storage import documents, queries
from storage.compression import compress
from storage.database import Database

PAGE = 100

OTHER_TENANT_IDS = [UUID(int=FIRST_OTHER + number) for number in range(OTHER_TENANTS)]
EDITED_ITEMS = 300
"""A month of ten changes a day."""

# Versions of one item are an hour apart, versions of different items a few milliseconds. Only a benchmark may bypass
# triggers and foreign keys.
_GROW = (
    "SET session_replication_role = replica",
    """
    INSERT INTO item_version (
        tenant_id, type_key, external_id, version_number, content_hash, display_name,
        first_observed_at, first_observed_run_id, last_observed_at, last_observed_run_id
    )
    SELECT tenant_id, type_key, external_id, number, content_hash, display_name,
        first_seen_at + number * interval '1 hour' + row_number() OVER () * interval '3 milliseconds',
        first_seen_run_id,
        CASE WHEN number < %(versions)s THEN first_seen_at + (number + 1) * interval '1 hour' END,
        CASE WHEN number < %(versions)s THEN first_seen_run_id END
    FROM inventory_item CROSS JOIN generate_series(2, %(versions)s) AS number
    WHERE tenant_id = %(tenant)s
    """,
    "UPDATE inventory_item SET version_number = %(versions)s WHERE tenant_id = %(tenant)s",
    """
    INSERT INTO item_absence (
        tenant_id, type_key, external_id, absent_from, run_id, noticed_at, last_seen_at, evidence, confidence
    )
    SELECT tenant_id, type_key, external_id, absent_from, last_seen_run_id, absent_from, last_seen_at, 'confirmed',
        'high'
    FROM inventory_item WHERE tenant_id = %(tenant)s AND absent_from IS NOT NULL
    """,
    """
    INSERT INTO item_reference (
        tenant_id, type_key, external_id, position, version_number, path, role, target_type_keys, target_id
    )
    SELECT tenant_id, type_key, external_id, position, version_number, path, role, CAST(types AS text[]), target_id
    FROM inventory_item CROSS JOIN LATERAL (VALUES
        (0, 'assignments.target.groupId', 'include', '{groups}', 'group ' || abs(hashtext(external_id)) %% 20000),
        (1, 'roleScopeTagIds', 'use', '{roleScopeTags}', '0')
    ) AS made (position, path, role, types, target_id)
    WHERE tenant_id = %(tenant)s
    """,
    "RESET session_replication_role",
    "VACUUM (ANALYZE)",
)

_CHANGE = (
    "SET session_replication_role = replica",
    """
    UPDATE inventory_item AS item SET content_hash = other.content_hash, version_number = version_number + 1,
        content_changed_at = clock_timestamp()
    FROM (SELECT content_hash FROM document WHERE tenant_id = %(tenant)s LIMIT 1) AS other
    WHERE tenant_id = %(tenant)s AND hashtext(external_id) %% 2000 = 0
    """,
    """
    INSERT INTO item_version (
        tenant_id, type_key, external_id, version_number, content_hash, first_observed_at, first_observed_run_id
    )
    SELECT tenant_id, type_key, external_id, version_number, content_hash, content_changed_at, last_seen_run_id
    FROM inventory_item WHERE tenant_id = %(tenant)s AND version_number = %(versions)s + 1
    """,
    "RESET session_replication_role",
)


_COPY_DOCUMENTS = "COPY document (tenant_id, content_hash, body_hash, body, size) FROM STDIN"
_EDITED = "CREATE TEMPORARY TABLE edited (tenant_id uuid, type_key text, external_id text, content_hash bytea)"
_COPY_EDITED = "COPY edited FROM STDIN"

_EDIT = (
    """
    INSERT INTO item_version (
        tenant_id, type_key, external_id, version_number, content_hash, display_name, first_observed_at,
        first_observed_run_id
    )
    SELECT tenant_id, type_key, external_id, 2, edited.content_hash, display_name, last_seen_at, last_seen_run_id
    FROM edited JOIN inventory_item USING (tenant_id, type_key, external_id)
    """,
    """
    UPDATE inventory_item AS item SET content_hash = edited.content_hash, version_number = 2,
        content_changed_at = last_seen_at
    FROM edited
    WHERE (item.tenant_id, item.type_key, item.external_id)
        = (edited.tenant_id, edited.type_key, edited.external_id)
    """,
)


def edit_others(url: str) -> None:
    """Edits items of each other tenant: a property in one half, a setting in the other."""
    edits = [edited(number) for number in range(EDITED_ITEMS)]
    documents = [(edit.content_hash, edit.body_hash, compress(edit.document), len(edit.document)) for edit in edits]
    with psycopg.connect(url) as connection, connection.cursor() as cursor:
        cursor.execute("SET session_replication_role = replica")
        cursor.execute(
            "CREATE TEMPORARY TABLE edited (tenant_id uuid, type_key text, external_id text, content_hash bytea)"
        )
        for tenant_id in OTHER_TENANT_IDS:
            with cursor.copy(_COPY_DOCUMENTS.encode()) as copy:
                for document in documents:
                    copy.write_row((tenant_id, *document))
            with cursor.copy(_COPY_EDITED.encode()) as copy:
                for edit in edits:
                    copy.write_row((tenant_id, edit.type_key, edit.external_id, edit.content_hash))
        for statement in _EDIT:
            cursor.execute(statement.encode())


def edited(number: int) -> Observation:
    if number % 2:
        return observation(number, edition=1)
    item = observation(number)
    document = orjson.loads(item.document)
    document["settings"][number % len(document["settings"])]["value"] = "edited"
    written = orjson.dumps(document)
    digest = hashlib.sha256(written).digest()
    return item._replace(document=written, content_hash=digest, body_hash=digest)


def execute(url: str, statements: tuple[str, ...], versions: int) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        for statement in statements:
            parameters = {"tenant": TENANT, "versions": versions} if "%(" in statement else None
            connection.execute(statement.encode(), parameters)


async def first(records: AsyncIterator[object]) -> int:
    """Reads a page of records, and returns their number."""
    found = 0
    async for _ in records:
        found += 1
        if found == PAGE:
            break
    return found


async def measure(url: str, items: int, versions: int, rounds: int) -> None:
    """Prints milliseconds: a page of each answer, and drift as a whole."""
    figures: dict[str, list[float]] = {}

    async def timed(label: str, ask: Callable[[], Awaitable[int]]) -> None:
        began = time.perf_counter()
        rows = await ask()
        figures.setdefault(f"{label}: {rows}", []).append((time.perf_counter() - began) * 1e3)

    async with Database(url, pool_size=1) as database:
        async with database.tenant(TENANT) as session:
            began = time.perf_counter()
            await baselines.set_moment(session, "golden", None, "benchmark", None)
            print(f"  a baseline of {items:,} items is set in {time.perf_counter() - began:.1f} s", flush=True)
        execute(url, _CHANGE, versions)
        await _changes_of_others(database, rounds)
        random = Random(11)  # noqa: S311 - the same pages each time
        for _ in range(rounds):
            await _pages(database, timed, observation(random.randrange(items)).type_key)
            async with database.tenant(TENANT) as session:
                began = time.perf_counter()
                await evaluate(session, TENANT, "golden")
                found = await drift.drift(session, TENANT, "golden")
                label = f"drift of all items, findings: {len(found.findings)}"
                figures.setdefault(label, []).append((time.perf_counter() - began) * 1e3)
    for label, milliseconds in figures.items():
        print(f"  {label:<50} {spread(milliseconds, 1)} ms (median {statistics.median(milliseconds):.1f})", flush=True)


async def _changes_of_others(database: Database, rounds: int) -> None:
    """Prints the processor time of this process and of PostgreSQL: other work on the machine changes it little."""
    milliseconds: list[float] = []
    for _ in range(rounds + 1):
        found, busy = 0, 0.0
        for tenant_id in OTHER_TENANT_IDS:
            async with database.tenant(tenant_id, read_only=True) as session:
                backend = (await session.execute(text("SELECT pg_backend_pid()"))).scalar_one()
                busy -= processor_seconds(backend)
                window = await changes.window_of(session, None, since=EARLIEST)
                feed = changes.ChangeFeed(session, tenant_id, window)
                async for change in feed.records():
                    found += len(orjson.dumps(change.model_dump(mode="json"))) > 0
                await feed.summary()
                busy += processor_seconds(backend)
        milliseconds.append(busy / len(OTHER_TENANT_IDS) * 1e3)
    label = f"{found} changes of {len(OTHER_TENANT_IDS)} tenants, processor, a tenant"
    print(f"  {label:<50} {spread(milliseconds[1:], 0)} ms", flush=True)


async def _pages(
    database: Database, timed: Callable[[str, Callable[[], Awaitable[int]]], Awaitable[None]], some: str
) -> None:
    async with database.tenant(TENANT, read_only=True) as session:
        now = await documents.database_time(session)
        question = await queries.question(session)
        if question is None:
            raise LookupError("the tenant has no completed run")
        coverage = await TenantCoverage.of(session, TENANT)
        long_ago = datetime.fromisoformat("2000-01-01T00:00:00Z")
        middle = noticed.Event(now - timedelta(days=39, hours=20), "", "", noticed.EventKind.VERSION, UUID(int=0), 0)
        every, one_type = noticed.Window(long_ago, now), noticed.Window(long_ago, now, [some])
        last_hour = noticed.Window(now - timedelta(hours=1), now)

        async def events(window: noticed.Window, after: noticed.Event | None = None) -> int:
            found = await noticed.events(session, window, PAGE, after)
            list(await noticed.versions_of(session, found[: changes.CHANGES_AT_A_TIME]))
            await noticed.absences_of(session, found)
            return len(found)

        await timed("changes of the last hour", lambda: events(last_hour))
        await timed("changes, from the middle of all", lambda: events(every, middle))
        await timed("changes of one collection, from the middle", lambda: events(one_type, middle))
        await timed("dangling", lambda: first(dependencies.dangling(session, coverage)))
        await timed("unassigned", lambda: first(dependencies.unassigned(session, coverage)))
        await timed("what reaches a group", lambda: first(dependencies.reaching(session, coverage, "group 17")))
        await timed("missing", lambda: first(queries.missing_items(session, question, page=queries.Page(PAGE))))


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.answers", description=__doc__.splitlines()[0])
    parser.add_argument("--items", type=int, default=1_000_000)
    parser.add_argument("--versions", type=int, default=10)
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    items, versions, rounds = arguments.items, arguments.versions, arguments.rounds
    with empty_inventory() as postgres:
        url = postgres.url
        began = time.perf_counter()
        fill_portfolio(url, items)
        edit_others(url)
        execute(url, _GROW, versions)
        took = time.perf_counter() - began
        print(
            f"{items:,} items of {versions} versions, pages of {PAGE}; {facts()}; filled in {took:.0f} s",
            flush=True,
        )
        played(lambda: measure(url, items, versions, rounds))


if __name__ == "__main__":
    run_to_exit(main)
