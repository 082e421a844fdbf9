"""The cost of a new item in PostgreSQL, and the share of foreign keys, indexes, documents, version row and name.

    python -m benchmarks.first_merge [--rounds 4] [--waves 4]

Waves of a thousand new items are staged and merged by the product's own functions into databases of their own, each
without one part of the schema or of the merge. They take turns, forwards and backwards. Only the processor time of the
connection's process is measured, so that other work on the machine counts little.
"""

import argparse
import os
import statistics
import tempfile
from collections.abc import Sequence
from pathlib import Path
from random import Random
from typing import NamedTuple
from uuid import UUID, uuid4

import psycopg
from sqlalchemy import TextClause, text

from benchmarks.filled_inventory import SELECTION, TENANT, observation
from benchmarks.growth import SLOTS, WAVE
from benchmarks.machine import POSTGRES, facts, played
from inventory.observation import Observation
from local.postgres import EmbeddedPostgres
from process_exit import run_to_exit
from storage import merge as merging
from storage import runs, staging
from storage.database import Database
from storage.schema import upgrade
from storage.sql import BY_PLACE

SCHEDSTAT = "/proc/{}/schedstat"
"""Its first number is the processor time of a process in nanoseconds (Linux)."""

NO_FOREIGN_KEYS = """
DO $$ DECLARE key record; BEGIN
    FOR key IN SELECT conrelid::regclass AS owner, conname FROM pg_constraint WHERE contype = 'f' LOOP
        EXECUTE format('ALTER TABLE %s DROP CONSTRAINT %I', key.owner, key.conname);
    END LOOP;
END $$
"""
NAMES_ONE_BY_ONE = """
CREATE OR REPLACE TRIGGER name_added AFTER INSERT ON inventory_item FOR EACH ROW
    WHEN (NEW.display_name IS NOT NULL) EXECUTE FUNCTION keep_item_name()
"""

DOCUMENTS_AS_STAGED = """
CREATE FUNCTION write_document() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    INSERT INTO document (content_hash, body, size, body_hash)
    VALUES (NEW.content_hash, NEW.document, NEW.document_size, NEW.body_hash)
    ON CONFLICT (tenant_id, content_hash) DO NOTHING;
    NEW.document := '';
    RETURN NEW;
END $$;
CREATE TRIGGER document_written BEFORE INSERT ON staged_item FOR EACH ROW EXECUTE FUNCTION write_document()
"""
NO_KEY_TO_DOCUMENTS = NO_FOREIGN_KEYS.replace("contype = 'f'", "contype = 'f' AND confrelid = 'document'::regclass")
DOCUMENTS = ("documents AS (", "-- A version is incomplete")

NOTHING_BEFORE = """
    SELECT type_key, external_id, version_number, list_hash, details_complete, details_read_at, stale_asks,
        stale_asked_at, last_seen_at, last_seen_run_id, content_observed_at, content_observed_run_id
    FROM inventory_item WHERE false
),

"""


class Variant(NamedTuple):
    """Statements that change the schema; the first text of the merge's part to leave out and the text after it; its
    substitute.
    """

    ddl: Sequence[str] = ()
    left_out: tuple[str, str] | None = None
    instead: str = ""


VARIANTS = {
    "as it is": Variant(),
    "names one by one": Variant([NAMES_ONE_BY_ONE]),
    "no names": Variant(["DROP TRIGGER name_added ON inventory_item"]),
    "no look-up of the items before": Variant(
        left_out=("    SELECT item.type_key, item.ext", "-- Rows are locked"), instead=NOTHING_BEFORE
    ),
    "no foreign keys": Variant([NO_FOREIGN_KEYS]),
    "… nor the index of versions by document": Variant([NO_FOREIGN_KEYS, "DROP INDEX item_version_by_document"]),
    "… nor the index of versions by time": Variant([NO_FOREIGN_KEYS, "DROP INDEX item_version_observed"]),
    "… nor version rows": Variant([NO_FOREIGN_KEYS], ("versions AS (", "-- The version before a new one")),
    "documents by a trigger as they are staged": Variant([DOCUMENTS_AS_STAGED], DOCUMENTS),
    "no documents, nor keys to them": Variant([NO_KEY_TO_DOCUMENTS], DOCUMENTS),
}


