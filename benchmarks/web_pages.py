"""How long pages take at five hundred tenants, a million items and ten million versions, alone and for a crowd.

    python -m benchmarks.web_pages [--items 1000000] [--tenants 500] [--versions 10] [--rounds 20] [--people 200]

The inventory is that of `benchmarks.search`, with versions that share a hundred documents in each tenant. The page is a
process of its own, as `starter.py web` starts it, beside a Temporal server. Pages are found by following links from the
first page and from unlinked pages, whose subjects are made first: findings to decide about, a plan, a portfolio run of
all tenants, a schedule, found items. Each route found is requested repeatedly, the first time unmeasured. Beside the
wall-clock time stands the processor time of the page's process and of PostgreSQL, which other work on the machine
changes little. Then `--people` people at once, each with their own session, read random pages for a while, on
average a second after the page before.
"""

import argparse
import asyncio
import hashlib
import json
import os
import re
import secrets
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from datetime import timedelta
from functools import partial
from html import unescape
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import NamedTuple
from urllib.parse import urlencode, urljoin, urlsplit
from uuid import UUID, uuid4

import httpx
import orjson
import psycopg
from fastapi.responses import HTMLResponse
from fastapi.routing import APIRoute

from benchmarks.machine import (
    CHECKOUT,
    FIRST_RELEASE,
    POSTGRES,
    empty_inventory,
    facts,
    played,
    processor_seconds_of,
    spread,
)
from benchmarks.search import RUNS, fill
from inventory.outcomes import RunStatus
from inventory.people import Person, Role
from inventory.portfolio import TenantChoice
from inventory.selection import Selection
from local.temporal import EmbeddedTemporal
from process_exit import run_to_exit
from storage import portfolio, web_sessions
from storage.compression import compress
from storage.database import Database
from web.application import ROUTERS
from web.sign_in import COOKIE

DOCUMENTS = 100
"""Documents of a tenant."""

MOST_ADDRESSES = 3
"""Addresses to request of each route, at most."""

PATIENCE = 60
THINK_SECONDS = 1.0

EXIT_PARTIAL = 3

FINDINGS = 50
"""The most findings on the page that asks for a decision."""

# One event about each item.
_FILL_NOTIFICATIONS = """
INSERT INTO notification (tenant_id, target, event_hash, delivery_id, kind, severity, event, state, noted_at, ended_at)
SELECT tenant_id, 'mail', sha256(CAST(external_id AS bytea)), gen_random_uuid(), 'change', 'low',
    jsonb_build_object('text', display_name, 'type_key', type_key, 'external_id', external_id), 'sent',
    last_seen_at + random() * interval '20 days', last_seen_at + interval '20 days'
FROM inventory_item
"""

_COPY_DOCUMENTS = "COPY document (tenant_id, content_hash, body, size) FROM STDIN"

# Triggers and keys would take minutes.
_FILL_VERSIONS = (
    """
    INSERT INTO baseline (tenant_id, name, kind, at, set_by, evaluated_at)
    SELECT tenant_id, 'month', 'moment', '2026-11-01Z', 'ada', clock_timestamp() FROM tenant
    """,
    "SET session_replication_role = replica",
    """
    CREATE TEMPORARY TABLE numbered AS
    SELECT tenant_id, content_hash,
        row_number() OVER (PARTITION BY tenant_id ORDER BY content_hash) - 1 AS number
    FROM document
    """,
    "CREATE INDEX ON numbered (tenant_id, number)",
    "ANALYZE numbered",
    """
    UPDATE inventory_item AS item
    SET content_hash = numbered.content_hash, version_number = %(versions)s
    FROM numbered
    WHERE numbered.tenant_id = item.tenant_id
        AND numbered.number = (%(versions)s + abs(hashtext(item.external_id))) %% %(documents)s
    """,
    """
    INSERT INTO item_version (
        tenant_id, type_key, external_id, version_number, content_hash, display_name, first_observed_at,
        first_observed_run_id, last_observed_at, last_observed_run_id
    )
    SELECT item.tenant_id, item.type_key, item.external_id, version, numbered.content_hash, item.display_name,
        item.last_seen_at - (%(versions)s - version) * interval '1 day',
        CAST(md5(item.tenant_id || ' ' || %(versions)s - version) AS uuid),
        CASE WHEN version < %(versions)s THEN item.last_seen_at - (%(versions)s - version - 1) * interval '1 day' END,
        CASE WHEN version < %(versions)s
            THEN CAST(md5(item.tenant_id || ' ' || %(versions)s - version - 1) AS uuid) END
    FROM inventory_item AS item CROSS JOIN generate_series(1, %(versions)s) AS version
        JOIN numbered ON numbered.tenant_id = item.tenant_id
            AND numbered.number = (version + abs(hashtext(item.external_id))) %% %(documents)s
    """,
    _FILL_NOTIFICATIONS,
    "RESET session_replication_role",
    "VACUUM (ANALYZE)",
)


