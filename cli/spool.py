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
    shown = sys.stdout
    with SpooledTemporaryFile(IN_MEMORY_BYTES, "w+", encoding="utf-8", errors="surrogatepass", newline="") as kept:
        with redirect_stdout(_Kept(kept, shown)):
            yield
        kept.seek(0)
        if print_heading is not None and (line := kept.readline()):
            print_heading(None if kept.read(1) else line.rstrip("\n"))
            kept.seek(0)
        shutil.copyfileobj(kept, shown)


class StandIn(io.TextIOBase):
    """A stream in place of `shown`, with its properties."""

    def __init__(self, shown: TextIO) -> None:
        self._shown = shown

    @property
    def encoding(self) -> str:  # type: ignore[override]
        return self._shown.encoding

    def isatty(self) -> bool:
        return self._shown.isatty()

    def fileno(self) -> int:
        return self._shown.fileno()

    def writable(self) -> bool:
        return True


class _Kept(StandIn):
    def __init__(self, kept: IO[str], shown: TextIO) -> None:
        super().__init__(shown)
        self._kept = kept

    def write(self, text: str) -> int:
        with _no_room():
            return self._kept.write(text)


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

    def add(self, kept: KeptDocument) -> None:
        *item, document = kept
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
