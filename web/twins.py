"""Answers for programs: CSV files, and the next page in a `Link` header (RFC 8288)."""

import re
from collections.abc import AsyncIterable, Iterable, Iterator
from tempfile import SpooledTemporaryFile
from typing import IO, Annotated

from fastapi import Query, Request, Response
from fastapi.responses import StreamingResponse
from pydantic import BaseModel

from answers.csv_rows import csv_line, fields_of, flat
from inventory.user_errors import UserError

MOST_ROWS = 50_000
"""The most rows of a file: more would take too long."""

IN_MEMORY_BYTES = 1024 * 1024
"""Shorter files never reach the disk."""

BLOCK_BYTES = 64 * 1024


Limit = Annotated[int, Query(ge=1, le=1000)]


class TooManyRowsError(UserError):
    """The file would have more than `MOST_ROWS` rows."""


def csv_file(name: str, record: type[BaseModel], rows: Iterable[BaseModel]) -> Response:
    """Records as commands print them with `--csv`."""
    fields = fields_of(record)
    lines = [csv_line(fields)]
    for row in rows:
        values = flat(row)
        lines.append(csv_line([values.get(field) for field in fields]))
    return Response("".join(lines), media_type="text/csv; charset=utf-8", headers=as_download(f"{name}.csv"))


async def whole_csv_file(name: str, record: type[BaseModel], rows: AsyncIterable[BaseModel]) -> StreamingResponse:
    """The rows of type `record`. Raises `TooManyRowsError`.

    Writes all before it sends any, so that a slow reader keeps no transaction open.
    """
    fields = fields_of(record)
    file = SpooledTemporaryFile(IN_MEMORY_BYTES)  # noqa: SIM115 - closed when it has been sent
    try:
        file.write(csv_line(fields).encode())
        written = 0
        async for row in rows:
            if not isinstance(row, record):
                continue
            written += 1
            if written > MOST_ROWS:
                raise TooManyRowsError(
                    f"the file would have more than {MOST_ROWS:,} rows; filter them, or use --csv on the command line"
                )
            values = flat(row)
            file.write(csv_line([values.get(field) for field in fields]).encode())
    except BaseException:
        file.close()
        raise
    return StreamingResponse(blocks(file), media_type="text/csv; charset=utf-8", headers=as_download(f"{name}.csv"))


def blocks(file: IO[bytes]) -> Iterator[bytes]:
    """Yields the content in blocks, then closes the file."""
    with file:
        file.seek(0)
        while block := file.read(BLOCK_BYTES):
            yield block


def as_download(name: str) -> dict[str, str]:
    safe = re.sub(r"[^A-Za-z0-9._-]+", "-", name).strip("-.") or "file"
    return {"Content-Disposition": f'attachment; filename="{safe}"'}


def say_next(response: Response, request: Request, after: str | None) -> None:
    """Names the next page, if any, in the header `Link`."""
    if after is not None:
        url = request.url.include_query_params(after=after)
        response.headers["Link"] = f'<{url.path}?{url.query}>; rel="next"'
