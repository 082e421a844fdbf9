"""A whole document from its list's document and detail calls' answers.

Each part is stored in canonical form: `canonical(assemble(list, parts)) == canonical(assemble(canonical list,
canonical parts))`.
"""

from collections.abc import Container, Sequence
from typing import NamedTuple

from inventory.canonical import TYPE, Canonicalizer, JsonObject, JsonValue, edit_of, stamped


class Part(NamedTuple):
    property: str | None
    """The answer's place in the document; None for the item itself."""
    body: JsonValue
    """One object, None, or a page's members."""
    single: bool = False
    page: int = 0
    child_property: str | None = None
    """The answer's place in a member of `property`."""
    child_id: str | None = None
    believe_list: frozenset[str] = frozenset()


class DetailPlace(NamedTuple):
    """A property of the document, or of a member in it; all None for the item."""

    property: str | None
    child_property: str | None = None
    child_id: str | None = None


class SensitiveParentError(ValueError):
    """The parent property is sensitive as a whole, so its member is unknown."""


def assemble(list_document: JsonObject, parts: Sequence[Part]) -> JsonObject:
    """Of parts for the same place and page, the last counts. An absent single answer is null.

    An answer that is the item replaces the list's properties, except `believe_list` and the type.
    """
    document = dict(list_document)
    for part in parts:
        if part.property is None and isinstance(part.body, dict):
            believed = part.believe_list | ({TYPE} & document.keys())
            document |= {name: value for name, value in part.body.items() if name not in believed}
    answers = [(place.property, place, value) for place, value in _answers(parts).items() if place.property is not None]
    for name, place, value in answers:
        if place.child_property is None:
            document[name] = value
    for name, place, value in answers:
        members = document.get(name)
        if place.child_property is not None and isinstance(members, list):
            document[name] = [_with_child(member, place, value) for member in members]
    return document


def canonical_part(canonicalizer: Canonicalizer, part: Part, list_document: JsonObject) -> Part:
    """Hides secrets as in the whole document, so rules must not name ids of members with answers of their own.

    Raises as `Canonicalizer.canonical`, and `SensitiveParentError`.
    """
    item_type: JsonObject = {TYPE: list_document[TYPE]} if TYPE in list_document else {}
    if part.property is None:
        if not isinstance(part.body, dict):
            return part._replace(body=None)
        # The edit is in volatile properties, which are gone when the whole document is observed.
        item = stamped(canonicalizer.canonical_value(part.body | item_type), edit_of(part.body))
        return part._replace(body=item)
    if part.child_property is not None and part.property in canonicalizer.hidden_names(
        {**item_type, part.property: None}
    ):
        raise SensitiveParentError(part.property)
    path = [part.property] if part.child_property is None else [part.property, part.child_property]
    if part.single:
        return part._replace(body=_canonical_at(canonicalizer, item_type, path, part.body))
    # One by one: a list that is sensitive as a whole is hidden once it is whole, and until then each member.
    return part._replace(body=[_canonical_at(canonicalizer, item_type, path, member) for member in _members(part)])


def canonical_members(
    canonicalizer: Canonicalizer, names: Sequence[str], members: Sequence[JsonValue], list_document: JsonObject
) -> list[JsonValue]:
    """Further members, in canonical form, of the list at the path `names`."""
    known: JsonObject = {TYPE: list_document[TYPE]} if TYPE in list_document else {}
    return [_canonical_at(canonicalizer, known, names, member) for member in members]


