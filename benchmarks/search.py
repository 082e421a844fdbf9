"""How long questions over all tenants take at a million items of five hundred tenants: search, settings, status.

    python -m benchmarks.search [--items 1000000] [--tenants 500] [--settings 10] [--rounds 5]

SQL statements make the items, in forty collections. Items of collections with settings have `--settings` of their
collection's hundred settings (the 953 real documents have 12 each, a quarter of them the first of their name). One
compliance policy in ten says whether BitLocker is on. One item in five thousand is absent, and one tenant in ten has
not read its compliance policies. Each item except groups refers to one of its tenant's fifty groups, or in one
case of a hundred to a deleted group; one item in ten is assigned to nobody.
"""

import argparse
import os
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any
from uuid import UUID

import psycopg
from pydantic import BaseModel
from sqlalchemy import Connection, Engine, event, text
from sqlalchemy.ext.asyncio import AsyncSession

from answers.dependencies import answer as dependencies
from answers.dependencies.tenant_coverage import TenantCoverage
from answers.dependencies.tenants_together import TENANTS_AT_A_TIME
from answers.dependencies.tenants_together import Question as TogetherQuestion
from answers.item_filter import ItemFilter, SettingCondition
from answers.item_states import StateChoice
from answers.search.answer import Sought, find, search_basis, tenant_settings
from answers.search.records import SettingState
from answers.status.answer import status
from benchmarks.machine import FIRST_RELEASE, POSTGRES, empty_inventory, facts, played, spread
from graph.catalog import load_catalog
from inventory.reference_extraction import NOBODY
from process_exit import run_to_exit
from storage.database import PROBE, Database

PAGE = 100

