"""A pager for long answers on a terminal: PAGER, else `less`."""

import os
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout, suppress
from typing import TextIO

from cli.spool import StandIn

LESS = "FRX"
"""Default options of `less`: quit if the text fits, show colours, leave the text on the screen."""


@contextmanager
def paged() -> Iterator[None]:
    """Pages the body's output once it is longer than the screen.

    Raises `BrokenPipeError` in the body if the person has left the pager.
    """
    stream = _PagedStream(sys.stdout)
    try:
        with redirect_stdout(stream):
            yield
    finally:
        stream.end()


class _PagedStream(StandIn):
    def __init__(self, stream: TextIO) -> None:
        super().__init__(stream)
        self._buffered = ""
        self._pager: _Pager | None = None
        self._is_open = False

    def write(self, text: str) -> int:
        if self._is_open:
            self._show(text)
        else:
            self._buffered += text
            if not _fits(self._buffered):
                self._is_open = True
                self._pager = _Pager.opened()
                self._show(self._buffered)
        return len(text)

    def end(self) -> None:
        """Waits until the person leaves the pager."""
        if not self._is_open:
            self._stream.write(self._buffered)
        self._stream.flush()
        if self._pager is not None:
            self._pager.close()

    def _show(self, text: str) -> None:
        if self._pager is None:
            self._stream.write(text)
        else:
            self._pager.write(text)


class _Pager:
    def __init__(self, process: "subprocess.Popen[bytes]") -> None:
        self._process = process
        self._before = signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the pager's

    @classmethod
    def opened(cls) -> "_Pager | None":
        environment = {"LESS": LESS, **os.environ}
        try:
            words = shlex.split(os.environ.get("PAGER", "less"))
            if not words or shutil.which(words[0]) is None:
                return None
            return cls(subprocess.Popen(words, stdin=subprocess.PIPE, env=environment))  # noqa: S603 - their own choice
        except (OSError, ValueError):  # ValueError: a quotation has no end
            return None

    def write(self, text: str) -> None:
        if self._process.stdin is not None:
            self._process.stdin.write(text.encode("utf-8", "surrogatepass"))
            self._process.stdin.flush()

    def close(self) -> None:
        try:
            with suppress(BrokenPipeError):  # the person left before the end
                self._process.communicate()
        finally:
            signal.signal(signal.SIGINT, self._before)


def _fits(text: str) -> bool:
    return text.count("\n") < shutil.get_terminal_size().lines - 1
