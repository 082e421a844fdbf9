"""Graphs in Mermaid, DOT and GraphML, with all names escaped."""

from collections.abc import Iterator
from xml.etree import ElementTree

from answers.dependencies.graph import Graph, Link, Node
from answers.dependencies.records import Presence
from inventory.references import ReferenceRole

MAX_LABEL = 80

_PLAIN = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789 -_.,:/")

_ARROWS = {ReferenceRole.INCLUDE: "-->", ReferenceRole.EXCLUDE: "-.->", ReferenceRole.USE: "-->"}

_NODE_DATA = ("type_key", "external_id", "name", "presence", "certainty")
_LINK_DATA = ("role", "path")

_GONE = frozenset({Presence.ABSENT, Presence.NEVER_SEEN})


def mermaid(graph: Graph) -> Iterator[str]:
    yield "flowchart LR"
    ids = _ids(graph)
    for key, node in graph.nodes.items():
        lines = "<br/>".join(map(_mermaid_text, _label(node)))
        yield f'    {ids[key]}["{lines}"]{_class_of(node)}'
    for link in graph.links:
        yield f"    {ids[link.source]} {_ARROWS[link.role]}|{link.role}| {ids[link.target]}"
    for number, words in enumerate(graph.left_out):
        yield f'    left_out_{number}["{_mermaid_text(words)}"]:::unknown'
    yield "    classDef gone stroke:#b42318,stroke-dasharray:4"
    yield "    classDef unknown stroke:#98a2b3,stroke-dasharray:2"


def dot(graph: Graph) -> Iterator[str]:
    yield "digraph dependencies {"
    yield "    rankdir=LR;"
    yield '    node [shape=box, fontname="sans-serif"];'
    ids = _ids(graph)
    for key, node in graph.nodes.items():
        label = "\\n".join(map(_dot_text, _label(node)))
        style = ", style=dashed" if node.presence in _GONE or node.presence is Presence.NOT_READ else ""
        color = ', color="#b42318"' if node.presence in _GONE else ""
        yield f'    {ids[key]} [label="{label}", tooltip="{_dot_text(key)}"{style}{color}];'
    for link in graph.links:
        style = ", style=dashed" if link.role is ReferenceRole.EXCLUDE else ""
        tooltip = _dot_text(link.path)
        yield f'    {ids[link.source]} -> {ids[link.target]} [label="{link.role}", tooltip="{tooltip}"{style}];'
    for number, words in enumerate(graph.left_out):
        yield f'    left_out_{number} [shape=note, style=dashed, label="{_dot_text(words)}"];'
    yield "}"


def graphml(graph: Graph) -> Iterator[str]:
    """The lines of a GraphML document: http://graphml.graphdrawing.org"""
    root = ElementTree.Element("graphml", xmlns="http://graphml.graphdrawing.org/xmlns")
    for owner, names in (("node", _NODE_DATA), ("edge", _LINK_DATA)):
        for name in names:
            ElementTree.SubElement(root, "key", {"id": name, "for": owner, "attr.name": name, "attr.type": "string"})
    body = ElementTree.SubElement(root, "graph", edgedefault="directed")
    if graph.left_out:
        ElementTree.SubElement(body, "desc").text = "\n".join(graph.left_out)
    for key, node in graph.nodes.items():
        _add_data(ElementTree.SubElement(body, "node", id=key), node, _NODE_DATA)
    for link in graph.links:
        _add_data(ElementTree.SubElement(body, "edge", source=link.source, target=link.target), link, _LINK_DATA)
    ElementTree.indent(root)
    yield '<?xml version="1.0" encoding="UTF-8"?>'
    yield from ElementTree.tostring(root, encoding="unicode").splitlines()


def _add_data(element: ElementTree.Element, values: Node | Link, names: tuple[str, ...]) -> None:
    for name in names:
        ElementTree.SubElement(element, "data", key=name).text = str(getattr(values, name))


def _ids(graph: Graph) -> dict[str, str]:
    return {key: f"n{number}" for number, key in enumerate(graph.nodes)}


def _label(node: Node) -> list[str]:
    name = node.name if len(node.name) <= MAX_LABEL else f"{node.name[: MAX_LABEL - 1]}…"
    return [line for line in (name, node.type_key, node.certainty) if line]


def _mermaid_text(words: str) -> str:
    return "".join(
        character if character in _PLAIN or (ord(character) > 127 and character.isalnum()) else f"#{ord(character)};"
        for character in words
    )


def _class_of(node: Node) -> str:
    if node.presence in _GONE:
        return ":::gone"
    return ":::unknown" if node.presence is Presence.NOT_READ else ""


def _dot_text(words: str) -> str:
    return words.replace("\\", "\\\\").replace('"', '\\"')
