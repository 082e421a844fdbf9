"""One entry of the catalog, checked when it is loaded."""

from enum import StrEnum
from typing import Annotated
from urllib.parse import quote

from pydantic import BaseModel, ConfigDict, Field

from inventory.observation import ObservationRules


class ApiVersion(StrEnum):
    """Graph's version roots. Peers read Intune from beta throughout (GRAPH_FACTS §5)."""

    V1 = "v1.0"
    BETA = "beta"


class ThrottleFamily(StrEnum):
    """Collections that share one budget of Graph (GRAPH_FACTS §1.1)."""

    DEVICE_CONFIGURATION = "device-configuration"
    SETTINGS_CATALOG = "settings-catalog"
    APPS = "apps"
    CONDITIONAL_ACCESS = "conditional-access"
    DIRECTORY = "directory"

    @property
    def wave_limit(self) -> int:
        """How many of its pages one wave may hold: Conditional Access allows one request a second."""
        return 1 if self is ThrottleFamily.CONDITIONAL_ACCESS else 20


class DetailCall(BaseModel):
    """A further call that completes an item, where the list does not show all of it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    path: Annotated[str, Field(pattern=r"^/.*\{id\}")]


PropertyName = Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9]*$")]


class Collection(BaseModel):
    """One Graph collection or singleton, named by its type key."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    type_key: Annotated[str, Field(pattern=r"^[a-z][A-Za-z]+$")]
    title: str
    category: Annotated[str, Field(pattern=r"^[a-z]+(-[a-z]+)*$")]
    path: Annotated[str, Field(pattern=r"^(/[A-Za-z]+)+$")]
    api_version: ApiVersion
    throttle_family: ThrottleFamily
    permission: Annotated[str, Field(pattern=r"^[A-Za-z]+(\.[A-Za-z]+)*\.Read[A-Za-z]*(\.[A-Za-z]+)*$")]
    """The least application permission that reads it."""
    singleton: bool = False
    expand: str | None = None
    page_size: Annotated[int | None, Field(ge=1, le=1000)] = None
    """Sent as `$top`; left out where Graph pages by itself or where `$top` would cut the list."""
    filter: str | None = None
    left_out_types: frozenset[str] = frozenset()
    """`@odata.type`s in the listing that belong to another entry."""
    platform: str | None = None
    id_field: PropertyName = "id"
    name_field: PropertyName = "displayName"
    volatile: frozenset[PropertyName] = frozenset()
    sensitive: frozenset[PropertyName] = frozenset()
    ordered: frozenset[PropertyName] = frozenset()
    meta: dict[Annotated[str, Field(pattern=r"^[a-z][a-z_]*$")], PropertyName] = {}
    details: tuple[DetailCall, ...] = ()
    references: dict[PropertyName, str] = {}
    """Properties that hold ids of other collections' objects: property to type key."""
    licence_hint: str | None = None
    note: str | None = None
    """Why the entry differs from what one would expect."""

    def first_url(self) -> str:
        """The first page's URL, relative to the version root."""
        options = [
            f"{name}={quote(str(value), safe=_QUERY_SAFE)}"
            for name, value in (("$expand", self.expand), ("$filter", self.filter), ("$top", self.page_size))
            if value is not None
        ]
        return self.path + ("?" + "&".join(options) if options else "")

    @property
    def observation_rules(self) -> ObservationRules:
        """How an object of the collection is read."""
        return ObservationRules(
            type_key=self.type_key,
            id_field=self.id_field,
            name_field=self.name_field,
            singleton=self.singleton,
            volatile=self.volatile,
            sensitive=self.sensitive,
            ordered=self.ordered,
            meta=dict(self.meta),
        )


_QUERY_SAFE = "$(),/='"
"""Left as they are in a query, as Graph's own examples show them; all else is percent-encoded."""
