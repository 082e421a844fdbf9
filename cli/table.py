"""Tables for people, and the same records as CSV.

A table cuts no word to fit its width. It drops empty columns, prints a value that all rows share once, and shortens ids
and words wider than a line. Other values without room stand below their row.
"""

import re
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from enum import Enum, auto
from functools import partial
from itertools import groupby
from typing import Any, NamedTuple
from uuid import UUID

from pydantic import BaseModel
from rich.cells import cell_len
from rich.padding import Padding
from rich.table import Table as Grid
from rich.text import Text

from answers.csv_rows import csv_line, fields_of, flat
from cli import output
from cli.cell_width import is_too_wide, longest_word
from cli.errors import UsageError
from cli.long_words import fitting
from cli.output_options import output_options
from graph.catalog import load_catalog
from inventory.plurals import counted
from inventory.visible_text import visible

GAP = 2

SHORTEST_ID = 8

LONGEST_WHOLE_ID = 20
"""The most characters of an id that is not shortened."""

SHORTEST_RUN_ID = 13
"""The fewest characters to show of a run's id (UUIDv7): its time."""

_BY_TIME = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}")

UNWRAPPED = 15
"""Columns up to this width are not wrapped, if there is room."""

USUAL = 0.9
"""The share of cells whose words must fit their column in a narrow table."""

INDENT = 2
"""Spaces before the rows below a heading."""

NARROWEST = 40

LONGEST_CONSTANT = 40
"""The widest value to show once for all rows."""

ROWS_AT_A_TIME = 1000
"""How many rows to add before those beyond the limit are dropped."""

Record = BaseModel | Mapping[str, Any]


class Shape(Enum):
    TEXT = auto()
    NUMBER = auto()
    ID = auto()
    """An id, shortened but unique in the table."""
    HEADING = auto()
    """The heading of the rows that share it."""
    BELOW = auto()
    """On a line of its own below the row."""


class Column(NamedTuple):
    """`heading` and `field` are names for `--columns` and `--sort`. `text`: the cell; by default, the field's value.

    `is_kept`: shown even if all rows share the value. `yields`: the first to stand below the row without room; as a
    heading, the last column of a sorted table.
    """

    heading: str
    field: str
    text: Callable[[Any], object] | None = None
    shape: Shape = Shape.TEXT
    is_kept: bool = False
    yields: bool = False


def collection_title(type_key: str) -> str:
    collection = load_catalog().collections.get(type_key)
    return type_key if collection is None or collection.title == type_key else f"{collection.title} ({type_key})"


def _title_of(record: Any) -> str:
    return collection_title(str(flat(record).get("type_key")))


COLLECTION_COLUMN = Column("collection", "type_key", _title_of, Shape.HEADING, yields=True)
"""Groups rows by collection."""


def tenant_column(name_of: Callable[[UUID], str | None], *, is_kept: bool = True) -> Column:
    """Shows, and sorts by, the name of each record's tenant."""

    def name(record: Any) -> str:
        tenant_id = record.tenant_id
        return name_of(tenant_id) or str(tenant_id)

    return Column("tenant", "tenant", name, is_kept=is_kept)


