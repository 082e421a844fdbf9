"""The collections of a run, and the hash that identifies them."""

import hashlib
from collections.abc import Collection
from difflib import get_close_matches
from typing import Annotated

import rfc8785
from pydantic import AfterValidator, BaseModel, BeforeValidator, Field

from inventory.user_errors import UserError

TypeKey = Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9._]{0,99}$")]
OptionName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,63}$")]
OptionValue = bool | int | str

MOST_TYPE_KEYS = 1000
"""Type keys of a requested selection: five times the catalog, which may grow."""

MOST_BYTES = 128 * 1024
"""Bytes of canonical JSON, enough for the longest type keys."""


def _sorted_unique(value: object) -> object:
    if isinstance(value, list | tuple | set | frozenset) and all(isinstance(part, str) for part in value):
        return tuple(sorted(set(value)))
    return value


class UnknownTypeKeysError(UserError):
    """The catalog lacks some type keys. The message names near matches."""


class Selection(BaseModel, frozen=True, extra="forbid"):
    """A run's collections, by type key, and options, in canonical order."""

    type_keys: Annotated[tuple[TypeKey, ...], Field(min_length=1), BeforeValidator(_sorted_unique)]
    options: dict[OptionName, OptionValue | Annotated[tuple[str, ...], BeforeValidator(_sorted_unique)]] = {}

    def canonical_json(self) -> bytes:
        """RFC 8785 JSON, which is hashed."""
        options = {name: list(value) if isinstance(value, tuple) else value for name, value in self.options.items()}
        return rfc8785.dumps({"options": options, "type_keys": list(self.type_keys)})

    def hash(self) -> str:
        """SHA-256 in lower-case hexadecimal digits."""
        return hashlib.sha256(self.canonical_json()).hexdigest()


def _bounded(selection: Selection) -> Selection:
    if len(selection.type_keys) > MOST_TYPE_KEYS:
        raise ValueError(f"a selection has at most {MOST_TYPE_KEYS} type keys, not {len(selection.type_keys)}")
    if (size_bytes := len(selection.canonical_json())) > MOST_BYTES:
        raise ValueError(f"a selection has at most {MOST_BYTES:,} bytes, not {size_bytes:,}")
    return selection


RequestedSelection = Annotated[Selection, AfterValidator(_bounded)]
"""A selection in a request; recorded ones may exceed the bounds."""


def select(type_keys: Collection[str], *, collections: Collection[str]) -> Selection:
    """Raises `UnknownTypeKeysError`, so that a misspelt key never silently covers less."""
    unknown = sorted(set(type_keys) - set(collections))
    if unknown:
        hints = []
        for key in unknown:
            near = get_close_matches(key, collections, n=1)
            hints.append(f"{key!r}" + (f" (did you mean {near[0]!r}?)" if near else ""))
        noun = "type key" if len(unknown) == 1 else "type keys"
        raise UnknownTypeKeysError(f"unknown {noun} {', '.join(hints)}; `python starter.py catalog` lists all of them")
    return Selection(type_keys=tuple(type_keys))
