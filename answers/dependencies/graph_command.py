"""Writes `dependencies` as a graph."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import NamedTuple, TextIO

from answers.dependencies.graph import Graph
from answers.dependencies.graph_formats import dot, graphml, mermaid
from cli import output
from cli.errors import UsageError
from inventory.plurals import counted


class GraphFormat(StrEnum):
    TABLE = "table"
    MERMAID = "mermaid"
    DOT = "dot"
    GRAPHML = "graphml"


_WRITERS = {
    GraphFormat.MERMAID: mermaid,
    GraphFormat.DOT: dot,
    GraphFormat.GRAPHML: graphml,
}


class GraphOutput(NamedTuple):
    written_as: GraphFormat
    file: Path | None


def write_graph(graph: Graph, options: GraphOutput) -> None:
    """Raises `UsageError` if the file cannot be written."""
    with _opened(options.file) as out:
        for line in _WRITERS[options.written_as](graph):
            out.write(line + "\n")
    if options.file is not None:
        drawn = f"{counted(len(graph.nodes), 'object')}, {counted(len(graph.links), 'reference')}"
        output.stderr.print(f"{drawn}: {options.file}", style="dim")


@contextmanager
def _opened(file: Path | None) -> Iterator[TextIO]:
    if file is None:
        yield sys.stdout
        return
    try:
        out = file.open("w", encoding="utf-8")
    except OSError as error:
        raise UsageError(f"cannot write {file}: {error.strerror}") from None
    with out:
        yield out
