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
    """The service that answers, which decides its error bodies and the meaning of `$count`."""

    INTUNE = auto()
    DIRECTORY = auto()
    IDENTITY = auto()


@dataclass(frozen=True, slots=True)
class Navigation:
    """A related collection (or `single` entity) that answers show only under its own path or with `$expand`.

    One that is not `expandable` has its own path alone. `noted`: its owner's modified time follows its changes, as a
    policy's does for settings, but not for assignments or objects that merely belong to it. `expanded_size` is how many
    `$expand` shows, with a link to the rest; None for all.
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
    """One collection or singleton.

    `entity` is the declared type: a document of just that type shows no `@odata.type`. `key` is the property that its
    address holds. `name`, `created` and `modified` are the properties with its name and times, empty where it has none;
    `first_version` is what `version` starts from.
    `page_size` is the default, `largest_page` what `$top` can ask for; where it is not `paged`, `$top` cuts the list.
    `cast_of` names the collection that holds the documents of a typed view (`iosManagedAppProtections`).
    `bodies` are null in lists and shown by GET with an id. `base_properties` are those that `$select` knows where
    documents have derived types. `beta_types` are left out of lists on v1.0. `counts_unasked` is `@odata.count` without
    `$count`. `growing_context` chains the types of a page in `assignments@odata.context`. `hides_assignments_of` is the
    template family (its beginning) whose `$expand=assignments` by id is empty. `functions` need a permission to write,
    so that a reader is refused them. `needs_filter` lists properties without whose `$filter` a list is refused.
    `only_selected` are the properties that `$select` alone shows. `undocumented` is served though Microsoft publishes
    no such path.
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
        """The path of the shown documents."""
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
"""The properties that nearly every Intune type with derived types declares."""

on_beta = partial(Endpoint, versions=BETA)
singleton = partial(Endpoint, singleton=True, created="", modified="")
directory = partial(
    Endpoint, area=Area.DIRECTORY, modified="", page_size=DIRECTORY_PAGE, largest_page=DIRECTORY_LARGEST_PAGE
)
