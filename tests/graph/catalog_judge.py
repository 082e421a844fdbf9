"""Checks a catalog entry against Microsoft's metadata and permissions, and names each mismatch."""

import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from graph.catalog import ChildCall, Collection, DetailCall, load_catalog
from graph.catalog.deviations import shown_unasked
from graph.catalog.entries import NO_ENTRIES
from graph.catalog.facts import Metadata, Place, metadata, permissions_of

CATALOG = Path(__file__).resolve().parents[2] / "graph" / "catalog"

_GRAPH = "#microsoft.graph."
_KEYS = re.compile(r"\{(?:tenant_id|parent_id|id|child_id)\}")
_FILTERED = re.compile(r"([A-Za-z./]+) eq |isof\('([A-Za-z.]+)'\)")


class Problem(NamedTuple):
    """A part of an entry that the published data does not have: `path`, `permission`, `volatile eTag` …"""

    type_key: str
    what: str


class EntryCheck(NamedTuple):
    """The problems of an entry, and the number of parts that were looked up."""

    problems: list[Problem]
    looked_up: int


@dataclass
class Shape:
    """An object of a collection: its types, and the shapes that calls and expansions add by property name."""

    facts: Metadata
    types: frozenset[str]
    added: "dict[str, Shape]" = field(default_factory=dict)

    @classmethod
    def of(cls, facts: Metadata, type_name: str) -> "Shape":
        return cls(facts, frozenset(facts.family(type_name)) if type_name else frozenset())

    def step(self, name: str) -> "Shape | None":
        """The shape of the property `name`; None if no type has it."""
        places = [self.facts.properties(type_name) for type_name in self.types]
        if name in shown_unasked():
            places += [self.facts.navigations(type_name) for type_name in self.types]
        found = [place[name] for place in places if name in place]
        if name not in self.added and not found:
            return None
        types = {inner for place in found if place.type_name for inner in self.facts.family(place.type_name)}
        added = self.added.get(name)
        return Shape(self.facts, frozenset(types | (added.types if added else set())), added.added if added else {})

    def navigated(self, name: str) -> Place | None:
        """The target of the navigation property `name`; None if no type has it."""
        return next(
            (
                navigations[name]
                for navigations in map(self.facts.navigations, sorted(self.types))
                if name in navigations
            ),
            None,
        )

    def expand(self, text: str) -> Iterator[str]:
        """Adds the shapes of `$expand`; yields names that no type has, and lists that Graph cuts at twenty.

        Graph gives no link to the rest of a directory object's related objects, so these need a call.
        https://learn.microsoft.com/graph/query-parameters#expand-parameter
        """
        for name, nested in _expansions(text):
            place = self.navigated(name)
            if place is None:
                yield name
                continue
            if place.is_collection and any("directoryObject" in self.facts.line(type_name) for type_name in self.types):
                yield f"{name} of a directory object"
            inner = self.added[name] = Shape.of(self.facts, place.type_name)
            if nested.startswith("$expand="):
                yield from inner.expand(nested.removeprefix("$expand="))

    def lacking(self, names: Iterable[str]) -> Iterator[str]:
        """The names of properties that no type has."""
        return (name for name in names if self.step(name) is None)

    def everywhere(self) -> "list[Shape]":
        """The shape and all shapes in it, at any depth."""
        found, reached, open_shapes = [], set[str](), [self]
        while open_shapes:
            shape = open_shapes.pop()
            found.append(shape)
            open_shapes += shape.added.values()
            for type_name in shape.types - reached:
                reached.add(type_name)
                inner = {place.type_name for place in self.facts.properties(type_name).values()} - {""}
                open_shapes += [Shape.of(self.facts, name) for name in inner if not self.facts.family(name) <= reached]
        return found


def shared_rules(collections: Mapping[str, Collection]) -> Iterator[tuple[str, str, bool]]:
    """Each rule that a file's entries share: the category, the rule, and whether it holds for any entry."""
    for file in _files():
        entries = [collections[key] for key in file if key in collections]
        for rule in file.get("references", ()):
            yield entries[0].category, rule, any(_EntryJudge(entry).holds(rule) for entry in entries)


def shape_of(entry: Collection) -> Shape | None:
    """The shape of an entry's whole documents; None if its path is not published."""
    return _EntryJudge(entry).shape()


def judge(entry: Collection) -> EntryCheck:
    """Looks up every path, navigation, property, type and permission of an entry."""
    judged = _EntryJudge(entry)
    return EntryCheck([Problem(entry.type_key, what) for what in dict.fromkeys(judged.problems())], judged.looked_up)


