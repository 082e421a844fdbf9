"""A hostile authority, Graph or proxy gets no secret of a worker and does not fill its memory."""

import gzip
import ssl
import threading
from base64 import b64encode
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import NamedTuple
from uuid import UUID

import httpx
import orjson
import pytest
import trustme

from graph import client as graph_client
from graph.client import GraphClient, GraphGet
from graph.errors import AnswerTooLargeError, GraphRequestError
from graph.tenants import TenantConfig
from graph.tokens import AuthFailedError, TokenSource
from graph.trust import ssl_context
from inventory.error_codes import ErrorCode

SECRET = "hunter2-hunter2"
TENANT = TenantConfig.model_validate(
    {"id": UUID(int=7), "name": "Contoso", "client_id": str(UUID(int=8)), "client_secret_env": "TEST_SECRET"}
)
GROUPS = [GraphGet("groups", "/groups")]


class ReceivedRequest(NamedTuple):
    """A request as a server received it."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


class Reply(NamedTuple):
    """A server's answer."""

    status: int = 200
    body: bytes = b"{}"
    headers: tuple[tuple[str, str], ...] = ()


class HostileServer(ThreadingHTTPServer):
    """Answers by `answer` and records each request; with a context over TLS."""

    daemon_threads = True

    def __init__(self, context: ssl.SSLContext | None = None) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.asked: list[ReceivedRequest] = []
        self.answer: Callable[[ReceivedRequest], Reply] = lambda _: Reply()
        self.url = f"{'http' if context is None else 'https'}://127.0.0.1:{self.server_port}"
        if context is not None:
            self.socket = context.wrap_socket(self.socket, server_side=True, do_handshake_on_connect=False)
        threading.Thread(target=self.serve_forever, args=(0.01,), daemon=True).start()

    def end(self) -> None:
        """Gives its port back."""
        self.shutdown()
        self.server_close()


class _Handler(BaseHTTPRequestHandler):
    server: HostileServer

    def _answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        asked = ReceivedRequest(
            self.command, self.path, {key.lower(): value for key, value in self.headers.items()}, body
        )
        self.server.asked.append(asked)
        reply = self.server.answer(asked)
        self.send_response(reply.status)
        for name, value in (*reply.headers, ("Content-Length", str(len(reply.body)))):
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(reply.body)

    do_GET = do_POST = do_CONNECT = _answer  # noqa: N815 - as the base class names them

    def log_message(self, *_: object) -> None:
        pass


class Hosts(NamedTuple):
    """An authority and a Graph at one address, another trusted address, and an address without TLS."""

    authority: HostileServer
    elsewhere: HostileServer
    plain: HostileServer
    ca_file: Path

    def source(self) -> TokenSource:
        return TokenSource(ssl_context(self.ca_file), authority_url=self.authority.url)

    def others(self) -> list[ReceivedRequest]:
        return [*self.elsewhere.asked, *self.plain.asked]

    def authorities(self, token_endpoint: str) -> Callable[[ReceivedRequest], Reply]:
        """Answers of an authority that names this token endpoint."""

        def answer(asked: ReceivedRequest) -> Reply:
            if asked.path.endswith("/openid-configuration"):
                document = {
                    "authorization_endpoint": f"{self.authority.url}/authorize",
                    "token_endpoint": token_endpoint,
                    "issuer": f"{self.authority.url}/{TENANT.id}/v2.0",
                }
                return Reply(body=orjson.dumps(document))
            return Reply(body=orjson.dumps({"access_token": "token", "expires_in": 3600, "token_type": "Bearer"}))

        return answer


@pytest.fixture
def hosts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hosts]:
    monkeypatch.setenv("TEST_SECRET", SECRET)
    ca = trustme.CA()
    ca_file = tmp_path / "ca.pem"
    ca.cert_pem.write_to_path(str(ca_file))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ca.issue_cert("127.0.0.1").configure_cert(context)
    servers = HostileServer(context), HostileServer(context), HostileServer()
    hosts = Hosts(*servers, ca_file)
    hosts.authority.answer = hosts.authorities(f"{hosts.authority.url}/token")
    yield hosts
    for server in servers:
        server.end()


async def test_the_secret_goes_to_the_token_endpoint(hosts: Hosts) -> None:
    assert await hosts.source().token(TENANT) == "token"
    posted = [asked for asked in hosts.authority.asked if asked.method == "POST"]
    assert [SECRET.encode() in asked.body for asked in posted] == [True]


@pytest.mark.parametrize("where", ["elsewhere", "plain", "authority"])
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_the_secret_follows_no_redirect(hosts: Hosts, status: int, where: str) -> None:
    honest, target = hosts.authority.answer, getattr(hosts, where).url

    def answer(asked: ReceivedRequest) -> Reply:
        return honest(asked) if asked.method == "GET" else Reply(status, headers=(("Location", f"{target}/more"),))

    hosts.authority.answer = answer
    with pytest.raises(AuthFailedError, match="redirect"):
        await hosts.source().token(TENANT)
    assert hosts.others() == []
    assert len([asked for asked in hosts.authority.asked if asked.method == "POST"]) == 1


@pytest.mark.parametrize("where", ["elsewhere", "plain"])
async def test_discovery_document_cannot_divert_the_secret_to_another_host(hosts: Hosts, where: str) -> None:
    hosts.authority.answer = hosts.authorities(f"{getattr(hosts, where).url}/token")
    with pytest.raises(AuthFailedError, match=r"not its own|not understood"):
        await hosts.source().token(TENANT)
    assert hosts.others() == []


