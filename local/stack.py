"""The embedded stack's supervisor (`python -m local.stack`) and its client.

The supervisor reports on stdout, one JSON object a line. If its stdin closes without the line `keep`, it stops the
stack, since its starter is gone.
"""

import argparse
import json
import os
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import ExitStack, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

from local.parts import CHECKOUT, GraphPart, WebPart, WorkerPart
from local.postgres import EmbeddedPostgres
from local.processes import Part, PartError, free_port
from local.restarts import QUICK_DEATHS, Restarts
from local.state import StackInfo, State
from local.temporal import EmbeddedTemporal
from process_exit import run_to_exit

DATABASE = "tenant_inventory"
TENANTS = 3
STOP_SECONDS = 300.0
"""The time for all parts to stop, one after the other."""

WATCH_SECONDS = 0.5
CODEC_PATH = "/api/codec"
"""Where the web page decodes payloads for Temporal Web."""

STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Ports(NamedTuple):
    """Ports of 127.0.0.1. 0: any free one. None: the usual one, or any if it is taken."""

    postgres: int | None = None
    temporal: int | None = None
    temporal_ui: int | None = None
    graph: int | None = None
    web: int | None = None


USUAL_PORTS = Ports(postgres=25_432, temporal=27_233, temporal_ui=28_233, graph=28_443, web=28_080)
"""The same at each start, so that bookmarks still work."""


class StackProcess:
    """The supervisor's process. A context manager that stops the stack unless `keep` was called."""

    def __init__(self, state: State, ports: Ports) -> None:
        self._state = state
        self._ports = ports
        self._process: subprocess.Popen[str] | None = None

    def start(self, tell: Callable[[str], None]) -> StackInfo:
        """`tell` gets a line for each part and, from a thread, for later events. Raises `PartError`."""
        self._state.make()
        # Not the starter's own stderr: its reader would wait for the end of a kept stack.
        with self._state.supervisor_log.open("w") as log:
            self._process = subprocess.Popen(  # noqa: S603 - ourselves
                [sys.executable, "-m", "local.stack", "--state", self._state.folder, *self._port_options()],
                cwd=CHECKOUT,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                start_new_session=True,
            )
        if self._process.stdout is None:
            raise PartError("the supervisor has no pipe")
        for line in self._process.stdout:
            event = json.loads(line)
            if "failed" in event:
                raise PartError(event["failed"])
            if "ready" in event:
                threading.Thread(target=_tell_on, args=(self._process.stdout, tell), daemon=True).start()
                return StackInfo(**event["ready"])
            tell(event["part"])
        raise PartError(f"the supervisor ended before the stack was up; see {self._state.supervisor_log}")

    def _port_options(self) -> list[str]:
        ports = {name: port for name, port in self._ports._asdict().items() if port is not None}
        return [f"--{name.replace('_', '-')}-port={port}" for name, port in ports.items()]

    def keep(self) -> None:
        if self._process is not None and self._process.stdin is not None:
            with suppress(BrokenPipeError):
                self._process.stdin.write("keep\n")
                self._process.stdin.close()
            # Without a return code `Popen` would warn that the process still runs.
            self._process.returncode = 0
            self._process = None

    def __enter__(self) -> "StackProcess":
        return self

    def __exit__(self, *raised: object) -> None:
        if self._process is None:
            return
        # A supervisor that is starting a part does not see the closed pipe.
        self._process.terminate()
        if self._process.stdin is not None:
            self._process.stdin.close()
        try:
            self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            # Its parts die with it.
            self._process.kill()
            self._process.wait()
        self._process = None


def _tell_on(events: Iterable[str], tell: Callable[[str], None]) -> None:
    with suppress(ValueError, OSError):
        for line in events:
            event = json.loads(line)
            if "part" in event:
                tell(event["part"])


def stop_running(state: State) -> bool:
    """Stops a kept stack and waits for its parts; False if there is none. Raises `PartError` if parts do not end."""
    if not state.folder.exists():
        return False
    info = state.running()
    if info is not None:
        with suppress(ProcessLookupError):
            os.kill(info.pid, signal.SIGTERM)
    elif state.is_free():
        return False
    deadline = time.monotonic() + STOP_SECONDS
    # The supervisor withdraws its file first, so wait for the locks, which last until all parts have ended.
    while not state.is_free():
        if time.monotonic() > deadline:
            raise PartError(f"the stack in {state.folder} does not stop; its logs are there")
        time.sleep(0.1)
    return True


