"""Whether partitions by tenant would make an inventory that is filled faster.

    python -m benchmarks.partitioning [--items 1000000] [--partitions 16] [--rounds 5] [--waves 10]

Two databases of one server, without foreign keys, hold the same: a tenant with so many items, and fifty others with a
thousand each. In one the three large tables are partitioned by the hash of the tenant. A round goes through both, with
the waves of `benchmarks.growth`.
"""

import argparse
import asyncio
import statistics
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory

import psycopg

from benchmarks.filled_inventory import fill_portfolio
from benchmarks.growth import Sized, sync_round
from benchmarks.machine import facts, played, spread
from local.postgres import EmbeddedPostgres
from process_exit import run_to_exit
from storage.database import Database
from storage.schema import upgrade

TABLES = ("inventory_item", "item_version", "document")

_WITHOUT_FOREIGN_KEYS = """
DO $$
DECLARE one record;
BEGIN
    FOR one IN SELECT conrelid::regclass AS of_table, conname FROM pg_constraint
        WHERE contype = 'f' AND connamespace = 'public'::regnamespace
    LOOP
        EXECUTE format('ALTER TABLE %s DROP CONSTRAINT %I', one.of_table, one.conname);
    END LOOP;
END $$
"""

# Triggers and policies are those of the table that it takes the place of, and so is what it is stored with.
_PARTITION = """
DO $$
DECLARE
    old regclass := '{table}';
    one record;
    options text := (SELECT array_to_string(reloptions, ', ') FROM pg_class WHERE oid = old);
BEGIN
    EXECUTE 'CREATE TABLE partitioned (LIKE {table} INCLUDING ALL) PARTITION BY HASH (tenant_id)';
    FOR number IN 0 .. {partitions} - 1 LOOP
        EXECUTE format('CREATE TABLE {table}_%s PARTITION OF partitioned FOR VALUES WITH (MODULUS {partitions},'
            ' REMAINDER %s)', number, number) || coalesce(' WITH (' || options || ')', '');
    END LOOP;
    FOR one IN SELECT pg_get_triggerdef(oid) AS definition FROM pg_trigger WHERE tgrelid = old AND NOT tgisinternal LOOP
        EXECUTE replace(one.definition, ' ON public.{table} ', ' ON partitioned ');
    END LOOP;
    EXECUTE 'ALTER TABLE partitioned ENABLE ROW LEVEL SECURITY';
    FOR one IN SELECT polname, polcmd, polroles, pg_get_expr(polqual, old) AS visible,
        pg_get_expr(polwithcheck, old) AS writable FROM pg_policy WHERE polrelid = old
    LOOP
        EXECUTE format('CREATE POLICY %I ON partitioned FOR %s TO %s USING (%s)', one.polname,
            CASE one.polcmd WHEN 'r' THEN 'SELECT' ELSE 'ALL' END,
            (SELECT string_agg(quote_ident(rolname), ', ') FROM pg_roles WHERE oid = ANY (one.polroles)), one.visible)
            || coalesce(' WITH CHECK (' || one.writable || ')', '');
    END LOOP;
    FOR one IN SELECT grantee, privilege_type FROM information_schema.role_table_grants WHERE table_name = '{table}'
    LOOP
        EXECUTE format('GRANT %s ON partitioned TO %I', one.privilege_type, one.grantee);
    END LOOP;
    FOR one IN SELECT grantee, privilege_type, column_name FROM information_schema.column_privileges
        WHERE table_name = '{table}' AND privilege_type = 'UPDATE'
    LOOP
        EXECUTE format('GRANT UPDATE (%I) ON partitioned TO %I', one.column_name, one.grantee);
    END LOOP;
    EXECUTE 'ALTER TABLE {table} RENAME TO {table}_before';
    EXECUTE 'ALTER TABLE partitioned RENAME TO {table}';
END $$
"""


def prepare(url: str, partitions: int) -> None:
    """Makes the tables, without foreign keys; with partitions, if any."""
    upgrade(url)
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(_WITHOUT_FOREIGN_KEYS)
        for table in TABLES if partitions else ():
            connection.execute(_PARTITION.format(table=table, partitions=partitions).encode())


async def measure(databases: dict[str, Sized], rounds: int, waves: int) -> None:
    """Prints microseconds an item."""
    figures: dict[str, dict[str, list[float]]] = {name: {} for name in databases}
    random = Random(7)  # noqa: S311 - the same waves each time
    for _ in range(rounds):
        for name, sized in databases.items():
            await sync_round(sized, waves, random, figures[name])
    for kind in ("unchanged", "changed", "new"):
        for name in databases:
            print(f"  {kind:<9} {name:<14} {spread(figures[name][kind], 0)}", flush=True)
        plain, partitioned = (statistics.median(figures[name][kind]) for name in databases)
        print(f"  {kind:<9} {partitioned / plain:.2f} times")
    await asyncio.gather(*(sized.database.close() for sized in databases.values()))


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.partitioning", description=__doc__.splitlines()[0])
    parser.add_argument("--items", type=int, default=1_000_000)
    parser.add_argument("--partitions", type=int, default=16)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--waves", type=int, default=10)
    arguments = parser.parse_args()
    print(facts())
    with TemporaryDirectory() as folder, EmbeddedPostgres(Path(folder) / "postgres") as postgres:
        Path(folder).chmod(0o755)
        databases = {}
        for name, partitions in (("plain", 0), ("partitioned", arguments.partitions)):
            url = postgres.create_database(name)
            prepare(url, partitions)
            fill_portfolio(url, arguments.items)
            databases[name] = Sized(arguments.items, url, Database(url, pool_size=1), {})
        print(f"staging and merging with {arguments.items:,} items, microseconds an item", flush=True)
        played(lambda: measure(databases, arguments.rounds, arguments.waves))


if __name__ == "__main__":
    run_to_exit(main)
