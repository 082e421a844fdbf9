"""Rules of writing an item, for plans: the requests that carry it, and parts that none may carry. Nothing here sends a
request.
"""

from enum import StrEnum
from typing import Annotated, Any

from pydantic import BaseModel, Field


class PartShape(StrEnum):
    """The form of a part's members in the request."""

    MEMBERS = "members"
    """As the document has them, without what names them in their tenant."""
    ADMINISTRATIVE_TEMPLATES = "administrative_templates"
    """Values of administrative templates, which name their definitions by URL."""


class PartRequest(BaseModel, frozen=True, extra="forbid"):
    """A further request, which replaces one property."""

    name: str
    """The document's property that it carries."""
    path: Annotated[str, Field(pattern=r"^/.*\{id\}/[A-Za-z]+$")]
    """With the written object's `{id}`."""
    key: str
    """The body's property that holds the members."""
    empty_keys: tuple[str, ...] = ()
    """Further properties of the body, which are empty lists."""
    beside: tuple[str, ...] = ()
    """Properties of the document that are sent beside the members."""
    only: tuple[str, ...] = ()
    """The properties of each member that are sent; all if this is empty."""
    shape: PartShape = PartShape.MEMBERS
    in_creation: bool = False
    """The request that creates the object carries the property, too, so that only an update needs this one."""

    @property
    def is_audience(self) -> bool:
        """Whether it says for whom the object is, which is written last."""
        return self.name == "assignments"


class WriteRules(BaseModel, frozen=True, extra="forbid"):
    """How a collection's item would be written. Names are Graph property names; a path has dots."""

    order: Annotated[int, Field(ge=1)]
    """Objects come before those that refer to them."""
    not_sent: frozenset[str] = frozenset()
    """Properties of the document that the service computes."""
    fixed: frozenset[str] = frozenset()
    """Properties that cannot change once the object is there."""
    replaced: bool = False
    """An update is a PUT of the whole object, and not a PATCH of what differs."""
    parts: tuple[PartRequest, ...] = ()
    ids_alone: frozenset[str] = frozenset()
    """Paths to objects that a document shows whole, and a request names by `id` alone."""
    bound: dict[str, str] = {}
    """Properties that name other objects, with their collection's path: a request binds them by URL."""
    inert: dict[str, Any] = {}
    """Paths with the values that keep a new object without effect. The properties are written whole at the end."""
    off: dict[str, Any] = {}
    """Paths with the values by which an object has no effect as it is: it is written whole at once."""
    built_in: dict[str, Any] = {}
    """An object with one of these values is Microsoft's: it is never created."""
    not_in_document: dict[str, Any] = {}
    """Where a path has one of these values, the document does not hold all that the object is."""

    @property
    def last(self) -> tuple[str, ...]:
        """Properties of the audience, which a new object gets when all content is there."""
        return tuple(dict.fromkeys(path.partition(".")[0] for path in self.inert))
