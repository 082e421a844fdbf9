import re
from collections.abc import Iterable
from functools import cached_property
from typing import TYPE_CHECKING, Annotated
from urllib.parse import quote, unquote, urlsplit
from uuid import UUID

from pydantic import BaseModel, Field

from graph.catalog.detail_calls import DetailCall
from graph.catalog.fields import (
    AUDIT_EVENTS,
    DIRECTORY_AUDITS,
    WITHOUT_SETTINGS,
    ApiVersion,
    OneOrMore,
    Permission,
    PropertyName,
    PropertyPath,
    QualifiedName,
    ReferencePath,
    TargetType,
    ThrottleFamily,
    TypedName,
    TypeKey,
)
from inventory.cut_lists import expansion, expansion_by, names_of
from inventory.titles import TitlePart, TitleRule, TitleSource

if TYPE_CHECKING:  # Commands that read no document do not load the rules' modules.
    from inventory.changed_fields import Comparability
    from inventory.normal_form import NormalForm
    from inventory.observation import ObservationRules
    from inventory.reference_extraction import ReadingRules
    from inventory.tenant_neutral import TenantNeutralRules


class TitleGiver(BaseModel, frozen=True, extra="forbid"):
    """The collection whose items title the target of their reference at `path`."""

    type_key: TypeKey
    path: ReferencePath


