"""The same records as files for programs: CSV, and the address of the next page in a `Link` header (RFC 8288)."""

from collections.abc import Iterable

from fastapi import Request, Response
from pydantic import BaseModel

from answers.csv_rows import csv_line, fields_of, flat


def csv_file(name: str, record: type[BaseModel], rows: Iterable[BaseModel]) -> Response:
    """Records as a CSV file of this name, as commands print them with `--csv`."""
    fields = fields_of(record)
    lines = [csv_line(fields)]
    for row in rows:
        values = flat(row)
        lines.append(csv_line([values.get(field) for field in fields]))
    headers = {"Content-Disposition": f'attachment; filename="{name}.csv"'}
    return Response("".join(lines), media_type="text/csv; charset=utf-8", headers=headers)


def say_next(response: Response, request: Request, after: str | None) -> None:
    """Names the next page in the answer's headers, where there is one."""
    if after is not None:
        url = request.url.include_query_params(after=after)
        response.headers["Link"] = f'<{url.path}?{url.query}>; rel="next"'
