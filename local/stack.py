"""The embedded stack: every part under one supervisor, a process of its own that the starter holds by a pipe.

The supervisor (`python -m local.stack`) tells on stdout what comes up, a JSON object a line, and reads stdin: when the
pipe closes without the line `keep` before it, whoever started it is gone, and everything stops.
"""

import argparse
import json
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

from local.postgres import EmbeddedPostgres
from local.processes import Child, PartError
from local.state import StackInfo, State
from local.temporal import EmbeddedTemporal

CHECKOUT = Path(__file__).resolve().parents[1]
DATABASE = "tenant_inventory"
TENANTS = 3
STOP_SECONDS = 300.0
"""For all parts, one after the other; each has a grace of its own (`local.processes`)."""

STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Ports(NamedTuple):
    """The ports of the stack's servers on 127.0.0.1; 0 takes a free one."""

    postgres: int = 0
    temporal: int = 0
    temporal_ui: int = 0
    graph: int = 0


class StackProcess:
    """The supervisor as its starter sees it. A context manager: leaving it stops the stack, unless it was kept."""

    def __init__(self, state: State, ports: Ports) -> None:
        self._state = state
        self._ports = ports
        self._process: subprocess.Popen[str] | None = None

    def start(self, tell: Callable[[str], None]) -> StackInfo:
        """Starts the stack, telling each part that comes up in one line. Raises `PartError`."""
        self._state.make()
        # Not the starter's own stderr: whoever reads that to its end would wait for a stack that is kept.
        with (self._state.folder / "supervisor.log").open("w") as log:
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
                return StackInfo(**event["ready"])
            tell(event["part"])
        raise PartError(f"the supervisor ended before the stack was up; see {self._state.folder / 'supervisor.log'}")

    def _port_options(self) -> list[str]:
        return [f"--{name.replace('_', '-')}-port={port}" for name, port in self._ports._asdict().items()]

    def keep(self) -> None:
        """Lets the stack run on without its starter."""
        if self._process is not None and self._process.stdin is not None:
            self._process.stdin.write("keep\n")
            self._process.stdin.close()
            # It goes on by itself: nobody is left to wait for it.
            self._process.returncode = 0
            self._process = None

    def __enter__(self) -> "StackProcess":
        return self

    def __exit__(self, *raised: object) -> None:
        if self._process is None:
            return
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()
        self._process.wait(STOP_SECONDS)
        self._process = None


def stop_running(state: State) -> bool:
    """Stops the stack that was kept, and waits for all of its parts; False where none runs."""
    info = state.running()
    if info is None:
        return False
    os.kill(info.pid, signal.SIGTERM)
    deadline = time.monotonic() + STOP_SECONDS
    # It is withdrawn first of all: whether its parts have ended shows by the folder, which it holds to its end.
    while not state.is_free():
        if time.monotonic() > deadline:
            raise PartError(f"the stack (process {info.pid}) does not stop; its logs are in {state.folder}")
        time.sleep(0.1)
    return True


