"""Whether an inventory that grows stays as fast: time, write-ahead log and memory at ten thousand items and a million.

    python -m benchmarks.growth [--sizes 10000 100000 1000000] [--rounds 5] [--waves 10] [--parts sync wal pages memory]

Each size is a database of its own on one server: a tenant with so many items in forty collections, and fifty other
tenants with a thousand each. A round goes through all sizes: waves of a thousand unchanged, changed and new items are
staged and merged by the product's own functions; new ones are taken away after their round.

The write-ahead log is measured on unchanged waves, directly after a checkpoint (which adds an image of each page that
is touched) and again without one. The memory is that of a real worker, new in each round, that syncs twenty thousand
items of other collections, at the smallest size and the largest.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from random import Random
from typing import Any, NamedTuple
from uuid import UUID, uuid4

import psycopg

from benchmarks.filled_inventory import SELECTION, TENANT, fill_portfolio, observation
from benchmarks.machine import POSTGRES, Machine, facts, played, spread
from inventory.observation import Observation
from inventory.outcomes import Counts, RunStatus
from inventory.selection import Selection
from local.postgres import EmbeddedPostgres
from local.simulated_graph import SimulatedGraph
from process_exit import run_to_exit
from storage import merge as merging
from storage import queries, runs, staging
from storage.database import Database
from storage.name_order import place_of
from storage.schema import upgrade

PARTS = ("pages", "sync", "wal", "memory")
WAVE = 1_000
PAGE = queries.Page(limit=100)
RECENT_RUNS = 20
SYNCED = Selection(
    type_keys=("administrativeUnits", "claimsMappingPolicies", "featureRolloutPolicies", "homeRealmDiscoveryPolicies")
)
"""The worker's collections: without details, and empty in a filled inventory."""

ITEMS_OF_A_SYNCED_COLLECTION = 5_000
SLOTS = runs.Slots(per_tenant=10, overall=10, lease=timedelta(hours=1))

# Triggers protect current versions. Only a benchmark may bypass them.
_TAKE_AWAY = (
    "SET session_replication_role = replica",
    """
    DELETE FROM document AS d USING item_version AS v
    WHERE v.first_observed_run_id = %(run)s AND (v.tenant_id, v.content_hash) = (d.tenant_id, d.content_hash)
    """,
    "DELETE FROM item_version WHERE first_observed_run_id = %(run)s",
    "DELETE FROM inventory_item WHERE first_seen_run_id = %(run)s",
    "RESET session_replication_role",
)

_WAL_BY_TABLE = """
WITH records AS (
    SELECT start_lsn, resource_manager || ' ' || record_type AS record, record_length - fpi_length AS length, fpi_length
    FROM pg_get_wal_records_info(%(before)s, %(after)s)
),
tables AS (
    SELECT DISTINCT ON (block.start_lsn) block.start_lsn, class.relname
    FROM pg_get_wal_block_info(%(before)s, %(after)s) AS block
        LEFT JOIN pg_class AS class ON class.relfilenode = block.relfilenode
    ORDER BY block.start_lsn, block.block_id
)
SELECT coalesce(relname, '-'), record, count(*), sum(length)::bigint, sum(fpi_length)::bigint
FROM records LEFT JOIN tables USING (start_lsn)
GROUP BY relname, record
ORDER BY sum(length + fpi_length) DESC
"""


class Sized(NamedTuple):
    """A database whose tenant has `size` items. `editions`: how often a wave has been changed, by its first item."""

    size: int
    url: str
    database: Database
    editions: dict[int, int]


class Records(NamedTuple):
    """The records of one kind in the write-ahead log; `images` are bytes of page images, `length` all others."""

    table: str
    kind: str
    records: int
    length: int
    images: int


async def run_of(database: Database, waves: Sequence[Sequence[Observation]]) -> tuple[UUID, float]:
    """One run of these waves: its id, and the seconds of staging and merging."""
    run = runs.RunIdentity(uuid4(), "sync/growth", SELECTION, "Contoso")
    async with database.tenant(TENANT) as session:
        await runs.open_run(session, run, SLOTS)
    seconds = 0.0
    for wave in waves:
        token = uuid4()
        began = time.perf_counter()
        async with database.tenant(TENANT) as session:
            await staging.stage(session, run.run_id, token, wave)
        async with database.tenant(TENANT) as session:
            await merging.merge(session, run.run_id, token, promised_rows=len(wave))
        seconds += time.perf_counter() - began
    async with database.tenant(TENANT) as session:
        await runs.finish_run(session, run, runs.RunEnd(RunStatus.CANCELLED, Counts(), [], {}))
    return run.run_id, seconds


def starts(sized: Sized, waves: int, random: Random) -> list[int]:
    """The first items of some waves, anywhere in the inventory."""
    every = range(0, sized.size, WAVE)
    return random.sample(every, min(waves, len(every)))


