"""A sign-in by MSAL sends the client secret only to its authority, although real servers try to divert it."""

import gzip
import json
import socket
import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from hashlib import sha1
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import NamedTuple
from uuid import UUID

import pytest
import trustme

from graph.authority_http import ANSWER_LIMIT_BYTES
from graph.client import GraphClient
from graph.proxy import overlooked
from graph.tenants import CLOUD_ENDPOINTS, TenantConfig
from graph.tokens import AuthFailedError, TokenSource
from graph.trust import ssl_context
from local.simulated_graph import GraphRequest, Kind, SimulatedGraph
from tests.graph.clients import GROUPS, client_of, tenant_of

SECRET = "the-client-secret"
TENANT = UUID(int=7)


class HttpAnswer(NamedTuple):
    """A server's answer."""

    status: int
    body: bytes
    headers: dict[str, str]

    @classmethod
    def of(cls, body: object, status: int = 200, **headers: str) -> "HttpAnswer":
        return cls(status, json.dumps(body).encode(), headers)


class Server:
    """An HTTP server that records each request."""

    def __init__(self, server: ThreadingHTTPServer, scheme: str) -> None:
        self.url = f"{scheme}://127.0.0.1:{server.server_port}"
        self.requests: list[str] = []
        self.tunnels = False
        self.answer: Callable[[str, str], HttpAnswer] = lambda _method, _path: HttpAnswer.of({}, 404)


def relay(source: socket.socket, sink: socket.socket) -> None:
    """Copies bytes from one socket to the other until the source closes."""
    with suppress(OSError):
        while piece := source.recv(65536):
            sink.sendall(piece)
    for end in (source, sink):
        with suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)


