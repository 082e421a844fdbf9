"""The exit of a command's process."""

import logging
import os
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from io import TextIOWrapper
from pathlib import Path
from types import FrameType
from typing import NoReturn

INTERRUPTED = 130
"""Typer's exit code for Ctrl-C while it loads or parses a command."""

GROUP_AND_OTHERS = 0o077
"""The permission bits of group and others."""


def end_when_interrupted() -> None:
    """From now on, Ctrl-C ends the process at once with one line.

    An exception while modules load would be shown with its traceback, or ignored in a callback of the importer.
    """
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, _end)


def raise_when_interrupted() -> None:
    """Undoes `end_when_interrupted`, so that a command can clean up."""
    if signal.getsignal(signal.SIGINT) is _end:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def _end(_number: int, _frame: FrameType | None) -> NoReturn:
    with suppress(OSError):  # stderr is closed
        os.write(2, b"error: interrupted\n")
    os._exit(1)


def run_to_exit(command: Callable[[], object]) -> NoReturn:
    """Runs `command` and ends the process with its exit code, without finalizing the interpreter.

    Threads of Temporal's SDK outlive its clients, and crash a process that is finalizing: 53 of 720 short commands
    (temporalio/sdk-python#300). So `command` cleans up itself; no `atexit` function is called.

    New files, which may hold a tenant's configuration, get permissions for their owner only.
    """
    os.umask(os.umask(GROUP_AND_OTHERS) | GROUP_AND_OTHERS)
    _prepare_streams()
    try:
        command()
        code = 0
    except SystemExit as error:
        code = _exit_code(error)
    except KeyboardInterrupt:
        code = _exit_code(SystemExit(INTERRUPTED))
    except BaseException:  # noqa: BLE001 - shows any exception, as Python does
        sys.excepthook(*sys.exc_info())
        code = 1
    end_when_interrupted()
    logging.shutdown()
    os._exit(_flushed(code))


def _prepare_streams() -> None:
    """Python has None for a stream that the shell has closed (`>&-`), and the next opened file would get its number."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, Path(os.devnull).open(mode))  # noqa: SIM115 - stays open
    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # A character that the locale lacks ends no answer.


def _exit_code(error: SystemExit) -> int:
    if error.code == INTERRUPTED:
        error = SystemExit("error: interrupted")
    if error.code is None or isinstance(error.code, int):
        return error.code or 0
    print(error.code, file=sys.stderr)
    return 1


def _flushed(code: int) -> int:
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except BrokenPipeError:
            pass  # The reader has left, as `| head` does.
        except OSError as error:
            if not code:
                print(f"error: {error.strerror}", file=sys.stderr)
            code = code or 1
    return code
