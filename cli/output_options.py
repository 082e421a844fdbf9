"""Options such as `--json` and `--csv`: decorators add them to commands, and printing functions look them up."""

import inspect
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from contextvars import ContextVar
from dataclasses import dataclass, field
from functools import wraps
from typing import Annotated, Any, TypeVar, cast
from uuid import UUID

import typer

from cli.errors import UsageError
from cli.pager import paged


@dataclass
class SortedTogether:
    """Tables to sort as one when all tenants have answered. `names`: by tenant id."""

    names: Mapping[UUID, str]
    tables: list[Any] = field(default_factory=list)


@dataclass
class OutputOptions:
    """`sort`: `-` before a column's name means descending. `csv_header`: the printed header, one for all tables.

    `is_paged`: answer and notes go to a pager. `about`: the tenant with which notes begin. `together`: given if all
    tenants' rows are sorted together.
    """

    as_json: bool = False
    utc: bool = False
    as_csv: bool = False
    ids: bool = False
    columns: tuple[str, ...] = ()
    sort: tuple[str, ...] = ()
    csv_header: list[str] = field(default_factory=list)
    is_paged: bool = False
    about: str = ""
    together: SortedTogether | None = None

    @property
    def of_tables(self) -> list[str]:
        """The given options that only a table takes."""
        options = {"csv": self.as_csv, "columns": self.columns, "sort": self.sort, "ids": self.ids}
        return [name for name, value in options.items() if value]

    @property
    def is_data(self) -> bool:
        """Whether the answer is for programs."""
        return self.as_json or self.as_csv


_OPTIONS: ContextVar[OutputOptions] = ContextVar("output options", default=OutputOptions())  # noqa: B039 - never written


def output_options() -> OutputOptions:
    """The running command's options."""
    return _OPTIONS.get()


@contextmanager
def using(options: OutputOptions) -> Iterator[None]:
    token = _OPTIONS.set(options)
    try:
        yield
    finally:
        _OPTIONS.reset(token)


_JSON = Annotated[bool, typer.Option("--json", help="Print JSON, and nothing else, on stdout.")]
_UTC = Annotated[
    bool, typer.Option("--utc", help="Show times in UTC, not in local time. JSON and CSV always have UTC.")
]
_CSV = Annotated[bool, typer.Option("--csv", help="Print CSV, and nothing else, on stdout: the fields of --json.")]
_IDS = Annotated[bool, typer.Option("--ids", help="Show whole ids and long words, not short ones.")]
_COLUMNS = Annotated[
    str | None,
    typer.Option("--columns", metavar="NAME,…", help="Show only these columns, in this order.", show_default=False),
]
_SORT = Annotated[
    str | None,
    typer.Option("--sort", metavar="NAME,…", help="Sort by these columns; -NAME: descending.", show_default=False),
]

_OF_JSON = {"as_json": _JSON}
_OF_TABLES = {**_OF_JSON, "as_csv": _CSV, "columns": _COLUMNS, "sort": _SORT, "ids": _IDS, "utc": _UTC}

CommandT = TypeVar("CommandT", bound=Callable[..., None])


def prints_json(command: CommandT) -> CommandT:
    """Gives a command `--json`."""
    return _with(command, _OF_JSON)


def prints_times(command: CommandT) -> CommandT:
    """Gives a command `--json`, `--utc`, and a pager on a terminal."""
    return _with(command, {**_OF_JSON, "utc": _UTC})


def prints_tables(command: CommandT) -> CommandT:
    """Gives a command all output options, and a pager on a terminal."""
    return _with(command, _OF_TABLES)


def _with(command: CommandT, options: dict[str, Any]) -> CommandT:
    @wraps(command)
    def wrapped(**values: Any) -> None:
        chosen = _chosen({name: values.pop(name, None) for name in options})
        is_watched = values.get("follow") or "no_wait" in values  # progress is shown as it happens
        chosen.is_paged = "utc" in options and not (chosen.is_data or is_watched) and sys.stdout.isatty()
        with using(chosen), paged() if chosen.is_paged else nullcontext():
            command(**values)

    signature = inspect.signature(command)
    added = [
        inspect.Parameter(
            name,
            inspect.Parameter.KEYWORD_ONLY,
            annotation=kind,
            default=None if name in ("columns", "sort") else False,
        )
        for name, kind in options.items()
    ]
    own = [parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY) for parameter in signature.parameters.values()]
    wrapped.__signature__ = signature.replace(parameters=[*own, *added])  # type: ignore[attr-defined]
    wrapped.__annotations__ = {**command.__annotations__, **options}
    return cast("CommandT", wrapped)


def refuse_columns_without_csv() -> None:
    """For commands that print no table. Raises `UsageError`."""
    options = output_options()
    if (options.columns or options.sort) and not options.as_csv:
        raise UsageError("this command prints no table: give --columns and --sort with --csv")


def _chosen(values: dict[str, Any]) -> OutputOptions:
    chosen = OutputOptions(
        as_json=bool(values["as_json"]),
        utc=bool(values.get("utc")),
        as_csv=bool(values.get("as_csv")),
        ids=bool(values.get("ids")),
        columns=_names("--columns", values.get("columns")),
        sort=_names("--sort", values.get("sort")),
    )
    if chosen.as_json and (wrong := chosen.of_tables):
        raise UsageError(f"--{wrong[0]} belongs to tables and --json prints every field: give one of them")
    return chosen


def _names(option: str, text: str | None) -> tuple[str, ...]:
    names = tuple(name for part in (text or "").split(",") if (name := part.strip()))
    if text is not None and not names:
        raise UsageError(f"{option} names no column")
    return names
