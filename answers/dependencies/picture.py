"""Draws an item's neighbourhood: a column for each step, dependants on the left."""

from collections import Counter, defaultdict
from collections.abc import Iterable
from typing import NamedTuple

from answers.dependencies.records import DependencyRecord, Direction, ObjectRecord
from inventory.references import ReferenceRole

WIDTH, HEIGHT = 220, 42
"""Pixels of a box."""

GAP_ACROSS, GAP_DOWN = 80, 12
MARGIN = 8

NAME_LENGTH = 28

End = tuple[tuple[str, ...], str]


class Box(NamedTuple):
    """`x` and `y` are the upper left corner."""

    end: ObjectRecord
    name: str
    x: int
    y: int
    is_start: bool


class Line(NamedTuple):
    path: str
    role: ReferenceRole


class Picture(NamedTuple):
    """`left_out` counts objects, `undrawn` references that are not drawn."""

    width: int
    height: int
    boxes: list[Box]
    lines: list[Line]
    left_out: int
    undrawn: int


def picture_of(start: ObjectRecord, dependencies: Iterable[DependencyRecord], most: int) -> Picture:
    """Draws the nearest objects, up to `most` in a column, each where it is met first."""
    records = sorted(dependencies, key=lambda record: record.distance)
    columns: dict[End, int] = {_key(start): 0}
    ends = {_key(start): start}
    for record in records:
        needs = record.direction is Direction.NEEDS
        far = record.target if needs else record.item
        columns.setdefault(_key(far), record.distance if needs else -record.distance)
        ends.setdefault(_key(far), far)
    rows: Counter[int] = Counter()
    keys_of_column: dict[int, list[End]] = defaultdict(list)
    for key, column in columns.items():
        rows[column] += 1
        if rows[column] <= most:
            keys_of_column[column].append(key)
    first = min(keys_of_column)
    tallest = max(map(len, keys_of_column.values()))
    boxes = {}
    for column, keys in keys_of_column.items():
        above = (tallest - len(keys)) * (HEIGHT + GAP_DOWN) // 2
        for row, key in enumerate(keys):
            x = MARGIN + (column - first) * (WIDTH + GAP_ACROSS)
            y = MARGIN + above + row * (HEIGHT + GAP_DOWN)
            boxes[key] = Box(ends[key], _short(ends[key].title), x, y, key == _key(start))
    links = dict.fromkeys((_key(record.item), _key(record.target), record.role) for record in records)
    drawn = [(boxes[source], boxes[target], role) for source, target, role in links if {source, target} <= boxes.keys()]
    return Picture(
        width=2 * MARGIN + (max(keys_of_column) - first) * (WIDTH + GAP_ACROSS) + WIDTH,
        height=2 * MARGIN + tallest * (HEIGHT + GAP_DOWN) - GAP_DOWN,
        boxes=list(boxes.values()),
        lines=[Line(_curve(source, target), role) for source, target, role in drawn],
        left_out=len(columns) - len(boxes),
        undrawn=len(links) - len(drawn),
    )


def _key(end: ObjectRecord) -> End:
    return tuple(end.type_keys), end.external_id


def _short(name: str) -> str:
    return name if len(name) <= NAME_LENGTH else f"{name[: NAME_LENGTH - 1]}…"


def _curve(source: Box, target: Box) -> str:
    from_y, to_y = source.y + HEIGHT // 2, target.y + HEIGHT // 2
    half = GAP_ACROSS // 2
    if source.x < target.x:
        from_x, to_x = source.x + WIDTH, target.x
        return f"M{from_x} {from_y}C{from_x + half} {from_y} {to_x - half} {to_y} {to_x} {to_y}"
    if source.x > target.x:
        from_x, to_x = source.x, target.x + WIDTH
        return f"M{from_x} {from_y}C{from_x - half} {from_y} {to_x + half} {to_y} {to_x} {to_y}"
    edge = source.x + WIDTH
    return f"M{edge} {from_y}C{edge + half} {from_y} {edge + half} {to_y} {edge} {to_y}"
