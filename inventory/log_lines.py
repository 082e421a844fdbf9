"""The lines of a worker's log: each record begins one line, and nothing in it begins another or steers a terminal."""

import logging
from types import TracebackType

from inventory.visible_text import visible

FORMAT = "%(asctime)s %(levelname)s %(name)s %(message)s"

_ErrorInfo = tuple[type[BaseException], BaseException, TracebackType | None] | tuple[None, None, None]


class OneLine(logging.Formatter):
    """Formats a record on one line. Its traceback follows, each line of it indented: none passes for a record."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - the base class names it so
        """Called for the line: names and answers are cleaned here, wherever they were logged."""
        return visible(super().formatMessage(record))

    def formatException(self, ei: _ErrorInfo) -> str:  # noqa: N802 - the base class names it so
        """Called for a traceback, whose errors quote texts from elsewhere."""
        return _indented(super().formatException(ei))

    def formatStack(self, stack_info: str) -> str:  # noqa: N802 - the base class names it so
        """Called for a requested stack."""
        return _indented(super().formatStack(stack_info))


def _indented(lines: str) -> str:
    return "\n".join(f"  {visible(line, keep=chr(9))}" for line in lines.split("\n"))