class Supervisor:
    """Runs the parts in order, and stops them in reverse."""

    def __init__(self, state: State, ports: Ports) -> None:
        self._state = state
        self._ports = ports
        self._children: list[Child] = []
        self._environment: dict[str, str] = {}

    def run(self) -> None:
        """Until stdin closes without `keep`, a signal comes, or a part dies."""
        with ExitStack() as parts:
            info = self._start(parts)
            parts.callback(self._state.withdraw)
            self._state.publish(info)
            _tell({"ready": info._asdict()})
            self._watch()

    def _start(self, parts: ExitStack) -> StackInfo:
        folder = self._state.folder
        postgres = parts.enter_context(EmbeddedPostgres(folder / "postgres", port=self._ports.postgres))
        self._children.append(postgres.child)
        url = postgres.create_database(DATABASE)
        _tell({"part": f"PostgreSQL at {url.rpartition('@')[2]}"})
        temporal = parts.enter_context(
            EmbeddedTemporal(folder / "temporal", port=self._ports.temporal, ui_port=self._ports.temporal_ui)
        )
        self._children.append(temporal.child)
        _tell({"part": f"Temporal at {temporal.address}, its web UI at {temporal.ui_url}"})
        graph = self._start_graph(parts)
        _tell({"part": f"simulated Graph at {graph['base_url']} with {len(graph['tenants'])} tenants"})
        self._environment = {
            "DATABASE_URL": url,
            "TEMPORAL_ADDRESS": temporal.address,
            "GRAPH_BASE_URL": graph["base_url"],
            "GRAPH_AUTHORITY_URL": graph["authority_url"],
            "GRAPH_CA_FILE": graph["ca_file"],
            "TENANTS_FILE": str(self._state.tenants_file),
        }
        self._migrate()
        self._start_worker(parts)
        _tell({"part": "a worker"})
        return StackInfo(
            pid=os.getpid(),
            temporal_ui_url=temporal.ui_url,
            environment=self._environment,
            control_url=graph["control_url"],
            control_key_file=graph["control_key_file"],
            tenants=[tenant["name"] for tenant in graph["tenants"]],
        )

    def _start_graph(self, parts: ExitStack) -> dict[str, Any]:
        folder = self._state.folder / "graph"
        child = Child(
            "the simulated Graph",
            [
                sys.executable,
                "-m",
                "local.simulated_graph",
                f"--state={folder}",
                f"--port={self._ports.graph}",
                f"--tenants={TENANTS}",
                f"--generation={max(self._state.generation(), 0)}",
            ],
            log=folder / "log",
            environment={"PYTHONPATH": str(CHECKOUT)},
            capture_stdout=True,
        )
        parts.callback(child.stop)
        self._children.append(child)
        graph: dict[str, Any] = json.loads(child.first_line())
        self._state.write_tenants(graph["tenants"])
        return graph

    def _migrate(self) -> None:
        done = subprocess.run(
            [sys.executable, "starter.py", "database", "upgrade"],
            cwd=CHECKOUT,
            env={**os.environ, **self._environment},
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            raise PartError(f"the migrations failed: {done.stderr.strip()}")

    def _start_worker(self, parts: ExitStack) -> None:
        log = self._state.folder / "worker.log"
        log.unlink(missing_ok=True)
        child = Child(
            "the worker",
            [sys.executable, str(CHECKOUT / "worker.py")],
            log=log,
            environment=self._environment,
        )
        parts.callback(child.stop)
        self._children.append(child)
        child.wait_until(lambda: "worker ready" in log.read_text(errors="replace"))

    def _watch(self) -> None:
        """Raises `PartError` when a part dies."""
        kept = False
        while True:
            for child in self._children:
                if not child.running():
                    raise child.failure()
            if kept:
                time.sleep(0.5)
            elif select.select([sys.stdin], [], [], 0.5)[0]:
                if sys.stdin.readline().strip() != "keep":
                    return
                kept = True


def _tell(event: dict[str, Any]) -> None:
    print(json.dumps(event), flush=True)


def _unwind(*_: object) -> NoReturn:
    """Stops the parts in reverse, wherever the supervisor is, and is not to be hurried by further signals."""
    for number in STOP_SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    sys.exit(0)


def main() -> None:
    """The supervisor's command line."""
    parser = argparse.ArgumentParser(prog="python -m local.stack", description="The embedded stack's supervisor.")
    parser.add_argument("--state", type=Path, required=True, help="the folder that holds everything")
    for name in Ports._fields:
        parser.add_argument(f"--{name.replace('_', '-')}-port", dest=name, type=int, default=0, help="0: a free one")
    arguments = parser.parse_args()
    state = State(arguments.state)
    ports = Ports(**{name: getattr(arguments, name) for name in Ports._fields})
    for number in STOP_SIGNALS:
        signal.signal(number, _unwind)
    with state.held() as free:
        if not free:
            _tell({"failed": f"another stack runs in {state.folder}; stop it: python starter.py demo --stop"})
            sys.exit(1)
        try:
            Supervisor(state, ports).run()
        except PartError as error:
            # Into the supervisor's log as well: nobody listens any more to a stack that was kept.
            print(error, file=sys.stderr)
            with suppress(BrokenPipeError):
                _tell({"failed": str(error)})
            sys.exit(1)


if __name__ == "__main__":
    main()
