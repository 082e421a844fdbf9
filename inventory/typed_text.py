"""Text that people type."""

import re
from unicodedata import category

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
"""Names of baselines and schedules."""

MOST_CHARACTERS = 2_000
"""Characters of a name, id, reason or note, limited by PostgreSQL's indexes."""


def problem_with(text: str) -> str | None:
    """Why a typed text is refused; None if it is fine."""
    if len(text) > MOST_CHARACTERS:
        return f"{len(text)} characters are too many; write {MOST_CHARACTERS} at most"
    if any(category(character) in ("Cc", "Cs") for character in text):
        return "holds a control character, a line break or an invalid byte; remove it"
    return None
