"""The references of a document: the ids of other objects in it, found by the catalog's rules, each with its role.

A rule says where ids are, and of which collections:

- `assignments.target.groupId` → `groups`: a dotted path of properties, through lists;
- `relationships.targetId?targetType=child` → `mobileApps`: only in objects with this property beside the id;
- `#microsoft.graph.someValue/value` → `reusablePolicySettings`: in objects of a type, at any depth.

A target `servicePrincipals(appId)` is named by an alternate key, the same in every tenant.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from enum import StrEnum
from functools import cache, partial
from typing import NamedTuple, TypeAlias, cast

from inventory.canonical import TYPE, JsonObject, JsonValue
from inventory.item_ids import item_key

ReferenceRules: TypeAlias = Mapping[str, tuple[str, ...]]
"""Places of ids, with the ids' collections."""

NameOf: TypeAlias = Callable[[tuple[str, ...], str], str | None]
"""Looks up the name of an id of one of the target types; None if unknown."""

NOT_READ = frozenset({"users", "enrollmentNotificationTemplates", "applicationsOfOtherTenants"})
"""Collections that no catalog entry reads: people, unlisted templates, app registrations in other tenants."""

MAX_ID_LENGTH = 512
"""In characters; PostgreSQL's index rows hold up to 2,704 bytes."""

ALL_DEVICES = "all devices"
ALL_USERS = "all users"

WORDS = frozenset({
    "All", "None", "AllTrusted", "GuestsOrExternalUsers", "ServicePrincipalsInMyOrganization", "all_users",
    "all", "any", "none", "AllUsers", "AllApplications", "Office365", "MicrosoftAdminPortals",
    "00000000-0000-0000-0000-000000000000",
})  # fmt: skip
"""Graph's words in place of ids."""

_EVERYONE = {
    "acacacac-9df4-4c7d-9d50-4ef0226f57a9": ALL_USERS,
    "adadadad-808e-44e2-905a-0b7873a8a531": ALL_DEVICES,
}
"""Intune's ids for everyone, in place of a group's id."""

_PREFIX = re.compile(r"(?:email_|push_|managePermissionGrantsFor[A-Za-z]+\.)", re.IGNORECASE)
"""Prefixes of ids: how a template is sent, whose consent a policy is about."""

_PATH = re.compile(
    r"(?:/(?:v1\.0|beta))?/(?:"
    r"(?!(?:groups|users|servicePrincipals|applications|devices|roleManagement)$)"
    r"(?:(?:administrativeUnits|AccessPackageCatalog)/)?([^/?]+)"
    r"|(?:groups|users)/([^/?]+)(?:/.*)?)",
    re.IGNORECASE,
)
"""A path to one object: a role's scope (`/administrativeUnits/{id}`), reviewers (`/groups/{id}/members`). A collection
(`/groups`), or the lone slash of a tenant-wide role, names none.
"""

_AUDIENCES = {"allDevicesAssignmentTarget": ALL_DEVICES, "allLicensedUsersAssignmentTarget": ALL_USERS}

_OF_USERS = (("conditions", "users", "includeUsers"), ("includeTargets", "id"))
"""Places of users in conditions and authentication methods."""

EXCLUSION_TARGET = "exclusionGroupAssignmentTarget"

FILTER_ID = "deviceAndAppManagementAssignmentFilterId"

FILTER_TYPE = "deviceAndAppManagementAssignmentFilterType"


class ReferenceRole(StrEnum):
    """The item's use of the target. Include and exclude are of assignments, conditions and filters."""

    INCLUDE = "include"
    EXCLUDE = "exclude"
    USE = "use"


class Reference(NamedTuple):
    """`target_id` is an `item_key`, or an audience (`ALL_DEVICES`, `ALL_USERS`), which has no `target_types`."""

    path: str
    role: ReferenceRole
    target_types: tuple[str, ...]
    target_id: str
    intent: str = ""
    """An assignment's purpose, such as `required`. An exclusion holds within its intent."""
    policy_set_id: str = ""
    """The policy set that made the assignment."""


class _Assignment(NamedTuple):
    intent: str = ""
    policy_set_id: str = ""


_NO_ASSIGNMENT = _Assignment()


class _Place(NamedTuple):
    path: str
    names: tuple[str, ...]
    kind: str | None
    sibling: str
    sibling_value: str
    role: ReferenceRole

    def holds(self, holder: JsonObject) -> bool:
        return not self.sibling or holder.get(self.sibling) == self.sibling_value


