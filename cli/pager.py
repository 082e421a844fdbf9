"""A pager for answers on a terminal: PAGER, else `less`. An answer that fits on the screen is shown as it is."""

import io
import os
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout, suppress

LESS = "FRX"
"""Options of `less` where LESS is not set: quit if it fits on the screen, show colours, leave the text standing."""


@contextmanager
def paged() -> Iterator[None]:
    """Gives the body's output to the pager, even if the body raises."""
    shown = sys.stdout
    kept = _Kept(shown.encoding)
    try:
        with redirect_stdout(kept):
            yield
    finally:
        text = kept.getvalue()
        if _fits(text) or not _page(text):
            shown.write(text)
            shown.flush()


class _Kept(io.StringIO):
    """Text that is kept for a terminal."""

    def __init__(self, encoding: str) -> None:
        super().__init__()
        self._encoding = encoding

    @property
    def encoding(self) -> str:  # type: ignore[override]
        """Of the terminal."""
        return self._encoding

    def isatty(self) -> bool:
        """It is for one."""
        return True


def _fits(text: str) -> bool:
    """Whether the text leaves room for the prompt on the screen."""
    return text.count("\n") < shutil.get_terminal_size().lines - 1


def _page(text: str) -> bool:
    """Shows the text in the pager until the person leaves it; False where there is no pager."""
    words = shlex.split(os.environ.get("PAGER", "less"))
    if not words or shutil.which(words[0]) is None:
        return False
    environment = {"LESS": LESS, **os.environ}
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the pager's
    try:
        pager = subprocess.Popen(words, stdin=subprocess.PIPE, env=environment)  # noqa: S603 - the user's own choice
        with suppress(BrokenPipeError):  # left before its end
            pager.communicate(text.encode("utf-8", "surrogatepass"))
        pager.wait()
    except OSError:
        return False
    finally:
        signal.signal(signal.SIGINT, before)
    return True
