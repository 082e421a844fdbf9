"""Deviations of catalog entries from Microsoft's publications."""

from functools import cache
from typing import Annotated, Any

from pydantic import BaseModel, Field

from graph.catalog.fields import OneOrMore, PropertyName, TypeKey
from inventory.toml_file import table_beside

_URL = Annotated[str, Field(pattern=r"^https://\S+$")]


class Deviation(BaseModel, frozen=True, extra="forbid"):
    type_keys: Annotated[tuple[TypeKey, ...], Field(min_length=1)]
    what: Annotated[tuple[str, ...], OneOrMore, Field(min_length=1)]
    """`path`, `permission of detail policies`, `sensitive password` …, as in the catalog's test."""
    reason: Annotated[str, Field(min_length=1)]
    source: _URL


class ShownUnasked(BaseModel, frozen=True, extra="forbid"):
    """A navigation property that Graph shows without `$expand`."""

    navigation: PropertyName
    source: _URL


@cache
def deviations() -> tuple[Deviation, ...]:
    """Raises `ValueError` only if the release is faulty."""
    return tuple(Deviation.model_validate(table) for table in _table()["deviation"])


@cache
def shown_unasked() -> frozenset[str]:
    return frozenset(ShownUnasked.model_validate(table).navigation for table in _table()["shown_unasked"])


def _table() -> dict[str, Any]:
    return table_beside(__file__, "deviations.toml")
