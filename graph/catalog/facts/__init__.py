"""Microsoft's published paths, types, navigation and permissions."""

import gzip
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Any, NamedTuple

__all__ = ["Metadata", "Place", "Source", "metadata", "permissions_of", "sources"]

_CAST = "microsoft.graph."


class Source(NamedTuple):
    what: str
    url: str
    date: str


class Place(NamedTuple):
    """A path's target; the name of a scalar type is empty."""

    type_name: str
    is_collection: bool


@dataclass(frozen=True)
class Metadata:
    """One Graph version's types, by name without `microsoft.graph.`."""

    roots: dict[str, str]
    types: dict[str, list[Any]]

    @cached_property
    def _derived(self) -> dict[str, list[str]]:
        derived: dict[str, list[str]] = {}
        for name, (base, _, _) in self.types.items():
            derived.setdefault(base, []).append(name)
        return derived

    @cached_property
    def _families(self) -> dict[str, frozenset[str]]:
        return {}

    def line(self, type_name: str) -> Iterator[str]:
        current: str | None = type_name
        while current is not None and current in self.types:
            yield current
            current = self.types[current][0]

    def family(self, type_name: str) -> frozenset[str]:
        names = self._families.get(type_name)
        if names is None:
            below = (self.family(name) for name in self._derived.get(type_name, ()))
            names = self._families[type_name] = frozenset({type_name}).union(*below)
        return names

    def properties(self, type_name: str) -> dict[str, Place]:
        """Includes base types' properties."""
        return self._members(type_name, 1)

    def navigations(self, type_name: str) -> dict[str, Place]:
        """Includes base types' navigation properties."""
        return self._members(type_name, 2)

    @cached_property
    def _known_members(self) -> dict[tuple[str, int], dict[str, Place]]:
        return {}

    def _members(self, type_name: str, position: int) -> dict[str, Place]:
        members = self._known_members.get((type_name, position))
        if members is None:
            line = [self.types[ancestor][position] for ancestor in self.line(type_name)]
            members = {name: _place(kind) for own in line for name, kind in own.items()}
            self._known_members[type_name, position] = members
        return members

    def resolve(self, path: str) -> Place | None:
        """A path's target (`/groups/{id}/owners`); None if unknown."""
        first, *rest = path.strip("/").split("/")
        return self.walk(_place(self.roots[first]), rest) if first in self.roots else None

    def walk(self, place: Place, segments: Iterable[str]) -> Place | None:
        """Follows keys, casts and properties from a place; None if one is unknown."""
        for segment in segments:
            if segment.startswith(_CAST):
                name = segment.removeprefix(_CAST)
                if name not in self.family(place.type_name):
                    return None
                place = Place(name, place.is_collection)
            elif place.is_collection:
                place = Place(place.type_name, is_collection=False)
            else:
                navigations, properties = self.navigations(place.type_name), self.properties(place.type_name)
                following = navigations.get(segment) or properties.get(segment)
                if following is None:
                    return None
                place = following
        return place


def _place(kind: str) -> Place:
    return Place(kind.lstrip("*"), kind.startswith("*"))


@cache
def _data() -> dict[str, Any]:
    file = Path(__file__).with_name("facts.json.gz")
    data: dict[str, Any] = json.loads(gzip.decompress(file.read_bytes()))
    return data


@cache
def metadata(version: str) -> Metadata:
    """`version` is `v1.0` or `beta`."""
    return Metadata(**_data()[version])


def sources() -> list[Source]:
    return [Source(**source) for source in _data()["sources"]]


def permissions_of(path: str, *, delegated: bool = False) -> dict[str, bool]:
    """The permissions that allow GET of a path, and whether each is the least; empty if unknown."""
    table = _data()["permissions"]
    segments = ["{}" if "{" in segment else segment.lower() for segment in path.strip("/").split("/")]
    for written in ("/" + "/".join(segments), "/" + "/".join([*segments[:-1], "{}"])):
        if written in table:
            return {name: bool(least) for name, least in table[written].get("d" if delegated else "a", {}).items()}
    return {}
