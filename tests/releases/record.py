"""Records the database of a release, and the documents of its simulated Graph, into `NAME.json.gz` beside this file.

It runs the code of the release, so the release is checked out beside this checkout and comes first among the imports:

    git worktree add ../release COMMIT
    cd ../release && PYTHONPATH=. python CHECKOUT/tests/releases/record.py NAME

A recording is never written again: it is a database that every later release must be able to upgrade.
"""

import gzip
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import orjson
import psycopg
from psycopg import sql

from local.postgres import EmbeddedPostgres
from local.simulated_graph import SimulatedGraph, SimulatedTenant
from local.temporal import EmbeddedTemporal
from storage.schema import upgrade
from tests.end_to_end.system import System

SEED = 30_000
"""The tenant's id follows from it. No release's own tests use it."""
ITEMS_PER_COLLECTION = 2

TABLES = """
SELECT relname FROM pg_class
WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace AND relpersistence = 'p' AND relname <> 'alembic_version'
ORDER BY relname
"""
COLUMNS = """
SELECT attname FROM pg_attribute
WHERE attrelid = %s::regclass AND attnum > 0 AND NOT attisdropped AND attgenerated = '' ORDER BY attnum
"""


def documents_by_path(tenant: SimulatedTenant) -> dict[str, list[Any]]:
    """All documents of the tenant by the path of their collection, as the server keeps them."""
    collections = tenant._content._collections.items()
    return {path: [item.document for item in items] for path, items in collections if items}


def edit(tenant: SimulatedTenant, number: int) -> None:
    """Edits the first object of every second collection, or renames it, so that many items have several versions."""
    for place, (path, documents) in enumerate(sorted(documents_by_path(tenant).items())):
        for document in documents[:1]:
            if not isinstance(document, dict) or "id" not in document:
                continue
            if place % 5 == number:
                tenant.rename(path, document["id"], f"Renamed {number}")
            elif place % 2 == number % 2 and "description" in document:
                tenant.change(path, document["id"], {"description": f"edited {number}"})


def tables(database_url: str) -> dict[str, dict[str, Any]]:
    """The rows of each table that has any, as COPY writes them."""
    written: dict[str, dict[str, Any]] = {}
    with psycopg.connect(database_url) as connection:
        for (name,) in connection.execute(TABLES).fetchall():
            copy = sql.SQL("COPY {} TO STDOUT").format(sql.Identifier(name))
            with connection.cursor().copy(copy) as rows:
                text = b"".join(bytes(block) for block in rows).decode()
            if text:
                columns = [column for (column,) in connection.execute(COLUMNS, [name])]
                written[name] = {"columns": columns, "rows": text}
    return written


def record(folder: Path) -> dict[str, Any]:
    """Reads a tenant four times with the release's own worker, edits in between, and sets a baseline."""
    (folder / "temporal").mkdir()
    (folder / "system").mkdir()
    with (
        EmbeddedPostgres(folder / "postgres", durable=False) as postgres,
        EmbeddedTemporal(folder / "temporal") as temporal,
        SimulatedGraph(tenants=1, seed=SEED, items_per_collection=ITEMS_PER_COLLECTION) as graph,
    ):
        with psycopg.connect(postgres.url, autocommit=True) as connection:
            connection.execute("CREATE DATABASE release")
        database_url = postgres.url.rpartition("/")[0] + "/release"
        upgrade(database_url)
        with System(graph, temporal, database_url, folder / "system") as system:
            system.start_worker()
            tenant = system.tenant
            for number in range(3):
                system.sync("--all", "--deep")
                edit(tenant, number)
                tenant.set_generation(number)
            run = system.sync("--all", "--deep")
            assert run.status == "success", run
            result = system.starter("baseline", "set", tenant.name, "golden")
            assert result.code == 0, result.stderr
        return {
            "tenant_id": str(tenant.id),
            "type_keys": sorted(run.collections),
            "documents": documents_by_path(tenant),
            "tables": tables(database_url),
        }


def main() -> None:
    """Writes the recording of the named release."""
    file = Path(__file__).with_name(f"{sys.argv[1]}.json.gz")
    if file.exists():
        sys.exit(f"{file.name} is there")
    with TemporaryDirectory() as folder:
        recorded = record(Path(folder))
    written = orjson.dumps(recorded, option=orjson.OPT_SORT_KEYS | orjson.OPT_INDENT_2)
    file.write_bytes(gzip.compress(written, mtime=0))


if __name__ == "__main__":
    main()