@cache
def _place(rule: str) -> _Place:
    path, _, condition = rule.partition("?")
    role = _role_by(path.split("."))
    if rule.startswith("#"):
        kind, _, name = rule.partition("/")
        return _Place(path, (name,), kind, TYPE, kind, role)
    sibling, _, sibling_value = condition.partition("=")
    return _Place(path, tuple(path.split(".")), None, sibling, sibling_value, role)


def _role_by(names: Sequence[str]) -> ReferenceRole:
    for name in reversed(names):
        if name.startswith("exclude"):
            return ReferenceRole.EXCLUDE
        if name.startswith("include"):
            return ReferenceRole.INCLUDE
    return ReferenceRole.USE


def references(document: JsonObject, rules: ReferenceRules) -> list[Reference]:
    """Sorted, each once; the path is the rule's without its condition."""
    unique = set(_audiences(document))
    of_types: dict[str, list[tuple[_Place, tuple[str, ...]]]] = {}
    for rule, target_types in rules.items():
        place = _place(rule)
        if place.kind is not None:
            of_types.setdefault(place.kind, []).append((place, target_types))
        elif place.names[0] in document:
            unique.update(_by_rule(document, place, target_types))
    if of_types:
        for holder in _objects(document):
            for place, target_types in of_types.get(str(holder.get(TYPE)), ()):
                unique.update(_by_rule(holder, place, target_types))
    return sorted(unique)


def id_in(value: JsonValue) -> str | None:
    """The id in a value, without Graph's prefix or path; None if there is none."""
    if not isinstance(value, str) or not 0 < len(value) <= MAX_ID_LENGTH or value in WORDS or not value.isprintable():
        return None
    if value.startswith(("/", "./")):
        path = _PATH.fullmatch(value)
        target_id = "" if path is None else path[1] or path[2]
    else:
        prefix = _PREFIX.match(value)
        target_id = value if prefix is None else value[prefix.end() :]
    return None if not target_id or target_id in WORDS else target_id


def collection_of(target_type: str) -> str:
    """Without the alternate key."""
    return target_type.partition("(")[0]


def is_by_alternate_key(target_type: str) -> bool:
    """Whether ids are an alternate key, which is the same in every tenant."""
    return "(" in target_type


def is_exclusion(target: JsonObject) -> bool:
    return str(target.get(TYPE)).endswith(EXCLUSION_TARGET)


def translated(document: JsonObject, rules: ReferenceRules, name_of: NameOf) -> JsonObject:
    """Replaces known ids by names."""
    for rule, target_types in rules.items():
        place = _place(rule)
        document = cast(
            "JsonObject", _rewritten(document, place, place.names, partial(_renamed, name_of, target_types))
        )
    return document


def translated_at(value: JsonValue, path: str, rules: ReferenceRules, name_of: NameOf) -> JsonValue:
    """As `translated`, for the value at a path of a document."""
    above = tuple(path.split("."))
    for rule, target_types in rules.items():
        place = _place(rule)
        if place.kind is not None:
            below = place.names
        elif place.names[: len(above)] == above and (len(place.names) > len(above) or not place.sibling):
            below = place.names[len(above) :]
        else:
            continue
        value = _rewritten(value, place, below, partial(_renamed, name_of, target_types))
    return value


def _renamed(name_of: NameOf, target_types: tuple[str, ...], value: JsonValue) -> JsonValue:
    target_id = id_in(value)
    name = None if target_id is None else name_of(target_types, item_key(target_id))
    before, _, after = str(value).rpartition(str(target_id))
    return value if name is None else before + name + after


def places_of_ids(rules: ReferenceRules) -> tuple[frozenset[str], frozenset[str]]:
    """The document's properties in which the rules look for ids, and the types of objects at any depth."""
    places = [_place(rule) for rule in rules]
    names = {name for place in places for name in (place.names[0], *([place.sibling] if len(place.names) == 1 else []))}
    return frozenset(names - {""}), frozenset(place.kind for place in places if place.kind is not None)


def path_of(rule: str) -> str:
    """Without the rule's condition."""
    return rule.partition("?")[0]


def _reference(
    place: _Place, holder: JsonObject, target_types: tuple[str, ...], target_id: str, assignment: _Assignment
) -> Reference:
    key = item_key(target_id)
    audience = _EVERYONE.get(key)
    if audience is not None:
        target_types, key = (), audience
    return Reference(place.path, _role(place, holder), target_types, key, *assignment)