def last_words(state: State) -> str:
    lines = state.supervisor_log.read_text(errors="replace").splitlines() if state.supervisor_log.exists() else []
    return lines[-1] if lines else f"the supervisor is gone; the logs of its parts are in {state.folder}"


class Supervisor:
    """Starts the parts in order, restarts dead ones, and stops all in reverse order."""

    def __init__(self, state: State, ports: Ports, parts_lock: int) -> None:
        """`parts_lock`: a file descriptor that every part inherits."""
        self._state = state
        self._ports = ports
        self._inherited = (parts_lock,)
        self._parts: list[tuple[Part, Restarts]] = []

    def run(self) -> None:
        """Returns when stdin closes without `keep`. Raises `PartError` if a part does not start or is given up."""
        with ExitStack() as parts:
            try:
                info = self._start(parts)
                parts.callback(self._state.withdraw)
                self._state.publish(info)
                _tell({"ready": info._asdict()})
                self._watch(info)
            finally:
                _ignore_stop_signals()

    def _start(self, parts: ExitStack) -> StackInfo:
        folder = self._state.folder
        postgres = EmbeddedPostgres(folder / "postgres", port=self._port("postgres"), inherited=self._inherited)
        self._start_part(parts, postgres)
        url = postgres.create_database(DATABASE)
        _tell({"part": f"PostgreSQL at {url.rpartition('@')[2]}"})
        web_port = free_port(self._port("web"))
        payload_key = self._state.payload_key()
        temporal = EmbeddedTemporal(
            folder / "temporal",
            port=self._port("temporal"),
            ui_port=self._port("temporal_ui"),
            codec_url=None if payload_key is None else f"http://127.0.0.1:{web_port}{CODEC_PATH}",
            inherited=self._inherited,
        )
        self._start_part(parts, temporal)
        _tell({"part": f"Temporal at {temporal.address}, its web UI at {temporal.ui_url}"})
        graph = GraphPart(
            folder / "graph",
            port=self._port("graph"),
            tenants=TENANTS,
            generation_file=self._state.generation_file,
            inherited=self._inherited,
        )
        self._start_part(parts, graph)
        self._state.write_tenants(graph.ready["tenants"])
        _tell({"part": f"simulated Graph at {graph.ready['base_url']} with {len(graph.ready['tenants'])} tenants"})
        environment = {
            "DATABASE_URL": url,
            "TEMPORAL_ADDRESS": temporal.address,
            "TEMPORAL_WEB_URL": temporal.ui_url,
            "GRAPH_BASE_URL": graph.ready["base_url"],
            "GRAPH_AUTHORITY_URL": graph.ready["authority_url"],
            "GRAPH_CA_FILE": graph.ready["ca_file"],
            "TENANTS_FILE": str(self._state.tenants_file),
            "SENSITIVE_FIELDS_KEY": self._state.sensitive_fields_key(),
            "SENSITIVE_FIELDS_COMPARABLE": "true",
            **({} if payload_key is None else {"PAYLOAD_KEYS": payload_key}),
        }
        _migrate(environment)
        log = folder / "worker.log"
        log.unlink(missing_ok=True)
        worker = WorkerPart(log, environment, self._inherited)
        self._start_part(parts, worker)
        _tell({"part": f"a worker, process {worker.child.pid}"})
        web = WebPart(folder / "web.log", environment, web_port, self._inherited)
        self._start_part(parts, web)
        _tell({"part": f"the web page at {web.url}"})
        return StackInfo(
            pid=os.getpid(),
            temporal_ui_url=temporal.ui_url,
            environment=environment,
            control_url=graph.ready["control_url"],
            control_key_file=graph.ready["control_key_file"],
            tenants=[tenant["name"] for tenant in graph.ready["tenants"]],
            worker_pid=worker.child.pid,
            web_url=web.url,
        )

    def _port(self, name: str) -> int:
        port: int | None = getattr(self._ports, name)
        if port is not None:
            return port
        usual: int = getattr(USUAL_PORTS, name)
        try:
            return free_port(usual)
        except PartError:
            taken = free_port()
            _tell({"part": f"port {usual} is taken: {taken} is used instead (--{name.replace('_', '-')}-port)"})
            return taken

    def _start_part(self, parts: ExitStack, part: Part) -> None:
        parts.callback(part.stop)
        part.start()
        self._parts.append((part, Restarts()))

    def _watch(self, info: StackInfo) -> None:
        is_started = False
        waiting: set[str] = set()  # Names of dead parts whose disk is full.
        while True:
            for part, restarts in self._parts:
                if part.child.running():
                    continue
                if not part.child.has_room():
                    if part.name not in waiting:
                        _tell_and_log(f"{part.child.failure()}; then it is started again")
                        waiting.add(part.name)
                elif _start_again(part, restarts):
                    waiting.discard(part.name)
                    if isinstance(part, WorkerPart):
                        # Without room, the files of the dead worker stay.
                        with suppress(OSError):
                            self._state.publish(info._replace(worker_pid=part.child.pid))
            if is_started:
                time.sleep(WATCH_SECONDS)
            elif select.select([sys.stdin], [], [], WATCH_SECONDS)[0]:
                if sys.stdin.readline().strip() != "keep":
                    return
                is_started = True


