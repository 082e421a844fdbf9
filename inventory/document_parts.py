"""A whole document from its list's document and the answers of the calls that complete it.

Answers arrive one by one and are stored in between, so each is made canonical, with its secrets hidden, on its own
(`canonical_part`): `canonical(assemble(list, parts)) == canonical(assemble(canonical list, canonical parts))`.
"""

from collections.abc import Container, Sequence
from typing import NamedTuple

from inventory.canonical import TYPE, Canonicalizer, JsonObject, JsonValue, edit_of, stamped


class Part(NamedTuple):
    """The answer of one detail call, or one page of it."""

    property: str | None
    """Where it goes in the document; None where it is the item itself."""
    body: JsonValue
    """One object, or none; of a collection the list of the members of the page."""
    single: bool = False
    """Whether it is one object, and not a page of a collection."""
    page: int = 0
    child_property: str | None = None
    """Where it goes in the member of `property`, if it belongs to one."""
    child_id: str | None = None
    """The id of that member."""
    believe_list: frozenset[str] = frozenset()
    """Properties of the item that only the list shows right."""


class DetailPlace(NamedTuple):
    """The place of an answer: a property of the document, or of one member of that property; all None for the item."""

    property: str | None
    child_property: str | None = None
    child_id: str | None = None


class SensitiveParentError(ValueError):
    """An answer belongs to a member of a property that is sensitive as a whole, so no member could be told."""


def assemble(list_document: JsonObject, parts: Sequence[Part]) -> JsonObject:
    """The whole document. The order of `parts` means nothing but where two say the same: there the later one holds.

    An answer that is the item itself replaces the list's properties, but for those of `believe_list` and the type.
    Properties that no answer shows stay as in the list. A missing single answer is null.
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
    """The part with its body in canonical form, its secrets hidden as they would be in the whole document.

    Rules must not name the ids of members that have answers of their own. Raises as `Canonicalizer.canonical` does, and
    `SensitiveParentError`.
    """
    known: JsonObject = {TYPE: list_document[TYPE]} if TYPE in list_document else {}
    if part.property is None:
        if not isinstance(part.body, dict):
            return part._replace(body=None)
        # What tells of an edit is volatile, so it is not there any more when the whole is observed.
        item = stamped(canonicalizer.canonical_value(part.body | known), edit_of(part.body))
        return part._replace(body=item)
    if part.child_property is not None and part.property in canonicalizer.hidden_names({**known, part.property: None}):
        raise SensitiveParentError(part.property)
    path = [part.property] if part.child_property is None else [part.property, part.child_property]
    if part.single:
        return part._replace(body=_canonical_at(canonicalizer, known, path, part.body))
    # One by one: a list that is sensitive as a whole is hidden when it is whole, and its members until then.
    return part._replace(body=[_canonical_at(canonicalizer, known, path, member) for member in _members(part)])


def canonical_members(
    canonicalizer: Canonicalizer, names: Sequence[str], members: Sequence[JsonValue], list_document: JsonObject
) -> list[JsonValue]:
    """Further members of the list that stands in these properties, one in the other, each in canonical form."""
    known: JsonObject = {TYPE: list_document[TYPE]} if TYPE in list_document else {}
    return [_canonical_at(canonicalizer, known, names, member) for member in members]


def with_last_read(
    document: JsonObject,
    last: JsonObject,
    unread: Sequence[DetailPlace],
    *,
    shown: frozenset[str],
    lacked: Container[DetailPlace],
) -> tuple[JsonObject, list[DetailPlace]]:
    """A document with an earlier one's content in the places that could not be read; the places that both lack.

    `lacked` are the places that the earlier one lacks, be they there. If the item itself could not be read, the
    document has its plain values and the properties `shown`.
    """
    lacking = [place for place in unread if place in lacked]
    carried = [place for place in unread if place not in lacked]
    if any(place.property is None for place in carried):
        document = last | {
            name: value for name, value in document.items() if name in shown or isinstance(value, str | int | float)
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
    """The value in a place of the document; null where there is none."""
    if place.property is None or place.child_property is None:
        return document if place.property is None else document.get(place.property)
    return _member(document, place).get(place.child_property)


def without_places(document: JsonObject, places: Sequence[DetailPlace]) -> JsonObject:
    """The document without the values in these places, of members, too."""
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
    """The members of all pages. One that comes again on a later page, as others came and went, is there once."""
    members: list[JsonValue] = []
    seen: set[str] = set()
    for page in pages:
        members += [member for member in _members(page) if _id(member) not in seen]
        seen |= _ids(page.body)
    return members


def places_of_new(members: list[JsonValue], further: Sequence[JsonValue]) -> list[int]:
    """The places of further members with ids that none of the first ones has."""
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
    """The canonical form of a value in its place: the names on the way to it decide what is sensitive."""
    for name in reversed(path[1:]):
        value = {name: value}
    found: JsonValue = canonicalizer.canonical_value({**root, path[0]: value})
    for name in path:
        found = found.get(name) if isinstance(found, dict) else None
    return found
