"""The embedded stack as people use it: start, discovery and stop, even if its starter is killed."""

import os
import signal
import socket
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import IO

import orjson
import psycopg
import pytest

from local.postgres import EmbeddedPostgres
from local.processes import Child, PartError, free_port
from local.stack import USUAL_PORTS, Ports, stop_running
from local.state import StackInfo, State
from tests.deadlines import DEADLINE_SECONDS, until
from tests.end_to_end.system import CommandResult

CHECKOUT = Path(__file__).resolve().parents[2]


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


def children_of(pid: int) -> list[int]:
    found = []
    for entry in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = entry.read_text().rsplit(")", 1)[1].split()
        except (FileNotFoundError, ProcessLookupError):
            continue
        if int(fields[1]) == pid:
            found.append(int(entry.parent.name))
    return found


def descendants(pid: int) -> list[int]:
    return [process for child in children_of(pid) for process in (child, *descendants(child))]


def test_existing_folder_is_closed_to_other_users(state: State) -> None:
    state.folder.mkdir(mode=0o755)
    state.make()
    assert not state.folder.stat().st_mode & 0o066


needs_proc = pytest.mark.skipif(sys.platform != "linux", reason="children are watched through /proc")


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder whose permissions no other pytest of this user changes, so PostgreSQL can read it."""
    with TemporaryDirectory() as folder:
        yield Path(folder)


@pytest.fixture
def state(folder: Path) -> Iterator[State]:
    state = State(folder / "state")
    yield state
    stop_running(state)


ANY_PORTS = tuple(f"--{name.replace('_', '-')}-port=0" for name in Ports._fields)
"""Free ports, since stacks of other tests run at the same time."""


def starter(state: State, *arguments: str) -> "subprocess.CompletedProcess[str]":
    with popen(state, *arguments) as process:
        stdout, stderr = process.communicate(timeout=DEADLINE_SECONDS)
    return subprocess.CompletedProcess(process.args, process.returncode, stdout, stderr)


def popen(
    state: State, *arguments: str, stdout: int | IO[str] = subprocess.PIPE, stderr: int | IO[str] = subprocess.PIPE
) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, CHECKOUT / "starter.py", *arguments],
        env={**clean_environment(), "TENANT_INVENTORY_STATE": str(state.folder)},
        stdin=subprocess.DEVNULL,
        stdout=stdout,
        stderr=stderr,
        text=True,
    )


def clean_environment() -> dict[str, str]:
    ours = ("DATABASE_URL", "TEMPORAL_", "GRAPH_", "TENANTS_FILE", "TENANT_INVENTORY_")
    return {name: value for name, value in os.environ.items() if not name.startswith(ours)}


@pytest.mark.slow
def test_second_demo_shows_changes_and_commands_find_a_kept_stack(state: State) -> None:
    first = starter(state, "demo", *ANY_PORTS, "--json")
    assert first.returncode == 0, first.stderr
    runs = [orjson.loads(line) for line in first.stdout.splitlines()]
    assert len(runs) == 3
    assert {run["status"] for run in runs} == {"success"}
    assert state.running() is None
    assert not state.environment_file.exists()

    port = free_port()
    second = starter(state, "demo", "--keep", *ANY_PORTS, f"--temporal-ui-port={port}")
    assert second.returncode == 0, second.stderr
    assert f"http://127.0.0.1:{port}" in second.stdout
    for kind in ("appeared", "changed", "missing"):
        assert second.stdout.count(f" {kind}: ") == 3, second.stdout
    assert "Temporal Web" in second.stdout
    looked_into = 0o066 if os.geteuid() == 0 else 0o077
    open_to_others = [
        path for path in (state.folder, *state.folder.rglob("*")) if path.exists() and path.stat().st_mode & looked_into
    ]
    assert open_to_others == []
    password = state.environment_file.read_text().split("postgres:")[1].split("@")[0]
    assert password not in second.stdout + second.stderr

    listed = starter(state, "runs", "--json")
    again = [orjson.loads(line) for line in listed.stdout.splitlines()]
    assert len(again) == 6
    for run in again[:3]:
        assert [run["counts"][name] for name in ("created", "changed", "missing")] == [1, 1, 1]
    synced = starter(state, "sync", "contoso", "--type", "groups", "--json")
    assert synced.returncode == 0, synced.stderr

    compared = starter(state, "compare", "Contoso", "Fabrikam")
    assert "Legacy Wi-Fi, to be retired" in compared.stdout
    lines = starter(state, "compare", "Contoso", "Fabrikam", "--json").stdout.splitlines()[:-1]
    of_items = [orjson.loads(line) for line in lines]
    statuses = Counter(item["status"] for item in of_items)
    # Secrets that Graph masks cannot be compared.
    reasons = {reason for item in of_items if item["status"] == "undecided" for reason in item["uncertain"]}
    assert reasons == {"hidden_without_key", "secret_not_shown"}
    assert statuses["same"] > 0.9 * statuses.total(), "tenants share most comparable items"

    third = starter(state, "demo", *ANY_PORTS, "--json")
    assert "is running already" in third.stderr
    assert {orjson.loads(line)["counts"]["created"] for line in third.stdout.splitlines()} == {1}
    info = state.running()
    assert info is not None
    parts = descendants(info.pid)
    assert starter(state, "demo", "--stop").stderr.strip() == "stopped"
    assert not any(alive(part) for part in parts), "printed after all parts have ended"
    assert starter(state, "runs").returncode == 2, "nothing is configured any more"
    assert starter(state, "demo", "--stop").stderr.strip() == "nothing was running"


@contextmanager
def supervisor_of(state: State, *ports: str) -> Iterator[tuple["subprocess.Popen[str]", list[str]]]:
    """A supervisor with a running stack, and its messages during the start."""
    with subprocess.Popen(
        [sys.executable, "-m", "local.stack", "--state", state.folder, *(ports or ANY_PORTS)],
        cwd=CHECKOUT,
        env=clean_environment(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            assert process.stdout is not None
            messages = []
            for line in process.stdout:
                event = orjson.loads(line)
                if "ready" in event:
                    break
                messages.append(event["part"])
            else:
                pytest.fail("the stack did not come up")
            yield process, messages
        finally:
            process.terminate()


def process_of(supervisor_pid: int, part: str) -> int:
    """The process of a part of the stack, by a word of its command line."""
    (pid,) = [
        child
        for child in children_of(supervisor_pid)
        if part.encode() in Path(f"/proc/{child}/cmdline").read_bytes().replace(b"\0", b" ")
    ]
    return pid


PARTS = {
    "PostgreSQL": "bin/postgres -D",
    "Temporal": "server start-dev",
    "the simulated Graph": "local.simulated_graph",
    "the worker": "worker.py",
}


@needs_proc
@pytest.mark.slow
@pytest.mark.parametrize("ending", ["pipe closed", "SIGINT", "SIGTERM", "SIGKILL"])
def test_no_process_outlives_the_supervisor_or_starter(state: State, ending: str) -> None:
    with supervisor_of(state) as (supervisor, _):
        children = descendants(supervisor.pid)
        assert len(children) >= 4
        assert supervisor.stdin is not None
        if ending == "pipe closed":
            supervisor.stdin.close()
        else:
            supervisor.send_signal(getattr(signal, ending))
        supervisor.wait(DEADLINE_SECONDS)
        until(lambda: not any(alive(child) for child in children), f"{ending} leaves processes behind")
    assert state.running() is None
    if ending != "SIGKILL":
        assert not state.stack_file.exists()


@needs_proc
@pytest.mark.slow
def test_killed_part_restarts_at_its_address_with_its_data(state: State) -> None:
    with supervisor_of(state) as (supervisor, _):
        before = state.running()
        assert before is not None
        with psycopg.connect(before.environment["DATABASE_URL"]) as connection:
            connection.execute("CREATE TABLE kept AS SELECT 42 AS answer")
        for name, part in PARTS.items():
            killed = process_of(supervisor.pid, part)
            os.kill(killed, signal.SIGKILL)
            assert supervisor.stdout is not None
            assert f"{name} was ended by SIGKILL; it is started again" in supervisor.stdout.readline()
            back = restarted_process(supervisor.stdout.readline(), name)
            assert back == process_of(supervisor.pid, part) != killed
        until(
            lambda: state.stack_file.exists() and is_worker_back(state, back), "the worker's new process is not known"
        )
        after = state.running()
        assert after is not None
        assert after == before._replace(worker_pid=after.worker_pid)
        with psycopg.connect(after.environment["DATABASE_URL"]) as connection:
            assert connection.execute("SELECT answer FROM kept").fetchone() == (42,)
        synced = starter(state, "sync", "contoso", "--type", "groups", "--json")
        assert synced.returncode == 0, synced.stderr


def restarted_process(line: str, name: str) -> int:
    message: str = orjson.loads(line)["part"]
    assert message.startswith(f"{name} is back, process ")
    return int(message.rpartition(" ")[2])


def is_worker_back(state: State, worker_pid: int) -> bool:
    info = state.running()
    return info is not None and info.worker_pid == worker_pid


@needs_proc
@pytest.mark.slow
def test_part_that_dies_repeatedly_ends_the_stack_with_its_log(state: State) -> None:
    with supervisor_of(state) as (supervisor, _):
        children = descendants(supervisor.pid)
        state.tenants_file.write_text("[[tenant]\n")
        os.kill(process_of(supervisor.pid, PARTS["the worker"]), signal.SIGKILL)
        assert supervisor.stdout is not None
        *events, last = [orjson.loads(line) for line in supervisor.stdout]
    assert [event["part"] for event in events[1:]] == ["the worker ended with status 2; it is started again"] * 3
    assert last["failed"].startswith(
        "the worker died 5 times in a row and is given up: the worker ended with status 2;"
    )
    assert "not valid TOML" in last["failed"]
    assert not any(alive(child) for child in children)


RUNNING = "SELECT count(*) FROM sync_run WHERE status = 'running'"


def demo_with_fault(state: State, fault: Callable[[StackInfo], None], *arguments: str) -> CommandResult:
    """Runs a demo to its end. A table lock keeps its first run from storing documents before the fault."""
    stdout, stderr = state.folder.with_name("stdout"), state.folder.with_name("stderr")
    with (
        stdout.open("w") as out,
        stderr.open("w") as err,
        popen(state, "demo", *ANY_PORTS, *arguments, stdout=out, stderr=err) as demo,
    ):
        until(lambda: state.running() is not None or demo.poll() is not None)
        info = state.running()
        assert info is not None, stderr.read_text()
        with (
            psycopg.connect(info.environment["DATABASE_URL"]) as holder,
            psycopg.connect(info.environment["DATABASE_URL"], autocommit=True) as watcher,
        ):
            holder.execute("LOCK TABLE document IN SHARE MODE")
            until(lambda: watcher.execute(RUNNING).fetchone() != (0,))
            fault(info)
            # Closed without a commit, since the fault may have killed PostgreSQL.
            holder.close()
            watcher.close()
        code = demo.wait(timeout=DEADLINE_SECONDS)
    return CommandResult(code, stdout.read_text(), stderr.read_text())


@needs_proc
@pytest.mark.slow
@pytest.mark.parametrize("name", PARTS)
def test_demo_succeeds_although_a_part_is_killed(state: State, name: str) -> None:
    result = demo_with_fault(state, lambda info: os.kill(process_of(info.pid, PARTS[name]), signal.SIGKILL), "--json")
    assert result.code == 0, result.stderr
    assert f"{name} was ended by SIGKILL; it is started again" in result.stderr
    assert [orjson.loads(line)["status"] for line in result.stdout.splitlines()] == ["success"] * 3


@needs_proc
@pytest.mark.slow
def test_demo_fails_with_one_line_if_its_supervisor_is_killed(state: State) -> None:
    result = demo_with_fault(state, lambda info: os.kill(info.pid, signal.SIGKILL))
    assert (result.code, result.stdout) == (1, "")
    (line,) = [line for line in result.stderr.splitlines() if line.startswith("error:")]
    assert "the supervisor is gone" in line
    assert str(state.folder) in line


@pytest.mark.slow
def test_stack_is_kept_if_its_output_is_closed(state: State) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "w") as closed, popen(state, "demo", "--keep", *ANY_PORTS, stdout=closed) as demo:
        _, stderr = demo.communicate(timeout=DEADLINE_SECONDS)
    assert "Traceback" not in stderr
    assert state.running() is not None
    assert starter(state, "runs", "contoso", "--json").returncode == 0, "PostgreSQL is up"


@needs_proc
@pytest.mark.slow
@pytest.mark.parametrize("name", PARTS)
def test_a_kept_stack_stops_after_a_part_was_killed_in_a_run(state: State, name: str) -> None:
    assert starter(state, "demo", "--keep", *ANY_PORTS).returncode == 0
    info = state.running()
    assert info is not None
    parts = descendants(info.pid)
    started = starter(state, "sync", "contoso", "--all", "--deep", "--no-wait")
    assert started.returncode == 0, started.stderr
    os.kill(process_of(info.pid, PARTS[name]), signal.SIGKILL)
    stopped = starter(state, "demo", "--stop")
    assert (stopped.returncode, stopped.stderr.strip()) == (0, "stopped")
    assert not any(alive(part) for part in parts)
    assert state.is_free()


@needs_proc
@pytest.mark.slow
def test_stopping_waits_for_the_parts_of_a_killed_supervisor(state: State) -> None:
    with supervisor_of(state) as (supervisor, _):
        children = descendants(supervisor.pid)
        frozen = process_of(supervisor.pid, PARTS["the simulated Graph"])
        os.kill(frozen, signal.SIGSTOP)
        supervisor.kill()
        supervisor.wait(DEADLINE_SECONDS)
    assert not state.is_free(), "a part still runs"
    with ThreadPoolExecutor(1) as pool:
        stopping = pool.submit(stop_running, state)
        os.kill(frozen, signal.SIGCONT)
        assert stopping.result(DEADLINE_SECONDS)
    assert not any(alive(child) for child in children)
    assert not stop_running(state), "nothing is left"


@pytest.mark.slow
def test_taken_usual_port_is_reported_and_replaced(state: State) -> None:
    with ExitStack() as taken:
        with suppress(OSError):
            taken.enter_context(socket.create_server(("127.0.0.1", USUAL_PORTS.postgres or 0)))
        with supervisor_of(state, "--temporal-port=0") as (_, messages):
            info = state.running()
    assert info is not None
    (notice,) = [line for line in messages if line.startswith(f"port {USUAL_PORTS.postgres} is taken: ")]
    assert notice.endswith("is used instead (--postgres-port)")
    assert f"127.0.0.1:{notice.split()[4]}/" in info.environment["DATABASE_URL"]
    for name, address in (("temporal_ui", info.temporal_ui_url), ("graph", info.environment["GRAPH_BASE_URL"])):
        usual = getattr(USUAL_PORTS, name)
        assert address.endswith(f":{usual}") or any(line.startswith(f"port {usual} is taken") for line in messages)


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


def test_failed_program_is_named_with_the_end_of_its_log(tmp_path: Path) -> None:
    program = [sys.executable, "-c", "import sys; sys.exit('out of luck')"]
    child = Child("the program", program, log=tmp_path / "log")
    with pytest.raises(PartError, match=r"the program ended with status 1; .* says: out of luck"):
        child.wait_until(lambda: False)
    child.stop()
