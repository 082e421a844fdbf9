"""Numbers of things in words: one function, so that one thing is never called several."""


def counted(number: int, noun: str, plural: str = "") -> str:
    """`1 item`, `0 items`, `1,234 items`; `plural` where it is not the noun with an s."""
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"
