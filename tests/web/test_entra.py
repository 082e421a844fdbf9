"""Sign-in with Entra ID: from the page to the simulated authority and back, and its refusals."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from urllib.parse import parse_qs, parse_qsl, quote, urlsplit
from uuid import UUID, uuid4

import httpx
import pytest
from fastapi import FastAPI
from pydantic import SecretStr
from sqlalchemy import text

from configuration import Settings
from graph.entra_sign_in import EntraSignIn
from graph.tenants import TenantConfig
from graph.trust import ssl_context
from inventory.people import Role
from local.simulated_graph import SignInFault, SimulatedGraph, SimulatedPerson
from storage.database import Database
from tests.deadlines import DEADLINE_SECONDS
from tests.web.support import CONTOSO, SAME_ORIGIN, browser, words_of
from web.application import create_app
from web.entra import FLOW_COOKIE, own_page
from web.sign_in import COOKIE
from web.site import Site

ORIGIN = "https://inventory.example"
REDIRECT = f"{ORIGIN}/sign-in/entra"
PEOPLE = {role: SimulatedPerson(str(uuid4()), f"{role}@msp.example", (role.title(),)) for role in Role}
NOBODY = SimulatedPerson(str(uuid4()), "nobody@msp.example", ())
BOTH = SimulatedPerson(str(uuid4()), "both@msp.example", ("Reader", "Approver", "Unknown"))


@pytest.fixture(scope="module")
def authority() -> Iterator[SimulatedGraph]:
    with SimulatedGraph(tenants=2) as server:
        server.sign_ins.register(server.tenants[0].id, REDIRECT, *PEOPLE.values(), NOBODY, BOTH)
        yield server


@pytest.fixture
def graph(authority: SimulatedGraph) -> Iterator[SimulatedGraph]:
    yield authority
    authority.sign_ins.fault = None


@pytest.fixture
def apps(
    graph: SimulatedGraph, database: Database, database_url: str, tenants_file: Path, tmp_path: Path
) -> list[FastAPI]:
    """Two pages behind one address, which share only the database."""
    tenant = graph.tenants[0]
    secret = tmp_path / "secret"
    secret.write_text(tenant.client_secret)
    registration = TenantConfig(
        id=UUID(tenant.id), name="the web page", client_id=tenant.client_id, client_secret_file=secret
    )
    settings = Settings(database_url=SecretStr(database_url), tenants_file=tenants_file, _env_file=None)
    trust, authority_url = ssl_context(graph.ca_file), graph.authority_url
    signs_in = [EntraSignIn(registration, [registration.id], trust, authority_url=authority_url) for _ in range(2)]
    return [create_app(Site(settings, database, url=ORIGIN, entra=entra)) for entra in signs_in]


@pytest.fixture
def app(apps: list[FastAPI]) -> FastAPI:
    return apps[0]


@pytest.fixture
async def client(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    async with browser(app) as client:
        yield client


async def at_entra(graph: SimulatedGraph, address: str, person: SimulatedPerson) -> str:
    """The path to which Entra redirects the person."""
    async with httpx.AsyncClient(verify=ssl_context(graph.ca_file), timeout=DEADLINE_SECONDS, trust_env=False) as entra:
        answer = await entra.get(f"{address}&login_hint={person.name}")
    assert answer.status_code == 302, answer.text
    back: str = answer.headers["location"]
    assert back.startswith(f"{REDIRECT}?")
    return back.removeprefix(ORIGIN)


async def sign_in(
    graph: SimulatedGraph, client: httpx.AsyncClient, person: SimulatedPerson, goes_to: str = "/"
) -> httpx.Response:
    redirect = await client.get(f"/sign-in?next={quote(goes_to, safe='')}")
    assert redirect.status_code == 303, redirect.text
    return await client.get(await at_entra(graph, redirect.headers["location"], person))


async def test_sign_in_returns_to_the_requested_page(
    graph: SimulatedGraph, database: Database, client: httpx.AsyncClient
) -> None:
    requested = f"/tenants/{CONTOSO}/items?type=groups&after=x"
    page = await words_of(client, requested, 401)
    link = page.partition('class="button" href="')[2].partition('"')[0]
    assert parse_qs(urlsplit(link).query)["next"] == [requested]
    answer = await sign_in(graph, client, PEOPLE[Role.ADMIN], requested)
    assert (answer.status_code, answer.headers["location"]) == (303, requested)
    assert PEOPLE[Role.ADMIN].name in await words_of(client, "/")
    assert FLOW_COOKIE not in client.cookies
    async with database.no_tenant() as session:
        acts = await session.execute(text("SELECT person_id, person, role, action FROM audit_record"))
        person_id = f"{graph.tenants[0].id}/{PEOPLE[Role.ADMIN].object_id}"
        assert acts.all() == [(person_id, PEOPLE[Role.ADMIN].name, "admin", "signed_in")]
    assert "Sign in with Microsoft" not in await words_of(client, "/nothing-here", 404)
    signed_out = await client.post("/sign-out", headers=SAME_ORIGIN)
    assert 'href="/sign-in"' in signed_out.text
    await words_of(client, "/", 401)


async def test_sign_in_finishes_at_another_process(
    apps: list[FastAPI], graph: SimulatedGraph, client: httpx.AsyncClient
) -> None:
    redirect = await client.get("/sign-in?next=/runs")
    back = await at_entra(graph, redirect.headers["location"], PEOPLE[Role.ADMIN])
    async with browser(apps[1]) as other:
        other.cookies = client.cookies
        assert (await other.get(back)).headers["location"] == "/runs"
        client.cookies = other.cookies
        assert "Contoso" in await words_of(client, "/")


@pytest.mark.parametrize("role", Role)
async def test_app_role_becomes_the_persons_role(graph: SimulatedGraph, client: httpx.AsyncClient, role: Role) -> None:
    await sign_in(graph, client, PEOPLE[role])
    page = await words_of(client, "/")
    assert ("Contoso" in page) is (role is Role.ADMIN), "the others see no tenant until a rule lets them"
    assert (f", {role}." in page) is (role is not Role.ADMIN)


async def test_highest_app_role_counts(graph: SimulatedGraph, client: httpx.AsyncClient) -> None:
    await sign_in(graph, client, BOTH)
    assert ", approver." in await words_of(client, "/")


async def test_sign_in_without_app_role_is_refused(graph: SimulatedGraph, client: httpx.AsyncClient) -> None:
    answer = await sign_in(graph, client, NOBODY)
    assert answer.status_code == 403
    assert "has no role here" in answer.text
    assert COOKIE not in client.cookies
    await words_of(client, "/", 401)


@pytest.mark.parametrize("fault", [SignInFault.WRONG_NONCE, SignInFault.EXPIRED, SignInFault.FOREIGN_KEY])
async def test_invalid_token_is_refused(graph: SimulatedGraph, client: httpx.AsyncClient, fault: SignInFault) -> None:
    graph.sign_ins.fault = fault
    answer = await sign_in(graph, client, PEOPLE[Role.ADMIN])
    assert answer.status_code == 403
    assert "You are not signed in" in answer.text
    assert COOKIE not in client.cookies


async def test_code_works_once_and_only_in_its_browser(
    app: FastAPI, graph: SimulatedGraph, client: httpx.AsyncClient
) -> None:
    redirect = await client.get("/sign-in")
    back = await at_entra(graph, redirect.headers["location"], PEOPLE[Role.ADMIN])
    async with browser(app) as other:
        assert "begun no sign-in" in await words_of(other, back, 403)
        assert (await other.get("/sign-in")).status_code == 303
        assert "not the answer" in await words_of(other, back, 403), "a victim does not sign in as the attacker"
    cookie = client.cookies[FLOW_COOKIE]
    assert (await client.get(back)).status_code == 303
    client.cookies.set(FLOW_COOKIE, cookie)
    assert "begun no sign-in" in await words_of(client, back, 403), "replayed"


async def test_expired_sign_in_flow_is_refused(
    graph: SimulatedGraph, database: Database, client: httpx.AsyncClient
) -> None:
    redirect = await client.get("/sign-in")
    back = await at_entra(graph, redirect.headers["location"], PEOPLE[Role.ADMIN])
    async with database.no_tenant() as session:
        await session.execute(text("RESET ROLE"))
        await session.execute(text("UPDATE sign_in_flow SET expires_at = clock_timestamp()"))
    assert "too long ago" in await words_of(client, back, 403)


async def test_sign_in_replaces_a_planted_session(
    app: FastAPI, graph: SimulatedGraph, client: httpx.AsyncClient
) -> None:
    """Against session fixation: a sign-in begins a new session and ends the previous session."""
    await sign_in(graph, client, PEOPLE[Role.READER])
    planted = client.cookies[COOKIE]
    await sign_in(graph, client, PEOPLE[Role.ADMIN])
    assert client.cookies[COOKIE] != planted
    async with browser(app) as attacker:
        attacker.cookies.set(COOKIE, planted)
        await words_of(attacker, "/", 401)


async def test_cookies_are_host_only_http_only_and_secure(graph: SimulatedGraph, client: httpx.AsyncClient) -> None:
    redirect = await client.get("/sign-in")
    response = await client.get(await at_entra(graph, redirect.headers["location"], PEOPLE[Role.ADMIN]))
    set_cookies = [*redirect.headers.get_list("set-cookie"), *response.headers.get_list("set-cookie")]
    assert len(set_cookies) == 3
    for cookie in set_cookies:
        assert cookie.startswith("__Host-")
        assert all(part in cookie for part in ("; HttpOnly", "; Secure", "; SameSite=lax", "; Path=/"))
        assert "Domain" not in cookie
    query = dict(parse_qsl(urlsplit(redirect.headers["location"]).query))
    assert query["code_challenge_method"] == "S256"
    assert {"state", "nonce", "code_challenge"} <= query.keys()


ELSEWHERE = (
    "https://evil.example/",
    "//evil.example/",
    "/\\evil.example",
    "\\\\evil.example",
    "javascript:alert(1)",
    "/ok\r\nSet-Cookie: x=y",
    "evil.example",
    "",
    " //evil.example",
    "/\t/evil.example",
)


@pytest.mark.parametrize("address", ELSEWHERE)
def test_addresses_of_other_sites_are_replaced(address: str) -> None:
    assert own_page(address) == "/"


async def test_sign_in_with_foreign_address_leads_to_the_first_page(
    graph: SimulatedGraph, client: httpx.AsyncClient
) -> None:
    for address in ("https://evil.example/", "//evil.example"):
        assert (await sign_in(graph, client, PEOPLE[Role.ADMIN], address)).headers["location"] == "/"


async def test_unreachable_authority_is_reported(app: FastAPI, client: httpx.AsyncClient) -> None:
    registration = TenantConfig(id=uuid4(), name="x", client_id="x", client_secret_file=Path("/nowhere"))
    app.state.site.entra = EntraSignIn(
        registration, [registration.id], ssl_context(None), authority_url="https://127.0.0.1:1"
    )
    assert "cannot be read" in await words_of(client, "/sign-in", 503)


async def test_entra_sign_in_is_absent_without_app_registration(app: FastAPI, client: httpx.AsyncClient) -> None:
    app.state.site.entra = None
    for path in ("/sign-in", "/sign-in/entra?code=x&state=y"):
        assert "Sign in with Microsoft" not in await words_of(client, path, 401)
