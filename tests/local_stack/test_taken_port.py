"""A port that was free a moment ago may be taken before a server listens on it."""

import socket
from pathlib import Path

import pytest

import local.temporal
from local.processes import free_port
from local.temporal import EmbeddedTemporal


@pytest.mark.slow  # The server itself waits half a minute for its port.
def test_temporal_tries_another_port_if_its_choice_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as quicker:
        quicker.bind(("127.0.0.1", 0))
        quicker.listen()
        taken = quicker.getsockname()[1]
        answers = iter([taken])
        monkeypatch.setattr(local.temporal, "free_port", lambda port=0: next(answers, None) or free_port(port))
        with EmbeddedTemporal(tmp_path) as temporal:
            assert temporal.address != f"127.0.0.1:{taken}"
            assert temporal.child.running()
