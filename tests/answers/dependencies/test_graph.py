"""Graphs as other tools read them: whatever names hold, each format says the same nodes and links."""

import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator
from datetime import UTC, datetime
from io import BytesIO
from typing import Any
from uuid import UUID

import networkx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from answers.dependencies.graph import Graph, graph_of
from answers.dependencies.graph_formats import MAX_LABEL, dot, graphml, mermaid
from answers.dependencies.graph_picture import MOST_IN_A_COLUMN, svg
from answers.dependencies.records import DependencyRecord, Direction, ObjectRecord, Presence
from inventory.missing import Confidence
from inventory.references import ReferenceRole
from inventory.visible_text import visible

AT = datetime(2026, 11, 1, tzinfo=UTC)
HOSTILE = [
    '"] --> x["',
    "</svg><script>alert(1)</script>",
    "a\nb\tc\0d",
    "\\",
    '\\"',
    "]]>",
    "&amp;&#x0;",
    "%% comment",
    "end",
    "名前" * 60,
    "\u202egnp.exe",
    "\ud800",
    "#quot;",
    "`x`",
    "n0",
]


def end(type_keys: list[str], external_id: str, name: str | None, presence: Presence) -> ObjectRecord:
    confidence = None if presence in (Presence.NOT_READ, Presence.AUDIENCE) else Confidence.HIGH
    return ObjectRecord(
        type_keys=type_keys,
        external_id=external_id,
        display_name=name,
        presence=presence,
        confidence=confidence,
        evidence="listed" if presence is Presence.PRESENT else "never_listed",
        last_seen_at=AT,
    )


NAMES = st.sampled_from(HOSTILE) | st.text(max_size=100)
ENDS = st.builds(
    end,
    st.lists(st.sampled_from(["groups", "apps"]), max_size=2, unique=True),
    st.sampled_from(["1", "2", *HOSTILE]),
    NAMES | st.none(),
    st.sampled_from(Presence),
)
DEPENDENCIES = st.lists(
    st.builds(
        DependencyRecord,
        tenant_id=st.just(UUID(int=1)),
        direction=st.sampled_from(Direction),
        distance=st.integers(1, 3),
        item=ENDS,
        version=st.just(1),
        referred_at=st.just(AT),
        path=st.sampled_from(["assignments.target.groupId", '"x"']),
        role=st.sampled_from(ReferenceRole),
        target=ENDS,
    ),
    max_size=12,
)
GRAPHS = st.builds(graph_of, DEPENDENCIES, ENDS | st.none())


@given(GRAPHS)
def test_graphml_says_the_same_to_networkx(graph: Graph) -> None:
    read = networkx.read_graphml(BytesIO("\n".join(graphml(graph)).encode()), force_multigraph=True)
    assert set(read) == set(graph.nodes)
    assert {key: read.nodes[key]["name"] for key in read} == {key: node.name for key, node in graph.nodes.items()}
    links = sorted((source, target, data["role"], data["path"]) for source, target, data in read.edges(data=True))
    assert links == sorted((one.source, one.target, one.role, one.path) for one in graph.links)


DOT_TOKEN = re.compile(r'\s*(?:"((?:[^"\\]|\\.)*)"|(->|[\[\]{};=,])|([A-Za-z_][A-Za-z0-9_]*))')


def dot_tokens(text: str) -> Iterator[tuple[str, str]]:
    """The tokens of DOT without comments and HTML: kind and value. Fails at what is none."""
    position = 0
    while text[position:].strip():
        found = DOT_TOKEN.match(text, position)
        assert found, text[position : position + 40]
        position = found.end()
        quoted, sign, name = found.groups()
        yield ("text", quoted) if quoted is not None else ("sign", sign) if sign else ("name", name)


@given(GRAPHS)
def test_dot_is_nodes_and_links_and_no_more(graph: Graph) -> None:
    tokens = list(dot_tokens("\n".join(dot(graph))))
    signs = [value for kind, value in tokens if kind == "sign"]
    assert signs.count("->") == len(graph.links)
    assert signs.count("[") == signs.count("]") == 1 + len(graph.nodes) + len(graph.links)
    assert signs.count("{") == signs.count("}") == 1
    labels = [tokens[at + 2][1] for at, token in enumerate(tokens) if token == ("name", "label")]
    first = [label.split("\\n")[0] for label in labels[: len(graph.nodes)]]
    shown = [
        node.name if len(node.name) <= MAX_LABEL else f"{node.name[: MAX_LABEL - 1]}…" for node in graph.nodes.values()
    ]
    for label, name in zip(first, shown, strict=True):
        assert "\\" in name or '"' in name or label == name


