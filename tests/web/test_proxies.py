"""The proxies of docs/web.md, configured as documented, before `starter.py web`: sign-in, forms and live pages."""

import os
import re
import shutil
import ssl
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit
from uuid import UUID, uuid4

import httpx
import pytest
import trustme

from graph.trust import ssl_context
from local.processes import free_port
from local.simulated_graph import SimulatedGraph, SimulatedPerson
from storage.database import Database
from tests.deadlines import DEADLINE_SECONDS, until_async
from tests.forks import CHECKOUT
from tests.storage.support import begin, land, observation
from tests.web.process import environment_of, running
from tests.web.support import POLICIES

HOST = "inventory.example.com"
ADA = SimulatedPerson(str(uuid4()), "ada@msp.example", ("Admin",))


class Files(NamedTuple):
    """The proxy's own certificate, for the host of the documentation."""

    authority: trustme.CA
    chain: Path
    key: Path


class Proxy(NamedTuple):
    """A running proxy: its HTTPS port, and the port of the page."""

    port: int
    page_port: int


def documented(heading: str) -> str:
    """The lines of docs/web.md below a comment, up to the next comment or the end of the listing."""
    text = (CHECKOUT / "docs" / "web.md").read_text()
    return re.split(r"\n# |\n```", text.partition(f"\n# {heading}\n")[2])[0]


@pytest.fixture
def files(tmp_path: Path) -> Files:
    authority = trustme.CA()
    issued = authority.issue_cert(HOST)
    chain, key = tmp_path / "chain.pem", tmp_path / "key.pem"
    chain.write_bytes(b"".join(blob.bytes() for blob in issued.cert_chain_pems))
    key.write_bytes(issued.private_key_pem.bytes())
    return Files(authority, chain, key)


@pytest.fixture
def proxy(request: pytest.FixtureRequest, files: Files, tmp_path: Path) -> Iterator[Proxy]:
    """The proxy of the parameter; skipped where it is not installed."""
    name: str = request.param
    program = shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    if program is None:
        pytest.skip(f"{name} is not installed")
    found = Proxy(free_port(), free_port())
    start = {"nginx": nginx, "caddy": caddy}[name]
    with start(program, found, files, tmp_path):
        yield found


def changed(configuration: str, **places: str) -> str:
    """The configuration with places replaced; each, such as `10.0.0.7:8080`, must occur in it."""
    for known, place in places.items():
        assert known in configuration
        configuration = configuration.replace(known, place)
    return configuration


