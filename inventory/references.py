"""What a document refers to: the ids of other objects in it, found by the catalog's rules, each with its role.

A rule is a dotted path of properties, through lists, and the collections whose ids stand there:
`assignments.target.groupId` → `groups`.
"""

from collections.abc import Callable, Iterator, Mapping
from enum import StrEnum
from functools import partial
from typing import NamedTuple, TypeAlias

from inventory.canonical import TYPE, JsonObject, JsonValue

ReferenceRules: TypeAlias = Mapping[str, tuple[str, ...]]
"""Path to the type keys of the collections that the ids there belong to."""

NameOf: TypeAlias = Callable[[tuple[str, ...], str], str | None]
"""What an id of one of the target types is called; None where that is not known."""

ALL_DEVICES = "all devices"
ALL_USERS = "all users"

WORDS = frozenset({
    "All", "None", "AllTrusted", "GuestsOrExternalUsers", "ServicePrincipalsInMyOrganization", "all_users",
    "00000000-0000-0000-0000-000000000000",
})  # fmt: skip
"""What Graph writes where an id could stand, and is none."""

_AUDIENCES = {"allDevicesAssignmentTarget": ALL_DEVICES, "allLicensedUsersAssignmentTarget": ALL_USERS}

_EXCLUSION_TARGET = "exclusionGroupAssignmentTarget"

_FILTER_ID = "deviceAndAppManagementAssignmentFilterId"

_FILTER_TYPE = "deviceAndAppManagementAssignmentFilterType"


class ReferenceRole(StrEnum):
    """What the item does with what it refers to. Include and exclude are of assignments, conditions and filters."""

    INCLUDE = "include"
    EXCLUDE = "exclude"
    USE = "use"


class Reference(NamedTuple):
    """One id in a document. `target_types` are the collections that it may belong to.

    An audience that is no object (`ALL_DEVICES`, `ALL_USERS`) has no target types.
    """

    path: str
    role: ReferenceRole
    target_types: tuple[str, ...]
    target_id: str


def references(document: JsonObject, rules: ReferenceRules) -> list[Reference]:
    """All references of a document, each once, by path, role and id."""
    found = {
        Reference(path, _role(path, holder), target_types, value)
        for path, target_types in rules.items()
        for holder, value in _at(document, {}, path.split("."))
        if isinstance(value, str) and value and value not in WORDS
    }
    return sorted(found | set(_audiences(document)))


def translated(document: JsonObject, rules: ReferenceRules, name_of: NameOf) -> JsonObject:
    """The document with what `name_of` says of the target types and id in the place of each id that it knows."""
    for path, target_types in rules.items():
        document = _replaced(document, path.split("."), partial(_renamed, name_of, target_types))
    return document


def translated_at(value: JsonValue, path: str, rules: ReferenceRules, name_of: NameOf) -> JsonValue:
    """The same of what stands at a path of a document, or is a member of a list that stands there."""
    for rule, target_types in rules.items():
        if rule == path or rule.startswith(f"{path}."):
            rest = rule[len(path) + 1 :]
            value = _replaced_value(value, rest.split(".") if rest else [], partial(_renamed, name_of, target_types))
    return value


def _renamed(name_of: NameOf, target_types: tuple[str, ...], value: JsonValue) -> JsonValue:
    name = name_of(target_types, value) if isinstance(value, str) and value not in WORDS else None
    return value if name is None else name


def _at(value: JsonValue, holder: JsonObject, path: list[str]) -> Iterator[tuple[JsonObject, JsonValue]]:
    """The values at a path, each with the object that holds it."""
    if isinstance(value, list):
        for member in value:
            yield from _at(member, holder, path)
    elif not path:
        yield holder, value
    elif isinstance(value, dict):
        yield from _at(value.get(path[0]), value, path[1:])


def _replaced(document: JsonObject, path: list[str], renamed: Callable[[JsonValue], JsonValue]) -> JsonObject:
    name = path[0]
    if name not in document:
        return document
    return {**document, name: _replaced_value(document[name], path[1:], renamed)}


def _replaced_value(value: JsonValue, path: list[str], renamed: Callable[[JsonValue], JsonValue]) -> JsonValue:
    if isinstance(value, list):
        return [_replaced_value(member, path, renamed) for member in value]
    if not path:
        return renamed(value)
    return _replaced(value, path, renamed) if isinstance(value, dict) else value


def _role(path: str, holder: JsonObject) -> ReferenceRole:
    last = path.rpartition(".")[2]
    if last == _FILTER_ID:
        return ReferenceRole.EXCLUDE if holder.get(_FILTER_TYPE) == "exclude" else ReferenceRole.INCLUDE
    kind = holder.get(TYPE)
    if isinstance(kind, str) and kind.endswith("AssignmentTarget"):
        return ReferenceRole.EXCLUDE if kind.endswith(_EXCLUSION_TARGET) else ReferenceRole.INCLUDE
    for name in reversed(path.split(".")):
        if name.startswith("exclude"):
            return ReferenceRole.EXCLUDE
        if name.startswith("include"):
            return ReferenceRole.INCLUDE
    return ReferenceRole.USE


def _audiences(document: JsonObject) -> Iterator[Reference]:
    """Everyone, where an assignment or a condition names them."""
    for name, value in document.items():
        if name.lower().endswith("assignments"):
            for _, kind in _at(value, {}, ["target", TYPE]):
                audience = _AUDIENCES.get(str(kind).rpartition(".")[2])
                if audience is not None:
                    yield Reference(f"{name}.target", ReferenceRole.INCLUDE, (), audience)
    for path in ("conditions.users.includeUsers", "includeTargets.id"):
        if any(value in ("All", "all_users") for _, value in _at(document, {}, path.split("."))):
            yield Reference(path, ReferenceRole.INCLUDE, (), ALL_USERS)