class _EntryJudge:
    def __init__(self, entry: Collection) -> None:
        self.entry = entry
        self.facts = metadata(entry.api_version)
        self.looked_up = 0

    def holds(self, rule: str) -> bool:
        """Whether the entry's objects have the properties that a reference rule names."""
        shape = self.shape()
        return shape is not None and not list(self._rule(shape, rule))

    def shape(self) -> Shape | None:
        """The shape of the entry's objects, with their expansions and details."""
        place = self.facts.resolve(_KEYS.sub("x", self.entry.path))
        if place is None:
            return None
        shape = Shape.of(self.facts, place.type_name)
        list(shape.expand(self.entry.expand or ""))
        for detail in self.entry.details:
            list(self._call(detail, shape, self.entry.permission, detail.types))
        return shape

    def problems(self) -> Iterator[str]:
        entry = self.entry
        place = self.facts.resolve(_KEYS.sub("x", entry.path))
        yield from self._unless(place is not None and place.is_collection != entry.singleton, "path")
        if place is None:
            return
        people_only = not permissions_of(entry.path) and bool(permissions_of(entry.path, delegated=True))
        yield from self._unless(entry.delegated_only is people_only, "delegated_only")
        yield from self._permission("permission", entry.path, entry.permission)
        shape = Shape.of(self.facts, place.type_name)
        for missing in shape.expand(entry.expand or ""):
            yield f"expand {missing}"
        self.looked_up += len(shape.added)
        yield from self._expanded(entry.path, entry.expand or "", entry.permission, single=entry.singleton)
        for detail in entry.details:
            yield from self._call(detail, shape, detail.permission or entry.permission, detail.types)
        yield from self._names(shape)
        yield from self._types(shape)

    def _call(
        self, call: DetailCall | ChildCall, shape: Shape, permission: str, kinds: frozenset[str]
    ) -> Iterator[str]:
        path, _, query = call.path.partition("?")
        label = f"detail {call.property or 'by id'}"
        types: frozenset[str] = frozenset()
        for kind in sorted(kinds) if "{type}" in path else [""]:
            written = path.replace("{type}", kind.removeprefix("#"))
            place = self.facts.resolve(_KEYS.sub("x", written))
            yield from self._unless(place is not None and place.is_collection != call.single, f"{label} {kind}".strip())
            if place is not None:
                types |= Shape.of(self.facts, place.type_name).types
            yield from self._permission(f"permission of {label}", self._owner(written), permission)
        inner = shape
        if call.property is not None:
            inner = shape.added[call.property] = Shape(self.facts, types)
        for option in filter(None, query.split("&")):
            name, _, value = option.partition("=")
            if name == "$expand" and "{type}" not in path:
                yield from self._expanded(path, value, permission, single=call.single)
            missing = inner.expand(value) if name == "$expand" else inner.lacking(value.split(","))
            yield from (f"{label} {name} {absent}" for absent in missing)
        if isinstance(call, DetailCall):
            where = (call.only_where or "").partition("=")[0]
            for name in filter(None, (call.counted_by, where, *call.believe_list)):
                yield from self._unless(shape.step(name) is not None, f"{label} {name}")
            for kind in call.types:
                yield from self._unless(kind.removeprefix(_GRAPH) in shape.types, f"{label} type {kind}")
            for child in call.children:
                yield from self._call(child, inner, permission, kinds)

    def _owner(self, path: str) -> str:
        """The path whose permission applies: the object's, if the path ends in a structural property."""
        parent, _, name = path.rpartition("/")
        place = self.facts.resolve(_KEYS.sub("x", parent))
        structural = place is not None and not place.is_collection and name in self.facts.properties(place.type_name)
        return parent if structural else path

    def _permission(self, label: str, path: str, permission: str) -> Iterator[str]:
        if not (self.entry.delegated_only and not permissions_of(path)):
            yield from self._unless(permission in permissions_of(path), label)

    def _expanded(self, path: str, text: str, permission: str, *, single: bool) -> Iterator[str]:
        """Checks that a request's permission reads its expansions, if the permission map lists them."""
        for name, nested in _expansions(text):
            below = f"{path}/{name}" if single else f"{path}/{{id}}/{name}"
            if permissions_of(below):
                yield from self._permission(f"permission of expand {name}", below, permission)
            if nested.startswith("$expand="):
                yield from self._expanded(below, nested.removeprefix("$expand="), permission, single=False)

    def _names(self, shape: Shape) -> Iterator[str]:
        """Checks the names of properties: some in one place, some at any depth."""
        entry = self.entry
        own = (*entry.left_out_where, *entry.meaning)
        yield from (f"select {name}" for name in shape.lacking(entry.select))
        # A singleton without an id and a name is known by its type key and title.
        named = {entry.id_field, entry.name_field} - ({"id", "displayName"} if entry.singleton else set())
        for name in (*sorted(named), *own):
            yield from self._unless(shape.step(name) is not None, f"property {name}")
        for paths in entry.meta.values():
            for path in paths:
                yield from self._path(shape, path, f"meta {path}")
        for rule in sorted(entry.references.keys() - shared_references(entry.type_key)):
            yield from self._rule(shape, rule)
        for found in _FILTERED.finditer(entry.filter or ""):
            *cast, name = (found[1] or "").split("/")
            if found[2] or cast:
                kind = (found[2] or cast[0]).removeprefix("microsoft.graph.")
                yield from self._unless(kind in shape.types, f"filter {kind}")
                yield from self._unless(not cast or name in self.facts.properties(kind), f"filter {name}")
            else:
                yield from self._unless(shape.step(name) is not None, f"filter {name}")
        if entry.parent is not None and entry.parent_filter is not None:
            of_parent = self.facts.resolve(load_catalog().collections[entry.parent].path)
            name = entry.parent_filter.partition(" ")[0]
            known = of_parent is not None and name in self.facts.properties(of_parent.type_name)
            yield from self._unless(known, f"parent filter {name}")
        of_properties = "volatile change_signs sensitive masked script_bodies payloads ordered identity"
        for kind in of_properties.split():
            names = getattr(entry, kind) - default_names(kind)
            yield from self._anywhere(shape, sorted(names), kind)

    def _rule(self, shape: Shape, rule: str) -> Iterator[str]:
        """Checks a reference rule, and the property beside the id that its condition names."""
        path, _, condition = rule.partition("?")
        if rule.startswith("#"):
            yield from self._anywhere(shape, [path], "reference")
            return
        yield from self._path(shape, path, f"reference {rule}")
        if condition and not condition.startswith("@"):
            beside = ".".join((*path.split(".")[:-1], condition.partition("=")[0]))
            yield from self._path(shape, beside, f"reference {rule}")

    def _path(self, shape: Shape, path: str, label: str) -> Iterator[str]:
        reached: Shape | None = shape
        for name in path.split("."):
            reached = reached.step(name) if reached else None
        yield from self._unless(reached is not None, label)

    def _anywhere(self, shape: Shape, names: Iterable[str], label: str) -> Iterator[str]:
        shapes = shape.everywhere()
        for written in names:
            parent, slash, name = written.rpartition("/")
            if slash and not parent:
                holders = [shape]
            elif parent.startswith("#"):
                kind = parent.removeprefix(_GRAPH)
                known = any(kind in shape.types for shape in shapes)
                holders = [Shape(self.facts, frozenset({kind}))] if known else []
            else:
                holders = [inner for shape in shapes for inner in [shape.step(parent)] if inner] if parent else shapes
            yield from self._unless(any(holder.step(name) for holder in holders), f"{label} {written}")

    def _types(self, shape: Shape) -> Iterator[str]:
        for kind in self.entry.left_out_types:
            yield from self._unless(kind.removeprefix(_GRAPH) in shape.types, f"left out {kind}")

    def _unless(self, holds: bool, problem: str) -> Iterator[str]:
        self.looked_up += 1
        if not holds:
            yield problem


@cache
def default_names(kind: str) -> frozenset[str]:
    """The names of a kind that every entry inherits; no object must have them."""
    defaults = tomllib.loads((CATALOG / "defaults.toml").read_text(encoding="utf-8"))
    return frozenset(defaults.get(kind, ()))


@cache
def _files() -> list[dict[str, Any]]:
    return [
        tomllib.loads(file.read_text(encoding="utf-8"))
        for file in sorted(CATALOG.glob("*.toml"))
        if file.name not in NO_ENTRIES
    ]


@cache
def shared_references(type_key: str) -> frozenset[str]:
    """The reference rules that an entry inherits from its file; its objects need not have the properties."""
    found = [file for file in _files() if type_key in file]
    own = set(found[0][type_key].get("references", ()))
    return frozenset(set(found[0].get("references", ())) - own)


def _expansions(text: str) -> Iterator[tuple[str, str]]:
    """`a,b($expand=c)` as `("a", "")` and `("b", "$expand=c")`."""
    depth, start = 0, 0
    for position, character in enumerate(f"{text},"):
        depth += (character == "(") - (character == ")")
        if character == "," and depth == 0:
            name, _, nested = text[start:position].partition("(")
            start = position + 1
            if name:
                yield name, nested.removesuffix(")")
