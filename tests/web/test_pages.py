"""The web page over the real database: sign-in, scope, content and protection."""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

import httpx
import psycopg
import pytest
from fastapi import FastAPI
from fastapi.routing import APIRoute
from psycopg.sql import SQL, Identifier
from pydantic import SecretStr
from sqlalchemy import text
from sqlalchemy.exc import ProgrammingError
from starlette.routing import Mount, Route

from configuration import Settings
from inventory.error_codes import ErrorCode
from inventory.outcomes import Outcome, RunStatus
from inventory.people import Role
from storage import web_sessions
from storage.database import Database, StorageUnavailableError
from tests.storage.support import begin, end, land, observation, sync
from tests.web.support import (
    CONTOSO,
    FABRIKAM,
    HOSTILE,
    LOCATIONS,
    ORIGIN,
    POLICIES,
    SAME_ORIGIN,
    UNREAD,
    browser,
    json_of,
    person_of,
    words_of,
)
from web import entra, sign_in
from web.application import ROUTERS, create_app
from web.layout import NAVIGATION, TENANT_NAVIGATION
from web.sign_in import COOKIE, new_link
from web.site import Site, item_path


def remove_contoso(tenants_file: Path) -> None:
    tenants_file.write_text(tenants_file.read_text().replace(str(CONTOSO), str(uuid4())))


def addresses(method: str = "GET") -> list[str]:
    """An address of every route behind sign-in that has this method."""
    values = {
        "tenant_id": str(CONTOSO),
        "run_id": str(uuid4()),
        "portfolio_run_id": str(uuid4()),
        "plan_id": str(uuid4()),
        "type_key": POLICIES,
        "external_id:path": "some-id",
    }
    filled = ["/api/openapi.json"] if method == "GET" else []
    for router in ROUTERS:
        for route in router.routes:
            assert isinstance(route, APIRoute)
            path = route.path
            for name, value in values.items():
                path = path.replace(f"{{{name}}}", value)
            assert "{" not in path
            if method in (route.methods or ()):
                filled.append(path)
    assert filled
    return filled


def test_only_sign_in_and_static_files_are_open(app: FastAPI) -> None:
    mounted = [route.path for route in app.routes if isinstance(route, Mount)]
    assert mounted == ["/static"]
    assert not [route for route in app.routes if isinstance(route, Route)], "each route is in a router"
    assert {route.path for route in sign_in.router.routes if isinstance(route, APIRoute)} == {
        "/sign-in/{token}",
        "/sign-out",
    }
    assert {route.path for route in entra.router.routes if isinstance(route, APIRoute)} == {
        "/sign-in",
        "/sign-in/entra",
    }


def test_navigation_links_to_existing_pages() -> None:
    pages = {route.path for router in ROUTERS for route in router.routes if isinstance(route, APIRoute)}
    of_a_tenant = {f"/tenants/{{tenant_id}}{entry.path}" for entry in TENANT_NAVIGATION}
    assert {entry.path for entry in NAVIGATION} | of_a_tenant <= pages


async def test_every_route_requires_sign_in(anonymous: httpx.AsyncClient) -> None:
    requests = [("GET", address) for address in addresses()] + [("POST", address) for address in addresses("POST")]
    for method, address in requests:
        answer = await anonymous.request(method, address, headers=SAME_ORIGIN)
        assert answer.status_code == 401, address
        assert "not signed in" in answer.text
        assert (answer.headers["content-type"] == "application/json") is address.startswith("/api/"), address


async def test_invented_cookie_is_refused(anonymous: httpx.AsyncClient) -> None:
    anonymous.cookies.set(COOKIE, "made-up")
    await words_of(anonymous, "/", 401)


