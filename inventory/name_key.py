"""Folded names, by which searches compare without case: PostgreSQL's locale may know ASCII alone."""

LONGEST_KEY = 300
"""Searched characters of a name: an index row's limit."""

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
"""The key of a nameless item, behind all others."""


def name_key(name: str) -> str:
    """Folds as the database's `name_key`."""
    return name.translate(_FOLDING)[:LONGEST_KEY]


def list_place(type_key: str, name: str | None, external_id: str) -> tuple[str, str, str]:
    """An item's place in lists: by collection, then by name. Items without a name come last."""
    return type_key, NAMELESS if name is None else name_key(name), external_id