@contextmanager
def serving(context: ssl.SSLContext | None) -> Iterator[Server]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            server.requests.append(f"{self.command} {self.path}\n{self.headers}\n{body.decode()}")
            answer = server.answer(self.command, self.path)
            self.send_response(answer.status)
            for name, value in {"Content-Length": str(len(answer.body)), **answer.headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(answer.body)

        do_POST = do_GET  # noqa: N815 - the base class names it so

        def do_CONNECT(self) -> None:
            server.requests.append(f"CONNECT {self.path}\n{self.headers}")
            if not server.tunnels:
                self.send_error(403)
                return
            host, _, port = self.path.rpartition(":")
            self.send_response(200)
            self.end_headers()
            with socket.create_connection((host, int(port))) as target:
                upstream = Thread(target=relay, args=(self.connection, target))
                upstream.start()
                relay(target, self.connection)
                upstream.join()
            self.close_connection = True

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class names it so
            """Keeps the test's output clean."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as listener:
        listener.daemon_threads = True
        if context is not None:
            listener.socket = context.wrap_socket(listener.socket, server_side=True)
        server = Server(listener, "http" if context is None else "https")
        thread = Thread(target=listener.serve_forever, args=(0.01,))
        thread.start()
        yield server
        listener.shutdown()
        thread.join()


class Network(NamedTuple):
    """An authority, two strangers (with and without TLS), and the TLS context that trusts them."""

    authority: Server
    stranger: Server
    plain: Server
    trust: ssl.SSLContext

    def sign_in(self) -> TokenSource:
        return TokenSource(self.trust, authority_url=self.authority.url)

    def stranger_requests(self) -> str:
        """All requests that the strangers received."""
        return "".join(self.stranger.requests + self.plain.requests)


@pytest.fixture
def network(tmp_path: Path) -> Iterator[Network]:
    ca = trustme.CA()
    ca.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ca.issue_cert("127.0.0.1").configure_cert(context)
    with serving(context) as authority, serving(context) as stranger, serving(None) as plain:
        authority.answer = granting(authority)
        for other in (stranger, plain):
            other.answer = lambda _method, _path: HttpAnswer.of({"access_token": "stolen", "expires_in": 3600})
        yield Network(authority, stranger, plain, ssl_context(tmp_path / "ca.pem"))


@pytest.fixture
def tenant(monkeypatch: pytest.MonkeyPatch) -> TenantConfig:
    monkeypatch.setenv("TEST_SECRET", SECRET)
    return TenantConfig(id=TENANT, name="x", client_id="app", client_secret_env="TEST_SECRET")


def granting(authority: Server, token_endpoint: str | None = None) -> Callable[[str, str], HttpAnswer]:
    """Answers of an authority whose discovery document names a token endpoint, by default its own."""

    def answer(method: str, _path: str) -> HttpAnswer:
        if method == "POST":
            return HttpAnswer.of({"access_token": "granted", "expires_in": 3600, "token_type": "Bearer"})
        return HttpAnswer.of(
            {
                "issuer": f"{authority.url}/{TENANT}/v2.0",
                "authorization_endpoint": f"{authority.url}/{TENANT}/oauth2/v2.0/authorize",
                "token_endpoint": token_endpoint or f"{authority.url}/{TENANT}/oauth2/v2.0/token",
            }
        )

    return answer


async def test_the_authority_itself_grants_a_token(network: Network, tenant: TenantConfig) -> None:
    assert await network.sign_in().token(tenant) == "granted"
    assert SECRET in network.authority.requests[1]
    assert len(network.authority.requests) == 2, "discovery and token only: the authority is not validated elsewhere"


async def test_authority_is_contacted_only_over_tls(network: Network, tenant: TenantConfig) -> None:
    with pytest.raises(AuthFailedError):
        await TokenSource(network.trust, authority_url=network.plain.url).token(tenant)
    assert network.stranger_requests() == ""


@pytest.mark.parametrize("redirected", ["GET", "POST"])
@pytest.mark.parametrize("where", ["authority", "stranger", "plain"])
async def test_no_redirect_is_followed(network: Network, tenant: TenantConfig, redirected: str, where: str) -> None:
    server: Server = getattr(network, where)
    grants = network.authority.answer
    for status in (301, 302, 303, 307, 308):
        redirect = HttpAnswer.of({}, status, Location=f"{server.url}/elsewhere")

        def answer(method: str, path: str, redirect: HttpAnswer = redirect) -> HttpAnswer:
            return redirect if method == redirected else grants(method, path)

        network.authority.answer = answer
        with pytest.raises(AuthFailedError, match="answers with a redirect, which is not followed") as failed:
            await network.sign_in().token(tenant)
        assert not failed.value.retryable, status
        assert network.stranger_requests() == "", status
        assert not any("elsewhere" in request for request in network.authority.requests), status


@pytest.mark.parametrize(
    "endpoint",
    [
        "{stranger}/7/token",
        "{plain}/7/token",
        "{stranger}/{authority}/token",
        "https://127.0.0.1:{authority_port}@127.0.0.1:{stranger_port}/7/token",
        "https://user:password@127.0.0.1:{authority_port}/7/token",
        "https://127.0.0.1:{authority_port}\\@127.0.0.1:{stranger_port}/7/token",
        "https://localhost:{stranger_port}/7/token",
        "http://127.0.0.1:{authority_port}/7/token",
        "https://[/7/token",
        "//127.0.0.1:{stranger_port}/7/token",
    ],
)
async def test_discovery_document_cannot_divert_the_secret(
    network: Network, tenant: TenantConfig, endpoint: str
) -> None:
    servers = {"authority": network.authority.url, "stranger": network.stranger.url, "plain": network.plain.url}
    ports = {f"{name}_port": url.rpartition(":")[2] for name, url in servers.items()}
    network.authority.answer = granting(network.authority, endpoint.format(**servers, **ports))
    with pytest.raises(AuthFailedError) as failed:
        await network.sign_in().token(tenant)
    assert not failed.value.retryable
    assert network.stranger_requests() == ""
    assert SECRET not in "".join(network.authority.requests)


@pytest.mark.parametrize(
    "document",
    [
        b"[]",
        b"null",
        b"{}",
        b'{"token_endpoint": 7, "authorization_endpoint": 7}',
        b'{"token_endpoint": null, "authorization_endpoint": null}',
        b"[" * 100_000,
        b"\xff",
        b"",
    ],
)
async def test_malformed_discovery_document_gets_no_secret(
    network: Network, tenant: TenantConfig, document: bytes
) -> None:
    network.authority.answer = lambda _method, _path: HttpAnswer(200, document, {})
    with pytest.raises(AuthFailedError):
        await network.sign_in().token(tenant)
    assert SECRET not in "".join(network.authority.requests)


@pytest.mark.parametrize(
    "granted",
    [
        b"[]",
        b"null",
        b'"x"',
        b"[" * 100_000,
        b"",
        b'{"access_token": 7}',
        b'{"access_token": "x\\r\\nX-Header: y", "expires_in": 3600}',
        b'{"access_token": "\\u2028", "expires_in": 3600}',
    ],
)
async def test_malformed_token_is_refused(network: Network, tenant: TenantConfig, granted: bytes) -> None:
    grants = network.authority.answer
    network.authority.answer = lambda method, path: (
        HttpAnswer(200, granted, {}) if method == "POST" else grants(method, path)
    )
    with pytest.raises(AuthFailedError):
        await network.sign_in().token(tenant)


@pytest.mark.parametrize("answered", ["GET", "POST"])
async def test_large_authority_answer_is_refused(network: Network, tenant: TenantConfig, answered: str) -> None:
    grants = network.authority.answer
    large = HttpAnswer.of({"access_token": "x" * (ANSWER_LIMIT_BYTES + 1), "expires_in": 3600})
    network.authority.answer = lambda method, path: large if method == answered else grants(method, path)
    with pytest.raises(AuthFailedError, match="is too large"):
        await network.sign_in().token(tenant)


@pytest.mark.parametrize("encoding", ["gzip", "gzip, gzip", "deflate", "br", "x"])
async def test_compressed_authority_answer_is_refused(network: Network, tenant: TenantConfig, encoding: str) -> None:
    grants = network.authority.answer

    def packed(method: str, path: str) -> HttpAnswer:
        return HttpAnswer(200, gzip.compress(grants(method, path).body), {"Content-Encoding": encoding})

    network.authority.answer = packed
    with pytest.raises(AuthFailedError, match="is encoded, which was not asked for"):
        await network.sign_in().token(tenant)
    assert "accept-encoding: identity\n" in network.authority.requests[0].lower()


@pytest.fixture
def hostile_environment(network: Network, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Proxies, a `.netrc` and a region, as a process may inherit them."""
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.setenv(name, network.plain.url)
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "netrc").write_text("default login intruder password of-netrc\n")
    (tmp_path / "netrc").chmod(0o600)
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    monkeypatch.setenv("MSAL_FORCE_REGION", "westeurope")