def _start_again(part: Part, restarts: Restarts) -> bool:
    """False if the disk fills up meanwhile. Raises `PartError` if the part is given up."""
    name, failure, lived = part.child.name, part.child.failure(), part.child.lived_seconds()
    while part.child.has_room():
        wait = restarts.wait_after(lived)
        if wait is None:
            raise PartError(f"{name} died {QUICK_DEATHS} times in a row and is given up: {failure}")
        _tell_and_log(f"{failure.outcome}; it is started again")
        part.child.stop()
        time.sleep(wait)
        lived = 0.0
        try:
            part.start()
        except PartError as error:
            failure = error
            continue
        _tell_and_log(f"{name} is back, process {part.child.pid}")
        return True
    return False


def _migrate(environment: Mapping[str, str]) -> None:
    done = subprocess.run(
        [sys.executable, "starter.py", "database", "upgrade"],
        cwd=CHECKOUT,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise PartError(f"the migrations failed: {done.stderr.strip()}")


def _tell_and_log(line: str) -> None:
    _log(f"{datetime.now(UTC):%Y-%m-%d %H:%M:%SZ} {line}")
    _tell({"part": line})


def _log(line: str) -> None:
    # Without room for its log, the stack goes on.
    with suppress(OSError):
        print(line, file=sys.stderr, flush=True)


def _tell(event: dict[str, Any]) -> None:
    # Nobody reads the events of a kept stack.
    with suppress(BrokenPipeError):
        print(json.dumps(event), flush=True)


def _ignore_stop_signals() -> None:
    """Lets the parts stop gracefully."""
    for number in STOP_SIGNALS:
        signal.signal(number, signal.SIG_IGN)


def _unwind(*_: object) -> NoReturn:
    _ignore_stop_signals()
    sys.exit(0)


def _fail(words: str) -> NoReturn:
    _log(words)
    _tell({"failed": words})
    sys.exit(1)


def _command() -> None:
    parser = argparse.ArgumentParser(prog="python -m local.stack", description="The embedded stack's supervisor.")
    parser.add_argument("--state", type=Path, required=True, help="the folder that holds everything")
    for name in Ports._fields:
        parser.add_argument(f"--{name.replace('_', '-')}-port", dest=name, type=int, help="0: a free one")
    arguments = parser.parse_args()
    state = State(arguments.state)
    ports = Ports(**{name: getattr(arguments, name) for name in Ports._fields})
    for number in STOP_SIGNALS:
        signal.signal(number, _unwind)
    try:
        _supervise(state, ports)
    except PartError as error:
        _fail(str(error))
    except OSError as error:
        _fail(f"{error.filename or state.folder}: {error.strerror}; remedy that, and start the stack again")


def _supervise(state: State, ports: Ports) -> None:
    with state.held() as free:
        if not free:
            _fail(f"another stack runs in {state.folder}; stop it: python starter.py demo --stop")
        with state.parts_held(STOP_SECONDS) as parts_lock:
            if parts_lock is None:
                _fail(f"parts of an earlier stack still run in {state.folder}; end them, or choose another folder")
            Supervisor(state, ports, parts_lock).run()


def main() -> None:
    run_to_exit(_command)


if __name__ == "__main__":
    main()