MERMAID_NODE = re.compile(r'    n\d+\["((?:[^"#]|#\d+;)*)"\](?::::(?:gone|unknown))?')
MERMAID_LINK = re.compile(r"    n\d+ (?:-->|-\.->)\|(?:include|exclude|use)\| n\d+")


@given(GRAPHS)
def test_mermaid_is_nodes_and_links_and_no_more(graph: Graph) -> None:
    head, *lines = mermaid(graph)
    assert head == "flowchart LR"
    nodes, rest = lines[: len(graph.nodes)], lines[len(graph.nodes) :]
    for line, node in zip(nodes, graph.nodes.values(), strict=True):
        found = MERMAID_NODE.fullmatch(line)
        assert found, line
        label = re.sub(r"#(\d+);", lambda one: chr(int(one[1])), found[1].split("<br/>")[0])
        assert label == node.name or len(node.name) > MAX_LABEL
        assert not re.search(r"[<>`\[\]{}()|;]", re.sub(r"#\d+;|<br/>", "", found[1]))
    assert all(MERMAID_LINK.fullmatch(line) for line in rest[: len(graph.links)])
    assert all(line.startswith("    classDef ") for line in rest[len(graph.links) :])


SVG = "{http://www.w3.org/2000/svg}"


@given(GRAPHS)
def test_the_picture_is_xml_that_holds_each_node_and_nothing_that_runs(graph: Graph) -> None:
    root = ElementTree.fromstring("\n".join(svg(graph)))  # noqa: S314 - our own
    titles = [one.text or "" for one in root.iter(f"{SVG}title")]
    for node in graph.nodes.values():
        assert any(title.startswith(node.name) for title in titles)
    assert {one.tag.removeprefix(SVG) for one in root.iter()} <= {
        "svg", "title", "rect", "defs", "marker", "path", "text", "g", "line",
    }  # fmt: skip
    assert not any(name.startswith("on") or name.endswith("href") for one in root.iter() for name in one.attrib)


def test_a_picture_counts_what_it_leaves_out_and_stays_in_its_frame() -> None:
    start = end(["groups"], "g", "Pilot", Presence.PRESENT)
    needed = [
        DependencyRecord(
            tenant_id=UUID(int=1),
            direction=Direction.NEEDED_BY,
            distance=1,
            item=end(["apps"], str(number), f"App {number}", Presence.PRESENT),
            version=1,
            referred_at=AT,
            path="assignments.target.groupId",
            role=ReferenceRole.INCLUDE,
            target=start,
        )
        for number in range(MOST_IN_A_COLUMN + 7)
    ]
    root = ElementTree.fromstring("\n".join(svg(graph_of(needed, start))))  # noqa: S314 - our own
    assert "… and 7 more" in [one.text for one in root.iter(f"{SVG}text")]
    width, height = float(root.attrib["width"]), float(root.attrib["height"])
    boxes = [one for one in root.iter(f"{SVG}rect") if one.get("rx") == "6"]
    assert len(boxes) == MOST_IN_A_COLUMN + 1
    for box in boxes:
        assert 0 <= float(box.attrib["x"]) <= width - float(box.attrib["width"])
        assert 0 <= float(box.attrib["y"]) <= height - float(box.attrib["height"])


def test_what_an_item_needs_stands_on_its_right_and_what_needs_it_on_its_left() -> None:
    start, group, package = (end([key], key, key, Presence.PRESENT) for key in ("apps", "groups", "policySets"))
    common: dict[str, Any] = {
        "tenant_id": UUID(int=1),
        "version": 1,
        "referred_at": AT,
        "path": "x",
        "role": ReferenceRole.USE,
    }
    graph = graph_of(
        [
            DependencyRecord(direction=Direction.NEEDS, distance=1, item=start, target=group, **common),
            DependencyRecord(direction=Direction.NEEDED_BY, distance=1, item=package, target=start, **common),
        ],
        start,
    )
    assert {node.type_key: node.place for node in graph.nodes.values()} == {"apps": 0, "groups": 1, "policySets": -1}
    assert [(link.source, link.target) for link in graph.links] == [
        ("apps/apps", "groups/groups"),
        ("policySets/policySets", "apps/apps"),
    ]


@pytest.mark.parametrize("name", HOSTILE)
def test_a_name_that_steers_a_terminal_is_shown_harmless(name: str) -> None:
    assert visible(name) == visible(visible(name))
    assert len(visible(name)) == len(name)
