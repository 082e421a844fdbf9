"""Ids as people type them: whole, or an unambiguous beginning."""

import re
from collections.abc import Sequence
from itertools import takewhile
from typing import NamedTuple
from uuid import UUID

from inventory.bounds import ID_BEGINNING, NAMED, NAMED_IDS
from inventory.plurals import first_of
from inventory.user_errors import UserError

GUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)


class UnknownIdError(UserError):
    """The id means no object, or several."""


class IdRange(NamedTuple):
    """Both ends belong to the range."""

    low: UUID
    high: UUID

    @property
    def whole(self) -> bool:
        return self.low == self.high

    @property
    def beginning(self) -> str:
        pairs = zip(str(self.low), str(self.high), strict=True)
        return "".join(low for low, _ in takewhile(lambda pair: pair[0] == pair[1], pairs))


def id_range(value: str) -> IdRange | None:
    """None if `value` cannot begin an id or is too short."""
    beginning = value.strip().lower()
    if len(beginning) < ID_BEGINNING:
        return None
    digits = beginning.replace("-", "")
    try:
        found = IdRange(UUID(digits.ljust(32, "0")), UUID(digits.ljust(32, "f")))
    except ValueError:
        return None
    return found if beginning in (digits, str(found.low)[: len(beginning)]) else None


def run_id_range(value: str, runs: str = "runs") -> IdRange:
    """Raises `UnknownIdError`; its text names `runs`, the command that lists ids."""
    ids = id_range(value)
    if ids is None:
        raise UnknownIdError(
            f"{value!r} is neither a run id nor {ID_BEGINNING} or more characters of its beginning;"
            f" python starter.py {runs} lists them"
        )
    return ids


def the_one(ids: Sequence[UUID], value: str, noun: str) -> UUID:
    """`ids` is not empty, and cut only beyond `NAMED`. Raises `UnknownIdError` for several.

    `noun`: also the command that lists them.
    """
    if len(ids) > 1:
        raise UnknownIdError(
            f"several {noun} begin with {value!r}: {named(list(map(str, ids)))};"
            f" write more of the id, which python starter.py {noun} --ids shows"
        )
    return ids[0]


def named(ids: Sequence[str]) -> str:
    """The first ids, and how many more there are. A longer list than `NAMED` may be cut."""
    if len(ids) > NAMED:
        return f"{', '.join(ids[:NAMED_IDS])} and at least {len(ids) - NAMED_IDS} more"
    return first_of(ids, NAMED_IDS)
