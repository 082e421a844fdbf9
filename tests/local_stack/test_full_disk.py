"""The embedded stack on a full disk. Limits on the size of files and on room stand in for one."""

import json
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from local import processes
from local.processes import Child, Part
from local.restarts import Restarts
from local.stack import _start_again
from local.state import State
from tests.deadlines import until

CHECKOUT = Path(__file__).resolve().parents[2]


class Ended(Part):
    name = "Ended"

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def start(self) -> None:
        self._child = Child(self.name, [sys.executable, "-c", ""], log=self._folder / "log")


def test_a_dead_part_waits_for_room_and_is_not_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with Ended(tmp_path) as part:
        dead = part.child.pid
        until(lambda: not part.child.running(), "ended")
        with monkeypatch.context() as full:
            full.setattr(processes, "ROOM_BYTES", sys.maxsize)
            assert not _start_again(part, Restarts())
            words = f"Ended ended with status 0: the disk of {tmp_path} is full; free space there"
            assert str(part.child.failure()) == words
            assert part.child.pid == dead
        assert _start_again(part, Restarts())
        assert part.child.pid != dead


def write_nothing() -> None:
    """From now on the process can write to pipes and devices only."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))


def failure_of(state: State, *, is_limited: bool) -> str:
    """The event of a supervisor whose log is full."""
    with Path("/dev/full").open("w") as full:
        ended = subprocess.run(
            [sys.executable, "-m", "local.stack", "--state", state.folder],
            cwd=CHECKOUT,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=full,
            text=True,
            preexec_fn=write_nothing if is_limited else None,
        )
    assert ended.returncode == 1
    failure: str = json.loads(ended.stdout)["failed"]
    return failure


def test_a_supervisor_without_room_for_its_log_still_reports(tmp_path: Path) -> None:
    state = State(tmp_path)
    with state.held():
        assert "another stack runs" in failure_of(state, is_limited=False)


def test_a_supervisor_that_cannot_write_names_its_folder(tmp_path: Path) -> None:
    words = f"{tmp_path}: File too large; remedy that, and start the stack again"
    assert failure_of(State(tmp_path), is_limited=True) == words


def test_the_generation_outlives_a_failed_write(tmp_path: Path) -> None:
    state = State(tmp_path)
    assert state.next_generation() == 0
    writing = (
        f"from pathlib import Path; from local.state import State; State(Path({str(tmp_path)!r})).next_generation()"
    )
    failed = subprocess.run(
        [sys.executable, "-c", writing, tmp_path],
        cwd=CHECKOUT,
        preexec_fn=write_nothing,
        capture_output=True,
        text=True,
    )
    assert "File too large" in failed.stderr
    assert state.generation() == 0