def with_last_read(
    document: JsonObject,
    last: JsonObject,
    unread: Sequence[DetailPlace],
    *,
    listed_names: frozenset[str],
    lacked: Container[DetailPlace],
) -> tuple[JsonObject, list[DetailPlace]]:
    """A document with an earlier one's content in unread places, and the places that both lack.

    `lacked`: places that the earlier one lacks. Of an unread item, plain values and the `listed_names` stay.
    """
    lacking = [place for place in unread if place in lacked]
    carried = [place for place in unread if place not in lacked]
    if any(place.property is None for place in carried):
        document = last | {
            name: value
            for name, value in document.items()
            if name in listed_names or isinstance(value, str | int | float)
        }
    for place in carried:
        if place.property is None:
            continue
        if place.child_property is None:
            if place.property in last:
                document = {**document, place.property: last[place.property]}
            else:
                lacking.append(place)
            continue
        before = _member(last, place)
        if place.child_property not in before:
            lacking.append(place)
            continue
        members = document.get(place.property)
        if isinstance(members, list):
            value = before[place.child_property]
            document = {**document, place.property: [_with_child(member, place, value) for member in members]}
    return document, lacking


def value_at(document: JsonObject, place: DetailPlace) -> JsonValue:
    if place.property is None or place.child_property is None:
        return document if place.property is None else document.get(place.property)
    return _member(document, place).get(place.child_property)


def without_places(document: JsonObject, places: Sequence[DetailPlace]) -> JsonObject:
    names = {place.property for place in places if place.child_property is None}
    document = {name: value for name, value in document.items() if name not in names}
    for place in places:
        members = None if place.property is None else document.get(place.property)
        if place.child_property is not None and isinstance(members, list) and place.property is not None:
            document[place.property] = [
                {name: value for name, value in member.items() if name != place.child_property}
                if isinstance(member, dict) and member.get("id") == place.child_id
                else member
                for member in members
            ]
    return document


def _member(document: JsonObject, place: DetailPlace) -> JsonObject:
    members = document.get(place.property or "")
    found = (member for member in (members if isinstance(members, list) else []) if isinstance(member, dict))
    return next((member for member in found if member.get("id") == place.child_id), {})


def _answers(parts: Sequence[Part]) -> dict[DetailPlace, JsonValue]:
    pages: dict[DetailPlace, dict[int, Part]] = {}
    for part in parts:
        if part.property is not None:
            place = DetailPlace(part.property, part.child_property, part.child_id)
            pages.setdefault(place, {})[part.page] = part
    answers: dict[DetailPlace, JsonValue] = {}
    for place, by_number in pages.items():
        in_order = [by_number[number] for number in sorted(by_number)]
        answers[place] = in_order[-1].body if in_order[-1].single else _distinct(in_order)
    return answers


def _distinct(pages: Sequence[Part]) -> list[JsonValue]:
    """A member may repeat on a later page if others come or go."""
    members: list[JsonValue] = []
    seen: set[str] = set()
    for page in pages:
        members += [member for member in _members(page) if _id(member) not in seen]
        seen |= _ids(page.body)
    return members


def places_of_new(members: list[JsonValue], further: Sequence[JsonValue]) -> list[int]:
    seen = _ids(members)
    return [place for place, member in enumerate(further) if _id(member) not in seen]


def _ids(members: JsonValue) -> set[str]:
    ids = map(_id, members) if isinstance(members, list) else ()
    return {member_id for member_id in ids if member_id is not None}


def _id(member: JsonValue) -> str | None:
    member_id = member.get("id") if isinstance(member, dict) else None
    return member_id if isinstance(member_id, str) else None


def _members(page: Part) -> list[JsonValue]:
    return page.body if isinstance(page.body, list) else []


def _with_child(member: JsonValue, place: DetailPlace, value: JsonValue) -> JsonValue:
    if place.child_property is None or not isinstance(member, dict) or member.get("id") != place.child_id:
        return member
    return {**member, place.child_property: value}


def _canonical_at(canonicalizer: Canonicalizer, root: JsonObject, path: Sequence[str], value: JsonValue) -> JsonValue:
    """The names above a value decide whether it is a secret."""
    for name in reversed(path[1:]):
        value = {name: value}
    found: JsonValue = canonicalizer.canonical_value({**root, path[0]: value})
    for name in path:
        found = found.get(name) if isinstance(found, dict) else None
    return found
