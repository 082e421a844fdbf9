"""Imports point one way (DESIGN §3)."""

import ast
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parents[1]

ALLOWED = {
    "inventory": set(),
    "graph": {"inventory"},
    "storage": {"inventory"},
    "reports": {"inventory"},
    "activities": {"inventory", "graph", "storage"},
    "answers": {"inventory", "graph.catalog", "storage"},
    "workflows": {"inventory", "activities.messages"},
}
OURS = {
    "activities",
    "answers",
    "commands",
    "configuration",
    "connections",
    "graph",
    "inventory",
    "local",
    "process_exit",
    "reports",
    "starter",
    "storage",
    "temporal_errors",
    "temporal_runtime",
    "worker",
    "workflows",
}


def imported(path: Path) -> set[str]:
    """The dotted names that a module imports, wherever in it."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module)
    return names


@pytest.mark.parametrize("package", sorted(ALLOWED))
def test_imports_point_one_way(package: str) -> None:
    allowed = ALLOWED[package] | {package}
    for path in (CHECKOUT / package).rglob("*.py"):
        for name in imported(path):
            if name.split(".")[0] in OURS:
                assert any(name == one or name.startswith(f"{one}.") for one in allowed), f"{path.name}: {name}"


def test_the_simulated_graph_is_an_independent_witness() -> None:
    for path in (CHECKOUT / "local" / "simulated_graph").rglob("*.py"):
        # Facts that Microsoft publishes are no more the product's than the simulated Graph's.
        names = {name for name in imported(path) if name != "graph.catalog.facts"}
        assert not {name.split(".")[0] for name in names} & (OURS - {"local"}), path.name


def test_what_a_worker_does_asks_no_clock_that_an_operator_may_set() -> None:
    """Monotonic clocks, PostgreSQL's and Temporal's say how much time has passed."""
    for package in ("activities", "graph", "storage", "workflows"):
        for path in (CHECKOUT / package).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
                    asked = f"{node.value.id}.{node.attr}"
                    assert asked not in {"datetime.now", "datetime.utcnow", "time.time"}, f"{path.name}: {asked}"
