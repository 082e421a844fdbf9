"""Buffers answers, in memory or a private temporary file (TMPDIR), until their transaction has ended.

While a reader such as a pager pauses, an open transaction would hold back VACUUM for all tenants.
"""

import io
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout
from tempfile import SpooledTemporaryFile
from typing import IO, NamedTuple, TextIO

import orjson

from inventory.user_errors import UnavailableError

IN_MEMORY_BYTES = 1024 * 1024
"""Shorter answers never reach the disk."""


@contextmanager
def printed_afterwards(print_heading: Callable[[str | None], None] | None = None) -> Iterator[None]:
    """Prints the body's output at its end; nothing if the body raises.

    `print_heading` is called before any output, with the line if there is only one.
    """
    stdout = sys.stdout
    with SpooledTemporaryFile(IN_MEMORY_BYTES, "w+", encoding="utf-8", errors="surrogatepass", newline="") as spool:
        with redirect_stdout(_SpoolStream(spool, stdout)):
            yield
        spool.seek(0)
        if print_heading is not None and (line := spool.readline()):
            print_heading(None if spool.read(1) else line.rstrip("\n"))
            spool.seek(0)
        shutil.copyfileobj(spool, stdout)


class StandIn(io.TextIOBase):
    """A stream in place of another, with its properties."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    @property
    def encoding(self) -> str:  # type: ignore[override]
        return self._stream.encoding

    def isatty(self) -> bool:
        return self._stream.isatty()

    def fileno(self) -> int:
        return self._stream.fileno()

    def writable(self) -> bool:
        return True


class _SpoolStream(StandIn):
    def __init__(self, spool: IO[str], stream: TextIO) -> None:
        super().__init__(stream)
        self._spool = spool

    def write(self, text: str) -> int:
        with _no_room():
            return self._spool.write(text)


class KeptDocument(NamedTuple):
    type_key: str
    external_id: str
    display_name: str | None
    document: bytes


class DocumentSpool:
    """Buffers documents: `add` each, then iterate."""

    def __init__(self) -> None:
        self._file = SpooledTemporaryFile(IN_MEMORY_BYTES)  # noqa: SIM115 - closed by `__exit__`

    def __enter__(self) -> "DocumentSpool":
        return self

    def __exit__(self, *raised: object) -> None:
        self._file.close()

    def add(self, entry: KeptDocument) -> None:
        *item, document = entry
        with _no_room():
            self._file.write(orjson.dumps([*item, len(document)]) + b"\n")
            self._file.write(document)

    def __iter__(self) -> Iterator[KeptDocument]:
        self._file.seek(0)
        while line := self._file.readline():
            type_key, external_id, display_name, length = orjson.loads(line)
            yield KeptDocument(type_key, external_id, display_name, self._file.read(length))


@contextmanager
def _no_room() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise UnavailableError(
            f"the answer cannot be buffered: {error.strerror}; set TMPDIR to a folder with free space"
        ) from None