@pytest.mark.usefixtures("hostile_environment")
async def test_environment_proxies_netrc_and_region_are_ignored(
    network: Network, monkeypatch: pytest.MonkeyPatch
) -> None:
    with SimulatedGraph(tenants=1, items_per_collection=1) as graph:
        (tenant,) = graph.tenants
        monkeypatch.setenv("TEST_SECRET", tenant.client_secret)
        signed_in: list[GraphRequest] = []

        def note(request: GraphRequest) -> None:
            if request.kind is Kind.TOKEN:
                signed_in.append(request)

        graph.before_answer = note
        async with client_of(graph) as client:
            answers = await client.read_batch(tenant_of(graph), "v1.0", GROUPS)
        assert answers["groups"].status == 200
    assert network.stranger_requests() == ""
    assert len(signed_in) == 2
    assert not any("authorization" in request.headers for request in signed_in), ".netrc is not read"


async def test_configured_proxy_tunnels_to_authority_and_graph(
    network: Network, monkeypatch: pytest.MonkeyPatch
) -> None:
    proxy = network.plain
    proxy.tunnels = True
    with SimulatedGraph(tenants=1, items_per_collection=1) as graph:
        (tenant,) = graph.tenants
        monkeypatch.setenv("TEST_SECRET", tenant.client_secret)
        proxy_url = proxy.url.replace("http://", "http://user:password@")
        async with client_of(graph, proxy_url=proxy_url) as client:
            answers = await client.read_batch(tenant_of(graph), "v1.0", GROUPS)
        assert answers["groups"].status == 200
        hosts = [url.removeprefix("https://") for url in (graph.authority_url, graph.base_url)]
    assert [request.split()[1] for request in proxy.requests] == hosts
    assert all("Basic" in request for request in proxy.requests)
    assert tenant.client_secret not in network.stranger_requests()


