"""Imports point one way."""

import ast
from functools import cache
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parents[1]

ALLOWED = {
    "inventory": set(),
    "graph": {"inventory"},
    "storage": {"inventory"},
    "delivery": {"inventory"},
    "activities": {"inventory", "graph", "storage", "delivery", "answers.notifications.answer"},
    "answers": {"inventory", "graph.catalog", "storage"},
    "workflows": {"inventory", "activities.definitions", "activities.messages"},
}
OURS = {
    "activities",
    "answers",
    "cli",
    "configuration",
    "connections",
    "control",
    "delivery",
    "graph",
    "inventory",
    "local",
    "payload_codec",
    "process_exit",
    "run_traces",
    "starter",
    "storage",
    "temporal_errors",
    "temporal_runtime",
    "tenants_source",
    "tenants_table",
    "web",
    "worker",
    "worker_schedules",
    "workflows",
}
ON_THE_COMMAND_LINE = {
    *(CHECKOUT / "answers").glob("*/*command.py"),
    CHECKOUT / "answers" / "compare" / "session.py",
    CHECKOUT / "answers" / "dependencies" / "columns.py",
    CHECKOUT / "answers" / "dependencies" / "open_lines.py",
    CHECKOUT / "answers" / "dependencies" / "session.py",
    CHECKOUT / "answers" / "export" / "folder.py",
    CHECKOUT / "answers" / "runs" / "report.py",
}
"""What of a question belongs to the command line, whose frame it may use."""

ON_THE_WEB = set((CHECKOUT / "answers").glob("*/*routes.py"))
"""What of a question belongs to the web page, whose frame it may use."""

SHARED_OF_A_QUESTION = {"answer", "records"}
"""The modules of a question that another question may import."""


@cache
def imported(path: Path) -> frozenset[str]:
    """The dotted names of all that a module imports, wherever in it."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return frozenset(names)


@pytest.mark.parametrize("package", sorted(ALLOWED))
def test_imports_point_one_way(package: str) -> None:
    allowed = ALLOWED[package] | {package}
    for path in set((CHECKOUT / package).rglob("*.py")) - ON_THE_COMMAND_LINE - ON_THE_WEB:
        for name in imported(path):
            if name.split(".")[0] in OURS:
                assert any(name == prefix or name.startswith(f"{prefix}.") for prefix in allowed), (
                    f"{path.name}: {name}"
                )


@pytest.mark.parametrize(
    "path", sorted(ON_THE_COMMAND_LINE | ON_THE_WEB), ids=lambda path: f"{path.parent.name}-{path.stem}"
)
def test_a_command_asks_its_answer_and_not_the_database(path: Path) -> None:
    """A web page asks the same answer, and records what a person did. A command may know a session and a database, to
    hand them on.
    """
    records = {"storage.audit"} if path in ON_THE_WEB else set()
    for name in imported(path) - records:
        if name.startswith(("storage.", "sqlalchemy.")):
            assert name.startswith(("storage.database.", "sqlalchemy.ext.asyncio.")), name
        assert not any(part.endswith("queries") for part in name.split(".")), name


def test_the_web_page_and_the_command_line_do_not_need_each_other() -> None:
    for path in ON_THE_WEB | set((CHECKOUT / "web").rglob("*.py")):
        assert not [name for name in imported(path) if name.split(".")[0] in {"cli", "local", "activities"}], path


def test_requests_to_temporal_need_neither_the_command_line_nor_the_web_page() -> None:
    for path in (CHECKOUT / "control").rglob("*.py"):
        assert not [name for name in imported(path) if name.split(".")[0] in {"cli", "local", "web"}], path


def test_a_question_uses_another_one_by_its_answer_and_its_records() -> None:
    questions = {folder.name for folder in (CHECKOUT / "answers").iterdir() if (folder / "__init__.py").exists()}
    assert "drift" in questions
    for path in (CHECKOUT / "answers").rglob("*.py"):
        for name in imported(path):
            _, *rest = name.split(".")
            if name.startswith("answers.") and rest[0] in questions - {path.parent.name}:
                assert rest[1] in SHARED_OF_A_QUESTION, f"{path.relative_to(CHECKOUT)}: {name}"


@pytest.mark.parametrize("path", sorted((CHECKOUT / "answers").rglob("rules.py")), ids=lambda path: path.parent.name)
def test_rules_do_no_io(path: Path) -> None:
    for name in imported(path):
        assert name.split(".")[0] not in {"storage", "graph", "sqlalchemy", "httpx", "os", "pathlib"}, name


def test_the_simulated_graph_is_an_independent_witness() -> None:
    for path in (CHECKOUT / "local" / "simulated_graph").rglob("*.py"):
        # Facts that Microsoft publishes are no more the product's than the simulated Graph's.
        names = {name for name in imported(path) if not name.startswith("graph.catalog.facts.")}
        assert not {name.split(".")[0] for name in names} & (OURS - {"local"}), path.name


def test_what_writes_of_a_plan_do_is_told_by_an_independent_witness() -> None:
    """What would be right of a plan and wrong of Graph, it must not take from the plan."""
    names = imported(CHECKOUT / "answers" / "promotion" / "sandbox.py")
    assert not {name.split(".")[0] for name in names} & OURS


def test_what_a_worker_does_asks_no_clock_that_an_operator_may_set() -> None:
    """Monotonic clocks, PostgreSQL's and Temporal's say how much time has passed."""
    for package in ("activities", "graph", "storage", "workflows"):
        for path in (CHECKOUT / package).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
                    asked = f"{node.value.id}.{node.attr}"
                    assert asked not in {"datetime.now", "datetime.utcnow", "time.time"}, f"{path.name}: {asked}"


def test_no_private_name_of_a_library_is_imported() -> None:
    """A release of the library may take it away without a word. Our own are private to their module."""
    for package in sorted(OURS):
        folder = CHECKOUT / package
        for path in folder.rglob("*.py") if folder.is_dir() else [folder.with_suffix(".py")]:
            for name in imported(path):
                private = [part for part in name.split(".") if part.startswith("_") and not part.startswith("__")]
                assert not private, f"{path.relative_to(CHECKOUT)}: {name}"