async def test_sign_in_link_works_once(app: FastAPI, database: Database, anonymous: httpx.AsyncClient) -> None:
    link = await new_link(database, "", "ada")
    first = await anonymous.get(link)
    assert (first.status_code, first.headers["location"]) == (303, "/")
    cookie = first.headers["set-cookie"]
    assert cookie.startswith("__Host-")
    assert all(part in cookie for part in ("; HttpOnly", "; Secure", "; SameSite=lax", "; Path=/"))
    assert "ada" in await words_of(anonymous, "/")
    async with browser(app) as other:
        assert "used up" in await words_of(other, link, 403)
        await words_of(other, "/", 401)


async def test_expired_links_and_sessions_are_refused(
    database: Database, anonymous: httpx.AsyncClient, signed_in: httpx.AsyncClient
) -> None:
    link = await new_link(database, "", "ada")
    async with database.no_tenant() as session:
        await session.execute(text("RESET ROLE"))
        for table in ("sign_in_link", "web_session"):
            await session.execute(text(f"UPDATE {table} SET expires_at = clock_timestamp()"))
    await words_of(anonymous, link, 403)
    await words_of(anonymous, "/", 401)
    await words_of(signed_in, "/", 401)
    async with database.no_tenant() as session:
        await web_sessions.add_link(session, bytes(32), person_of(Role.READER), timedelta(hours=1))
        remaining = await session.execute(
            text("SELECT (SELECT count(*) FROM sign_in_link), (SELECT count(*) FROM web_session)")
        )
        assert remaining.one() == (1, 0), "expired links are deleted when a link is made"


async def test_sign_out_ends_the_session_and_is_audited(database: Database, signed_in: httpx.AsyncClient) -> None:
    cookie = signed_in.cookies[COOKIE]
    answer = await signed_in.post("/sign-out", headers={"Origin": ORIGIN})
    assert answer.status_code == 200
    assert COOKIE not in signed_in.cookies
    signed_in.cookies.set(COOKIE, cookie)
    await words_of(signed_in, "/", 401)
    async with database.no_tenant() as session:
        acts = await session.execute(text("SELECT person, role, action FROM audit_record ORDER BY at"))
        assert acts.all() == [("ada", "admin", "signed_in"), ("ada", "admin", "signed_out")]


async def test_audit_records_cannot_be_changed_or_deleted(database: Database, signed_in: httpx.AsyncClient) -> None:
    for statement in ("DELETE FROM audit_record", "UPDATE audit_record SET person = 'eve'"):
        with pytest.raises((StorageUnavailableError, ProgrammingError)):
            async with database.no_tenant() as session:
                await session.execute(text(statement))
    async with database.tenant(CONTOSO) as session:
        for table in ("audit_record", "web_session", "sign_in_link"):
            assert (await session.execute(text(f"SELECT count(*) FROM {table}"))).scalar_one() == 0


@pytest.mark.parametrize(
    "headers",
    [{}, {"Origin": "https://evil.example"}, {"Sec-Fetch-Site": "cross-site", "Origin": ORIGIN}],
    ids=["no header", "another origin", "cross-site"],
)
async def test_cross_site_post_is_refused(signed_in: httpx.AsyncClient, headers: dict[str, str]) -> None:
    answer = await signed_in.post("/sign-out", headers=headers)
    assert answer.status_code == 403
    await words_of(signed_in, "/")


async def test_unknown_host_name_is_refused(signed_in: httpx.AsyncClient) -> None:
    assert (await signed_in.get("/", headers={"Host": "evil.example"})).status_code == 400


async def test_every_answer_has_security_headers(signed_in: httpx.AsyncClient) -> None:
    for address in [*addresses(), "/static/style.css", "/nothing-here", "/sign-in/wrong"]:
        headers = (await signed_in.get(address)).headers
        policy = headers["content-security-policy"]
        assert "default-src 'none'" in policy, address
        assert "unsafe" not in policy
        assert "script-src 'self';" in policy
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "no-referrer"
        assert headers["cache-control"] == "no-store"