async def test_refusing_proxy_is_named_without_its_password(network: Network, tenant: TenantConfig) -> None:
    proxy_url = network.plain.url.replace("http://", "http://user:of-the-proxy@")
    async with GraphClient.from_endpoints(
        base_url=None, authority_url=network.authority.url, ca_file=None, proxy_url=proxy_url
    ) as client:
        with pytest.raises(AuthFailedError, match="check GRAPH_PROXY_URL") as failed:
            await client.sign_in(tenant)
    assert "of-the-proxy" not in str(failed.value)
    assert network.authority.requests == []


def test_unused_system_proxy_is_reported() -> None:
    assert overlooked({"HTTP_PROXY": "http://x", "HTTPS_PROXY": ""}) is None
    warning = overlooked({"https_proxy": "http://user:password@proxy"})
    assert warning == "https_proxy is not used for Graph and tokens; set GRAPH_PROXY_URL to use a proxy"


@pytest.mark.parametrize("source", ["machine", "app service", "service fabric"])
@pytest.mark.usefixtures("hostile_environment")
async def test_managed_identity_follows_no_redirect_and_no_proxy(
    network: Network, monkeypatch: pytest.MonkeyPatch, source: str
) -> None:
    identity = network.authority
    certificate = ssl.PEM_cert_to_DER_cert(
        ssl.get_server_certificate(("127.0.0.1", int(identity.url.rpartition(":")[2])))
    )
    environment = {
        "machine": {"AZURE_POD_IDENTITY_AUTHORITY_HOST": identity.url},
        "app service": {"IDENTITY_ENDPOINT": f"{identity.url}/token", "IDENTITY_HEADER": SECRET},
        "service fabric": {
            "IDENTITY_ENDPOINT": f"{identity.url}/token",
            "IDENTITY_HEADER": SECRET,
            "IDENTITY_SERVER_THUMBPRINT": sha1(certificate).hexdigest(),  # noqa: S324 - what Service Fabric names
        },
    }
    for name, value in environment[source].items():
        monkeypatch.setenv(name, value)
    tenant = TenantConfig(id=TENANT, name="x", managed_identity=True)
    granted = {"access_token": "granted", "token_type": "Bearer", "expires_in": "3600", "expires_on": "9999999999"}
    identity.answer = lambda _method, _path: HttpAnswer.of(granted)
    assert await network.sign_in().token(tenant) == "granted"
    identity.answer = lambda _method, _path: HttpAnswer.of({}, 307, Location=f"{network.stranger.url}/token")
    with pytest.raises(AuthFailedError):
        await network.sign_in().token(tenant)
    assert network.stranger_requests() == ""


def test_each_authority_is_https_and_only_china_has_an_alias() -> None:
    """https://learn.microsoft.com/entra/identity-platform/authentication-national-cloud"""
    names = [url for cloud in CLOUD_ENDPOINTS.values() for url in (cloud.authority_url, *cloud.authority_aliases)]
    assert set(names) == {
        "https://login.microsoftonline.com",
        "https://login.microsoftonline.us",
        "https://login.chinacloudapi.cn",
        "https://login.partner.microsoftonline.cn",
    }
