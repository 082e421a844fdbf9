"""`--html FILE`: an answer as a page, written as a whole or not at all."""

import os
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Annotated

import typer

from commands import output
from commands.errors import UsageError
from reports.pages import MOST

HtmlOption = Annotated[
    Path | None,
    typer.Option("--html", metavar="FILE", help="Write a self-contained HTML report, for a browser or paper."),
]


def check_html(path: Path | None, *, as_json: bool) -> None:
    """Refuses what cannot be written to, before anything is asked. Raises `UsageError`."""
    if path is None:
        return
    if as_json:
        raise UsageError("--html writes a page and --json prints lines: give one of them")
    if path.is_dir():
        raise UsageError(f"--html: {path} is a folder; name a file")
    if not path.absolute().parent.is_dir():
        raise UsageError(f"--html: there is no folder {path.absolute().parent}")


def check_count(found: int) -> None:
    """Refuses a page that nobody could read. Raises `UsageError`."""
    if found > MOST:
        raise UsageError(f"--html: a page holds {MOST:,} entries at most; ask for less, by --since, --type or --limit")


def write_html(path: Path, page: str) -> None:
    """Puts the page in the place of the file, and says where. Raises `UsageError` where it cannot."""
    try:
        with NamedTemporaryFile("w", encoding="utf-8", dir=path.absolute().parent, delete=False) as file:
            file.write(page)
        Path(file.name).chmod(0o644)
        os.replace(file.name, path)  # noqa: PTH105 - the path's own replace takes the same
    except OSError as error:
        raise UsageError(f"--html: {path} cannot be written: {error.strerror}") from None
    output.stderr.print(f"written to {path}", style="dim", markup=False)