async def test_pages_of_an_unread_tenant_say_so(signed_in: httpx.AsyncClient) -> None:
    for page in ("", "/items", "/missing", "/coverage"):
        assert "never read" in await words_of(signed_in, f"/tenants/{UNREAD}{page}")
    assert "No run yet" in await words_of(signed_in, f"/tenants/{UNREAD}/runs")
    assert "never read" in await words_of(signed_in, "/")


async def test_tenant_removed_from_the_tenants_file_is_not_found(
    database: Database, tenants_file: Path, signed_in: httpx.AsyncClient
) -> None:
    await sync(database, CONTOSO, [observation(POLICIES, "p1", displayName="Require MFA")], POLICIES)
    await words_of(signed_in, f"/tenants/{CONTOSO}/items")
    await asyncio.to_thread(remove_contoso, tenants_file)
    for address in (f"/tenants/{CONTOSO}/items", f"/api/tenants/{CONTOSO}/items", f"/tenants/{CONTOSO}"):
        assert "Require MFA" not in await words_of(signed_in, address, 404)
    assert str(CONTOSO) not in await words_of(signed_in, "/")


async def test_tenant_shows_no_items_or_runs_of_another(database: Database, signed_in: httpx.AsyncClient) -> None:
    await sync(database, FABRIKAM, [observation(POLICIES, "p2", displayName="Theirs")], POLICIES)
    async with database.tenant(FABRIKAM) as session:
        run_id = (await session.execute(text("SELECT run_id FROM sync_run"))).scalar_one()
    assert "Theirs" in await words_of(signed_in, item_path(FABRIKAM, POLICIES, "p2"))
    await words_of(signed_in, item_path(CONTOSO, POLICIES, "p2"), 404)
    await words_of(signed_in, f"/tenants/{CONTOSO}/runs/{run_id}", 404)
    await words_of(signed_in, f"/api/tenants/{CONTOSO}/runs/{run_id}", 404)
    assert "Theirs" not in await words_of(signed_in, f"/tenants/{CONTOSO}/items")
    assert await json_of(signed_in, f"/api/tenants/{CONTOSO}/versions/{POLICIES}/p2") == []


async def test_missing_and_not_read_are_distinguished(database: Database, signed_in: httpx.AsyncClient) -> None:
    everything = [
        observation(POLICIES, "p1", displayName="Require MFA"),
        observation(POLICIES, "p2", displayName="Block legacy"),
        observation(LOCATIONS, "l1", displayName="Head office"),
    ]
    await sync(database, CONTOSO, everything, POLICIES, LOCATIONS)
    await sync(
        database,
        CONTOSO,
        everything[:1],
        POLICIES,
        LOCATIONS,
        status=RunStatus.PARTIAL,
        outcomes={
            POLICIES: (Outcome.COMPLETE, None),
            LOCATIONS: (Outcome.FAILED, ErrorCode.GRAPH_PERMISSION_MISSING),
        },
    )
    missing = await words_of(signed_in, f"/tenants/{CONTOSO}/missing")
    missing_part, _, not_read = missing.partition("<h2>Not read</h2>")
    assert "Block legacy" in missing_part
    assert "Require MFA" not in missing_part
    assert "Head office" not in missing_part
    assert "graph permission missing" in not_read
    inventory = await words_of(signed_in, f"/tenants/{CONTOSO}/items")
    states = [
        inventory.partition(name)[2].partition("</tr>")[0] for name in ("Require MFA", "Block legacy", "Head office")
    ]
    assert ["present" in states[0], "missing" in states[1], "not read" in states[2]] == [True, True, True]
    coverage = await words_of(signed_in, f"/tenants/{CONTOSO}/coverage")
    assert "1 of 2 collections" in coverage
    assert "Policy.Read.All" in coverage, "the permission that mends it"
    (record,) = [
        record
        for record in (await json_of(signed_in, f"/api/tenants/{CONTOSO}/coverage"))["collections"]
        if record["type_key"] == LOCATIONS
    ]
    assert (record["outcome"], record["permissions"]) == ("failed", ["Policy.Read.All"])
    assert "not read" in await words_of(signed_in, "/")


