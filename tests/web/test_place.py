"""The places where the page may listen: beyond this machine only with sign-in and encryption."""

from ipaddress import ip_network
from pathlib import Path
from typing import Any

import httpx
import pytest
import trustme
from fastapi import FastAPI
from pydantic import SecretStr
from starlette.types import Receive, Scope, Send

from configuration import Settings
from storage.database import Database
from tests.deadlines import DEADLINE_SECONDS
from web.application import create_app
from web.place import PlaceError, Tls, WebPlace, place
from web.site import Site

PROXIED = WebPlace("0.0.0.0", "inventory.example", None, is_proxied=True, proxies=[ip_network("10.0.0.0/28")])  # noqa: S104


@pytest.fixture(scope="module")
def tls(tmp_path_factory: pytest.TempPathFactory) -> Tls:
    folder = tmp_path_factory.mktemp("tls")
    issued = trustme.CA().issue_cert("inventory.example")
    certificate, key = folder / "certificate.pem", folder / "key.pem"
    certificate.write_bytes(b"".join(blob.bytes() for blob in issued.cert_chain_pems))
    key.write_bytes(issued.private_key_pem.bytes())
    return Tls(certificate, key)


@pytest.mark.parametrize(
    ("options", "line"),
    [
        ({"address": "0.0.0.0", "has_sign_in": False}, "could sign in with the printed link"),  # noqa: S104
        ({"address": "::", "has_sign_in": False}, "could sign in with the printed link"),
        ({"address": "10.0.0.1"}, "nothing encrypts the way to 10.0.0.1"),
        ({"address": "10.0.0.1", "hostname": "inventory.example"}, "nothing encrypts the way"),
        ({"address": "10.0.0.1", "tls": True}, "--hostname is missing"),
        ({"address": "10.0.0.1", "tls": True, "hostname": "inventory.example", "has_sign_in": False}, "printed link"),
        ({"address": "10.0.0.1", "tls": True, "hostname": "*"}, "not a host name"),
        ({"behind_proxy": "inventory.example", "has_sign_in": False}, "a proxy would show the page"),
        ({"behind_proxy": "https://inventory.example"}, "not a host name"),
        ({"address": "0.0.0.0", "behind_proxy": "inventory.example"}, "--proxy-address is missing"),  # noqa: S104
        ({"behind_proxy": "inventory.example", "proxies": ["nginx"]}, "--proxy-address takes an address"),
        ({"proxies": ["10.0.0.5"]}, "--proxy-address goes with --behind-proxy"),
        ({"address": "everywhere"}, "--listen takes an address"),
        ({"certificate": Path("/nowhere")}, "go together"),
        ({"certificate": Path("/nowhere"), "key": Path("/nowhere")}, "cannot be read: No such file"),
        ({"certificate": Path(__file__), "key": Path(__file__)}, "no certificate and its key in PEM"),
    ],
)
def test_unsafe_place_is_a_one_line_error(options: dict[str, Any], line: str, tls: Tls) -> None:
    arguments = {"address": "127.0.0.1", "has_sign_in": True, **options}
    if arguments.pop("tls", False):
        arguments |= tls._asdict()
    with pytest.raises(PlaceError, match=line) as refused:
        place(arguments.pop("address"), **arguments)
    assert "\n" not in str(refused.value)


def test_safe_places_are_accepted(tls: Tls) -> None:
    here = place("127.0.0.1", has_sign_in=False)
    assert (here.url(8080), here.hosts) == ("http://127.0.0.1:8080", ["127.0.0.1", "localhost", "[::1]"])
    entra = place("127.0.0.1", has_sign_in=True)
    assert (entra.url(8080), entra.hosts) == ("http://localhost:8080", ["localhost"])
    own = place("0.0.0.0", hostname="Inventory.example", certificate=tls[0], key=tls[1], has_sign_in=True)  # noqa: S104
    assert (own.url(443), own.url(8443)) == ("https://inventory.example", "https://inventory.example:8443")
    assert (own.hosts, own.is_https) == (["inventory.example"], True)
    proxied = place("0.0.0.0", behind_proxy="inventory.example", proxies=["10.0.0.0/28"], has_sign_in=True)  # noqa: S104
    assert proxied == PROXIED
    assert proxied.url(8080) == "https://inventory.example", "the proxy's port is the usual one"
    beside = place("127.0.0.1", behind_proxy="inventory.example", has_sign_in=True)
    assert beside.lets_in("127.0.0.1")


@pytest.mark.parametrize(
    ("peer", "is_let_in"), [("10.0.0.5", True), ("10.0.0.16", False), ("::1", False), (None, False), ("x", False)]
)
def test_only_proxy_addresses_are_let_in(peer: str | None, is_let_in: bool) -> None:
    assert PROXIED.lets_in(peer) is is_let_in


@pytest.fixture
def proxied(database: Database, database_url: str, tenants_file: Path) -> FastAPI:
    settings = Settings(database_url=SecretStr(database_url), tenants_file=tenants_file, _env_file=None)
    return create_app(Site(settings, database, place=PROXIED, url=PROXIED.url(8080)))


def client_from(app: FastAPI, peer: str, host: str = "inventory.example") -> httpx.AsyncClient:
    async def from_peer(scope: Scope, receive: Receive, send: Send) -> None:
        await app({**scope, "client": (peer, 1)}, receive, send)

    transport = httpx.ASGITransport(from_peer, raise_app_exceptions=False)
    return httpx.AsyncClient(transport=transport, base_url=f"https://{host}", timeout=DEADLINE_SECONDS)


async def test_requests_past_the_proxy_are_refused_despite_forwarded_headers(proxied: FastAPI) -> None:
    forwarded = {"X-Forwarded-For": "10.0.0.5", "Forwarded": "for=10.0.0.5", "X-Real-IP": "10.0.0.5"}
    async with client_from(proxied, "192.0.2.1") as client:
        for path in ("/", "/sign-in", "/static/style.css", "/api/status"):
            answer = await client.get(path, headers=forwarded)
            assert (answer.status_code, answer.text) == (403, "the page is asked through its proxy")
    async with client_from(proxied, "10.0.0.5") as client:
        assert (await client.get("/")).status_code == 401


async def test_forwarded_headers_do_not_change_the_host_name(proxied: FastAPI) -> None:
    async with client_from(proxied, "10.0.0.5") as client:
        answer = await client.get("/", headers={"X-Forwarded-Host": "evil.example", "X-Forwarded-Proto": "http"})
        assert "evil.example" not in answer.text
        for origin, status in (("https://evil.example", 403), ("https://inventory.example", 200)):
            headers = {"Origin": origin, "X-Forwarded-Host": "evil.example"}
            assert (await client.post("/sign-out", headers=headers)).status_code == status
    for host in ("evil.example", "127.0.0.1", "localhost"):
        async with client_from(proxied, "10.0.0.5", host) as client:
            assert (await client.get("/")).status_code == 400, "only its own name"


async def test_only_https_pages_send_strict_transport_security(proxied: FastAPI, app: FastAPI) -> None:
    async with client_from(proxied, "10.0.0.5") as client:
        assert (await client.get("/")).headers["strict-transport-security"] == "max-age=31536000"
    async with client_from(app, "127.0.0.1", "localhost") as client:
        assert "strict-transport-security" not in (await client.get("/")).headers


async def test_health_check_answers_everyone_with_ok(proxied: FastAPI) -> None:
    async with client_from(proxied, "192.0.2.1", "127.0.0.1") as client:
        answer = await client.get("/healthz")
    assert (answer.status_code, answer.text) == (200, "ok\n")
