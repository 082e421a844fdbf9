"""`--html FILE`: an answer as a page, written whole or not at all."""

import os
from pathlib import Path
from tempfile import mkstemp
from typing import Annotated

import typer

from answers.pages import MOST
from cli import output
from cli.errors import UsageError, disk_is_full
from cli.output_options import output_options
from graph.catalog import load_catalog
from inventory.user_errors import UnavailableError

HtmlOption = Annotated[
    Path | None,
    typer.Option("--html", metavar="FILE", help="Write a self-contained HTML report, for a browser or paper."),
]


def check_html(path: Path | None) -> None:
    """Raises `UsageError` if the file cannot be written, or the output is `--json` or `--csv`."""
    if path is None:
        return
    if output_options().is_data:
        raise UsageError("--html writes a page, --json and --csv print records: give one of them")
    if path.is_dir():
        raise UsageError(f"--html: {path} is a folder; name a file")
    if path.exists() and not path.is_file():
        raise UsageError(f"--html: {path} is not a regular file; name another")
    if not path.absolute().parent.is_dir():
        raise UsageError(f"--html: there is no folder {path.absolute().parent}")


def check_count(count: int) -> None:
    """Raises `UsageError` if the page would be too long to read."""
    if count > MOST:
        raise UsageError(f"--html: a page holds {MOST:,} entries at most; narrow it by --since, --type or --limit")


def collection_titles() -> dict[str, str]:
    return {key: collection.title for key, collection in load_catalog().collections.items()}


def write_html(path: Path, page: str) -> None:
    """Creates or replaces the file, following links. Raises `UsageError`, or `UnavailableError` if the disk is full.

    Only the owner can read a new file. A replaced one keeps its mode.
    """
    try:
        target = path.resolve()
        handle, beside = mkstemp(dir=target.parent, prefix=f".{target.name[:100]}.")
        try:
            with os.fdopen(handle, "w", encoding="utf-8", newline="\n") as file:
                file.write(page)
            if target.exists():
                Path(beside).chmod(target.stat().st_mode & 0o777)
            Path(beside).replace(target)
        except BaseException:
            Path(beside).unlink(missing_ok=True)
            raise
    except OSError as error:
        if (full := disk_is_full(error, str(path))) is not None:
            raise UnavailableError(full) from None
        raise UsageError(f"--html: {path} cannot be written: {error.strerror}") from None
    output.stderr.print(f"written to {path}", style="dim")