async def test_item_shows_versions_and_changed_fields(database: Database, signed_in: httpx.AsyncClient) -> None:
    for state in ("enabled", "disabled"):
        await sync(database, CONTOSO, [observation(POLICIES, "p/1?", displayName="Require MFA", state=state)], POLICIES)
    latest = await words_of(signed_in, item_path(CONTOSO, POLICIES, "p/1?"))
    assert "from version 1 to 2" in latest
    change = latest.partition('<table class="fields">')[2].partition("</table>")[0]
    assert "enabled" in change.partition('class="value after"')[0]
    assert "disabled" in change.partition('class="value after"')[2]
    first = await words_of(signed_in, item_path(CONTOSO, POLICIES, "p/1?") + "?version=1")
    assert "not the current one" in first
    assert "What changed" not in first
    await words_of(signed_in, item_path(CONTOSO, POLICIES, "p/1?") + "?version=9", 404)
    await sync(database, CONTOSO, [observation(POLICIES, "p/1?", displayName="MFA", state="disabled")], POLICIES)
    assert "from version 1 to 3" in await words_of(signed_in, item_path(CONTOSO, POLICIES, "p/1?") + "?from=1")
    (item,) = await json_of(signed_in, f"/api/tenants/{CONTOSO}/items")
    assert item["external_id"] == "p/1?"


async def test_hostile_document_is_escaped(database: Database, signed_in: httpx.AsyncClient) -> None:
    for note in ("one", HOSTILE):
        found = observation(POLICIES, HOSTILE, displayName=HOSTILE, description=note, **{HOSTILE: [HOSTILE]})
        await sync(database, CONTOSO, [found], POLICIES)
    for address in (
        f"/tenants/{CONTOSO}/items",
        item_path(CONTOSO, POLICIES, HOSTILE),
        f"/tenants/{CONTOSO}/items?type={HOSTILE}",
    ):
        page = await words_of(signed_in, address)
        assert "<script" not in page, address
        assert "\u202e" not in page, address
        assert "&lt;script" in page, address


async def test_items_are_paginated(database: Database, signed_in: httpx.AsyncClient) -> None:
    names = [f"Policy {number:03}" for number in range(250)]
    await sync(database, CONTOSO, [observation(POLICIES, name, displayName=name) for name in names], POLICIES)
    listed: list[str] = []
    address: str | None = f"/tenants/{CONTOSO}/items?type={POLICIES}"
    while address is not None:
        page = await words_of(signed_in, address)
        assert len(page) < 100_000
        listed += [name for name in names if f">{name}<" in page]
        follows = page.partition('rel="next" href="')[2].partition('"')[0].replace("&amp;", "&")
        address = f"/tenants/{CONTOSO}/items{follows}" if follows else None
    assert listed == names


async def test_items_are_found_by_words_of_their_names(database: Database, signed_in: httpx.AsyncClient) -> None:
    names = [f"Block {number:03}" for number in range(120)]
    found = [observation(POLICIES, name, displayName=name) for name in [*names, "Require MFA"]]
    await sync(database, CONTOSO, found, POLICIES)
    page = await words_of(signed_in, f"/tenants/{CONTOSO}/items?name=block")
    assert "Require MFA" not in page
    follows = page.partition('rel="next" href="')[2].partition('"')[0].replace("&amp;", "&")
    assert "name=block" in follows
    assert ">Block 119<" in await words_of(signed_in, f"/tenants/{CONTOSO}/items{follows}")
    assert "with “zzz” in their names" in await words_of(signed_in, f"/tenants/{CONTOSO}/items?name=zzz")
    records = await json_of(signed_in, f"/api/tenants/{CONTOSO}/items?name=mfa")
    assert [record["external_id"] for record in records] == ["Require MFA"]


