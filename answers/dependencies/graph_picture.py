"""A picture of a graph around one item: SVG in columns, what needs it on the left, what it needs on the right.

The file stands alone: no script, no font, no link.
"""

from collections.abc import Iterable, Iterator
from typing import NamedTuple
from unicodedata import east_asian_width
from xml.sax.saxutils import escape

from answers.dependencies.graph import Graph, Link, Node
from answers.dependencies.records import Presence
from inventory.references import ReferenceRole

WIDTH, HEIGHT = 250, 50
"""Of a box, in pixels."""

GAP_ACROSS, GAP_DOWN = 150, 14
MARGIN, HEAD, FOOT = 24, 34, 44

MOST_IN_A_COLUMN = 40
"""Boxes; what is more is counted in one."""

_NAME_SIZE, _TYPE_SIZE = 13, 11
_WIDTH_OF_A_CHARACTER = 0.58
"""Of its size, on the average of a sans-serif font."""

_PADDING = 12
_INK, _DIM, _PAPER, _EDGE = "#1d2939", "#667085", "#ffffff", "#d0d5dd"
_GONE, _START = "#b42318", "#175cd3"
_COLORS = {ReferenceRole.INCLUDE: "#067647", ReferenceRole.EXCLUDE: "#b42318", ReferenceRole.USE: "#667085"}
_FONT = 'font-family="system-ui, sans-serif"'


class _Box(NamedTuple):
    """Where a node stands, by its upper left corner."""

    x: float
    y: float


class _Column(NamedTuple):
    """The nodes at one distance, those that are drawn, and how many are not."""

    place: int
    keys: list[str]
    left_out: int


def svg(graph: Graph) -> Iterator[str]:
    """The lines of the picture."""
    columns = _columns(graph)
    tallest = max((len(one.keys) + bool(one.left_out) for one in columns), default=1)
    height = MARGIN + HEAD + tallest * (HEIGHT + GAP_DOWN) + FOOT
    width = 2 * MARGIN + len(columns) * WIDTH + (len(columns) - 1) * GAP_ACROSS
    width = max(width, 2 * MARGIN + 560)
    inner = height - HEAD - FOOT - MARGIN
    boxes: dict[str, _Box] = {}
    yield (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}"'
        f' viewBox="0 0 {width} {height}" role="img" {_FONT}>'
    )
    yield f"<title>{_text(_title(graph))}</title>"
    yield f'<rect width="{width}" height="{height}" fill="{_PAPER}"/>'
    yield from _arrow_heads()
    drawn: list[str] = []
    for number, column in enumerate(columns):
        x = MARGIN + number * (WIDTH + GAP_ACROSS)
        rows = len(column.keys) + bool(column.left_out)
        top = MARGIN + HEAD + (inner - rows * (HEIGHT + GAP_DOWN) + GAP_DOWN) / 2
        drawn.append(_line(x, MARGIN + 12, _heading(column.place), _TYPE_SIZE, _DIM))
        for row, key in enumerate(column.keys):
            boxes[key] = _Box(x, top + row * (HEIGHT + GAP_DOWN))
            drawn.extend(_drawn(graph.nodes[key], boxes[key], is_start=key == graph.start))
        if column.left_out:
            y = top + len(column.keys) * (HEIGHT + GAP_DOWN) + HEIGHT / 2
            drawn.append(_line(x + _PADDING, y, f"… and {column.left_out} more", _NAME_SIZE, _DIM))
    yield from _curves(graph.links, boxes)
    yield from drawn
    yield from _legend(height)
    yield "</svg>"


def _columns(graph: Graph) -> list[_Column]:
    """The nodes by distance, from left to right, and in a column by type and name."""
    by_place: dict[int, list[str]] = {}
    for key, node in graph.nodes.items():
        by_place.setdefault(node.place, []).append(key)
    columns = []
    for place, keys in sorted(by_place.items()):
        keys.sort(key=lambda key: (graph.nodes[key].type_key, graph.nodes[key].name.casefold(), key))
        columns.append(_Column(place, keys[:MOST_IN_A_COLUMN], len(keys[MOST_IN_A_COLUMN:])))
    return columns


def _heading(place: int) -> str:
    if place == 0:
        return ""
    words = "needs" if place > 0 else "needed by"
    return words if abs(place) == 1 else f"{words}, {abs(place)} steps away"


def _title(graph: Graph) -> str:
    return f"Dependencies of {graph.nodes[graph.start].name}" if graph.start else "Dependencies"


