"""The Graph client cannot write: plans of promotions name requests, and nothing sends them."""

import ast
from collections.abc import Iterator
from pathlib import Path

from graph.client import GraphGet

CHECKOUT = Path(__file__).resolve().parents[2]
WRITES = {"PATCH", "PUT", "DELETE"}
SENDS = {"stream", "send", "request", "post", "put", "patch", "delete"}


def trees(*packages: str) -> Iterator[tuple[str, ast.AST]]:
    for package in packages:
        for path in sorted((CHECKOUT / package).rglob("*.py")):
            yield str(path.relative_to(CHECKOUT)), ast.parse(path.read_text())


def test_a_batch_holds_only_gets() -> None:
    """One place sets the method of a batched request, and no caller can choose another."""
    methods = [
        (path, ast.unparse(value))
        for path, tree in trees("graph", "activities", "workflows", "control")
        for node in ast.walk(tree)
        if isinstance(node, ast.Dict)
        for key, value in zip(node.keys, node.values, strict=True)
        if isinstance(key, ast.Constant) and key.value == "method"
    ]
    assert methods == [("graph/client.py", "'GET'")]
    assert set(GraphGet._fields) == {"key", "url"}


def test_the_client_sends_batches_and_nothing_else() -> None:
    tree = ast.parse((CHECKOUT / "graph" / "client.py").read_text())
    sent = [
        ast.unparse(node.func) + f"({ast.unparse(node.args[0])}"
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and "_http" in ast.unparse(node.func)
        if node.func.attr in SENDS
    ]
    assert sent == ["self._http.stream('POST'"]
    urls = [node for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) and "$batch" in ast.unparse(node)]
    assert len(urls) == 1


def test_packages_that_send_requests_name_no_write_method() -> None:
    named = {
        (path, node.value)
        for path, tree in trees("graph", "activities", "workflows", "control", "storage", "web")
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and node.value in WRITES
    }
    assert named == set()