@contextmanager
def nginx(program: str, proxy: Proxy, files: Files, folder: Path) -> Iterator[None]:
    server = changed(
        documented("nginx"),
        **{
            "listen 443 ssl": f"listen 127.0.0.1:{proxy.port} ssl",
            "chain.pem": str(files.chain),
            "key.pem": str(files.key),
            "10.0.0.7:8080": f"127.0.0.1:{proxy.page_port}",
        },
    )
    own = "".join(
        f"{kind}_temp_path {folder}/{kind};\n" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    as_root = "user root;\n" if os.geteuid() == 0 else ""
    configuration = folder / "nginx.conf"
    configuration.write_text(
        f"{as_root}daemon off;\npid {folder}/pid;\nerror_log {folder}/nginx.log;\nevents {{}}\n"
        f"http {{\naccess_log off;\n{own}{server}\n}}\n"
    )
    with subprocess.Popen([program, "-c", configuration, "-e", folder / "nginx.log"]) as process:
        try:
            yield
        finally:
            process.terminate()


@contextmanager
def caddy(program: str, proxy: Proxy, files: Files, folder: Path) -> Iterator[None]:
    site = changed(
        documented("Caddy"),
        **{HOST: f"https://{HOST}:{proxy.port}", "10.0.0.7:8080": f"127.0.0.1:{proxy.page_port}"},
    )
    opening, brace, rest = site.partition("{\n")
    configuration = folder / "Caddyfile"
    configuration.write_text(
        f"{{\nadmin off\nauto_https disable_redirects\n}}\n{opening}{brace}bind 127.0.0.1\n"
        f"tls {files.chain} {files.key}\n{rest}\n"
    )
    home = {**os.environ, "HOME": str(folder), "XDG_DATA_HOME": str(folder), "XDG_CONFIG_HOME": str(folder)}
    command = [program, "run", "--config", str(configuration), "--adapter", "caddyfile"]
    with subprocess.Popen(command, env=home, stderr=subprocess.DEVNULL) as process:
        try:
            yield
        finally:
            process.terminate()


@pytest.fixture(scope="module")
def authority() -> Iterator[SimulatedGraph]:
    with SimulatedGraph(tenants=1) as server:
        server.sign_ins.register(server.tenants[0].id, f"https://{HOST}/sign-in/entra", ADA)
        yield server


@pytest.fixture
def page(
    authority: SimulatedGraph, database: Database, database_url: str, proxy: Proxy, tmp_path: Path
) -> Iterator[str]:
    """Starts the page as docs/web.md says; yields the id of its tenant."""
    (registered,) = authority.tenants
    secret = tmp_path / "secret"
    secret.write_text(registered.client_secret)
    tenant_id = uuid4()
    environment = {
        **environment_of(database_url, tmp_path, tenant_id),
        "GRAPH_AUTHORITY_URL": authority.authority_url,
        "GRAPH_CA_FILE": str(authority.ca_file),
        "WEB_SIGN_IN_CLIENT_ID": registered.client_id,
        "WEB_SIGN_IN_TENANTS": registered.id,
        "WEB_SIGN_IN_SECRET_FILE": str(secret),
    }
    options = ("--listen=127.0.0.1", f"--port={proxy.page_port}", f"--behind-proxy={HOST}", "--proxy-address=127.0.0.1")
    with running(environment, *options):
        yield str(tenant_id)


class BrowserBehindProxy(httpx.AsyncHTTPTransport):
    """Resolves the documentation's host name to the proxy."""

    def __init__(self, proxy: Proxy, files: Files) -> None:
        trust = ssl.create_default_context()
        files.authority.configure_trust(trust)
        super().__init__(verify=trust)
        self._proxy = proxy

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Sends a request to the proxy."""
        sent = httpx.Request(
            request.method,
            request.url.copy_with(host="127.0.0.1", port=self._proxy.port),
            headers=request.headers,
            stream=request.stream,
            extensions={**request.extensions, "sni_hostname": HOST},
        )
        return await super().handle_async_request(sent)


@pytest.fixture
async def browser(proxy: Proxy, files: Files, page: str) -> AsyncIterator[httpx.AsyncClient]:
    transport = BrowserBehindProxy(proxy, files)
    async with httpx.AsyncClient(transport=transport, base_url=f"https://{HOST}", timeout=DEADLINE_SECONDS) as client:

        async def answers() -> bool:
            try:
                return (await client.get("/healthz")).text == "ok\n"
            except httpx.HTTPError:
                return False

        await until_async(answers)
        yield client


async def sign_in(client: httpx.AsyncClient, authority: SimulatedGraph) -> httpx.Response:
    redirect = await client.get("/sign-in")
    assert redirect.status_code == 303, redirect.text
    trust = ssl_context(authority.ca_file)
    async with httpx.AsyncClient(verify=trust, timeout=DEADLINE_SECONDS, trust_env=False) as entra:
        back = (await entra.get(f"{redirect.headers['location']}&login_hint={ADA.name}")).headers["location"]
    assert back.startswith(f"https://{HOST}/sign-in/entra?")
    return await client.get(urlsplit(back)._replace(scheme="", netloc="").geturl())


@pytest.mark.parametrize("proxy", ["nginx", "caddy"], indirect=True)
@pytest.mark.slow
async def test_documented_proxy_supports_sign_in_live_pages_and_forms(
    browser: httpx.AsyncClient, authority: SimulatedGraph, database: Database, page: str
) -> None:
    unknown = await browser.get("/")
    assert (unknown.status_code, 'href="/sign-in?next=%2F"' in unknown.text) == (401, True)
    assert "strict-transport-security" in unknown.headers
    assert (await sign_in(browser, authority)).status_code == 303
    first = await browser.get("/")
    assert (first.status_code, "Contoso" in first.text) == (200, True)
    tenant_id = UUID(page)
    run = await begin(database, tenant_id, POLICIES)
    async with browser.stream("GET", f"/tenants/{page}/runs/{run.run_id}/live") as stream:
        assert stream.status_code == 200
        parts = stream.aiter_text()
        streamed = await anext(parts)
        await land(database, tenant_id, run, [observation(POLICIES, "p1")])
        while "1 item: 1 created" not in streamed:
            streamed += await anext(parts)
    from_elsewhere = await browser.post("/sign-out", headers={"Origin": "https://elsewhere.example"})
    assert from_elsewhere.status_code == 403
    of_another_name = await browser.get("/", headers={"Host": "elsewhere.example"})
    assert of_another_name.status_code == 400 or not of_another_name.text, "Caddy answers other names with nothing"
    assert (await browser.post("/sign-out", headers={"Origin": f"https://{HOST}"})).status_code == 200
    assert (await browser.get("/")).status_code == 401
