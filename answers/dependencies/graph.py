"""References as a graph."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from answers.dependencies.evidence_words import evidence_in_words
from answers.dependencies.records import DependencyRecord, ObjectRecord, Presence
from inventory.references import ReferenceRole
from inventory.visible_text import visible

AUDIENCE = "audience"
"""The type of nodes for all users and all devices."""


class Node(NamedTuple):
    type_key: str
    external_id: str
    name: str
    presence: Presence
    certainty: str
    """Presence, confidence and evidence in words; empty for a present object and an audience."""


class Link(NamedTuple):
    source: str
    target: str
    role: ReferenceRole
    path: str


class Graph(NamedTuple):
    """Nodes are by key, in the answer's order. `left_out` names the omissions."""

    nodes: dict[str, Node]
    links: list[Link]
    left_out: Sequence[str] = ()


def graph_of(
    dependencies: Iterable[DependencyRecord], start: ObjectRecord | None = None, left_out: Sequence[str] = ()
) -> Graph:
    """`start`, the requested item, may have no reference."""
    nodes: dict[str, Node] = {}
    links: dict[Link, None] = {}
    if start is not None:
        nodes[_key(start)] = _node(start)
    for dependency in dependencies:
        for end in (dependency.item, dependency.target):
            nodes.setdefault(_key(end), _node(end))
        links[Link(_key(dependency.item), _key(dependency.target), dependency.role, dependency.path)] = None
    return Graph(nodes, list(links), left_out)


def _key(end: ObjectRecord) -> str:
    return f"{_type_of(end)}/{visible(end.external_id)}"


def _type_of(end: ObjectRecord) -> str:
    return " or ".join(end.type_keys) or AUDIENCE


def _node(end: ObjectRecord) -> Node:
    return Node(
        type_key=_type_of(end),
        external_id=visible(end.external_id),
        name=visible(end.title),
        presence=end.presence,
        certainty=_certainty(end),
    )


def _certainty(end: ObjectRecord) -> str:
    if end.presence in (Presence.PRESENT, Presence.AUDIENCE):
        return ""
    words = str(end.presence).replace("_", " ")
    evidence = evidence_in_words(end.evidence)
    return f"{words}, {end.confidence} confidence: {evidence}" if end.confidence else f"{words}: {evidence}"