def _by_rule(start: JsonObject, place: _Place, target_types: tuple[str, ...]) -> Iterator[Reference]:
    for assignment, within, names in _assignments(start, place.names):
        for holder, value in _at(within, names):
            target_id = id_in(value)
            if target_id is not None and place.holds(holder):
                yield _reference(place, holder, target_types, target_id, assignment)


def _assignments(start: JsonObject, names: tuple[str, ...]) -> Iterator[tuple[_Assignment, JsonValue, tuple[str, ...]]]:
    if names[1:2] != ("target",):
        yield _NO_ASSIGNMENT, start, names
        return
    for assignment in _members(start.get(names[0])):
        if isinstance(assignment, dict):
            yield _assignment(assignment), assignment, names[1:]


def _assignment(assignment: JsonObject) -> _Assignment:
    intent, source_id = assignment.get("intent"), assignment.get("sourceId")
    is_of_policy_set = assignment.get("source") == "policySets" and isinstance(source_id, str)
    return _Assignment(intent if isinstance(intent, str) else "", item_key(str(source_id)) if is_of_policy_set else "")


def _objects(value: JsonValue) -> Iterator[JsonObject]:
    stack = [value]
    while stack:
        member = stack.pop()
        if isinstance(member, dict):
            yield member
            stack += [child for child in member.values() if type(child) is dict or type(child) is list]
        elif isinstance(member, list):
            stack += member


def _at(value: JsonValue, names: tuple[str, ...]) -> list[tuple[JsonObject, JsonValue]]:
    holders = _objects_among(value)
    for name in names[:-1]:
        holders = [member for holder in holders if name in holder for member in _objects_among(holder[name])]
    last = names[-1]
    return [(holder, member) for holder in holders if last in holder for member in _members(holder[last])]


def _objects_among(value: JsonValue) -> Sequence[JsonObject]:
    if isinstance(value, dict):
        return (value,)
    return [member for member in _members(value) if isinstance(member, dict)] if isinstance(value, list) else ()


def _members(value: JsonValue) -> Iterable[JsonValue]:
    if not isinstance(value, list):
        return (value,)
    if not any(isinstance(member, list) for member in value):
        return value
    return [inner for member in value for inner in _members(member)]


def _rewritten(
    value: JsonValue, place: _Place, names: tuple[str, ...], renamed: Callable[[JsonValue], JsonValue]
) -> JsonValue:
    if isinstance(value, list):
        return [_rewritten(member, place, names, renamed) for member in value]
    if not names:
        return renamed(value)
    if not isinstance(value, dict):
        return value
    if place.kind is not None:
        value = {name: _rewritten(member, place, names, renamed) for name, member in value.items()}
    name, *rest = names
    if name not in value or (not rest and not place.holds(value)):
        return value
    return {**value, name: _rewritten(value[name], place, tuple(rest), renamed)}


def audience_words(target: JsonObject) -> str:
    """The kind of an assignment's target, such as `group`, `exclusion group`, `all licensed users`."""
    kind = str(target[TYPE]).rpartition(".")[2].removesuffix("AssignmentTarget")
    return re.sub(r"(?<=[a-z])(?=[A-Z])", " ", kind).lower()


def _role(place: _Place, holder: JsonObject) -> ReferenceRole:
    if place.names[-1] == FILTER_ID:
        return ReferenceRole.EXCLUDE if holder.get(FILTER_TYPE) == "exclude" else ReferenceRole.INCLUDE
    if str(holder.get(TYPE)).endswith("AssignmentTarget"):
        return ReferenceRole.EXCLUDE if is_exclusion(holder) else ReferenceRole.INCLUDE
    return place.role


def _audiences(document: JsonObject) -> Iterator[Reference]:
    for name, value in document.items():
        if type(value) is list and name.lower().endswith("assignments"):
            for assignment, within, names in _assignments(document, (name, "target", TYPE)):
                for _, kind in _at(within, names):
                    audience = _AUDIENCES.get(str(kind).rpartition(".")[2])
                    if audience is not None:
                        yield Reference(f"{name}.target", ReferenceRole.INCLUDE, (), audience, *assignment)
    for names in _OF_USERS:
        if names[0] in document and any(value in ("All", "all_users") for _, value in _at(document, names)):
            yield Reference(".".join(names), ReferenceRole.INCLUDE, (), ALL_USERS)
