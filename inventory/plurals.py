from collections.abc import Sequence


def counted(number: int, noun: str, plural: str = "") -> str:
    """`1 item`, `0 items`, `1,234 items`; `plural` unless it is the noun with an s."""
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"


def either(words: Sequence[str]) -> str:
    """`a`, `a or b`, `a, b or c`."""
    *others, last = words
    return f"{', '.join(others)} or {last}" if others else last


def first_of(words: Sequence[str], most: int) -> str:
    """`a, b`, or `a, b and 3 more` of more than `most` words."""
    return ", ".join(words[:most]) + (f" and {len(words) - most} more" if words[most:] else "")
