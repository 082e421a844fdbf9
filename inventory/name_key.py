"""Names folded to lower case for searches, since PostgreSQL's locale may fold ASCII only."""

LONGEST_KEY = 300
"""Searched characters of a name, limited by index rows."""

_LETTERS = [
    (letter, letter.lower())
    for letter in map(chr, range(0x00C0, 0x0590))
    if len(letter.lower()) == 1 and letter.lower() != letter
]

UNFOLDED = "".join(upper for upper, _ in _LETTERS)
"""Upper-case letters beyond ASCII."""

FOLDED = "".join(lower for _, lower in _LETTERS)
"""Their lower case, in the same order."""

_FOLDING = str.maketrans(UNFOLDED, FOLDED) | {upper: upper + 32 for upper in range(ord("A"), ord("Z") + 1)}


NAMELESS = chr(0x10FFFF)
"""The key of nameless items, after all others."""


def name_key(name: str) -> str:
    """Folds as the database's `name_key`."""
    return name.translate(_FOLDING)[:LONGEST_KEY]


def list_place(type_key: str, name: str | None, external_id: str) -> tuple[str, str, str]:
    """Sorts items by collection and name, nameless ones last."""
    return type_key, NAMELESS if name is None else name_key(name), external_id
