"""Kinds of items: "Windows update ring", "macOS PKCS certificate"."""

import re
from collections.abc import Mapping
from functools import cache
from typing import Any

from graph.catalog.entries import load_catalog
from inventory.toml_file import table_beside

_TYPE_PREFIX = re.compile(r"^#?microsoft\.graph\.")
_TEMPLATE_VERSION = re.compile(r"_\d+$")


def kind_of(type_key: str, meta: Mapping[str, Any]) -> str:
    """An item's kind; the collection's title if unknown."""
    for name, kinds in _kinds().get(type_key, {}).items():
        kind = kinds.get(_key(name, meta.get(name)))
        if kind is not None:
            return kind
    return load_catalog().title_of(type_key)


def kinds_in(type_key: str) -> list[str]:
    """Known kinds, sorted; empty if all items are alike."""
    return sorted({kind for kinds in _kinds().get(type_key, {}).values() for kind in kinds.values()})


@cache
def kind_fields() -> list[str]:
    return sorted({field for kinds in _kinds().values() for field in kinds})


def named_types(type_key: str) -> list[str]:
    """The `@odata.type`s that have kinds, without namespace."""
    return sorted(_kinds().get(type_key, {}).get("odata_type", {}))


@cache
def _kinds() -> dict[str, dict[str, dict[str, str]]]:
    """Type key to meta key to value to kind; preferred meta keys come first."""
    return table_beside(__file__, "kinds.toml")


def _key(name: str, value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if not isinstance(value, str):
        return ""
    return _TEMPLATE_VERSION.sub("", value) if name == "template_id" else _TYPE_PREFIX.sub("", value)