def merge_of(variant: Variant) -> TextClause:
    """The merge without the part that the variant leaves out."""
    sql = Path(merging.__file__).with_name("sql").joinpath("merge.sql").read_text()
    if variant.left_out is not None:
        start, end = map(sql.index, variant.left_out)
        sql = sql[:start] + variant.instead + sql[end:]
    return text(sql.replace(":by_place", BY_PLACE))


def _processor_seconds(pid: int) -> float:
    return int(Path(SCHEDSTAT.format(pid)).read_text().split()[0]) / 1e9


async def microseconds(database: Database, waves: Sequence[Sequence[Observation]]) -> float:
    """PostgreSQL's processor time for staging and merging an item."""
    run = runs.RunIdentity(uuid4(), "sync/first-merge", SELECTION, "Contoso")
    async with database.tenant(TENANT) as session:
        await runs.open_run(session, run, SLOTS)
        pid = (await session.execute(text("SELECT pg_backend_pid()"))).scalar_one()
    taken = 0.0
    for wave in waves:
        token: UUID = uuid4()
        began = _processor_seconds(pid)
        async with database.tenant(TENANT) as session:
            await staging.stage(session, run.run_id, token, wave)
        async with database.tenant(TENANT) as session:
            merged = await merging.merge(session, run.run_id, token, promised_rows=len(wave))
        taken += _processor_seconds(pid) - began
        if merged.created != len(wave):
            raise ValueError(f"{merged.created} of {len(wave)} items are new")
    await database.close()
    return taken / sum(map(len, waves)) * 1e6


def measure(postgres: EmbeddedPostgres, rounds: int, waves: int) -> dict[str, list[float]]:
    """The microseconds of each variant, a figure a round."""
    found: dict[str, list[float]] = {name: [] for name in VARIANTS}
    for number in range(rounds):
        random = Random(number)  # noqa: S311 - the same items for each variant
        first = random.randrange(10**9, 10**12)
        observed = [[observation(first + wave * WAVE + place) for place in range(WAVE)] for wave in range(waves)]
        for name in sorted(VARIANTS, key=list(VARIANTS).index, reverse=number % 2 == 1):
            copy = f"variant_{list(VARIANTS).index(name)}_{number}"
            with psycopg.connect(postgres.database_url("template1"), autocommit=True) as connection:
                connection.execute(f"CREATE DATABASE {copy} TEMPLATE postgres".encode())
            with psycopg.connect(postgres.database_url(copy), autocommit=True) as connection:
                for statement in VARIANTS[name].ddl:
                    connection.execute(statement.encode())
            merging._MERGE = merge_of(VARIANTS[name])  # noqa: SLF001 - only a benchmark may merge otherwise
            url = postgres.database_url(copy)

            async def play(url: str = url, name: str = name, items: Sequence[Sequence[Observation]] = observed) -> None:
                found[name].append(await microseconds(Database(url, pool_size=1), items))

            played(play)
    return found


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--waves", type=int, default=4)
    arguments = parser.parse_args()
    with (
        tempfile.TemporaryDirectory() as folder,
        EmbeddedPostgres(Path(folder) / "postgres", settings={**POSTGRES, "autovacuum": "off"}) as postgres,
    ):
        upgrade(postgres.url)
        with psycopg.connect(postgres.url) as connection:
            connection.execute("INSERT INTO tenant (tenant_id, name) VALUES (%s, 'Contoso')", (TENANT,))
        print(facts(), "load", *map(round, os.getloadavg()))
        found = measure(postgres, arguments.rounds, arguments.waves)
        print(
            "microseconds of PostgreSQL's processor time for staging and merging a new item; load",
            *map(round, os.getloadavg()),
        )
        for name, times in found.items():
            print(f"  {name:<42} {statistics.median(times):4.0f} ({min(times):.0f}–{max(times):.0f})")
        print("load at the end", *map(round, os.getloadavg()))


if __name__ == "__main__":
    run_to_exit(main)