class Table:
    """Collects records, and prints them as a table, or as CSV with `--csv`.

    `record`: their type, or the fields of mappings; by default the columns' fields. `is_summary`: `--csv` omits it, and
    `--columns` and `--sort` do not affect it. `most`: the most rows with `--sort`.
    """

    def __init__(
        self,
        record: type[BaseModel] | Sequence[str] | None,
        columns: Sequence[Column],
        *,
        is_summary: bool = False,
        most: int | None = None,
    ) -> None:
        self._columns = list(columns)
        if record is None:
            self._fields = [column.field for column in columns]
        else:
            self._fields = fields_of(record) if isinstance(record, type) else list(record)
        self.records: list[Record] = []
        self._options = replace(output_options(), columns=(), sort=()) if is_summary else output_options()
        self._is_summary = is_summary
        if self._options.together is not None and not is_summary:
            place = 1 + sum(map(_stands_last, self._columns[:1]))
            self._columns.insert(place, tenant_column(self._options.together.names.get))
        self._chosen = [self._named(name) for name in self._options.columns]
        self._order = [(self._named(name.removeprefix("-")), name.startswith("-")) for name in self._options.sort]
        self._most = most
        self.beyond = 0

    def add(self, record: Record) -> None:
        """Prints CSV at once, unless it has to be sorted."""
        if self._options.as_csv and not (self._order or self._is_summary):
            self._print_csv([record])
            return
        self.records.append(record)
        if self._order and self._most is not None and len(self.records) > 2 * self._most + ROWS_AT_A_TIME:
            self._sort()

    def print(self, title: str | None = None, *, is_ordered: bool = False) -> None:
        """Sorts headings by their field, unless `is_ordered`.

        Keeps the table for `print_together` if several tenants' tables are sorted together.
        """
        if title is not None and not self._options.as_csv:
            output.stdout.print(title, style="table.title")
        if self._options.together is not None and not self._is_summary:
            self._options.together.tables.append(self)
            return
        self._print(is_ordered=is_ordered)

    def _print(self, *, is_ordered: bool = False) -> None:
        self._sort()
        if self._options.as_csv:
            if not self._is_summary:
                self._print_csv(self.records)
        elif self.records:
            is_flat = bool(self._chosen or self._order)
            layout = _Layout(self._chosen or self._columns, self.records, is_chosen=bool(self._chosen), is_flat=is_flat)
            layout.print(is_ordered=is_ordered or is_flat)
        if self.beyond:
            rows = counted(self.beyond, "more row")
            output.stderr.print(f"--limit {self._most} leaves out {rows}", style="dim")

    def _sort(self) -> None:
        for column, descending in reversed(self._order):
            self.records.sort(key=partial(_sort_key, column), reverse=descending)
        if self._order and self._most is not None:
            self.beyond += len(self.records[self._most :])
            del self.records[self._most :]

    def print_together(self, tables: Iterable["Table"]) -> None:
        for other in tables:
            self.records += other.records
            self.beyond += other.beyond
            self._sort()
        if self._chosen and not self._options.as_csv and not {"tenant", "tenant_id"} & {c.field for c in self._chosen}:
            self._chosen.insert(1, self._named("tenant"))
        self._print()

    def _named(self, name: str) -> Column:
        folded = name.casefold()
        for column in self._columns:
            if folded in (column.heading.casefold(), column.field.casefold()):
                return column
        for field in self._fields:
            if folded == field.casefold():
                return Column(field, field)
        raise UsageError(f"there is no column {name!r}; there are: {', '.join(self._fields)}")

    def _print_csv(self, records: Iterable[Record]) -> None:
        fields = [column.field for column in self._chosen] or self._fields
        derived = [(column.field, column.text) for column in self._chosen if column.field not in self._fields]
        header = self._options.csv_header
        if not header:
            header += fields
            sys.stdout.write(csv_line(header))
        for record in records:
            values = flat(record) | {field: str(text(record) or "") for field, text in derived if text is not None}
            sys.stdout.write(csv_line([values.get(field) for field in fields]))


def print_table(
    columns: Sequence[Column],
    records: Sequence[Any],
    *,
    record: type[BaseModel] | Sequence[str] | None = None,
    title: str | None = None,
    is_ordered: bool = False,
    is_summary: bool = False,
    most: int | None = None,
    if_none: str = "",
) -> None:
    """Prints a `Table`, or JSON with `--json`. `if_none`: the line for people if there are no records."""
    if output_options().as_json:
        output.print_json(*records)
        return
    table = Table(record, columns, is_summary=is_summary, most=most)
    for row in records:
        table.add(row)
    table.print(title, is_ordered=is_ordered)
    if if_none and not records:
        output.stdout.print(if_none)


def _stands_last(column: Column) -> bool:
    """In a table without headings the name comes first."""
    return column.shape is Shape.HEADING and column.yields


def _sort_key(column: Column, record: Record) -> tuple[int, Any]:
    """Orders absent values, numbers, times, texts; enumerations by their definition."""
    values = flat(record, "python")
    value = values.get(column.field)
    if column.field not in values and column.text is not None:
        value = column.text(record)
    if value is None:
        return 0, ""
    if isinstance(value, Enum):
        return 1, list(type(value)).index(value)
    if isinstance(value, (int, float)):
        return 1, value
    if isinstance(value, datetime):
        return 2, value
    return 3, str(value).casefold()


