"""The size of an item and a version in PostgreSQL, and the gain of compression, on real documents.

    python -m benchmarks.storage FOLDER

FOLDER holds real Graph documents as the tests load them (`<path with _>.jsonl.gz`). They are observed as a sync does,
merged into a database of its own, changed in one property and merged again.
"""

import argparse
import asyncio
import statistics
import zlib
from collections.abc import Iterable, Sequence
from datetime import timedelta
from pathlib import Path
from uuid import UUID, uuid4

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from benchmarks.machine import empty_inventory
from graph.catalog import load_catalog
from inventory.observation import Observation, Observer
from inventory.outcomes import Counts, RunStatus
from inventory.selection import Selection
from local.simulated_graph.documents import read_folder
from storage import merge as merging
from storage import runs, staging
from storage.compression import compress
from storage.database import Database

TENANT = UUID(int=1)
TABLES = ("inventory_item", "item_version", "document")

_SIZE = text("SELECT pg_relation_size(:table), pg_indexes_size(:table), pg_total_relation_size(:table)")


def observations(folder: Path, edit: str = "") -> list[Observation]:
    """The folder's documents as whole items; with `edit`, each with another description."""
    collections = {collection.path.strip("/"): collection for collection in load_catalog().collections.values()}
    found: list[Observation] = []
    for path, documents in read_folder(folder).items():
        collection = collections.get(path)
        if collection is None:
            continue
        changed = [{**document, **({"description": edit} if edit else {})} for document in documents]
        observer = Observer(collection.observation_rules())
        found += [observed._replace(list_hash=None) for observed in observer.observe_page(changed)[0]]
    return found


async def sync(database: Database, items: Sequence[Observation]) -> None:
    """One run that sees these items."""
    types = tuple(sorted({item.type_key for item in items}))
    run = runs.RunIdentity(uuid4(), "sync/benchmark", Selection(type_keys=types), "Contoso")
    async with database.tenant(TENANT) as session:
        await runs.open_run(session, run, runs.Slots(10, 10, timedelta(hours=1)))
        token = uuid4()
        await staging.stage(session, run.run_id, token, items)
        await merging.merge(session, run.run_id, token, promised_rows=len(items))
        await runs.finish_run(session, run, runs.RunEnd(RunStatus.SUCCESS, Counts(), [], {}))


async def sizes(session: AsyncSession) -> dict[str, tuple[int, int, int]]:
    """Heap, indexes and all, in bytes, by table."""
    return {table: tuple((await session.execute(_SIZE, {"table": table})).one()) for table in TABLES}


def ratios(bodies: Iterable[bytes]) -> str:
    """The savings of compressing each document by itself."""
    all_bodies = list(bodies)
    raw = sum(map(len, all_bodies))
    zstd = sum(len(compress(body)) for body in all_bodies)
    deflate = sum(len(zlib.compress(body)) for body in all_bodies)
    return f"zstd {raw / zstd:.2f} times smaller, zlib {raw / deflate:.2f}"


async def measure(url: str, folder: Path) -> None:
    """Prints the figures."""
    items = observations(folder)
    lengths = [len(item.document) for item in items]
    print(f"{len(items)} documents, {sum(lengths):,} bytes of canonical JSON")
    print(f"median {statistics.median(lengths):,.0f}, mean {statistics.mean(lengths):,.0f}, largest {max(lengths):,}")
    print(ratios(item.document for item in items))
    database = Database(url, pool_size=1)
    before: dict[str, tuple[int, int, int]] = {}
    for label, seen in (("first sync", items), ("every item changed once", observations(folder, "changed"))):
        await sync(database, seen)
        async with database.tenant(TENANT) as session:
            after = await sizes(session)
        print(f"\n{label}: bytes an item")
        for table in TABLES:
            heap, indexes, total = (
                (now - then) / len(items) for now, then in zip(after[table], before.get(table, (0, 0, 0)), strict=True)
            )
            print(f"  {table:<15} {total:7,.0f} (heap {heap:,.0f}, indexes {indexes:,.0f})")
        together = sum(after[table][2] - before.get(table, (0, 0, 0))[2] for table in TABLES)
        print(f"  {'together':<15} {together / len(items):7,.0f}")
        before = after
    await database.close()


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.storage", description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="real Graph documents")
    folder = parser.parse_args().folder
    with empty_inventory() as postgres:
        asyncio.run(measure(postgres.url, folder))


if __name__ == "__main__":
    main()
