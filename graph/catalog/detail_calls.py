"""The further calls that complete an item."""

from collections.abc import Mapping
from typing import Annotated, Self

from pydantic import BaseModel, Field, model_validator

from graph.catalog.fields import Permission, PropertyName


class ChildCall(BaseModel, frozen=True, extra="forbid"):
    """A call for each member of a detail's answer.

    Its path holds the item's `{id}`, the member's `{child_id}`, and perhaps the item's `{type}`.
    """

    property: PropertyName
    """Where the answer goes in the member."""
    path: Annotated[str, Field(pattern=r"^/.*\{id\}.*\{child_id\}")]
    single: bool = False
    """Whether it answers one object, and not a collection that is followed to its end."""
    optional: bool = False
    """Whether 404 says that there is none."""


class DetailCall(BaseModel, frozen=True, extra="forbid"):
    """A further call that completes an item.

    Its path holds the item's `{id}`, and perhaps its `{type}`, which Graph wants before a derived type's own
    properties.
    """

    property: PropertyName | None = None
    """Where the answer goes in the document; none where it is the item itself, shown with more than the list shows."""
    path: Annotated[str, Field(pattern=r"^/.*\{id\}")]
    single: bool = False
    """Whether it answers one object, and not a collection that is followed to its end."""
    optional: bool = False
    """Whether 404 says that there is none; where there was one, a second run must be told so."""
    types: frozenset[str] = frozenset()
    """The `@odata.type`s of the items that have it; all where it is empty."""
    only_where: Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9]*(=.+)?$")] | None = None
    """The items that have it: those whose list in this property is not empty, or holds this value (`tags=Value`)."""
    believe_list: frozenset[PropertyName] = frozenset()
    """Properties of the item that the list shows right and this answer does not."""
    doubted_by: PropertyName | None = None
    """The list's property that says whether there are members. Where the members that the list expands contradict it,
    they are not believed, and the call is made; nowhere else."""
    counted_by: PropertyName | None = None
    """The list's property that tells how many members the collection has. Where they are not so many, some may have
    slipped between pages, and the collection is read once more."""
    permission: Permission | None = None
    """The least application permission of the call and its children; none where it is the list's."""
    licence_hint: str | None = None
    """The licence that the call needs and the list does not. A document of a tenant without it lacks the property."""
    children: tuple[ChildCall, ...] = ()

    def is_of(self, item: Mapping[str, object]) -> bool:
        """Whether a listed item has the detail."""
        if self.types and item.get("@odata.type") not in self.types:
            return False
        name, _, value = (self.only_where or "").partition("=")
        members = item.get(name) if name else None
        return not name or (isinstance(members, list) and (value in members if value else bool(members)))

    def is_needed(self, item: Mapping[str, object]) -> bool:
        """Whether an item's list document calls for it."""
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
