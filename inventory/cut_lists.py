"""Expanded lists that Graph has cut, with a link to the rest: https://learn.microsoft.com/graph/query-parameters"""

from collections.abc import Iterator, Mapping
from typing import NamedTuple, TypeAlias

from inventory.exact_json import JsonObject, JsonValue

NEXT_LINK = "@odata.nextLink"

Expansion: TypeAlias = Mapping[str, "Expansion"]
"""Expanded properties, each with its inner expansions."""

Path: TypeAlias = tuple[str | int, ...]
"""Property names and places in lists."""


class CutList(NamedTuple):
    path: Path
    link: str


def expansion(text: str | None) -> Expansion:
    """The names in a `$expand`, such as `assignments,policy($expand=rules)`."""
    named: dict[str, Expansion] = {}
    for part in _split(text or "", ","):
        name, _, rest = part.partition("(")
        options = _split(rest.removesuffix(")"), ";")
        within = [option.removeprefix("$expand=") for option in options if option.startswith("$expand=")]
        named[name.strip()] = expansion(",".join(within))
    return named


def expansion_by(url: str) -> Expansion:
    return expansion(url.partition("$expand=")[2].partition("&")[0])


def names_of(expanded: Expansion) -> frozenset[str]:
    """Expanded properties at any depth."""
    return frozenset(expanded).union(*map(names_of, expanded.values()))


def expanded_in(expanded: Expansion, path: Path) -> Expansion:
    """The expansions within members of the list at a path."""
    for step in path:
        if isinstance(step, str):
            expanded = expanded.get(step, {})
    return expanded


def cut_lists(value: JsonValue, expanded: Expansion) -> list[CutList]:
    """Only expanded lists can be cut."""
    return list(_cut(value, expanded, ())) if expanded else []


def _cut(value: JsonValue, expanded: Expansion, place: Path) -> Iterator[CutList]:
    if isinstance(value, list):
        for number, member in enumerate(value):
            yield from _cut(member, expanded, (*place, number))
    elif isinstance(value, dict):
        for name, within in expanded.items():
            link = value.get(name + NEXT_LINK)
            if isinstance(link, str) and isinstance(value.get(name), list):
                yield CutList((*place, name), link)
            if within:
                yield from _cut(value.get(name), within, (*place, name))


def with_links(canonical: JsonObject, cut: list[CutList]) -> JsonObject:
    """Adds links in place, except of lists that the document does not show."""
    for path, link in cut:
        owner, name = owner_of(canonical, path)
        if owner is not None and isinstance(owner.get(name), list):
            owner[name + NEXT_LINK] = link
    return canonical


def without_links(document: JsonValue, cut: list[CutList]) -> None:
    """In place."""
    for path, _ in cut:
        owner, name = owner_of(document, path)
        if owner is not None:
            owner.pop(name + NEXT_LINK, None)


def owner_of(document: JsonValue, path: Path) -> tuple[JsonObject | None, str]:
    """The object with the list at a path (None if absent), and the list's name."""
    *way, name = path
    value: JsonValue = document
    for step in way:
        if isinstance(value, dict) and isinstance(step, str):
            value = value.get(step)
        elif isinstance(value, list) and isinstance(step, int) and step < len(value):
            value = value[step]
        else:
            return None, str(name)
    return (value if isinstance(value, dict) else None), str(name)


def cut_properties(document: Mapping[str, JsonValue]) -> frozenset[str]:
    """Properties of a stored document with a cut list at any depth."""
    return frozenset(
        name.removesuffix(NEXT_LINK)
        for name, value in document.items()
        if name.endswith(NEXT_LINK) or _holds_link(value)
    )


def _holds_link(value: JsonValue) -> bool:
    if isinstance(value, dict):
        return any(name.endswith(NEXT_LINK) or _holds_link(child) for name, child in value.items())
    return isinstance(value, list) and any(map(_holds_link, value))


def _split(text: str, separator: str) -> list[str]:
    parts, depth = [""], 0
    for character in text:
        depth += (character == "(") - (character == ")")
        if character == separator and not depth:
            parts.append("")
        else:
            parts[-1] += character
    return [part for part in parts if part]