# Names of six subjects; one in ten thousand says something else. Triggers and keys would take minutes.
_FILL = (
    "SET session_replication_role = replica",
    "SET maintenance_work_mem = '1GB'",
    """
    CREATE TEMPORARY TABLE made AS
    SELECT CAST(lpad(to_hex(number %% %(tenants)s + 1), 32, '0') AS uuid) AS tenant_id,
        (CAST(%(type_keys)s AS text[]))[1 + number / %(tenants)s %% 40] AS type_key,
        CAST(CAST(md5(CAST(number AS text)) AS uuid) AS text) AS external_id, number
    FROM generate_series(0, %(items)s - 1) AS number
    """,
    "INSERT INTO tenant (tenant_id, name) SELECT DISTINCT tenant_id, CAST(tenant_id AS text) FROM made",
    """
    INSERT INTO sync_run (
        tenant_id, run_id, workflow_id, selection_hash, selection, status, queued_at, started_at, finished_at
    )
    SELECT tenant_id, CAST(md5(tenant_id || ' ' || number) AS uuid), 'sync/search', encode(sha256('all'), 'hex'),
        jsonb_build_object('type_keys', CAST(%(type_keys)s AS text[])), 'success', at, at, at + interval '1 minute'
    FROM tenant CROSS JOIN generate_series(0, %(runs)s - 1) AS number
        CROSS JOIN LATERAL (SELECT timestamptz '2026-11-01Z' - number * interval '4 hours' AS at) AS moments
    """,
    "ANALYZE sync_run",
    """
    INSERT INTO sync_run_collection (tenant_id, run_id, type_key, outcome, pages, items)
    SELECT tenant_id, run_id, type_key, 'complete', 1, 5
    FROM sync_run CROSS JOIN unnest((CAST(%(type_keys)s AS text[]))[1:8]) AS type_key
    """,
    """
    INSERT INTO collection_coverage (
        tenant_id, type_key, run_id, run_started_at, outcome, error_code, first_listed_at, listed_run_id, listed_from,
        listed_at, listed_cleanly
    )
    SELECT tenant_id, type_key, run_id, at, CASE WHEN is_read THEN 'complete' ELSE 'failed' END,
        CASE WHEN NOT is_read THEN 'graph_permission_missing' END,
        CASE WHEN is_read THEN at END, CASE WHEN is_read THEN run_id END, CASE WHEN is_read THEN at END,
        CASE WHEN is_read THEN at END, CASE WHEN is_read THEN true END
    FROM tenant CROSS JOIN unnest(CAST(%(type_keys)s AS text[])) AS type_key
        CROSS JOIN LATERAL (
            SELECT timestamptz '2026-11-01Z' AS at, CAST(md5(tenant_id || ' 0') AS uuid) AS run_id,
                type_key <> 'deviceCompliancePolicies' OR hashtext(CAST(tenant_id AS text)) %% 10 <> 0 AS is_read
        ) AS states
    """,
    """
    INSERT INTO inventory_item (
        tenant_id, type_key, external_id, display_name, meta, content_hash, version_number, first_seen_at,
        first_seen_run_id, content_changed_at, last_seen_at, last_seen_run_id, absent_from, form
    )
    SELECT tenant_id, type_key, external_id,
        CASE WHEN number %% 10007 = 0 THEN 'Kiosk at the reception ' ELSE 'WIN - '
            || (ARRAY['BitLocker', 'Defender', 'Firewall', 'Wi-Fi', 'Update ring', 'Compliance'])[1 + number %% 6] END
            || ' - Baseline v' || number %% 17 || ' ' || left(external_id, 6),
        jsonb_build_object('odata_type', '#microsoft.graph.windows10CompliancePolicy', 'platforms', 'windows10'),
        sha256(CAST(external_id AS bytea)), 1, seen_at, run_id, seen_at, seen_at, run_id, absent_from, 1
    FROM made CROSS JOIN LATERAL (
        SELECT CAST(md5(tenant_id || ' 0') AS uuid) AS run_id,
            timestamptz '2026-11-01Z' + CASE WHEN number %% 4999 = 0 THEN -1 ELSE 1 END * interval '1 s' AS seen_at,
            CASE WHEN number %% 4999 = 0 THEN timestamptz '2026-11-01Z' END AS absent_from
    ) AS seen
    """,
    """
    INSERT INTO item_name (tenant_id, type_key, external_id, name_key)
    SELECT tenant_id, type_key, external_id, coalesce(name_key(display_name), chr(1114111)) FROM inventory_item
    """,
    """
    CREATE TEMPORARY TABLE made_setting AS
    SELECT tenant_id, type_key, external_id, position,
        CASE WHEN position = 0 AND type_key = 'deviceCompliancePolicies' AND number / 40 %% 10 = 0
            THEN 'bitLockerEnabled'
            ELSE 'device_vendor_msft_policy_config_area' || which / 25 || '_setting' || which END AS setting,
        CASE WHEN which %% 50 > 0 THEN (ARRAY['false', 'true', '1', '0', 'enabled'])[1 + number / 400 %% 5] END AS value
    FROM made CROSS JOIN generate_series(0, %(settings)s - 1) AS position
        CROSS JOIN LATERAL (
            SELECT array_position(CAST(%(with_settings)s AS text[]), type_key) * 100 - 100
                + abs(hashtext(number || ' ' || position)) %% 100 AS which
        ) AS chosen
    WHERE type_key = ANY (CAST(%(with_settings)s AS text[]))
    """,
    """
    INSERT INTO item_settings (tenant_id, type_key, external_id, settings)
    SELECT tenant_id, type_key, external_id,
        string_agg(E'\\x1e' || setting || E'\\x1f' || coalesce(value, E'\\x1f'), '' ORDER BY position) || E'\\x1e'
    FROM made_setting GROUP BY tenant_id, type_key, external_id
    """,
    """
    INSERT INTO collection_setting (tenant_id, type_key, setting)
    SELECT DISTINCT tenant_id, type_key, setting FROM made_setting
    """,
    """
    INSERT INTO reference_rules (tenant_id, type_key, rules_hash)
    SELECT tenant_id, type_key, rules_hash
    FROM tenant CROSS JOIN unnest(CAST(%(ruled)s AS text[]), CAST(%(rules)s AS bytea[])) AS rules (type_key, rules_hash)
    """,
    """
    INSERT INTO item_reference (
        tenant_id, type_key, external_id, position, version_number, path, role, target_type_keys, target_id
    )
    SELECT tenant_id, type_key, external_id, 0, 1, 'assignments.target.groupId', 'include',
        CASE WHEN chosen %% 10 = 0 THEN '{}' ELSE CAST('{groups}' AS text[]) END,
        CASE WHEN chosen %% 10 = 0 THEN %(nobody)s WHEN chosen %% 101 = 0 THEN 'gone ' || chosen %% 7
            ELSE group_id END
    FROM (SELECT *, abs(hashtext(external_id)) AS chosen FROM made WHERE type_key <> 'groups') AS item JOIN (
        SELECT tenant_id, external_id AS group_id, row_number() OVER in_tenant - 1 AS place,
            count(*) OVER (PARTITION BY tenant_id) AS groups
        FROM made WHERE type_key = 'groups' WINDOW in_tenant AS (PARTITION BY tenant_id ORDER BY external_id)
    ) AS known USING (tenant_id)
    WHERE known.place = chosen %% known.groups
    """,
    "RESET session_replication_role",
    "VACUUM (ANALYZE)",
)

