"""Commands and workers as forks of one process that has imported them: imports are most of their cost.

They are separate processes, with arguments, environment, folder, output and exit code like a user's. Programs started
by a shell are tested in `tests/local_stack`, and by other tests that start a process themselves.
"""

import ctypes
import gc
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from pathlib import Path

from cli.app import COMMANDS
from local.guarded_process import PR_SET_PDEATHSIG
from local.processes import GRACE_SECONDS, PartError
from tests.deadlines import DEADLINE_SECONDS, PAUSE_SECONDS

CHECKOUT = Path(__file__).resolve().parents[1]

_SERVER = multiprocessing.get_context("forkserver")
_SERVER.set_forkserver_preload(
    [
        "tests.no_garbage_collection",
        "tests.forks",
        "worker",
        "starter",
        *{place.partition(":")[0] for place in COMMANDS.values()},
        "tests.preloaded_modules",
    ]
)


class Fork:
    """One running program of the checkout, such as `worker.py`. It never outlives the tests."""

    def __init__(
        self,
        program: str,
        arguments: Sequence[str] = (),
        *,
        environment: Mapping[str, str],
        folder: Path,
        stdout: Path,
        stderr: Path,
    ) -> None:
        """Starts it in `folder`. Its output goes to the two files, which may be the same."""
        self._program = program
        self._stderr = stderr
        for path in (stdout, stderr):
            path.touch()
        self._process = _SERVER.Process(
            target=_become, args=(program, list(arguments), {**os.environ, **environment}, folder, stdout, stderr)
        )
        self._process.start()

    @property
    def pid(self) -> int:
        """Its process id."""
        assert self._process.pid is not None
        return self._process.pid

    def running(self) -> bool:
        """Whether it still runs."""
        return self._process.is_alive()

    def wait(self, timeout_seconds: float = DEADLINE_SECONDS) -> int:
        """Its exit code, once it has ended. After the timeout, kills it and raises `subprocess.TimeoutExpired`."""
        try:
            self._process.join(timeout_seconds)
        finally:
            code = self._process.exitcode
            if code is None:
                self._process.kill()
                self._process.join()
        if code is None:
            raise subprocess.TimeoutExpired(self._program, timeout_seconds)
        return code

    def wait_until(self, ready: Callable[[], bool]) -> None:
        """Waits for a condition. Raises `PartError` if the program ends first or the condition never comes."""
        deadline = time.monotonic() + DEADLINE_SECONDS
        try:
            while not ready():
                if not self.running() or time.monotonic() > deadline:
                    raise PartError(f"{self._program} does not get ready: {self._stderr.read_text()}")
                time.sleep(PAUSE_SECONDS)
        except BaseException:
            self.stop()
            raise

    def ask_to_stop(self) -> None:
        """Asks it to stop, without waiting for it."""
        if self.running():
            self._process.terminate()

    def stop(self) -> None:
        """Asks it to stop, and kills it if it does not within its grace."""
        self.ask_to_stop()
        self._process.join(GRACE_SECONDS)
        if self.running():
            self._process.kill()
        self._process.join()


def _become(
    program: str, arguments: list[str], environment: dict[str, str], folder: Path, stdout: Path, stderr: Path
) -> None:
    """Runs the program in this process, a fork that serves only this program."""
    gc.freeze()  # The garbage collector would write to, and so copy, all pages that the fork shares.
    gc.enable()
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
    os.environ.clear()
    os.environ.update(environment)
    time.tzset()
    os.chdir(folder)
    os.setpgid(0, 0)
    for number, path in ((0, Path(os.devnull)), (1, stdout), (2, stderr)):
        opened = os.open(path, os.O_RDONLY if number == 0 else os.O_WRONLY | os.O_APPEND)
        os.dup2(opened, number)
        os.close(opened)
    sys.stdin, sys.stdout = open(0, closefd=False), open(1, "w", closefd=False)  # noqa: SIM115 - the process's own
    sys.stderr = open(2, "w", buffering=1, closefd=False, errors="backslashreplace")  # noqa: SIM115
    sys.argv = [str(CHECKOUT / program), *arguments]
    import_module(program.removesuffix(".py")).main()