async def test_open_runs_page_updates_and_links_to_temporal_web(
    database: Database, signed_in: httpx.AsyncClient
) -> None:
    run = await begin(database, CONTOSO, POLICIES)
    await land(database, CONTOSO, run, [observation(POLICIES, "p1")])
    address = f"/tenants/{CONTOSO}/runs/{run.run_id}"
    page = await words_of(signed_in, address)
    assert f'hx-sse:connect="{address}/live"' in page
    assert "1 item: 1 created" in page
    assert f"http://temporal.example:8233/namespaces/default/workflows/sync%2Ftest/{run.run_id}" in page
    await end(database, CONTOSO, run)
    assert "hx-sse" not in await words_of(signed_in, address)
    assert "everything" not in await words_of(signed_in, f"/tenants/{CONTOSO}/runs")


async def test_portfolio_is_filtered_by_tag(signed_in: httpx.AsyncClient) -> None:
    page = await words_of(signed_in, "/?tag=emea")
    assert f"/tenants/{CONTOSO}" in page
    assert f"/tenants/{FABRIKAM}" not in page
    assert [tenant["tenant_id"] for tenant in await json_of(signed_in, "/api/status?tag=emea")] == [str(CONTOSO)]


async def test_wrong_addresses_get_an_error_page(signed_in: httpx.AsyncClient) -> None:
    for address, status in (
        ("/nothing-here", 404),
        ("/tenants/not-a-guid", 422),
        (f"/tenants/{CONTOSO}/items?after=nonsense", 404),
        (f"/tenants/{CONTOSO}/items?after=a/%00", 404),
        (f"/tenants/{CONTOSO}/items?type=%00", 404),
        (f"/tenants/{CONTOSO}/items/{POLICIES}/%00", 404),
        (f"/tenants/{CONTOSO}/items/{POLICIES}/x?version=0", 422),
        (f"/tenants/{CONTOSO}/runs?after=nonsense", 422),
    ):
        assert "<h1>" in await words_of(signed_in, address, status), address


INLINE = "a|b|bdi|code|span"
JOINED = re.compile(
    rf"(?<![\s>(])(?:</(?:{INLINE})>)*\{{% end(?:if|for) %\}}\n *\{{% if [^%]*%\}}(?=[\w{{]|<(?:{INLINE})\b)"
)
"""The end of a condition, whose line break the template drops, before the words of the next condition."""


def test_templates_keep_spaces_between_conditions() -> None:
    checkout = Path(__file__).resolve().parents[2]
    templates = [*checkout.glob("answers/*/*.html"), *checkout.glob("web/templates/layout/*.html")]
    assert len(templates) > 50
    found = {path.name: found[0] for path in templates if (found := JOINED.search(path.read_text()))}
    assert found == {}


@asynccontextmanager
async def locked(database_url: str, table: str) -> AsyncIterator[None]:
    """Locks the table against every other session."""
    async with await psycopg.AsyncConnection.connect(database_url) as connection:
        await connection.execute(SQL("LOCK TABLE {} IN ACCESS EXCLUSIVE MODE").format(Identifier(table)))
        yield


async def test_slow_query_ends_with_advice_to_narrow_the_question(
    database_url: str, signed_in: httpx.AsyncClient
) -> None:
    async with locked(database_url, "inventory_item"), locked(database_url, "collection_coverage"):
        pages = await asyncio.gather(*(words_of(signed_in, page, 503) for page in (f"/tenants/{CONTOSO}/items", "/")))
    assert all("narrow the question" in page for page in pages)


async def test_unreachable_database_is_reported(database: Database, tenants_file: Path) -> None:
    settings = Settings(
        database_url=SecretStr("postgresql://nobody@127.0.0.1:1/nothing"), tenants_file=tenants_file, _env_file=None
    )
    unreachable = Database("postgresql://nobody@127.0.0.1:1/nothing")
    async with browser(create_app(Site(settings, unreachable))) as client:
        client.cookies.set(COOKIE, "anything")
        page = await words_of(client, "/", 503)
    await unreachable.close()
    assert "Nothing listens at the host and port of DATABASE_URL; start PostgreSQL, or correct DATABASE_URL." in page
