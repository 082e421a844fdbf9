"""Further calls that complete an item."""

from collections.abc import Mapping
from typing import Annotated, Self

from pydantic import BaseModel, Field, model_validator

from graph.catalog.fields import Permission, PropertyName


class ChildCall(BaseModel, frozen=True, extra="forbid"):
    """A call for each member of a detail's answer. Its path has `{id}`, `{child_id}`, perhaps the item's `{type}`."""

    property: PropertyName
    """The member's property that holds the answer."""
    path: Annotated[str, Field(pattern=r"^/.*\{id\}.*\{child_id\}")]
    single: bool = False
    """Whether the answer is one object."""
    optional: bool = False
    """Whether 404 means that there is none."""


class DetailCall(BaseModel, frozen=True, extra="forbid"):
    """A further call for an item; the path has `{id}`, and perhaps `{type}` before a derived type's properties."""

    property: PropertyName | None = None
    """The answer's place in the document; None if it is the item itself, in full."""
    path: Annotated[str, Field(pattern=r"^/.*\{id\}")]
    single: bool = False
    """Whether the answer is one object."""
    optional: bool = False
    """Whether 404 means that there is none; a second run must confirm that an earlier one is gone."""
    types: frozenset[str] = frozenset()
    """`@odata.type`s of items with the detail; empty for all."""
    only_where: Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9]*(=.+)?$")] | None = None
    """The list property that is not empty, or contains this value (`tags=Value`), in items with the detail."""
    believe_list: frozenset[PropertyName] = frozenset()
    """Properties that only the list shows correctly."""
    doubted_by: PropertyName | None = None
    """The list property that says whether there are members. If it contradicts the expanded members, the call reads
    them; else no call is made.
    """
    counted_by: PropertyName | None = None
    """The list property with the number of members. If another number is read, some members may have slipped between
    pages, and all are read once more.
    """
    permission: Permission | None = None
    """The least application permission of the call and its children; None for the list's."""
    licence_hint: str | None = None
    """A further licence, without which documents lack the property."""
    children: tuple[ChildCall, ...] = ()

    def is_of(self, item: Mapping[str, object]) -> bool:
        if self.types and item.get("@odata.type") not in self.types:
            return False
        name, _, value = (self.only_where or "").partition("=")
        members = item.get(name) if name else None
        return not name or (isinstance(members, list) and (value in members if value else bool(members)))

    def is_needed(self, item: Mapping[str, object]) -> bool:
        return self.doubted_by is None or self.property not in item

    @model_validator(mode="after")
    def _the_item_itself_is_single(self) -> Self:
        if self.property is None and not self.single:
            raise ValueError("a detail without a property is the item itself, so it is single")
        if self.children and self.single:
            raise ValueError("only the members of a collection have calls of their own")
        if "{type}" in self.path and not self.types:
            raise ValueError("a path with a type names the types that have it")
        return self
