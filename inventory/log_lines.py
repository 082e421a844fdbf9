"""Log lines: nothing in a record begins another line or steers a terminal."""

import json
import logging
import sys
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import PurePath
from types import TracebackType

from inventory.visible_text import visible

FORMAT = "%(asctime)s %(levelname)s %(name)s %(message)s"

WORKFLOW_FIELDS = ("workflow_id", "workflow_type", "attempt")
"""Fields that the SDK adds to workflows' records."""

_context: ContextVar[Mapping[str, str | int]] = ContextVar("log_context", default={})  # noqa: B039 - it is never changed

_ErrorInfo = tuple[type[BaseException], BaseException, TracebackType | None] | tuple[None, None, None]


class LogFormat(StrEnum):
    TEXT = "text"
    JSON = "json"


def log_handler(log_format: LogFormat) -> logging.Handler:
    """Writes to stderr."""
    lines = logging.StreamHandler(sys.stderr)
    lines.setFormatter(JsonLine() if log_format is LogFormat.JSON else OneLine(FORMAT))
    return lines


@contextmanager
def log_context(fields: Mapping[str, str | int]) -> Iterator[None]:
    """Adds fields to JSON records of this task, whichever library logs them."""
    token = _context.set(fields)
    try:
        yield
    finally:
        _context.reset(token)


class JsonLine(logging.Formatter):
    """Writes one ASCII JSON object for each record; its `exception` has the traceback."""

    def format(self, record: logging.LogRecord) -> str:
        workflow = getattr(record, "temporal_workflow", None) or {}
        fields = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
            **{name: workflow[name] for name in WORKFLOW_FIELDS if name in workflow},
            **_context.get(),
        }
        if record.exc_info:
            fields["exception"] = self.formatException(record.exc_info)
        if record.stack_info:
            fields["stack"] = self.formatStack(record.stack_info)
        return json.dumps(fields)


class OneLine(logging.Formatter):
    """Writes one line for each record; indented lines of a traceback follow."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - the base class names it so
        return visible(super().formatMessage(record))

    def formatException(self, ei: _ErrorInfo) -> str:  # noqa: N802 - the base class names it so
        return _indented(super().formatException(ei))

    def formatStack(self, stack_info: str) -> str:  # noqa: N802 - the base class names it so
        return _indented(super().formatStack(stack_info))


def _indented(lines: str) -> str:
    return "\n".join(f"  {visible(line, keep=chr(9))}" for line in lines.split("\n"))


def place_of(error: BaseException) -> str:
    """The frames in which an exception was raised, innermost first, without its message, which may quote a document."""
    frames = traceback.extract_tb(error.__traceback__)
    return " < ".join(f"{PurePath(frame.filename).name}:{frame.lineno}" for frame in reversed(frames[-4:]))


class WithoutQuotes(logging.Filter):
    """Replaces tracebacks by the exception's type and place, for libraries that log any exception."""

    def filter(self, record: logging.LogRecord) -> bool:
        error = record.exc_info[1] if record.exc_info else None
        if error is not None:
            record.msg = f"{record.getMessage().strip()}: {type(error).__name__} at {place_of(error)}"
            record.args, record.exc_info = None, None
        return True