class Collection(BaseModel, frozen=True, extra="forbid"):
    type_key: TypeKey
    title: str
    category: Annotated[str, Field(pattern=r"^[a-z]+(-[a-z0-9]+)*$")]
    path: Annotated[str, Field(pattern=r"^(/([A-Za-z0-9]+|\{tenant_id\}|\{parent_id\}))+$")]
    """May hold `{tenant_id}`, also the organization's id. With a `parent`, it or the filter holds `{parent_id}`."""
    api_version: ApiVersion
    throttle_family: ThrottleFamily
    permission: Permission
    """The list's least application permission; `permissions` has the details', too."""
    delegated_only: bool = False
    """For signed-in people only: if Graph refuses an app, that is no error."""
    singleton: bool = False
    parent: TypeKey | None = None
    """The collection of these items' parents."""
    parent_filter: str | None = None
    """`$filter` for the parents to list; None for all."""
    opt_in: bool = False
    """Left out of `--all`: data, logs, Microsoft's catalogs, and collections that Microsoft does not publish."""
    expand: str | None = None
    select: tuple[PropertyName, ...] = ()
    """`$select`, if Graph's default list omits wanted properties."""
    page_size: Annotated[int | None, Field(ge=1, le=1000)] = None
    """`$top`; None if Graph pages by itself or `$top` would cut the list."""
    filter: str | None = None
    left_out_types: frozenset[str] = frozenset()
    """`@odata.type`s in the list that belong to another entry."""
    left_out_where: dict[PropertyName, str | bool] = {}
    """Objects with these values, which Graph cannot filter, are left out."""
    platform: str | None = None
    id_field: PropertyName = "id"
    name_field: PropertyName = "displayName"
    volatile: frozenset[QualifiedName] = frozenset()
    """Properties that differ without a change of configuration; versions omit them."""
    change_signs: frozenset[QualifiedName] = frozenset()
    """The list's volatile properties that tell of changed details."""
    sensitive: frozenset[QualifiedName] = frozenset()
    masked: frozenset[TypedName] = frozenset()
    """Secrets that Graph shows as another text at each read."""
    script_bodies: frozenset[QualifiedName] = frozenset()
    """Sensitive where the configuration says so."""
    payloads: frozenset[QualifiedName] = frozenset()
    """Sensitive properties with other makers' configuration, stored in clear where the configuration says so."""
    ordered: frozenset[PropertyName] = frozenset()
    """Arrays of scalars, or objects with an identity, whose order is content."""
    unordered: frozenset[PropertyName] = frozenset()
    """Arrays of objects without identity or meaningful order."""
    null_not_shown: frozenset[PropertyName] = frozenset()
    """Properties in which null means not shown, so that an empty list is a value."""
    flags: frozenset[PropertyName] = frozenset()
    """Enumerations beyond `graph.catalog.facts.enumerations`."""
    meta: dict[
        Annotated[str, Field(pattern=r"^[a-z][a-z_]*$")],
        Annotated[tuple[PropertyPath, ...], OneOrMore],
    ] = {}
    """Further meta keys, each with property paths, of which the first present counts."""
    details: tuple[DetailCall, ...] = ()
    refresh_hours: Annotated[int | None, Field(ge=1, le=168)] = None
    """The time within which silently changing details are read again; None if the list always tells."""
    alternate_keys: frozenset[PropertyName] = frozenset()
    """Properties such as `appId`, by which documents name an object in every tenant."""
    references: dict[ReferencePath, Annotated[tuple[TargetType, ...], OneOrMore]] = {}
    """Places of ids, with their collections (`inventory.references`)."""
    titled_by: tuple[ReferencePath, ...] = ()
    """References and `meta` keys that title nameless items, in order."""
    titled_from: TitleGiver | None = None
    one_of_a_kind: bool = False
    """A tenant has at most one item of each kind, so the kind titles nameless ones."""
    everyone: dict[PropertyName, str] = {}
    """An object is for everyone if one of these properties matches its pattern."""
    identity: frozenset[QualifiedName] = frozenset()
    """Properties of an object's identity or origin in its tenant."""
    meaning: tuple[PropertyName, ...] = ()
    """Properties that identify an object in any tenant; empty for name and kind."""
    shared_ids: str | None = None
    """A pattern of Microsoft's ids, the same in every tenant."""
    in_directory_audits: bool = False
    """Whether Entra's audit log has changes under the items' ids."""
    licence_hint: str | None = None
    note: str | None = None
    """Why the entry is unexpected."""

    def first_url(self, tenant_id: UUID | None = None) -> str:
        """Relative to the version root; without a tenant, `{tenant_id}` stays."""
        return self._url(tenant_id, self._list_options(self.filter))

    def _list_options(self, only: str | None) -> tuple[tuple[str, str | int | None], ...]:
        selected = ",".join(self.select) or None
        return ("$select", selected), ("$expand", self.expand), ("$filter", only), ("$top", self.page_size)

    def _url(self, tenant_id: UUID | None, options: Iterable[tuple[str, str | int | None]]) -> str:
        path = self.path if tenant_id is None else self.path.replace("{tenant_id}", str(tenant_id))
        return path + self._options(options)

    @staticmethod
    def _options(options: Iterable[tuple[str, str | int | None]]) -> str:
        query = [f"{name}={quote(str(value), safe=_QUERY_SAFE)}" for name, value in options if value is not None]
        return "?" + "&".join(query) if query else ""

    def is_own_listing(self, url: str) -> bool:
        return self.parent is None or urlsplit(url).path.endswith(self.path.rpartition("/")[2])

    def child_url(self, parent_id: str) -> str:
        of_parent = None if self.filter is None else self.filter.replace("{parent_id}", parent_id)
        return self._url(None, self._list_options(of_parent)).replace("{parent_id}", quote(parent_id, safe=""))

    def parent_id_of(self, url: str) -> str | None:
        """The parent's id in a listing's URL; None for a collection without parents."""
        if self.parent is None:
            return None
        in_path = "{parent_id}" in self.path
        template, text = (self.path, urlsplit(url).path) if in_path else (self.filter or "", unquote(url))
        found = re.search(re.escape(template).replace(re.escape("{parent_id}"), "([^/']+)"), text)
        return None if found is None else unquote(found[1])

    def ids_url(self, only: str | None = None) -> str:
        """The first URL for ids alone, with the `$filter` `only`."""
        return self._url(None, (("$filter", only), ("$select", self.id_field), ("$top", self.page_size)))

    def probe_url(self, tenant_id: UUID) -> str:
        """The cheapest request that tells whether the collection is readable.

        `$top` is used only as in the listing: elsewhere Graph may refuse it.
        """
        reduced = (("$top", 1),) if self.page_size is not None else (("$select", self.id_field),)
        options = (("$filter", self.filter), *(() if self.singleton else reduced))
        return self._url(tenant_id, options)

    def expansion_url(self, external_id: str) -> str:
        """A request for one object that tells whether the app may read the listing's expansions."""
        return f"{self.path}/{quote(external_id, safe='')}" + self._options((("$expand", self.expand),))

    @property
    def detail_properties(self) -> frozenset[str]:
        """Details that a whole document always has, even if empty; not those with `doubted_by`."""
        return frozenset(
            call.property for call in self.details if call.property is not None and call.doubted_by is None
        )

    @property
    def expanded(self) -> frozenset[str]:
        """Expanded properties, also of details, and properties read for details' members."""
        children = [child for call in self.details for child in call.children]
        paths = [call.path for call in self.details] + [child.path for child in children]
        return names_of(expansion(self.expand)).union(
            (child.property for child in children), *(names_of(expansion_by(path)) for path in paths)
        )

    def may_be_old(self, path: str) -> bool:
        """Whether values at the path may change without a sign in the list."""
        if self.refresh_hours is None:
            return False
        name = path.partition(".")[0].partition("[")[0]
        return name in self.detail_properties or not self.detail_properties

    @property
    def may_lack_details(self) -> bool:
        """Whether an item may need further calls: for details, or the rest of cut expansions."""
        return bool(self.details) or self.expand is not None

    @property
    def permissions(self) -> frozenset[str]:
        return frozenset({self.permission, *(call.permission for call in self.details if call.permission is not None)})

    @property
    def confirmable(self) -> bool:
        """Whether unlisted items are asked for by id: log entries expire, and a singleton's listing asks already."""
        return not self.is_log and not self.singleton and "{tenant_id}" not in self.path

    @property
    def is_log(self) -> bool:
        """Whether Graph drops old items by itself, so that an unlisted one is no deletion."""
        return self.category == "audit"

    @property
    def assignable(self) -> bool:
        expanded = (self.expand or "", *(call.path.partition("$expand=")[2] for call in self.details))
        return any("assignments" in clause.split(",") for clause in expanded) or any(
            call.property == "assignments" for call in self.details
        )

    @property
    def has_names(self) -> bool:
        """Whether Graph names the items, so that names tell them apart and can change."""
        return self.name_field != self.id_field

    @property
    def title_rule(self) -> TitleRule:
        source = self.titled_from
        return TitleRule(
            tuple(TitlePart(part, part in self.meta) for part in self.titled_by),
            None if source is None else TitleSource(source.type_key, source.path),
        )

    @property
    def reading_rules(self) -> "ReadingRules":
        from inventory.reference_extraction import ReadingRules

        return ReadingRules(
            self.references, self.assignable, self.everyone, self.alternate_keys, has_settings=self.has_settings
        )

    @property
    def has_settings(self) -> bool:
        return self.category not in WITHOUT_SETTINGS

    @property
    def audit_log(self) -> TypeKey | None:
        """The log with changes under the items' ids, if any.

        Windows 365 has a log of its own. Entra's log names some objects by other ids: see `in_directory_audits`.
        """
        if self.in_directory_audits:
            return DIRECTORY_AUDITS
        has_another = self.path.startswith("/deviceManagement/virtualEndpoint/") or self.is_log
        of_intune = self.path.startswith(("/deviceManagement/", "/deviceAppManagement/"))
        return AUDIT_EVENTS if of_intune and not has_another and not self.singleton else None

    def item_url(self, external_id: str, parent_id: str = "") -> str:
        """The URL of an object's id alone."""
        path = self.path.replace("{parent_id}", quote(parent_id, safe=""))
        return f"{path}/{quote(external_id, safe='')}?$select={self.id_field}"

    def whole_item_url(self, external_id: str, parent_id: str = "") -> str:
        """Requests an object with the listing's properties."""
        path = self.path.replace("{parent_id}", quote(parent_id, safe=""))
        shown = self._options((("$select", ",".join(self.select) or None), ("$expand", self.expand)))
        return f"{path}/{quote(external_id, safe='')}{shown}"

    def observation_rules(self, *, hide_script_bodies: bool = False, show_payloads: bool = False) -> "ObservationRules":
        from graph.catalog.facts.enumerations import enumerations
        from inventory.observation import ObservationRules

        hidden = self.sensitive - self.payloads if show_payloads else self.sensitive
        return ObservationRules(
            type_key=self.type_key,
            id_field=self.id_field,
            name_field=self.name_field,
            singleton=self.singleton,
            volatile=self.volatile,
            sensitive=hidden | (self.script_bodies if hide_script_bodies else frozenset()),
            masked=self.masked,
            payloads=self.payloads if show_payloads else frozenset(),
            ordered=self.ordered,
            unordered=self.unordered,
            null_not_shown=self.null_not_shown,
            enumerations=self.flags | enumerations(),
            details=self.detail_properties,
            meta=dict(self.meta),
            has_details=bool(self.details),
            change_signs=self.change_signs,
            expand=self.expand,
            cross_checked={
                call.property: call.doubted_by
                for call in self.details
                if call.property is not None and call.doubted_by is not None
            },
        )

    @cached_property
    def form(self) -> "NormalForm":
        return self.observation_rules().form

    @cached_property
    def comparability(self) -> "Comparability":
        from inventory.canonical import Canonicalizer
        from inventory.changed_fields import Comparability

        whole = any(detail.property is None for detail in self.details)
        return Comparability(
            Canonicalizer(volatile=self.no_content, masked=self.masked),
            self.form,
            None if whole else self.detail_properties,
            self.detail_properties,
            self.expanded,
        )

    @property
    def no_content(self) -> frozenset[str]:
        """Volatile properties, and counts of a detail's members."""
        return self.volatile | {f"/{detail.counted_by}" for detail in self.details if detail.counted_by is not None}

    def _is_identity(self, path: str) -> bool:
        *above, name = path.split(".")
        return {name, f"/{name}" if not above else f"{above[-1]}/{name}"} & self.identity != frozenset()

    def independence_rules(self) -> "TenantNeutralRules":
        from inventory.references import path_of
        from inventory.tenant_neutral import TenantNeutralRules

        return TenantNeutralRules(
            id_field=self.id_field,
            name_field=self.name_field,
            identity=self.identity | self.no_content,
            # Documents of normal form 0, which may still be stored, kept the order of `ordered` arrays only.
            form=self.form.of_sorted(),
            references={rule: types for rule, types in self.references.items() if not self._is_identity(path_of(rule))},
            details=self.detail_properties,
            alternate_keys=self.alternate_keys,
            masked=self.masked,
        )


_QUERY_SAFE = "$(),/='"
"""Not percent-encoded in a query, as in Graph's examples."""
