"""Graphs as other tools read them: with any names, each format has the same nodes and links."""

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from io import BytesIO
from uuid import UUID

import networkx
from hypothesis import given
from hypothesis import strategies as st

from answers.dependencies.graph import Graph, Node, graph_of
from answers.dependencies.graph_formats import MAX_LABEL, dot, graphml, mermaid
from answers.dependencies.records import DependencyRecord, Direction, ObjectRecord, Presence
from inventory.missing import Confidence
from inventory.references import ReferenceRole

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
        kind="Groups" if type_keys else None,
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
def test_networkx_reads_the_same_graph_from_graphml(graph: Graph) -> None:
    read = networkx.read_graphml(BytesIO("\n".join(graphml(graph)).encode()), force_multigraph=True)
    assert set(read) == set(graph.nodes)
    assert {key: read.nodes[key]["name"] for key in read} == {key: node.name for key, node in graph.nodes.items()}
    links = sorted((source, target, data["role"], data["path"]) for source, target, data in read.edges(data=True))
    assert links == sorted((link.source, link.target, link.role, link.path) for link in graph.links)


DOT_TOKEN = re.compile(r'\s*(?:"((?:[^"\\]|\\.)*)"|(->|[\[\]{};=,])|([A-Za-z_][A-Za-z0-9_]*))')


def dot_tokens(text: str) -> Iterator[tuple[str, str]]:
    """Kind and value of each token of DOT without comments and HTML; fails on other text."""
    position = 0
    while text[position:].strip():
        found = DOT_TOKEN.match(text, position)
        assert found, text[position : position + 40]
        position = found.end()
        quoted, sign, name = found.groups()
        yield ("text", quoted) if quoted is not None else ("sign", sign) if sign else ("name", name)


@given(GRAPHS)
def test_dot_has_only_the_nodes_and_links(graph: Graph) -> None:
    tokens = list(dot_tokens("\n".join(dot(graph))))
    signs = [value for kind, value in tokens if kind == "sign"]
    assert signs.count("->") == len(graph.links)
    assert signs.count("[") == signs.count("]") == 1 + len(graph.nodes) + len(graph.links)
    assert signs.count("{") == signs.count("}") == 1
    labels = [tokens[position + 2][1] for position, token in enumerate(tokens) if token == ("name", "label")]
    first = [label.split("\\n")[0] for label in labels[: len(graph.nodes)]]
    names = [
        node.name if len(node.name) <= MAX_LABEL else f"{node.name[: MAX_LABEL - 1]}…" for node in graph.nodes.values()
    ]
    for label, name in zip(first, names, strict=True):
        assert "\\" in name or '"' in name or label == name


MERMAID_NODE = re.compile(r'    n\d+\["((?:[^"#]|#\d+;)*)"\](?::::(?:gone|unknown))?')
MERMAID_LINK = re.compile(r"    n\d+ (?:-->|-\.->)\|(?:include|exclude|use)\| n\d+")


@given(GRAPHS)
def test_mermaid_has_only_the_nodes_and_links(graph: Graph) -> None:
    head, *lines = mermaid(graph)
    assert head == "flowchart LR"
    nodes, rest = lines[: len(graph.nodes)], lines[len(graph.nodes) :]
    for line, node in zip(nodes, graph.nodes.values(), strict=True):
        found = MERMAID_NODE.fullmatch(line)
        assert found, line
        label = re.sub(r"#(\d+);", lambda match: chr(int(match[1])), found[1].split("<br/>")[0])
        assert label == node.name or len(node.name) > MAX_LABEL
        assert not re.search(r"[<>`\[\]{}()|;]", re.sub(r"#\d+;|<br/>", "", found[1]))
    assert all(MERMAID_LINK.fullmatch(line) for line in rest[: len(graph.links)])
    assert all(line.startswith("    classDef ") for line in rest[len(graph.links) :])


def test_item_without_references_is_drawn() -> None:
    (node,) = graph_of([], end(["apps"], "1", "Portal", Presence.PRESENT)).nodes.values()
    assert (node.type_key, node.name) == ("apps", "Portal")


def test_nodes_have_no_invisible_characters() -> None:
    hostile, cleaned = "a\nb\0c\x1bd\u202ee\u200ff\ud800g", "a\ufffdb\ufffdc\ufffdd\ufffde\ufffdf\ufffdg"
    nodes = graph_of([], end(["groups"], hostile, hostile, Presence.PRESENT)).nodes
    assert nodes == {f"groups/{cleaned}": Node("groups", cleaned, cleaned, Presence.PRESENT, "")}
