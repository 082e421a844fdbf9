"""`starter.py web` as a process: it listens on the loopback interface, and its printed address signs a person in."""

import re
import signal
import socket
import ssl
from pathlib import Path
from uuid import uuid4

import httpx
import psycopg
import pytest
import trustme

from cli.web import listener
from tests.deadlines import DEADLINE_SECONDS
from tests.end_to_end.system import starter
from tests.web.process import addresses, environment_of, forked, running


@pytest.fixture
def environment(database_url: str, tmp_path: Path) -> dict[str, str]:
    return environment_of(database_url, tmp_path, uuid4())


def test_printed_address_signs_in_and_ctrl_c_stops_the_page(environment: dict[str, str]) -> None:
    with running(environment, "--port=0", "--json") as process:
        printed = addresses(process)
        assert printed["url"].startswith("http://127.0.0.1:")
        assert printed["sign_in_url"].startswith(f"{printed['url']}/sign-in/")
        with httpx.Client(base_url=printed["url"], timeout=DEADLINE_SECONDS, trust_env=False) as client:
            assert client.get("/").status_code == 401
            answer = client.get(printed["sign_in_url"])
            cookie = answer.headers["set-cookie"].partition(";")[0]
            page = client.get("/", headers={"Cookie": cookie})
            assert page.status_code == 200
            assert "Contoso" in page.text
            assert "server" not in page.headers
        process.send_signal(signal.SIGINT)
        output, errors = process.communicate(timeout=DEADLINE_SECONDS)
    assert "Traceback" not in errors
    token = printed["sign_in_url"].rpartition("/")[2]
    assert token not in output + errors, "the log has no sign-in token"


def test_unexpected_error_is_logged_without_stored_values(database_url: str, tmp_path: Path) -> None:
    tenant_id, run_id = uuid4(), uuid4()
    with psycopg.connect(database_url) as connection:
        connection.execute("SELECT set_config('app.tenant_id', %s, true)", [str(tenant_id)])
        connection.execute("INSERT INTO tenant (tenant_id, name) VALUES (%s, 'Contoso')", [tenant_id])
        connection.execute(
            "INSERT INTO sync_run (tenant_id, run_id, workflow_id, selection_hash, selection, status, finished_at,"
            " error_codes) VALUES (%s, %s, 'sync/1', repeat('a', 64), '{}', 'failed', now(), '{hunter2}')",
            [tenant_id, run_id],
        )
    with forked(environment_of(database_url, tmp_path, tenant_id), tmp_path) as process:
        printed = process.addresses()
        with httpx.Client(base_url=printed["url"], timeout=DEADLINE_SECONDS, trust_env=False) as client:
            cookie = client.get(printed["sign_in_url"]).headers["set-cookie"].partition(";")[0]
            page = client.get(f"/tenants/{tenant_id}/runs/{run_id}", headers={"Cookie": cookie})
        assert page.status_code == 500
        assert "The log of the web process names the error" in page.text
    errors = process.errors()
    assert "hunter2" not in errors
    [line] = [line for line in errors.splitlines() if "ASGI" in line]
    assert re.search(r"Exception in ASGI application: RowError at \w+\.py:\d+ < ", line)


def test_used_port_is_a_one_line_error(environment: dict[str, str], tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        result = starter("web", f"--port={port}", environment=environment, folder=tmp_path)
    assert result.code == 2
    assert f"port {port} of 127.0.0.1 cannot be used" in result.stderr
    assert result.stderr.count("\n") == 1


def test_listening_on_all_interfaces_requires_sign_in(environment: dict[str, str], tmp_path: Path) -> None:
    result = starter("web", "--listen=0.0.0.0", "--port=0", environment=environment, folder=tmp_path)
    assert result.code == 2
    assert "could sign in with the printed link; set WEB_SIGN_IN_CLIENT_ID" in result.stderr
    assert result.stderr.count("\n") == 1


@pytest.mark.slow
def test_page_with_certificate_serves_tls_and_offers_sign_in(environment: dict[str, str], tmp_path: Path) -> None:
    authority = trustme.CA()
    issued = authority.issue_cert("localhost")
    certificate, key, secret = (tmp_path / name for name in ("certificate.pem", "key.pem", "secret"))
    certificate.write_bytes(b"".join(blob.bytes() for blob in issued.cert_chain_pems))
    key.write_bytes(issued.private_key_pem.bytes())
    secret.write_text("a secret")
    app = {
        "WEB_SIGN_IN_CLIENT_ID": str(uuid4()),
        "WEB_SIGN_IN_TENANTS": str(uuid4()),
        "WEB_SIGN_IN_SECRET_FILE": str(secret),
    }
    files = (f"--tls-certificate={certificate}", f"--tls-key={key}")
    with running({**environment, **app}, "--port=0", "--json", *files) as process:
        printed = addresses(process)
        assert printed["sign_in_url"] is None, "nobody signs in by a link"
        trust = ssl.create_default_context()
        authority.configure_trust(trust)
        with httpx.Client(base_url=printed["url"], timeout=DEADLINE_SECONDS, trust_env=False, verify=trust) as client:
            page = client.get("/")
            assert page.status_code == 401
            assert 'href="/sign-in?next=%2F"' in page.text
            assert "strict-transport-security" in page.headers
            assert client.get("/healthz").text == "ok\n"
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=DEADLINE_SECONDS)


def test_accepted_connections_set_tcp_nodelay() -> None:
    with listener("127.0.0.1", 0) as bound, socket.create_connection(bound.getsockname()):
        accepted, _ = bound.accept()
        with accepted:
            assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) != 0