class Answer(NamedTuple):
    """One page: its status, the milliseconds to its first byte, its bytes, and the addresses to which it links."""

    status: int
    first_byte_ms: float
    size: int
    links: list[str]


def fill_versions(url: str, tenants: int, versions: int) -> None:
    """Gives each item so many versions."""
    with psycopg.connect(url, autocommit=True) as connection:
        with connection.cursor() as cursor, cursor.copy(_COPY_DOCUMENTS.encode()) as copied:
            for tenant in range(1, tenants + 1):
                for number in range(DOCUMENTS):
                    document = orjson.dumps(
                        {
                            "displayName": f"Policy {number}",
                            "description": f"Edition {number}",
                            "settings": [
                                {"name": f"setting {place}", "value": number % (place + 2)} for place in range(15)
                            ],
                        }
                    )
                    digest = hashlib.sha256(document).digest()
                    copied.write_row((UUID(int=tenant), digest, compress(document), len(document)))
        parameters = {"versions": versions, "documents": DOCUMENTS}
        for statement in _FILL_VERSIONS:
            connection.execute(statement.encode(), parameters if "%" in statement else None)


async def new_cookie(database: Database, client: httpx.AsyncClient) -> str:
    """Signs somebody in."""
    token = secrets.token_urlsafe(32)
    async with database.no_tenant() as session:
        digest = hashlib.sha256(token.encode()).digest()
        await web_sessions.add_link(
            session, digest, Person(person_id="local/ada", name="ada", role=Role.ADMIN), timedelta(hours=1)
        )
    answer = await client.get(f"/sign-in/{token}")
    return answer.cookies[COOKIE]


async def ask(client: httpx.AsyncClient, address: str, cookie: str) -> Answer:
    began = time.perf_counter()
    async with client.stream("GET", address, headers={"Cookie": f"{COOKIE}={cookie}"}) as answer:
        first_byte_ms = 0.0
        body = b""
        async for chunk in answer.aiter_raw():
            first_byte_ms = first_byte_ms or (time.perf_counter() - began) * 1e3
            body += chunk
        links = [
            urljoin(address, unescape(href)).partition("#")[0]
            for href in re.findall(r'<a [^>]*href="([^"]*)"', body.decode())
        ]
        own_links = [link for link in links if not urlsplit(link).netloc]
        return Answer(answer.status_code, first_byte_ms, len(body), own_links)


def page_routes() -> list[APIRoute]:
    """The routes that answer GET with a page."""
    return [
        route
        for router in ROUTERS
        for route in router.routes
        if isinstance(route, APIRoute) and "GET" in (route.methods or ()) and route.response_class is HTMLResponse
    ]


