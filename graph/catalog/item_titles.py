"""Titles of items."""

import re
from functools import cache

from graph.catalog.entries import load_catalog
from graph.catalog.kinds import kinds_in

_GUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
_OPAQUE_TOKEN = re.compile(r"\d+|(?=[^\d]*\d)[\w=-]{20,}")
_HEAD = re.compile(r".+?(?=$|,|:| \(| (?:by|for|from|in|of|to|with|without) )")
_AS_THEY_ARE = ("Terms", "conditions", "details")
"""Last words that have no singular."""

SHORT_ID = 8
"""Characters shown of a GUID."""

MOST_OF_AN_ID = 32
"""Characters shown of another id."""


def item_title(type_key: str, external_id: str, name: str | None, kind: str) -> str:
    """The name or a legible id (such as a domain), else the kind (`kind_of`) or collection, with a short id."""
    entry = load_catalog().collections.get(type_key)
    own_name = None if name is None or not name.strip() else name
    if entry is None:
        return own_name or f"{type_key} {_short(external_id)}"
    if entry.singleton:
        return own_name if own_name and entry.name_field == "displayName" else entry.title
    is_kind_known = kind != entry.title
    tells_kind = entry.one_of_a_kind and (is_kind_known or not kinds_in(type_key))
    if own_name and not (own_name == external_id and (tells_kind or is_opaque(own_name))):
        return own_name
    words = kind if is_kind_known else singular(entry.title)
    return words if tells_kind else f"{words} {_short(external_id)}"


def has_names(type_key: str) -> bool:
    """Whether Graph names the items; if not, a stored name is an id or a title."""
    entry = load_catalog().collections.get(type_key)
    return entry is None or entry.has_names


def is_opaque(external_id: str) -> bool:
    """Whether an id holds a GUID, is a number, or is a long token with digits."""
    return _GUID.search(external_id) is not None or _OPAQUE_TOKEN.fullmatch(external_id) is not None


def kind_of_one(type_key: str, kind: str) -> str:
    """The kind in the singular, even if it is the collection's title: `Named location`."""
    entry = load_catalog().collections.get(type_key)
    return singular(kind) if entry is not None and kind == entry.title else kind


@cache
def singular(title: str) -> str:
    """Makes `User flow for guests` of `User flows for guests`."""
    match = _HEAD.match(title)
    head = title if match is None else match[0]
    last = head.split(" ")[-1]
    if last.endswith("ies"):
        word = f"{last[:-3]}y"
    elif last.endswith(("sses", "shes", "ches", "xes")):
        word = last[:-2]
    else:
        word = last if last in _AS_THEY_ARE or not last.endswith("s") else last[:-1]
    return f"{head.removesuffix(last)}{word}{title.removeprefix(head)}"


def _short(external_id: str) -> str:
    shown = _GUID.sub(lambda match: f"{match[0][:SHORT_ID]}…", external_id)
    return shown if len(shown) <= MOST_OF_AN_ID else f"{shown[:MOST_OF_AN_ID]}…"
