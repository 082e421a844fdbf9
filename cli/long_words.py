import re

from rich.cells import cell_len

from cli.output_options import output_options

_WORD = re.compile(r"\S+")
_PART = re.compile(r"[/_~.:?&]")


def fitting(text: str, room: int) -> str:
    """Replaces the first parts of words wider than `room`, such as paths, by `…`, unless `--ids` is given."""
    if output_options().ids or cell_len(text) <= room:
        return text
    return _WORD.sub(lambda match: _last_parts(match[0], room), text)


def _last_parts(word: str, room: int) -> str:
    if cell_len(word) <= room:
        return word
    ends = (word[part.start() :] for part in _PART.finditer(word))
    return next((f"…{end}" for end in ends if len(end) > 1 and cell_len(end) < room), word)
