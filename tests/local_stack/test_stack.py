"""The embedded stack as people use it: it comes up, it is found, it goes down, whatever happens to its starter."""

import os
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import orjson
import psycopg
import pytest

from local.postgres import EmbeddedPostgres
from local.processes import Child, PartError, free_port
from local.state import State
from tests.patience import PATIENCE_SECONDS, until

CHECKOUT = Path(__file__).resolve().parents[2]


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


def descendants(pid: int) -> list[int]:
    found = []
    for entry in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = entry.read_text().rsplit(")", 1)[1].split()
        except FileNotFoundError:
            continue
        if int(fields[1]) == pid:
            child = int(entry.parent.name)
            found += [child, *descendants(child)]
    return found


needs_proc = pytest.mark.skipif(sys.platform != "linux", reason="children are watched through /proc")


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that no other pytest of this user shuts to PostgreSQL."""
    with TemporaryDirectory() as folder:
        yield Path(folder)


@pytest.fixture
def state(folder: Path) -> Iterator[State]:
    state = State(folder / "state")
    yield state
    starter(state, "demo", "--stop")


def starter(state: State, *arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, CHECKOUT / "starter.py", *arguments],
        env={**clean_environment(), "TENANT_INVENTORY_STATE": str(state.folder)},
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        timeout=PATIENCE_SECONDS,
    )


def clean_environment() -> dict[str, str]:
    ours = ("DATABASE_URL", "TEMPORAL_", "GRAPH_", "TENANTS_FILE", "TENANT_INVENTORY_")
    return {name: value for name, value in os.environ.items() if not name.startswith(ours)}


@pytest.mark.slow
def test_two_demos_show_what_changed_and_ordinary_commands_find_a_kept_stack(state: State) -> None:
    first = starter(state, "demo", "--json")
    assert first.returncode == 0, first.stderr
    runs = [orjson.loads(line) for line in first.stdout.splitlines()]
    assert len(runs) == 3
    assert {run["status"] for run in runs} == {"success"}
    assert state.running() is None
    assert not state.environment_file.exists()

    port = free_port()
    second = starter(state, "demo", "--keep", "--temporal-ui-port", str(port))
    assert second.returncode == 0, second.stderr
    assert f"http://127.0.0.1:{port}" in second.stdout
    for kind in ("added", "changed", "missing"):
        assert second.stdout.count(f": {kind} ") == 3, second.stdout
    assert "Temporal Web" in second.stdout
    for path in (state.environment_file, state.tenants_file, *(state.folder / "secrets").iterdir()):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    password = state.environment_file.read_text().split("postgres:")[1].split("@")[0]
    assert password not in second.stdout + second.stderr

    listed = starter(state, "runs", "--json")
    again = [orjson.loads(line) for line in listed.stdout.splitlines()]
    assert len(again) == 6
    for run in again[:3]:
        assert [run["counts"][name] for name in ("created", "changed", "missing")] == [1, 1, 1]
    synced = starter(state, "sync", "contoso", "--type", "groups", "--json")
    assert synced.returncode == 0, synced.stderr

    third = starter(state, "demo", "--json")
    assert "is running already" in third.stderr
    assert {orjson.loads(line)["counts"]["created"] for line in third.stdout.splitlines()} == {1}
    info = state.running()
    assert info is not None
    parts = descendants(info.pid)
    assert starter(state, "demo", "--stop").stderr.strip() == "stopped"
    assert not any(alive(part) for part in parts), "it is said once all have ended"
    assert starter(state, "runs").returncode == 2, "nothing is configured any more"
    assert starter(state, "demo", "--stop").stderr.strip() == "nothing was running"


@contextmanager
def supervisor_of(state: State) -> Iterator["subprocess.Popen[str]"]:
    with subprocess.Popen(
        [sys.executable, "-m", "local.stack", "--state", state.folder],
        cwd=CHECKOUT,
        env=clean_environment(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert any("ready" in orjson.loads(line) for line in process.stdout), "the stack did not come up"
        yield process


@needs_proc
@pytest.mark.parametrize(
    "how",
    [
        "pipe closed",
        pytest.param("SIGINT", marks=pytest.mark.slow),
        pytest.param("SIGTERM", marks=pytest.mark.slow),
        "SIGKILL",
    ],
)
def test_nothing_outlives_the_supervisor_or_its_starter(state: State, how: str) -> None:
    with supervisor_of(state) as supervisor:
        children = descendants(supervisor.pid)
        assert len(children) >= 4
        assert supervisor.stdin is not None
        if how == "pipe closed":
            supervisor.stdin.close()
        else:
            supervisor.send_signal(getattr(signal, how))
        supervisor.wait(PATIENCE_SECONDS)
        until(lambda: not any(alive(child) for child in children), f"{how} leaves processes behind")
    assert state.running() is None
    if how != "SIGKILL":
        assert not state.stack_file.exists()


@needs_proc
def test_a_part_that_dies_is_reported_and_the_rest_stops(state: State) -> None:
    with supervisor_of(state) as supervisor:
        children = descendants(supervisor.pid)
        worker = next(child for child in children if b"worker.py" in Path(f"/proc/{child}/cmdline").read_bytes())
        os.kill(worker, signal.SIGKILL)
        assert supervisor.stdout is not None
        last_words = orjson.loads(supervisor.stdout.readline())
    assert "the worker ended with status -9" in last_words["failed"]
    until(lambda: not any(alive(child) for child in children), "parts are left behind")


def test_postgresql_keeps_its_data_through_a_kill(folder: Path) -> None:
    with EmbeddedPostgres(folder / "postgres") as server:
        url = server.create_database("kept")
        with psycopg.connect(url) as connection:
            connection.execute("CREATE TABLE kept AS SELECT 42 AS answer")
        os.kill(server.child.pid, signal.SIGKILL)
        until(lambda: not server.child.running(), "killed")
    port = free_port()
    with EmbeddedPostgres(folder / "postgres", port=port) as server:
        assert f":{port}/" in server.url
        with psycopg.connect(server.create_database("kept")) as connection:
            assert connection.execute("SELECT answer FROM kept").fetchone() == (42,)


def test_a_program_that_fails_is_named_with_the_end_of_its_log(tmp_path: Path) -> None:
    program = [sys.executable, "-c", "import sys; sys.exit('out of luck')"]
    child = Child("the program", program, log=tmp_path / "log")
    with pytest.raises(PartError, match=r"the program ended with status 1; .* says: out of luck"):
        child.wait_until(lambda: False)
    child.stop()