_SIZES = """
SELECT CAST(reltuples AS bigint), pg_table_size(oid), pg_indexes_size(oid)
FROM pg_class WHERE oid = CAST(%s AS regclass)
"""


RUNS = 6 * 365
"""Runs of each tenant: a year, every four hours."""


def fill(url: str, items: int, tenants: int, settings: int, runs: int) -> None:
    """Makes the items, and prints the sizes of the tables that the questions read."""
    collections = load_catalog().collections
    with_settings = [key for key in FIRST_RELEASE if collections[key].has_settings]
    parameters: dict[str, Any] = {
        "items": items,
        "tenants": tenants,
        "settings": settings,
        "runs": runs,
        "type_keys": list(FIRST_RELEASE),
        "with_settings": with_settings,
        "ruled": list(collections),
        "rules": [collection.reading_rules.hash() for collection in collections.values()],
        "nobody": NOBODY,
    }
    with psycopg.connect(url, autocommit=True) as connection:
        for statement in _FILL:
            connection.execute(statement.encode(), parameters if "%" in statement else None)
        for table in ("inventory_item", "item_name", "item_settings", "collection_setting"):
            row = connection.execute(_SIZES.encode(), (table,)).fetchone()
            if row is not None:
                rows, heap, indexes = row
                print(f"  {table}: {rows:,} rows, {heap / 1e6:,.0f} MB, indexes {indexes / 1e6:,.0f} MB", flush=True)


class Plans:
    """The tables of which statements make sequential scans while it listens."""

    def __init__(self) -> None:
        self.scanned: set[str] = set()

    def __enter__(self) -> "Plans":
        event.listen(Engine, "before_cursor_execute", self._explain)
        return self

    def __exit__(self, *_: object) -> None:
        event.remove(Engine, "before_cursor_execute", self._explain)

    def _explain(
        self, connection: Connection, _cursor: Any, statement: str, parameters: Any, context: Any, _many: bool
    ) -> None:
        if "set_config" in statement or context.invoked_statement is PROBE:
            return
        declared = "DECLARE listing CURSOR FOR " if context.execution_options.get("stream_results") else ""
        cursor = connection.connection.cursor()
        cursor.execute(f"EXPLAIN (FORMAT JSON) {declared}{statement}", parameters)
        rest = [plan["Plan"] for plan in cursor.fetchall()[0][0]]
        while rest:
            plan = rest.pop()
            rest += plan.get("Plans", [])
            if plan["Node Type"] == "Seq Scan":
                self.scanned.add(plan["Relation Name"])


Question = Callable[[AsyncSession], Awaitable[int]]


