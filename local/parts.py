"""The product's own programs as parts of the stack."""

import json
import signal
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from local.processes import Child, Part, free_port

CHECKOUT = Path(__file__).resolve().parents[1]


class GraphPart(Part):
    """Keeps its certificate authority and control key in `folder`."""

    name = "the simulated Graph"

    def __init__(
        self, folder: Path, *, port: int, tenants: int, generation_file: Path, inherited: Sequence[int]
    ) -> None:
        self._folder = folder
        self._port = port
        self._tenants = tenants
        self._generation_file = generation_file
        self._inherited = inherited
        self.ready: Mapping[str, Any] = {}
        """The program's first line: addresses, and tenants with credentials."""

    def start(self) -> None:
        generation = self._generation_file.read_text() if self._generation_file.exists() else "0"
        self._child = Child(
            self.name,
            [
                sys.executable,
                "-m",
                "local.simulated_graph",
                f"--state={self._folder}",
                f"--port={free_port(self._port)}",
                f"--tenants={self._tenants}",
                f"--generation={generation}",
                "--alike",
            ],
            log=self._folder / "log",
            environment={"PYTHONPATH": str(CHECKOUT)},
            capture_stdout=True,
            inherited=self._inherited,
        )
        self.ready = json.loads(self._child.first_line())
        self._port = urlsplit(self.ready["base_url"]).port or 0


class WorkerPart(Part):
    name = "the worker"

    def __init__(self, log: Path, environment: Mapping[str, str], inherited: Sequence[int]) -> None:
        self._log = log
        self._inherited = inherited
        self._environment = environment

    def start(self) -> None:
        logged = self._log.stat().st_size if self._log.exists() else 0
        self._child = Child(
            self.name,
            [sys.executable, str(CHECKOUT / "worker.py")],
            log=self._log,
            environment=self._environment,
            # A graceful stop would wait half a minute for activities whose results Temporal can no longer receive.
            death_signal=signal.SIGKILL,
            inherited=self._inherited,
        )
        self._child.wait_until(lambda: b"worker ready" in self._log.read_bytes()[logged:])


class WebPart(Part):
    name = "the web page"

    def __init__(self, log: Path, environment: Mapping[str, str], port: int, inherited: Sequence[int]) -> None:
        self._log = log
        self._environment = environment
        self._port = port
        self._inherited = inherited
        self.url = ""

    def start(self) -> None:
        self._child = Child(
            self.name,
            [sys.executable, str(CHECKOUT / "starter.py"), "web", f"--port={free_port(self._port)}", "--json"],
            log=self._log,
            environment=self._environment,
            capture_stdout=True,
            inherited=self._inherited,
        )
        self.url = json.loads(self._child.first_line())["url"]
        self._port = urlsplit(self.url).port or 0