async def unlinked(client: httpx.AsyncClient, cookie: str, database: Database, tenants: int) -> list[str]:
    """Makes the subjects of unlinked pages as people and workers do, and returns the addresses."""
    cookies, first = {"Cookie": f"{COOKIE}={cookie}"}, f"/tenants/{UUID(int=1)}"

    async def act(address: str, **fields: str) -> None:
        form = {"request_id": str(uuid4()), "confirmed": "yes", "reason": "a benchmark", **fields}
        answer = await client.post(address, data=form, headers={**cookies, "Origin": str(client.base_url)})
        if answer.status_code != 303:
            raise RuntimeError(f"{address} answers {answer.status_code}: {answer.text}")

    await act(f"{first}/baselines", name="golden", of="tenant", other=str(UUID(int=2)))
    drift = (await client.get(f"{first}/drift?baseline=golden", headers=cookies)).text
    findings = re.findall(r'name="finding" value="([^"]+)"', drift)[:FINDINGS]
    name = f"nightly-{uuid4().hex[:8]}"
    await act(
        "/schedules", name=name, is_new="true", how="calendar", calendar="06:30", whom="everyone", reads="everything"
    )
    run_id = uuid4()
    chosen = TenantChoice(everyone=True)
    identity = portfolio.PortfolioIdentity(run_id, "portfolio/all", Selection(type_keys=FIRST_RELEASE), chosen)
    async with database.no_tenant() as session:
        await portfolio.open_portfolio(session, identity)
        await portfolio.expect_tenants(session, run_id, tenants)
    for number in range(1, tenants + 1):
        async with database.tenant(UUID(int=number)) as session:
            outcome = portfolio.TenantRunOutcome(None, RunStatus.SUCCESS, False, [])
            await portfolio.record_tenant(session, run_id, outcome)
    return [
        f"{first}/drift/decide?{urlencode([('finding', finding) for finding in findings])}",
        f"{first}/drift/decisions",
        f"/tenants/{UUID(int=2)}/plans",
        f"/portfolio-runs/{run_id}",
        f"/schedules/edit?name={name}",
        "/search?name=bitlocker",
        "/search?name=kiosk&platform=windows",
        "/settings?setting=bitLockerEnabled&value=false",
        f"{first}/dangling",
        "/notifications?state=sent",
    ]


async def linked(client: httpx.AsyncClient, cookie: str, begins: Sequence[str]) -> dict[str, list[str]]:
    """Some addresses of each route, found by following links from `begins`."""
    routes = page_routes()
    found: dict[str, list[str]] = {route.path: [] for route in routes}
    waiting = ["/", *begins]
    for address in waiting:
        route = next((route for route in routes if route.path_regex.match(urlsplit(address).path)), None)
        if route is None or address in found[route.path] or len(found[route.path]) >= MOST_ADDRESSES:
            continue
        found[route.path].append(address)
        waiting += (await ask(client, address, cookie)).links
    return found


async def measure_alone(
    client: httpx.AsyncClient, cookie: str, rounds: int, pids: Sequence[int], begins: Sequence[str]
) -> dict[str, list[str]]:
    """Prints each route's wall-clock and processor time for one person, and returns the addresses."""
    found = await linked(client, cookie, begins)
    for route, addresses in found.items():
        if not addresses:
            print(f"  {route:<58} no link leads there", flush=True)
            continue
        before = sum(map(processor_seconds_of, pids))
        answers = [await ask(client, address, cookie) for _ in range(rounds) for address in addresses]
        processor_ms = (sum(map(processor_seconds_of, pids)) - before) * 1e3 / len(answers)
        wrong = sum(answer.status != 200 for answer in answers)
        times = [answer.first_byte_ms for answer in answers]
        size = max(answer.size for answer in answers) / 1e3
        wrongs = f", {wrong} WRONG" if wrong else ""
        figures = f"{spread(times, 0)} ms, processor {processor_ms:.0f} ms, {size:.0f} KB{wrongs}"
        print(f"  {route:<58} {figures}", flush=True)
    return found


async def measure_crowd(
    client: httpx.AsyncClient, cookies: list[str], by_route: dict[str, list[str]], pages: int
) -> None:
    """Prints the times of a crowd: each person reads so many pages."""
    everything = [address for addresses in by_route.values() for address in addresses]
    answers: list[Answer] = []
    broken: list[str] = []

    async def read(number: int) -> None:
        random = Random(number)  # noqa: S311 - the same pages each time
        for _ in range(pages):
            await asyncio.sleep(random.uniform(0, 2 * THINK_SECONDS))
            try:
                answers.append(await ask(client, random.choice(everything), cookies[number]))
            except httpx.HTTPError as error:
                broken.append(type(error).__name__)

    began = time.perf_counter()
    await asyncio.gather(*(read(number) for number in range(len(cookies))))
    seconds = time.perf_counter() - began
    times = sorted(answer.first_byte_ms for answer in answers)
    wrong = sum(answer.status >= 500 for answer in answers) + len(broken)
    print(
        f"  {len(cookies)} people, {len(answers)} pages in {seconds:.0f} s ({len(answers) / seconds:.0f} a second):"
        f" first byte {statistics.median(times):.0f} ms, 95 of 100 within {times[len(times) * 95 // 100]:.0f} ms,"
        f" errors {wrong} ({100 * wrong / max(1, len(answers) + len(broken)):.2f} %)",
        flush=True,
    )


