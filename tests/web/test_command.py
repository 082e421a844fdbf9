"""`starter.py web` as a process: it listens on the loopback interface, and its address signs a person in."""

import signal
import socket
from pathlib import Path
from uuid import uuid4

import httpx
import pytest

from tests.patience import PATIENCE_SECONDS
from tests.web.process import addresses, environment_of, running


@pytest.fixture
def environment(database_url: str, tmp_path: Path) -> dict[str, str]:
    return environment_of(database_url, tmp_path, uuid4())


def test_the_printed_address_signs_in_and_ctrl_c_ends_the_page(environment: dict[str, str]) -> None:
    with running(environment, "--port=0", "--json") as process:
        told = addresses(process)
        assert told["url"].startswith("http://127.0.0.1:")
        assert told["sign_in_url"].startswith(f"{told['url']}/sign-in/")
        with httpx.Client(base_url=told["url"], timeout=PATIENCE_SECONDS, trust_env=False) as client:
            assert client.get("/").status_code == 401
            answer = client.get(told["sign_in_url"])
            cookie = answer.headers["set-cookie"].partition(";")[0]
            page = client.get("/", headers={"Cookie": cookie})
            assert page.status_code == 200
            assert "Contoso" in page.text
            assert "server" not in page.headers
        process.send_signal(signal.SIGINT)
        output, errors = process.communicate(timeout=PATIENCE_SECONDS)
    assert "Traceback" not in errors
    token = told["sign_in_url"].rpartition("/")[2]
    assert token not in output + errors, "the log does not hold what signs somebody in"


def test_a_port_that_is_taken_is_said_in_one_line(environment: dict[str, str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with running(environment, f"--port={port}") as process:
            _, errors = process.communicate(timeout=PATIENCE_SECONDS)
    assert process.returncode == 2
    assert f"port {port} of 127.0.0.1 cannot be used" in errors
    assert errors.count("\n") == 1
