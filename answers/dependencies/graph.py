"""References as a graph: what is drawn, and what other tools read."""

from collections.abc import Iterable
from typing import NamedTuple

from answers.dependencies.records import DependencyRecord, Direction, ObjectRecord, Presence
from inventory.references import ReferenceRole
from inventory.visible_text import visible

AUDIENCE = "audience"
"""What the type of everyone is called."""


class Node(NamedTuple):
    """An object. `place` is its distance from the item that was asked about: to the right (over 0) what that needs."""

    type_key: str
    external_id: str
    name: str
    presence: Presence
    certainty: str
    """Presence, confidence and evidence in words, where it is not simply there."""
    place: int


class Link(NamedTuple):
    """A reference from one node, by its key, to another."""

    source: str
    target: str
    role: ReferenceRole
    path: str


class Graph(NamedTuple):
    """Nodes by their keys, in the order in which they were met, and each link once. `start` is the middle, if any."""

    nodes: dict[str, Node]
    links: list[Link]
    start: str | None


def graph_of(dependencies: Iterable[DependencyRecord], start: ObjectRecord | None = None) -> Graph:
    """The graph of an answer; `start` is the item that was asked about, which need not have any references."""
    nodes: dict[str, Node] = {}
    links: dict[Link, None] = {}
    if start is not None:
        nodes[_key(start)] = _node(start, 0)
    for one in dependencies:
        for end, place in ((one.item, _place_of_item(one)), (one.target, _place_of_target(one))):
            nodes.setdefault(_key(end), _node(end, place))
        links[Link(_key(one.item), _key(one.target), one.role, one.path)] = None
    return Graph(nodes, list(links), None if start is None else _key(start))


def _place_of_item(one: DependencyRecord) -> int:
    return one.distance - 1 if one.direction is Direction.NEEDS else -one.distance


def _place_of_target(one: DependencyRecord) -> int:
    return one.distance if one.direction is Direction.NEEDS else 1 - one.distance


def _key(end: ObjectRecord) -> str:
    return f"{_type_of(end)}/{visible(end.external_id)}"


def _type_of(end: ObjectRecord) -> str:
    return " or ".join(end.type_keys) or AUDIENCE


def _node(end: ObjectRecord, place: int) -> Node:
    return Node(
        type_key=_type_of(end),
        external_id=visible(end.external_id),
        name=visible(end.display_name or end.external_id),
        presence=end.presence,
        certainty=_certainty(end),
        place=place,
    )


def _certainty(end: ObjectRecord) -> str:
    if end.presence in (Presence.PRESENT, Presence.AUDIENCE):
        return ""
    words = str(end.presence).replace("_", " ")
    return f"{words}, {end.confidence} confidence: {end.evidence}" if end.confidence else f"{words}: {end.evidence}"