async def measure(
    url: str, folder: Path, tenants: int, rounds: int, people: int, pages: int, *, postgres_pid: int, temporal: str
) -> None:
    file = folder / "tenants.toml"
    file.write_text(
        "".join(
            f'[[tenant]]\nid = "{UUID(int=number)}"\nname = "Tenant {number}"\nclient_id = "{UUID(int=number)}"\n'
            f'managed_identity = true\ntags = ["ring-{number % 5}"]\n'
            for number in range(1, tenants + 1)
        )
    )
    environment = {
        "DATABASE_URL": url,
        "TENANTS_FILE": str(file),
        "TENANT_INVENTORY_STATE": str(folder),
        "TEMPORAL_ADDRESS": temporal,
        "PATH": "/usr/bin:/bin",
    }
    starter = [sys.executable, str(CHECKOUT / "starter.py")]
    planned = [*starter, "promote", "plan", "Tenant 1", "Tenant 2"]
    made = subprocess.run(planned, check=False, env=environment, cwd=folder, stdout=subprocess.DEVNULL)  # noqa: S603, ASYNC221
    if made.returncode not in (0, EXIT_PARTIAL):
        raise RuntimeError(f"promote plan ended with {made.returncode}")
    process = subprocess.Popen(  # noqa: S603, ASYNC220
        [*starter, "web", "--port=0", "--json"], env=environment, cwd=folder, stdout=subprocess.PIPE, text=True
    )
    database = Database(url, pool_size=1)
    try:
        base_url = json.loads(process.stdout.readline() if process.stdout else "")["url"]
        limits = httpx.Limits(max_connections=people + 1)
        async with httpx.AsyncClient(base_url=base_url, timeout=PATIENCE, limits=limits) as client:
            cookies = [await new_cookie(database, client) for _ in range(people)]
            begins = await unlinked(client, cookies[0], database, tenants)
            found = await measure_alone(client, cookies[0], rounds, [process.pid, postgres_pid], begins)
            print(f"  load {' '.join(f'{load:.0f}' for load in os.getloadavg())}", flush=True)
            await measure_crowd(client, cookies, found, pages)
    finally:
        await database.close()
        process.terminate()
        process.wait()


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.web_pages", description=__doc__.splitlines()[0])
    parser.add_argument("--items", type=int, default=1_000_000)
    parser.add_argument("--tenants", type=int, default=500)
    parser.add_argument("--settings", type=int, default=10)
    parser.add_argument("--versions", type=int, default=10)
    parser.add_argument("--runs", type=int, default=RUNS, help="of each tenant (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--people", type=int, default=200)
    parser.add_argument("--pages", type=int, default=20, help="that each of the people reads")
    parser.add_argument("--url", help="of a database that an earlier call has filled, where there is one")
    parser.add_argument("--postgres-pid", type=int, default=0, help="of that database's first process")
    arguments = parser.parse_args()
    with TemporaryDirectory() as folder, EmbeddedTemporal(Path(folder) / "temporal") as temporal:
        play = partial(measure, temporal=temporal.address)
        rest = (Path(folder), arguments.tenants, arguments.rounds, arguments.people, arguments.pages)
        if arguments.url:
            played(lambda: play(arguments.url, *rest, postgres_pid=arguments.postgres_pid))
            return
        with empty_inventory(POSTGRES) as postgres:
            url = postgres.url
            began = time.perf_counter()
            sizes = f"{arguments.items:,} items of {arguments.versions} versions, {arguments.tenants} tenants"
            print(f"{sizes}; {facts()}", flush=True)
            fill(url, arguments.items, arguments.tenants, arguments.settings, arguments.runs)
            fill_versions(url, arguments.tenants, arguments.versions)
            print(f"  filled in {time.perf_counter() - began:.0f} s", flush=True)
            played(lambda: play(url, *rest, postgres_pid=postgres.child.pid))


if __name__ == "__main__":
    run_to_exit(main)
