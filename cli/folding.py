"""How a cell of a table folds in the width of its column."""

from rich.cells import cell_len
from rich.text import Text

MOST_LINES = 3
"""Lines of a cell at most; one that needs more stands below its row."""


def is_too_wide(cell: Text, width: int | None) -> bool:
    """Whether a cell would be cut within a word, would fold into too many lines, or has no column."""
    if width is None or longest_word(cell) > width:
        return longest_word(cell) > 0
    return cell.cell_len > width and _lines(cell, width) > MOST_LINES


def _lines(cell: Text, width: int) -> int:
    """Into how many lines of this width a cell folds between words."""
    lines, room = 0, 0
    for word in map(cell_len, cell.plain.split()):
        if word >= room:
            lines, room = lines + 1, width + 1
        room -= word + 1
    return lines


def longest_word(cell: Text) -> int:
    """The width of the widest word; 0 without words."""
    return max(map(cell_len, cell.plain.split()), default=0)