def short_ids(ids: Iterable[str]) -> dict[str, str]:
    """Each id's beginning, long enough to tell it from the others."""
    ids_in_order = sorted(set(ids))
    shortened = {}
    for number, whole in enumerate(ids_in_order):
        beside = ids_in_order[max(0, number - 1) : number] + ids_in_order[number + 1 : number + 2]
        least = SHORTEST_RUN_ID if _BY_TIME.fullmatch(whole) else SHORTEST_ID
        length = max([least, *(_common(whole, other) + 1 for other in beside)])
        # A shortened GUID does not end with a hyphen.
        is_short = length >= len(whole) or len(whole) <= LONGEST_WHOLE_ID
        shortened[whole] = whole if is_short else whole[:length].rstrip("-")
    return shortened


def shown_id(external_id: str) -> str:
    return external_id if output_options().ids else short_ids([external_id])[external_id]


def _common(first: str, other: str) -> int:
    pairs = zip(first, other, strict=False)
    return next((place for place, (mine, theirs) in enumerate(pairs) if mine != theirs), min(len(first), len(other)))


class _Row(NamedTuple):
    heading: str
    order: Any
    cells: list[Text]


class _Layout:
    def __init__(self, columns: Sequence[Column], records: Sequence[Record], *, is_chosen: bool, is_flat: bool) -> None:
        headings = [column for column in columns if column.shape is Shape.HEADING]
        self._heading = headings[0] if headings and not is_flat else None
        shown = [column for column in columns if column is not self._heading]
        if is_flat and not is_chosen:
            shown.sort(key=_stands_last)
        self._columns = [column._replace(heading=visible(column.heading)) for column in shown]
        self._rows = [self._row(record) for record in records]
        self._indent = 0 if self._heading is None else INDENT
        self._width = max(NARROWEST, output.table_width()) - self._indent
        if not output_options().ids:
            self._shorten_ids()
            self._shorten_words()
        self._constants: list[tuple[str, Text]] = []
        if not is_chosen:
            self._drop()

    def _row(self, record: Record) -> _Row:
        values = flat(record, "python")
        if self._heading is None:
            heading, order = "", None
        else:
            heading, order = _cell(self._heading, record, values).plain, values.get(self._heading.field)
        return _Row(heading, order, [_cell(column, record, values, is_flat=True) for column in self._columns])

    def _shorten_ids(self) -> None:
        for number, column in enumerate(self._columns):
            if column.shape is Shape.ID:
                short = short_ids(row.cells[number].plain for row in self._rows)
                for row in self._rows:
                    row.cells[number] = Text(short[row.cells[number].plain], row.cells[number].style)

    def _shorten_words(self) -> None:
        for row in self._rows:
            for number, cell in enumerate(row.cells):
                if (text := fitting(cell.plain, self._width - 2 * INDENT)) != cell.plain:
                    row.cells[number] = Text(text, cell.style)

    def _drop(self) -> None:
        for number in reversed(range(1, len(self._columns))):
            texts = {row.cells[number].plain for row in self._rows}
            is_constant = len(self._rows) > 1 and len(texts) == 1 and cell_len(*texts) <= LONGEST_CONSTANT
            if texts != {""} and (self._columns[number].is_kept or not is_constant):
                continue
            column = self._columns.pop(number)
            cells = [row.cells.pop(number) for row in self._rows]
            if cells and cells[0].plain:
                self._constants.insert(0, (column.heading, cells[0]))

    def print(self, *, is_ordered: bool) -> None:
        if self._constants:
            same = [Text.assemble(f"{name} = ", value) for name, value in self._constants]
            output.stdout.print(Text.assemble("each row: ", Text(", ").join(same), style="dim"))
        rows = self._rows
        if not is_ordered and self._heading is not None:
            rows = sorted(rows, key=lambda row: (row.order is None, row.order, row.heading))
        widths = self._widths()
        self._print_beside([[Text(self._columns[number].heading, "bold") for number in widths]], widths)
        for heading, members in groupby(rows, key=lambda row: row.heading):
            if heading:
                output.stdout.print(Text(heading, "bold cyan"))
            waiting: list[list[Text]] = []
            for row in members:
                name, *fields = row.cells
                below = [
                    number for number, cell in enumerate(row.cells) if number and is_too_wide(cell, widths.get(number))
                ]
                if is_too_wide(name, widths[0]):
                    self._print_beside(waiting, widths)
                    output.stdout.print(Text.assemble(" " * self._indent, name))
                    waiting, name = [], Text()
                cells = [name, *fields]
                line = [Text() if number in below else cells[number] for number in widths]
                if any(line):
                    waiting.append(line)
                if below:
                    self._print_beside(waiting, widths)
                    waiting = []
                self._print_below({number: row.cells[number] for number in below})
            self._print_beside(waiting, widths)

    def _widths(self) -> dict[int, int]:
        """The widths of columns side by side, by number; other columns stand below.

        Without room for all, columns that yield go below first, then the widest that are not kept.
        """
        natural, whole, words, usual = {}, {}, {}, {}
        for number, column in enumerate(self._columns):
            cells = [row.cells[number] for row in self._rows]
            lengths = sorted(map(longest_word, cells))
            heading = longest_word(Text(column.heading))
            natural[number] = max(cell_len(column.heading), *(cell.cell_len for cell in cells))
            words[number] = max(heading, lengths[-1])
            usual[number] = max(heading, lengths[int((len(lengths) - 1) * USUAL)])
            whole[number] = natural[number] if natural[number] <= UNWRAPPED else words[number]
        name = min(natural[0], self._width * 2 // 5)
        beside = [number for number in natural if number == 0 or self._columns[number].shape is not Shape.BELOW]
        whole[0] = name
        yielding = [number for number in beside if self._columns[number].yields]
        while yielding and self._needed(whole[number] for number in beside) > self._width:
            beside.remove(yielding.pop())
        for least in (whole, words, usual):
            least[0] = name
            if self._needed(least[number] for number in beside) <= self._width:
                break
        while len(beside) > 1 and self._needed(least[number] for number in beside) > self._width:
            beside.remove(max(beside[1:], key=lambda number: (not self._columns[number].is_kept, least[number])))
        while True:
            widths = self._shared(beside, natural, least)
            folded = [number for number in beside[1:] if self._is_mostly_below(number, widths[number])]
            if not folded:
                return widths
            beside.remove(folded[-1])

    def _is_mostly_below(self, number: int, width: int) -> bool:
        cells = [cell for row in self._rows if (cell := row.cells[number]).plain]
        return 2 * sum(is_too_wide(cell, width) for cell in cells) > len(cells)

    def _shared(self, beside: Sequence[int], natural: Mapping[int, int], least: Mapping[int, int]) -> dict[int, int]:
        widths = {number: max(least[number], min(natural[number], self._width)) for number in beside}
        while (excess := self._needed(widths.values()) - self._width) > 0:
            wide = sorted((width, number) for number, width in widths.items() if width > least[number])
            width, widest = wide[-1]
            lower = max(least[widest], wide[-2][0] if len(wide) > 1 else 0)
            widths[widest] -= max(1, min(excess, width - lower))
        return widths

    def _print_below(self, cells: Mapping[int, Text]) -> None:
        indent = " " * (self._indent + INDENT)
        short: list[Text] = []
        for number, cell in cells.items():
            heading = self._columns[number].heading
            text = Text.assemble((f"{heading}: " if heading else "", "dim"), cell)
            if self._columns[number].shape is Shape.BELOW or text.cell_len > self._width // 2:
                output.stdout.print(Text.assemble(indent, text))
            else:
                short.append(text)
        if short:
            output.stdout.print(Text.assemble(indent, Text(", ").join(short)))

    def _needed(self, widths: Iterable[int]) -> int:
        return sum(width + GAP for width in widths) - GAP

    def _print_beside(self, rows: Sequence[Sequence[Text]], widths: Mapping[int, int]) -> None:
        if not rows:
            return
        grid = Grid(box=None, show_header=False, pad_edge=False, padding=(0, GAP, 0, 0))
        for number, width in widths.items():
            is_number = self._columns[number].shape is Shape.NUMBER
            grid.add_column(width=width, justify="right" if is_number else "left", overflow="fold")
        for row in rows:
            grid.add_row(*row)
        output.stdout.print_grid(Padding(grid, (0, 0, 0, self._indent)), self._indent + self._width)


def _cell(column: Column, record: Record, values: Mapping[str, Any], *, is_flat: bool = False) -> Text:
    is_heading = column.shape is Shape.HEADING
    value = (
        column.text(record) if column.text is not None and not (is_heading and is_flat) else values.get(column.field)
    )
    if isinstance(value, Text):
        clean: Text = output.one_line(value)
        return clean
    match value:
        case None:
            text = ""
        case datetime():
            text = output.when(value)
        case bool():
            text = "yes" if value else ""
        case list() | tuple():
            text = ", ".join(map(str, value))
        case int() if column.shape is Shape.NUMBER:
            text = f"{value:,}"
        case _:
            text = str(value)
    return Text(visible(text))