async def test_authority_is_contacted_only_over_tls(hosts: Hosts) -> None:
    source = TokenSource(ssl_context(hosts.ca_file), authority_url=hosts.plain.url)
    with pytest.raises(AuthFailedError):
        await source.token(TENANT)
    assert hosts.plain.asked == []


async def test_environment_netrc_and_proxies_are_ignored(
    hosts: Hosts, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login somebody password netrc-password\n")
    (tmp_path / ".netrc").chmod(0o600)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("NETRC", str(tmp_path / ".netrc"))
    for name in ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, hosts.plain.url)
    assert await hosts.source().token(TENANT)
    async with GraphClient(hosts.source(), ssl_context(hosts.ca_file), base_url=hosts.authority.url) as client:
        with pytest.raises(GraphRequestError):
            await client.read_batch(TENANT, "v1.0", GROUPS)
    assert hosts.others() == []
    told = {asked.headers.get("authorization") for asked in hosts.authority.asked}
    assert told == {None, "Bearer token"}
    assert not [text for text in told if text and b64encode(b"somebody").decode()[:8] in text]


async def test_configured_proxy_sees_only_a_tunnel(hosts: Hosts) -> None:
    hosts.plain.answer = lambda _: Reply(502)
    source = TokenSource(
        ssl_context(hosts.ca_file), authority_url=hosts.authority.url, proxy=httpx.Proxy(hosts.plain.url)
    )
    with pytest.raises(AuthFailedError, match="proxy"):
        await source.token(TENANT)
    assert {asked.method for asked in hosts.plain.asked} == {"CONNECT"}
    assert not [asked for asked in hosts.plain.asked if asked.body]


async def test_large_authority_answer_is_refused(hosts: Hosts) -> None:
    honest = hosts.authority.answer
    hosts.authority.answer = lambda asked: honest(asked) if asked.method == "GET" else Reply(body=b" " * 2_000_000)
    with pytest.raises(AuthFailedError, match="too large"):
        await hosts.source().token(TENANT)


def client_with_reply(hosts: Hosts, reply: Reply) -> GraphClient:
    """A client of a Graph that answers each batch with `reply`."""
    honest = hosts.authority.answer
    hosts.authority.answer = lambda asked: reply if asked.path.endswith("/$batch") else honest(asked)
    return GraphClient(hosts.source(), ssl_context(hosts.ca_file), base_url=hosts.authority.url)


def zipped(body: bytes, times: int = 1) -> bytes:
    for _ in range(times):
        body = gzip.compress(body, mtime=0)
    return body


BATCH = orjson.dumps({"responses": [{"id": "0", "status": 200, "body": {"value": []}}]})


@pytest.mark.parametrize("coding", [None, "identity", "gzip", "GZIP"])
async def test_plain_and_gzip_answers_are_read(hosts: Hosts, coding: str | None) -> None:
    is_zipped = coding is not None and coding.lower() == "gzip"
    headers = () if coding is None else (("Content-Encoding", coding),)
    async with client_with_reply(hosts, Reply(body=zipped(BATCH) if is_zipped else BATCH, headers=headers)) as client:
        assert (await client.read_batch(TENANT, "v1.0", GROUPS))["groups"].body == {"value": []}
    assert hosts.authority.asked[-1].headers["accept-encoding"] == "gzip"


@pytest.mark.parametrize(
    ("coding", "body"),
    [
        ("gzip, gzip", zipped(BATCH, 2)),
        ("gzip,gzip,gzip", zipped(b"\0" * 20_000_000, 3)),
        ("br", BATCH),
        ("deflate", BATCH),
        ("zstd", BATCH),
        ("gzip, identity", zipped(BATCH)),
        ("gzip", BATCH),
        ("gzip", zipped(BATCH)[:-9]),
        ("gzip", zipped(BATCH) + b"more"),
    ],
    ids=lambda value: value if isinstance(value, str) else len(value),
)
async def test_other_codings_and_broken_gzip_are_malformed(hosts: Hosts, coding: str, body: bytes) -> None:
    async with client_with_reply(hosts, Reply(body=body, headers=(("Content-Encoding", coding),))) as client:
        with pytest.raises(GraphRequestError) as failed:
            await client.read_batch(TENANT, "v1.0", GROUPS)
    assert failed.value.code is ErrorCode.GRAPH_MALFORMED_RESPONSE


async def test_gzip_bomb_is_unpacked_only_to_the_limit(hosts: Hosts, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(graph_client, "RESPONSE_LIMIT_BYTES", 3_000_000)
    sizes: list[int] = []
    real = graph_client.Admission.needed

    def needed(admission: graph_client.Admission, size_bytes: int) -> bool:
        sizes.append(size_bytes)
        return real(admission, size_bytes)

    monkeypatch.setattr(graph_client.Admission, "needed", needed)
    bomb = zipped(b"\0" * 100_000_000)
    async with client_with_reply(hosts, Reply(body=bomb, headers=(("Content-Encoding", "gzip"),))) as client:
        with pytest.raises(AnswerTooLargeError):
            await client.read_batch(TENANT, "v1.0", GROUPS)
    assert sizes
    assert max(sizes) <= 3_000_000


async def test_graphs_redirects_are_not_followed(hosts: Hosts) -> None:
    for status in (302, 307, 308):
        async with client_with_reply(
            hosts, Reply(status, headers=(("Location", f"{hosts.elsewhere.url}/x"),))
        ) as client:
            with pytest.raises(GraphRequestError):
                await client.read_batch(TENANT, "v1.0", GROUPS)
    assert hosts.others() == []