def _drawn(node: Node, box: _Box, *, is_start: bool) -> Iterator[str]:
    is_gone = node.presence in (Presence.ABSENT, Presence.NEVER_SEEN)
    stroke = _GONE if is_gone else _START if is_start else _EDGE
    dashes = ' stroke-dasharray="5 3"' if is_gone or node.presence is Presence.NOT_READ else ""
    yield "<g>"
    yield f"<title>{_text(' · '.join(_all_words(node)))}</title>"
    yield (
        f'<rect x="{box.x:g}" y="{box.y:g}" width="{WIDTH}" height="{HEIGHT}" rx="6" fill="{_PAPER}"'
        f' stroke="{stroke}" stroke-width="{2 if is_start else 1.2}"{dashes}/>'
    )
    name, kind = _fitting(node.name, _NAME_SIZE), _fitting(_second_line(node), _TYPE_SIZE)
    yield _line(box.x + _PADDING, box.y + 21, name, _NAME_SIZE, _GONE if is_gone else _INK, bold=is_start)
    yield _line(box.x + _PADDING, box.y + 38, kind, _TYPE_SIZE, _DIM)
    yield "</g>"


def _all_words(node: Node) -> Iterable[str]:
    return (one for one in (node.name, f"{node.type_key} {node.external_id}", node.certainty) if one)


def _second_line(node: Node) -> str:
    state = node.certainty.partition(":")[0].replace(" confidence", "")
    return f"{state} · {node.type_key}" if state else node.type_key


def _curves(links: Iterable[Link], boxes: dict[str, _Box]) -> Iterator[str]:
    """One curve for each pair of boxes and role; what it stands for shows where the pointer rests."""
    paths: dict[tuple[str, str, ReferenceRole], list[str]] = {}
    for link in links:
        if link.source in boxes and link.target in boxes:
            paths.setdefault((link.source, link.target, link.role), []).append(link.path)
    for (source, target, role), found in paths.items():
        start, end = boxes[source], boxes[target]
        x1, y1, x2, y2 = start.x + WIDTH, start.y + HEIGHT / 2, end.x - 3, end.y + HEIGHT / 2
        bend = bend_back = max(GAP_ACROSS / 2, abs(x2 - x1) / 2)
        if start.x == end.x:  # past the boxes between them, on their right
            x2, bend, bend_back = end.x + WIDTH + 3, GAP_ACROSS / 2, -GAP_ACROSS / 2
        offset = {ReferenceRole.INCLUDE: -6, ReferenceRole.USE: 0, ReferenceRole.EXCLUDE: 6}[role]
        dashes = ' stroke-dasharray="5 4"' if role is ReferenceRole.EXCLUDE else ""
        said = f"{role}: {', '.join(found)}"
        yield (
            f'<path d="M{x1:g} {y1 + offset:g} C{x1 + bend:g} {y1 + offset:g} {x2 - bend_back:g} {y2 + offset:g}'
            f' {x2:g} {y2 + offset:g}" fill="none" stroke="{_COLORS[role]}" stroke-opacity="0.75"'
            f' stroke-width="1.4"{dashes} marker-end="url(#{role})"><title>{_text(said)}</title></path>'
        )


def _arrow_heads() -> Iterator[str]:
    yield "<defs>"
    for role, color in _COLORS.items():
        yield (
            f'<marker id="{role}" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
            f'<path d="M0 0 L8 4 L0 8 z" fill="{color}"/></marker>'
        )
    yield "</defs>"


def _legend(height: float) -> Iterator[str]:
    y = height - FOOT / 2
    x = float(MARGIN)
    for role, color in _COLORS.items():
        dashes = ' stroke-dasharray="5 4"' if role is ReferenceRole.EXCLUDE else ""
        yield f'<line x1="{x:g}" y1="{y:g}" x2="{x + 28:g}" y2="{y:g}" stroke="{color}" stroke-width="1.6"{dashes}/>'
        yield _line(x + 36, y + 4, str(role), _TYPE_SIZE, _DIM)
        x += 110
    yield (
        f'<rect x="{x:g}" y="{y - 8:g}" width="28" height="16" rx="3" fill="none" stroke="{_GONE}"'
        ' stroke-dasharray="5 3"/>'
    )
    yield _line(x + 36, y + 4, "not in the tenant, with how sure that is", _TYPE_SIZE, _DIM)


def _line(x: float, y: float, words: str, size: int, color: str, *, bold: bool = False) -> str:
    weight = ' font-weight="600"' if bold else ""
    return f'<text x="{x:g}" y="{y:g}" font-size="{size}" fill="{color}"{weight}>{_text(words)}</text>'


def _fitting(words: str, size: int) -> str:
    """As much of the words as a box holds on one line."""
    room = (WIDTH - 2 * _PADDING) / (size * _WIDTH_OF_A_CHARACTER)
    used = 0.0
    for number, character in enumerate(words):
        used += 1.7 if east_asian_width(character) in "WF" else 1
        if used > room:
            return words[: max(number - 1, 0)].rstrip() + "…"
    return words


def _text(words: str) -> str:
    return escape(words)