def unchanged(sized: Sized, first_items: Iterable[int]) -> list[list[Observation]]:
    """The waves as they were last observed."""
    return [
        [observation(number, sized.editions.get(start, 0)) for number in range(start, start + WAVE)]
        for start in first_items
    ]


async def sync_round(sized: Sized, waves: int, random: Random, figures: dict[str, list[float]]) -> None:
    """One round at one size; adds microseconds an item to `figures`."""
    await run_of(sized.database, unchanged(sized, starts(sized, 1, random)))
    first_items = starts(sized, waves, random)
    added = random.randrange(10**9, 10**12)
    kinds = {"unchanged": unchanged(sized, first_items)}
    sized.editions.update({start: sized.editions.get(start, 0) + 1 for start in first_items})
    kinds["changed"] = unchanged(sized, first_items)
    kinds["new"] = [
        [observation(added + wave * WAVE + number) for number in range(WAVE)] for wave in range(len(first_items))
    ]
    for kind, observed in kinds.items():
        run_id, seconds = await run_of(sized.database, observed)
        figures.setdefault(kind, []).append(seconds / len(observed) / WAVE * 1e6)
    with psycopg.connect(sized.url, autocommit=True) as connection:
        for statement in _TAKE_AWAY:
            connection.execute(statement.encode(), {"run": run_id} if "%" in statement else None)
        connection.execute("VACUUM inventory_item, item_version, document")


async def measure_sync(databases: Sequence[Sized], rounds: int, waves: int) -> None:
    """Prints the time of an item at each size."""
    figures: dict[int, dict[str, list[float]]] = {sized.size: {} for sized in databases}
    random = Random(7)  # noqa: S311 - the same waves each time
    for _ in range(rounds):
        for sized in databases:
            await sync_round(sized, waves, random, figures[sized.size])
    print(f"\nstaging and merging, microseconds an item, waves of {WAVE:,}")
    smallest, largest = databases[0].size, databases[-1].size
    for kind in ("unchanged", "changed", "new"):
        for sized in databases:
            print(f"  {kind:<9} {sized.size:9,} items: {spread(figures[sized.size][kind], 0)}")
        growth = statistics.median(figures[largest][kind]) / statistics.median(figures[smallest][kind])
        print(f"  {kind:<9} {growth:.2f} times from the smallest to the largest")


@contextmanager
def _no_checkpoints(connection: psycopg.Connection[Any]) -> Iterator[None]:
    """Prevents automatic checkpoints: each would put the images of all pages into some run's log."""
    for setting in ("checkpoint_timeout = '1d'", "max_wal_size = '64GB'"):
        connection.execute(f"ALTER SYSTEM SET {setting}".encode())
    connection.execute("SELECT pg_reload_conf()")
    try:
        yield
    finally:
        connection.execute("ALTER SYSTEM RESET ALL")
        connection.execute("SELECT pg_reload_conf()")


async def measure_wal(sized: Sized, waves: int) -> None:
    """Prints the log bytes of an unchanged item: directly after a checkpoint, and twice without one."""
    print(f"\n{sized.size:,} items, unchanged: write-ahead log, bytes an item")
    observed = unchanged(sized, starts(sized, waves, Random(8)))  # noqa: S311 - the same waves each time
    items = len(observed) * WAVE
    with psycopg.connect(sized.url, autocommit=True) as connection, _no_checkpoints(connection):
        connection.execute("CREATE EXTENSION IF NOT EXISTS pg_walinspect")
        for label, checkpoint in (("after a checkpoint", True), ("no checkpoint", False), ("no checkpoint", False)):
            if checkpoint:
                connection.execute("CHECKPOINT")
            before = _log_end(connection)
            await run_of(sized.database, observed)
            log = {"before": before, "after": _log_end(connection)}
            records = [Records(*row) for row in connection.execute(_WAL_BY_TABLE, log)]
            images = sum(record.images for record in records)
            total = images + sum(record.length for record in records)
            updates = {record.kind: record.records for record in records if record.table == "inventory_item"}
            in_place, moved = updates.get("Heap HOT_UPDATE", 0), updates.get("Heap UPDATE", 0)
            print(
                f"  {label}: {total / items:,.0f}, of which page images {images / items:,.0f};"
                f" {in_place / max(in_place + moved, 1):.0%} of the updates HOT"
            )
            for record in records[:8]:
                print(
                    f"    {(record.length + record.images) / items:7.1f}  {record.table} {record.kind}"
                    f" ({record.records / items:.3f} an item, {record.length / record.records:.0f} bytes each,"
                    f" images {record.images / items:.1f})"
                )


def _log_end(connection: psycopg.Connection[Any]) -> str:
    row = connection.execute("SELECT pg_current_wal_insert_lsn()::text").fetchone()
    return str(row[0]) if row else ""


