"""Rules for writing items, for plans."""

from enum import StrEnum
from typing import Annotated, Any

from pydantic import BaseModel, Field


class PartShape(StrEnum):
    """The form of a part's members in a request."""

    MEMBERS = "members"
    """The document's members, without their identity in the tenant."""
    ADMINISTRATIVE_TEMPLATES = "administrative_templates"
    """Values of administrative templates, which name their definitions by URL."""


class PartRequest(BaseModel, frozen=True, extra="forbid"):
    name: str
    """The document's property that the request carries."""
    path: Annotated[str, Field(pattern=r"^/.*\{id\}/[A-Za-z]+$")]
    """With the written object's `{id}`."""
    key: str
    """The body's property that holds the members."""
    empty_keys: tuple[str, ...] = ()
    """Further properties of the body, as empty lists."""
    beside: tuple[str, ...] = ()
    """The document's properties that are sent beside the members."""
    only: tuple[str, ...] = ()
    """The properties of members that are sent; empty for all."""
    shape: PartShape = PartShape.MEMBERS
    in_creation: bool = False
    """Whether the creating request has the property, too, so that only updates need this request."""

    @property
    def is_audience(self) -> bool:
        """Whether the part says for whom the object is, so is written last."""
        return self.name == "assignments"


class WriteRules(BaseModel, frozen=True, extra="forbid"):
    """How a collection's items are written. Names are Graph property names; a path has dots."""

    order: Annotated[int, Field(ge=1)]
    """Objects are written before those that refer to them."""
    not_sent: frozenset[str] = frozenset()
    """Properties of the document that the service computes."""
    fixed: frozenset[str] = frozenset()
    """Properties that cannot change in an existing object."""
    replaced: bool = False
    """Updates PUT the whole object, instead of PATCHing differences."""
    parts: tuple[PartRequest, ...] = ()
    ids_alone: frozenset[str] = frozenset()
    """Paths to objects that documents show whole and requests name by `id` alone."""
    bound: dict[str, str] = {}
    """Properties that requests bind by URL, with their collection's path."""
    inert: dict[str, Any] = {}
    """Paths and values that keep a new object without effect, until their properties are written at the end."""
    off: dict[str, Any] = {}
    """Paths and values of objects without effect, which are written whole at once."""
    built_in: dict[str, Any] = {}
    """Values of Microsoft's objects, which are never created."""
    not_in_document: dict[str, Any] = {}
    """Paths and values of objects that documents do not hold wholly."""

    @property
    def last(self) -> tuple[str, ...]:
        """Properties that a new object gets when all its content is written."""
        return tuple(dict.fromkeys(path.partition(".")[0] for path in self.inert))
