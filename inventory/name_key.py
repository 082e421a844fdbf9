"""The key of a name: what a search compares, so that upper and lower case are one.

PostgreSQL folds by the database's locale, which differs from installation to installation and may know ASCII alone. So
ASCII is folded by it, and Latin, Greek, Cyrillic and Armenian letters by a table of their own.
"""

LONGEST_KEY = 300
"""Characters of a name that are searched: an index row holds no more."""

_LETTERS = [
    (letter, letter.lower())
    for letter in map(chr, range(0x00C0, 0x0590))
    if len(letter.lower()) == 1 and letter.lower() != letter
]

UNFOLDED = "".join(upper for upper, _ in _LETTERS)
"""The upper-case letters beyond ASCII."""

FOLDED = "".join(lower for _, lower in _LETTERS)
"""Their lower case, in the same order."""

_FOLDING = str.maketrans(UNFOLDED, FOLDED) | {upper: upper + 32 for upper in range(ord("A"), ord("Z") + 1)}


NAMELESS = chr(0x10FFFF)
"""The key of an item without a name: it stands behind all others."""


def name_key(name: str) -> str:
    """As the database's `name_key` says it."""
    return name.translate(_FOLDING)[:LONGEST_KEY]


def list_place(type_key: str, name: str | None, external_id: str) -> tuple[str, str, str]:
    """The place of an item in the order of lists: by collection, then by name; items without one come last."""
    return type_key, NAMELESS if name is None else name_key(name), external_id
