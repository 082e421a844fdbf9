"""The start and the end of a command's process."""

import logging
import os
import sys
from collections.abc import Callable
from typing import NoReturn

BROKEN_PIPE = 120
"""Python's own exit code for undeliverable output."""


OTHERS = 0o077
"""The permissions of group and others."""


def run_to_exit(command: Callable[[], object]) -> NoReturn:
    """Runs `command` and ends the process with its exit code, without taking the interpreter apart.

    Threads of Temporal's SDK outlive its clients, and one that then needs Python crashes the process: 53 of 720 short
    commands, none with this (temporalio/sdk-python#300). So `command` cleans up itself; `atexit` functions are not
    called.

    New files are for their owner alone: they tell a tenant's configuration.
    """
    os.umask(os.umask(OTHERS) | OTHERS)
    try:
        command()
        code = 0
    except SystemExit as error:
        code = _exit_code(error)
    except BaseException:  # noqa: BLE001 - whatever it is, it is shown as Python would
        sys.excepthook(*sys.exc_info())
        code = 1
    logging.shutdown()
    os._exit(_flushed(code))


def _exit_code(error: SystemExit) -> int:
    if error.code is None or isinstance(error.code, int):
        return error.code or 0
    print(error.code, file=sys.stderr)
    return 1


def _flushed(code: int) -> int:
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            code = code or BROKEN_PIPE
    return code
