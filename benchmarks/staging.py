"""Two ways to stage a wave: COPY into an unlogged table, or one compressed blob in a table with row-level security.

    DATABASE_URL=postgresql://… python -m benchmarks.staging

Each way stages `ROWS` documents of about 2 KB and hands them to a set-based consumer, as the merge does. Prints the
median of `ROUNDS` rounds, and the WAL that one round wrote. Works in temporary schema `staging_benchmark`.
"""

import os
import statistics
import time
import zlib
from collections.abc import Callable
from random import Random
from typing import Any

import orjson
import psycopg

ROWS = 5_000
ROUNDS = 7

SETUP = """
DROP SCHEMA IF EXISTS staging_benchmark CASCADE;
CREATE SCHEMA staging_benchmark;
SET search_path = staging_benchmark;
CREATE UNLOGGED TABLE staged_item (tenant_id uuid, token int, type_key text, external_id text, document text,
    PRIMARY KEY (tenant_id, token, type_key, external_id));
CREATE UNLOGGED TABLE staged_wave (tenant_id uuid, token int, body bytea, PRIMARY KEY (tenant_id, token));
ALTER TABLE staged_wave ALTER COLUMN body SET STORAGE EXTERNAL;
"""
TENANT = "00000000-0000-0000-0000-000000000001"
CONSUME = "SELECT count(*), sum(length(document)) FROM ({source}) AS staged"


def documents() -> list[tuple[str, str]]:
    """Ids and canonical documents of about 2 KB, with the repetitiveness of settings."""
    random = Random(7)  # noqa: S311 - the same documents each time
    return [
        (
            f"{random.getrandbits(128):032x}",
            orjson.dumps(
                {
                    f"setting{number}": {
                        "value": random.choice(["enabled", "disabled", "notConfigured"]),
                        "id": random.getrandbits(32),
                    }
                    for number in range(38)
                }
            ).decode(),
        )
        for _ in range(ROWS)
    ]


def copied(connection: psycopg.Connection[Any], rows: list[tuple[str, str]], token: int) -> None:
    with connection.cursor() as cursor:
        with cursor.copy("COPY staged_item FROM STDIN") as copy:
            for external_id, document in rows:
                copy.write_row((TENANT, token, "deviceConfigurations", external_id, document))
        source = "SELECT document FROM staged_item WHERE tenant_id = %s AND token = %s"
        cursor.execute(CONSUME.format(source=source), (TENANT, token))
        cursor.execute("DELETE FROM staged_item WHERE tenant_id = %s AND token = %s", (TENANT, token))
    connection.commit()


def blob(connection: psycopg.Connection[Any], rows: list[tuple[str, str]], token: int) -> None:
    """One compressed value a wave. PostgreSQL has no inflate, so the client spreads it through a temporary table."""
    with connection.cursor() as cursor:
        body = zlib.compress(orjson.dumps(rows), 1)
        cursor.execute("INSERT INTO staged_wave VALUES (%s, %s, %s)", (TENANT, token, body))
        connection.commit()
        cursor.execute("SELECT body FROM staged_wave WHERE tenant_id = %s AND token = %s", (TENANT, token))
        row = cursor.fetchone()
        spread = orjson.loads(zlib.decompress(row[0] if row else b""))
        cursor.execute("CREATE TEMP TABLE spread (type_key text, external_id text, document text) ON COMMIT DROP")
        with cursor.copy("COPY spread FROM STDIN") as copy:
            for external_id, document in spread:
                copy.write_row(("deviceConfigurations", external_id, document))
        cursor.execute(CONSUME.format(source="SELECT document FROM spread"))
        cursor.execute("DELETE FROM staged_wave WHERE tenant_id = %s AND token = %s", (TENANT, token))
    connection.commit()


def measured(way: Callable[[psycopg.Connection[Any], list[tuple[str, str]], int], None]) -> str:
    """Rows a second (median), and WAL bytes a row."""
    rows = documents()
    with psycopg.connect(os.environ["DATABASE_URL"]) as connection:
        connection.execute(SETUP)
        connection.commit()
        connection.execute("SET search_path = staging_benchmark")
        connection.commit()
        way(connection, rows, -1)
        before = wal_position(connection)
        seconds = []
        for token in range(ROUNDS):
            began = time.perf_counter()
            way(connection, rows, token)
            seconds.append(time.perf_counter() - began)
        wal = (wal_position(connection) - before) / ROUNDS / ROWS
        connection.execute("DROP SCHEMA staging_benchmark CASCADE")
    median = statistics.median(seconds)
    return (
        f"{way.__name__:8} {ROWS / median:8,.0f} rows/s   (min {ROWS / max(seconds):,.0f},"
        f" max {ROWS / min(seconds):,.0f})   {wal:6.1f} WAL bytes/row"
    )


def wal_position(connection: psycopg.Connection[Any]) -> int:
    """The server's write-ahead log position, in bytes."""
    row = connection.execute("SELECT pg_current_wal_insert_lsn() - '0/0'::pg_lsn").fetchone()
    connection.commit()
    return int(row[0]) if row else 0


if __name__ == "__main__":
    for way in (copied, blob):
        print(measured(way))
