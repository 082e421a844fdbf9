from rich.cells import cell_len
from rich.text import Text

MOST_LINES = 3
"""The most lines of a cell. A longer cell stands below its row."""


def is_too_wide(cell: Text, width: int | None) -> bool:
    """Whether a cell's words or lines do not fit its column. `width` is None without a column."""
    if width is None or longest_word(cell) > width:
        return longest_word(cell) > 0
    return cell.cell_len > width and _lines(cell, width) > MOST_LINES


def _lines(cell: Text, width: int) -> int:
    lines, room = 0, 0
    for word in map(cell_len, cell.plain.split()):
        if word >= room:
            lines, room = lines + 1, width + 1
        room -= word + 1
    return lines


def longest_word(cell: Text) -> int:
    return max(map(cell_len, cell.plain.split()), default=0)
