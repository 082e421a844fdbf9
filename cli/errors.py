"""Exit codes, and errors for people: one line with cause and remedy."""

import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from enum import IntEnum
from errno import EDQUOT, ENOSPC
from importlib import import_module
from shlex import quote

import typer

from inventory.user_errors import NeverReadError, UnavailableError, UserError
from inventory.visible_text import visible


class ExitCode(IntEnum):
    """Exit codes never change their meaning."""

    SUCCESS = 0
    UNEXPECTED = 1
    USAGE = 2
    PARTIAL = 3
    FAILED = 4
    CANCELLED = 5


class UsageError(UserError):
    """The message says how to use the command."""


_HINT = re.compile(r"(python starter\.py [a-z ]+) TENANT\b")


def with_tenant(message: str, tenant: str) -> str:
    """The message, whose commands name the tenant in place of TENANT."""
    return _HINT.sub(lambda hint: f"{hint[1]} {quote(tenant)}", message)


@contextmanager
def errors_for_people(tenant: str | None = None) -> Iterator[None]:
    """Turns an exception into one line on stderr and an exit code. `tenant`: as typed, for the commands of a message.

    With TENANT_INVENTORY_DEBUG, an unexpected exception keeps its traceback.
    """

    def words(error: Exception) -> str:
        return str(error) if tenant is None else with_tenant(str(error), tenant)

    try:
        yield
    except NeverReadError as error:
        fail(words(error), ExitCode.PARTIAL)
    except UserError as error:
        fail(words(error), ExitCode.USAGE)
    except UnavailableError as error:
        fail(str(error), ExitCode.UNEXPECTED)
    except KeyboardInterrupt:
        fail("interrupted", ExitCode.UNEXPECTED)
    except BrokenPipeError:
        # The reader has left, as `| head` does. Flushing the rest at exit must not fail.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise typer.Exit(ExitCode.SUCCESS) from None
    except (typer.Exit, typer.Abort):
        raise
    except Exception as error:  # noqa: BLE001 - a person gets a line, not a traceback
        fail(words_of(error), ExitCode.UNEXPECTED)


def words_of(error: Exception) -> str:
    """The message for people. With TENANT_INVENTORY_DEBUG, raises an unexpected error."""
    if isinstance(error, UserError | UnavailableError):
        return str(error)
    if (refused := _refused_by_temporal(error)) is not None:
        return refused
    if isinstance(error, OSError) and (full := disk_is_full(error)) is not None:
        return full
    if os.environ.get("TENANT_INVENTORY_DEBUG"):
        raise error
    return f"unexpected {type(error).__name__}; set TENANT_INVENTORY_DEBUG=1 and run again for the details"


def disk_is_full(error: OSError, place: str = "") -> str | None:
    """The message for people, which begins with the `place`; None if another reason kept the program from writing."""
    if error.errno not in (ENOSPC, EDQUOT):
        return None
    return f"{place}{': ' if place else ''}{error.strerror}; make room and run again"


def _refused_by_temporal(error: Exception) -> str | None:
    # Importing the SDK takes long. If it is not loaded, the error is not its.
    service = sys.modules.get("temporalio.service")
    if service is None or not isinstance(error, service.RPCError):
        return None
    return str(import_module("connections").refused_call(error))


def fail(message: str, code: ExitCode) -> None:
    """Writes one line to stderr. Raises `typer.Exit`."""
    from rich.console import Console  # takes long to load, and few commands fail

    Console(stderr=True, soft_wrap=True, highlight=False, emoji=False).print(
        "error:", visible(message), style="red", markup=False
    )
    raise typer.Exit(code) from None
