"""Ids of Graph objects. GUIDs ignore case; ids of permission grants and role assignments do not."""

import re

_GUID = r"[0-9A-Fa-f]{8}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{12}"
_OF_GUIDS = re.compile(rf"(?:[A-Za-z]_)?\{{?{_GUID}\}}?(?:[_:;,|]+(?:\{{?{_GUID}\}}?|[0-9]+))*")
"""GUIDs and numbers with separators; ids of app protection policies begin with a letter (`T_`)."""

_BEGINNING = re.compile(r"[0-9A-Fa-f-]{1,36}")
_LETTER = 2


def item_key(external_id: str) -> str:
    """One spelling for all of Graph's spellings of an id, equal to the database's `item_key` (migration 0021)."""
    if external_id == (lower := external_id.lower()) or _OF_GUIDS.fullmatch(external_id) is None:
        return external_id
    return external_id[:_LETTER] + lower[_LETTER:] if external_id[1] == "_" else lower


def may_begin_guid(beginning: str) -> bool:
    return _BEGINNING.fullmatch(beginning) is not None
