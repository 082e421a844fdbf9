"""An endpoint, and the ways in which endpoints differ."""

from dataclasses import dataclass
from enum import Enum, auto
from functools import partial

INTUNE_PAGE = 1000
SETTINGS_PAGE = 25
DIRECTORY_PAGE = 100
DIRECTORY_LARGEST_PAGE = 999

BOTH = frozenset({"v1.0", "beta"})
BETA = frozenset({"beta"})
V1 = frozenset({"v1.0"})


class Area(Enum):
    """The service that answers, with its own error bodies and meaning of `$count`."""

    INTUNE = auto()
    DIRECTORY = auto()
    IDENTITY = auto()


@dataclass(frozen=True, slots=True)
class Navigation:
    """A related collection (or `single` entity), shown only under its own path or, if `expandable`, with `$expand`.

    `noted`: a change to it changes the owner's modified time, as for a policy's settings, but not its assignments.
    `expanded_size` is how many `$expand` shows, with a link to the rest; None for all.
    """

    name: str
    page_size: int = INTUNE_PAGE
    single: bool = False
    children: tuple["Navigation", ...] = ()
    expandable: bool = True
    noted: bool = False
    expanded_size: int | None = None


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A collection or singleton.

    `entity` is the declared type; a document of that very type shows no `@odata.type`. `key` is the property in an
    object's address. `name`, `created` and `modified` are the properties with name and times, empty without one;
    `first_version` is the first `version`.

    `page_size` is the default, `largest_page` the largest `$top`; if not `paged`, `$top` cuts the list. `cast_of` is
    the collection with the documents of a typed view (`iosManagedAppProtections`).

    `bodies` are null in lists. `base_properties` are all that `$select` knows if documents have derived types. Lists on
    v1.0 lack `beta_types`. `counts_unasked`: `@odata.count` without `$count`. `growing_context` chains the types of a
    page in `assignments@odata.context`. `hides_assignments_of`: the beginning of the template family whose
    `$expand=assignments` by id is empty. `functions` are refused to readers. Lists need a `$filter` by `needs_filter`.
    Only `$select` shows `only_selected`. `undocumented`: Microsoft publishes no such path.
    """

    path: str
    entity: str
    navigations: tuple[Navigation, ...] = ()
    versions: frozenset[str] = BOTH
    area: Area = Area.INTUNE
    key: str = "id"
    name: str = "displayName"
    created: str = "createdDateTime"
    modified: str = "lastModifiedDateTime"
    first_version: int | str | None = None
    page_size: int = INTUNE_PAGE
    largest_page: int = INTUNE_PAGE
    paged: bool = True
    singleton: bool = False
    cast_of: str | None = None
    bodies: tuple[str, ...] = ()
    base_properties: frozenset[str] | None = None
    beta_types: tuple[str, ...] = ()
    counts_unasked: bool = False
    growing_context: bool = False
    hides_assignments_of: str | None = None
    functions: tuple[str, ...] = ()
    needs_filter: tuple[str, ...] = ()
    only_selected: frozenset[str] = frozenset()
    undocumented: bool = False

    @property
    def source(self) -> str:
        """The path of the collection that holds the documents."""
        return self.cast_of or self.path

    @property
    def odata_type(self) -> str:
        return f"#microsoft.graph.{self.entity}"

    def navigation(self, name: str) -> Navigation | None:
        return next((navigation for navigation in self.navigations if navigation.name == name), None)


ASSIGNMENTS = Navigation("assignments")
CATALOG_SETTINGS = Navigation("settings", SETTINGS_PAGE, children=(Navigation("settingDefinitions"),), noted=True)
ACTIONS = Navigation(
    "scheduledActionsForRule", children=(Navigation("scheduledActionConfigurations", noted=True),), noted=True
)

COMMON = frozenset({"id", "displayName", "description", "createdDateTime", "lastModifiedDateTime", "roleScopeTagIds"})
"""Properties of nearly every Intune type with derived types."""

on_beta = partial(Endpoint, versions=BETA)
singleton = partial(Endpoint, singleton=True, created="", modified="")
directory = partial(
    Endpoint, area=Area.DIRECTORY, modified="", page_size=DIRECTORY_PAGE, largest_page=DIRECTORY_LARGEST_PAGE
)
