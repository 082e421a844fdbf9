"""Ids of Graph objects: an id made of GUIDs names the same object in upper and lower case.

Other ids have case: those of permission grants and role assignments are like Base64, in which `a` and `A` are different
digits.
"""

import re

_GUID = r"[0-9A-Fa-f]{8}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{12}"
_OF_GUIDS = re.compile(rf"(?:[A-Za-z]_)?\{{?{_GUID}\}}?(?:[_:;,|]+(?:\{{?{_GUID}\}}?|[0-9]+))*")
"""GUIDs and numbers with separators; of app protection policies a letter goes before (`T_`)."""

_BEGINNING = re.compile(r"[0-9A-Fa-f-]{1,36}")
_LETTER = 2


def item_key(external_id: str) -> str:
    """The one spelling of an id that is the same for all spellings in which Graph may serve it.

    The function `item_key` of the database does the same (migration 0021).
    """
    if external_id == (lower := external_id.lower()) or _OF_GUIDS.fullmatch(external_id) is None:
        return external_id
    return external_id[:_LETTER] + lower[_LETTER:] if external_id[1] == "_" else lower


def may_begin_guid(beginning: str) -> bool:
    """Whether the beginning of an id may be a GUID's, which then has no case."""
    return _BEGINNING.fullmatch(beginning) is not None
