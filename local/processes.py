"""Child processes that log to a file and do not outlive their parent (`guarded_process.py`)."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from random import Random
from typing import ClassVar, Self

GRACE_SECONDS = 60.0
"""The time to stop. On slow machines PostgreSQL needs many seconds to write its buffers."""

READY_SECONDS = 600.0
"""The time to get ready. Only a program that hangs uses it up."""

POLL_SECONDS = 0.05
ROOM_BYTES = 32 * 1024 * 1024
"""The least free space for a start: PostgreSQL recovers from a crash with new WAL files of 16 MiB."""

SERVER_PORTS = range(20_000, 32_000)
"""Below the ephemeral ports of Linux and the IANA."""

PORTS_TRIED = 100
_GUARD = Path(__file__).with_name("guarded_process.py")


class PartError(RuntimeError):
    """A part did not start, or died. The message adds the log's last lines to `outcome`."""

    def __init__(self, outcome: str, log: str = "") -> None:
        super().__init__(outcome + log)
        self.outcome = outcome


class Child:
    def __init__(
        self,
        name: str,
        program: Sequence[str | Path],
        *,
        log: Path,
        environment: Mapping[str, str] | None = None,
        user: int | None = None,
        stop_signal: signal.Signals = signal.SIGTERM,
        death_signal: signal.Signals | None = None,
        capture_stdout: bool = False,
        inherited: Sequence[int] = (),
    ) -> None:
        """Starts the program in a process group of its own, so that Ctrl-C reaches only its parent.

        `death_signal`: sent when the parent dies, by default `stop_signal`. `inherited`: file descriptors, such as a
        lock's, that stay open in the program and its children.
        """
        self.name = name
        self._started = time.monotonic()
        self._log = log
        self._stop_signal = stop_signal
        log.parent.mkdir(parents=True, exist_ok=True)
        guard = [str(os.getpid()), str(int(death_signal or stop_signal)), "-" if user is None else str(user)]
        with log.open("ab") as sink:
            self._process = subprocess.Popen(  # noqa: S603 - programs of our own wheels
                [sys.executable, "-S", "-E", _GUARD, *guard, *map(str, program)],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE if capture_stdout else sink,
                stderr=sink,
                env=None if environment is None else {**os.environ, **environment},
                process_group=0,
                pass_fds=inherited,
            )

    @property
    def pid(self) -> int:
        return self._process.pid

    def running(self) -> bool:
        return self._process.poll() is None

    def has_room(self) -> bool:
        return shutil.disk_usage(self._log.parent).free >= ROOM_BYTES

    def lived_seconds(self) -> float:
        return time.monotonic() - self._started

    def first_line(self) -> bytes:
        """The first line of captured stdout. Raises `PartError` if the program ends without it."""
        line = self._process.stdout.readline() if self._process.stdout else b""
        if not line:
            self._process.wait()
            raise self.failure()
        return line

    def wait_until(self, ready: Callable[[], bool], timeout_seconds: float = READY_SECONDS) -> None:
        """Raises `PartError`, and stops the program, if it ends first or the time runs out."""
        deadline = time.monotonic() + timeout_seconds
        try:
            while not ready():
                if not self.running() or time.monotonic() > deadline:
                    raise self.failure()
                time.sleep(POLL_SECONDS)
        except BaseException:
            self.stop()
            raise

    def failure(self) -> PartError:
        code = self._process.poll()
        if code is None:
            ending = "does not get ready"
        else:
            ending = f"was ended by {_signal_name(-code)}" if code < 0 else f"ended with status {code}"
        if not self.has_room():
            # The log is on the same disk, and may lack the reason.
            return PartError(f"{self.name} {ending}: the disk of {self._log.parent} is full; free space there")
        lines = self._log.read_text(errors="replace").splitlines()[-5:] if self._log.exists() else []
        return PartError(f"{self.name} {ending}", f"; {self._log} says: {' / '.join(lines) or 'nothing'}")

    def stop(self) -> None:
        """Kills the program if it does not stop within `GRACE_SECONDS`."""
        if self.running():
            self._process.send_signal(self._stop_signal)
            try:
                self._process.wait(GRACE_SECONDS)
            except subprocess.TimeoutExpired:
                self._process.kill()
        self._process.wait()
        if self._process.stdout is not None:
            self._process.stdout.close()


class Part(ABC):
    """A program that can be restarted at the same address. A context manager."""

    name: ClassVar[str]
    _child: Child | None = None

    @property
    def child(self) -> Child:
        """Raises `PartError` if the part was not started."""
        if self._child is None:
            raise PartError(f"{self.name} was not started")
        return self._child

    @abstractmethod
    def start(self) -> None:
        """Returns when the program is ready. Raises `PartError`."""

    def stop(self) -> None:
        if self._child is not None:
            self._child.stop()
            self._child = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *raised: object) -> None:
        self.stop()


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def free_port(fixed_port: int = 0) -> int:
    """A free TCP port of 127.0.0.1: the wanted one, or any.

    Raises `PartError` if it is taken, since another program's server would answer there.
    """
    if fixed_port:
        return _probed(fixed_port)
    for port in Random().sample(SERVER_PORTS, PORTS_TRIED):  # noqa: S311 - not a secret
        with suppress(PartError):
            return _probed(port)
    raise PartError(f"none of {PORTS_TRIED} ports of 127.0.0.1 could be had")


def _probed(port: int) -> int:
    with socket.socket() as probe:
        # As servers do, to ignore connections that have just ended.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            raise PartError(f"port {port} of 127.0.0.1 cannot be had: {os.strerror(error.errno or 0)}") from None
    return port