async def measure_pages(sized: Sized, rounds: int) -> None:
    """Prints the time of a page of each listing."""
    print(f"\n{sized.size:,} items: milliseconds a page of {PAGE.limit} items or {RECENT_RUNS} runs")
    random = Random(9)  # noqa: S311 - the same pages each time
    figures: dict[str, list[float]] = {}
    async with sized.database.tenant(TENANT, read_only=True) as session:
        question = await queries.question(session)
        if question is None:
            raise LookupError("the tenant has no completed run")
        for _ in range(rounds):
            some = observation(random.randrange(sized.size))
            page = PAGE._replace(after=await place_of(session, some.type_key, some.external_id))
            one_type = [some.type_key]
            with _timed(figures, "items, from anywhere"):
                await _read(queries.items(session, question, page=page))
            with _timed(figures, "items of one collection"):
                await _read(queries.items(session, question, one_type, page))
            with _timed(figures, "missing, the first"):
                await _read(queries.missing_items(session, question, page=PAGE))
            with _timed(figures, "missing, one collection"):
                await _read(queries.missing_items(session, question, one_type, PAGE))
            with _timed(figures, "question"):
                await queries.question(session)
            with _timed(figures, "runs of the tenant"):
                await queries.recent_runs(session, RECENT_RUNS)
    async with sized.database.portfolio() as session:
        for _ in range(rounds):
            with _timed(figures, "runs of all tenants"):
                await queries.recent_runs(session, RECENT_RUNS)
            with _timed(figures, "run"):
                await queries.run_record(session, question.latest.run_id)
    for label, seconds in figures.items():
        print(f"  {label:<24} {spread([second * 1e3 for second in seconds], 1)}")


@contextmanager
def _timed(figures: dict[str, list[float]], label: str) -> Iterator[None]:
    began = time.perf_counter()
    yield
    figures.setdefault(label, []).append(time.perf_counter() - began)


async def _read(records: AsyncIterator[object]) -> int:
    return len([record async for record in records])


def measure_memory(sized: Sized, rounds: int) -> None:
    """Prints the peak of a worker's resident memory at this size; each round has a worker of its own."""
    graph = SimulatedGraph(tenants=1, items_per_collection=ITEMS_OF_A_SYNCED_COLLECTION, page_size=1_000)
    before: list[float] = []
    after: list[float] = []
    with Machine(graph, workers=0, database_url=sized.url) as machine:

        async def play() -> None:
            for _ in range(rounds):
                worker = machine.start_worker()
                before.append(_peak_megabytes(worker.pid))
                record = await machine.sync(graph.tenants[0], SYNCED)
                if record.status != "success":
                    raise SystemExit(f"the run ended as {record.status}: {record.error_codes}")
                after.append(_peak_megabytes(worker.pid))
                worker.stop()

        played(play)
    print(f"  {sized.size:9,} items: {spread(before, 0)} MB before a sync, {spread(after, 0)} after it", flush=True)


def _peak_megabytes(pid: int) -> float:
    status = Path(f"/proc/{pid}/status").read_text()
    (kilobytes,) = (line.split()[1] for line in status.splitlines() if line.startswith("VmHWM"))
    return int(kilobytes) / 1024


def measure(sizes: Sequence[int], rounds: int, waves: int, parts: Sequence[str]) -> None:
    """Prints the figures of the parts that need all sizes on one server."""
    with (
        tempfile.TemporaryDirectory() as folder,
        EmbeddedPostgres(Path(folder) / "postgres", settings=POSTGRES) as postgres,
    ):
        databases = []
        for size in sizes:
            url = postgres.create_database(f"growth_{size}")
            upgrade(url)
            began = time.perf_counter()
            fill_portfolio(url, size)
            print(f"{size:,} items filled in {time.perf_counter() - began:.0f} s", flush=True)
            databases.append(Sized(size, url, Database(url, pool_size=1), {}))

        async def play() -> None:
            if "pages" in parts:
                for sized in databases:
                    await measure_pages(sized, rounds)
            if "sync" in parts:
                await measure_sync(databases, rounds, waves)
            if "wal" in parts:
                for sized in databases:
                    await measure_wal(sized, waves)
            for sized in databases:
                await sized.database.close()

        played(play)
        if "memory" in parts:
            print("\na worker's resident memory, at its peak")
            for sized in {databases[0].size: databases[0], databases[-1].size: databases[-1]}.values():
                measure_memory(sized, rounds)


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.growth", description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", type=int, nargs="+", default=[10_000, 100_000, 1_000_000])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--waves", type=int, default=10)
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS))
    arguments = parser.parse_args()
    sizes = sorted(arguments.sizes)
    print(facts())
    measure(sizes, arguments.rounds, arguments.waves, arguments.parts)


if __name__ == "__main__":
    run_to_exit(main)
