"""Records as a CSV file to download: the fields of `--json`, as `--csv` writes them."""

import re
from collections.abc import AsyncIterable, AsyncIterator, Iterable, Iterator
from tempfile import SpooledTemporaryFile
from typing import IO, TypeVar

from fastapi.responses import StreamingResponse
from pydantic import BaseModel

from answers.csv_rows import csv_line, fields_of, flat
from inventory.user_errors import UserError

RecordT = TypeVar("RecordT", bound=BaseModel)

MOST = 50_000
"""Rows of a file. More of them take longer than anybody waits for a page."""

IN_MEMORY_BYTES = 1024 * 1024
"""A file that is no longer never reaches the disk."""

BLOCK_BYTES = 64 * 1024


class CsvFile(StreamingResponse):
    """A CSV file to download."""

    media_type = "text/csv"


class TooManyRowsError(UserError):
    """The file would have more rows than a page gives out."""


async def csv_file(name: str, record: type[BaseModel], records: AsyncIterable[BaseModel]) -> CsvFile:
    """The file of these records; rows of other types are left out. Raises `TooManyRowsError`.

    It is written before it is sent, so that whoever reads slowly keeps no transaction open.
    """
    fields = fields_of(record)
    file = SpooledTemporaryFile(IN_MEMORY_BYTES)  # noqa: SIM115 - closed when it has been sent
    try:
        file.write(csv_line(fields).encode())
        rows = 0
        async for row in records:
            if not isinstance(row, record):
                continue
            rows += 1
            if rows > MOST:
                raise TooManyRowsError(
                    f"the file would have more than {MOST:,} rows; filter them, or use --csv on the command line"
                )
            values = flat(row)
            file.write(csv_line([values.get(field) for field in fields]).encode())
    except BaseException:
        file.close()
        raise
    return CsvFile(blocks(file), headers=as_download(f"{name}.csv"))


def blocks(file: IO[bytes]) -> Iterator[bytes]:
    """A file from its beginning, a block at a time; it is closed when it has been sent."""
    with file:
        file.seek(0)
        while block := file.read(BLOCK_BYTES):
            yield block


def as_download(name: str) -> dict[str, str]:
    """The headers of a file of this name."""
    safe = re.sub(r"[^A-Za-z0-9._-]+", "-", name).strip("-.") or "file"
    return {"Content-Disposition": f'attachment; filename="{safe}"'}


async def streamed(records: Iterable[RecordT]) -> AsyncIterator[RecordT]:
    """Records that are there already, as `csv_file` takes them."""
    for record in records:
        yield record