def questions(tenants: int) -> dict[str, Question]:
    """The questions; each returns the number of its results."""
    ids = [UUID(int=number) for number in range(1, tenants + 1)]

    def search(sought: Sought) -> Question:
        async def ask(session: AsyncSession) -> int:
            items = [item async for item in find(session, sought, ids, limit=PAGE)]
            await search_basis(session, ids, sought.type_keys)
            return len(items)

        return ask

    def settings_question(name: str, value: str | None) -> Question:
        async def ask(session: AsyncSession) -> int:
            answers = await tenant_settings(session, SettingCondition(name, value), ids)
            return sum(tenant.state is SettingState.SET for tenant in answers)

        return ask

    def together(question: TogetherQuestion[BaseModel]) -> Question:
        async def ask(session: AsyncSession) -> int:
            records = 0
            for first in range(0, len(ids), TENANTS_AT_A_TIME):
                some = ids[first : first + TENANTS_AT_A_TIME]
                read = await dependencies.read_tenants(session, some)
                coverage = await TenantCoverage.of_tenants(session, sorted(read))
                records += sum(len(found) for found in (await question(session, coverage)).values())
            return records

        return ask

    async def states(session: AsyncSession) -> int:
        return len(await status(session, ids))

    return {
        "search, a word of every sixth name": search(Sought("bitlocker")),
        "search, two words of one name in ten thousand": search(Sought("kiosk reception")),
        "search, a word of no name": search(Sought("zeppelin")),
        "search --state missing, a word of every sixth": search(
            Sought("bitlocker", items=ItemFilter(state=StateChoice.MISSING))
        ),
        "search --setting bitLockerEnabled=false": search(Sought(None, SettingCondition("bitLockerEnabled", "false"))),
        "settings bitLockerEnabled=false": settings_question("bitLockerEnabled", "false"),
        "settings, one that every tenant sets": settings_question(
            "device_vendor_msft_policy_config_area1_setting37", None
        ),
        "settings, by the end of its name": settings_question("setting37", None),
        "status": states,
        "dangling": together(dependencies.dangling_of_tenants),
        "unassigned": together(dependencies.unassigned_of_tenants),
    }


def processor_seconds(backend: int) -> float:
    """The processor time so far of this process and a PostgreSQL backend on this machine."""
    *_, fields = Path(f"/proc/{backend}/stat").read_text().rpartition(") ")
    user, system = fields.split()[11:13]
    return time.process_time() + (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")


async def measure(url: str, tenants: int, rounds: int) -> None:
    """Prints each question's milliseconds, processor time and sequentially scanned tables.

    Processor time is that of this process and its PostgreSQL backend; other work on the machine changes it little.
    """
    async with Database(url, pool_size=1) as database:
        for label, ask in questions(tenants).items():
            took: list[float] = []
            busy = 0.0
            for _ in range(rounds):
                async with database.portfolio() as session:
                    backend = (await session.execute(text("SELECT pg_backend_pid()"))).scalar_one()
                    busy -= processor_seconds(backend)
                    began = time.perf_counter()
                    found = await ask(session)
                    took.append((time.perf_counter() - began) * 1e3)
                    busy += processor_seconds(backend)
            with Plans() as plans:
                async with database.portfolio() as session:
                    await ask(session)
            scanned = ", ".join(sorted(plans.scanned)) or "no table"
            processor = busy / rounds * 1e3
            print(
                f"  {label:<46} {found:>4} {spread(took, 0)} ms, processor {processor:.0f}; scans {scanned}", flush=True
            )


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.search", description=__doc__.splitlines()[0])
    parser.add_argument("--items", type=int, default=1_000_000)
    parser.add_argument("--tenants", type=int, default=500)
    parser.add_argument("--settings", type=int, default=10)
    parser.add_argument("--runs", type=int, default=RUNS, help="of each tenant (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--url", help="of a database that an earlier call has filled, where there is one")
    arguments = parser.parse_args()
    if arguments.url:
        played(lambda: measure(arguments.url, arguments.tenants, arguments.rounds))
        return
    with empty_inventory(POSTGRES) as postgres:
        url = postgres.url
        began = time.perf_counter()
        print(f"{arguments.items:,} items of {arguments.tenants} tenants; {facts()}", flush=True)
        fill(url, arguments.items, arguments.tenants, arguments.settings, arguments.runs)
        print(f"  filled in {time.perf_counter() - began:.0f} s", flush=True)
        played(lambda: measure(url, arguments.tenants, arguments.rounds))


if __name__ == "__main__":
    run_to_exit(main)
