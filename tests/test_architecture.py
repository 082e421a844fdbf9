"""Each package imports only the packages that it may."""

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
"""The modules of questions that may use the command line's frame."""

ON_THE_WEB = set((CHECKOUT / "answers").glob("*/*routes.py"))
"""The modules of questions that may use the web page's frame."""

SHARED_OF_A_QUESTION = {"answer", "records"}
"""The modules of a question that another question may import."""


@cache
def imported(path: Path) -> frozenset[str]:
    """The dotted names that a module imports, anywhere in it."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return frozenset(names)


@pytest.mark.parametrize("package", sorted(ALLOWED))
def test_packages_import_only_allowed_packages(package: str) -> None:
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
def test_commands_and_routes_use_answers_not_the_database(path: Path) -> None:
    """Routes may also write to `storage.audit`. Both may import sessions and databases, to pass them on."""
    records = {"storage.audit"} if path in ON_THE_WEB else set()
    for name in imported(path) - records:
        if name.startswith(("storage.", "sqlalchemy.")):
            assert name.startswith(("storage.database.", "sqlalchemy.ext.asyncio.")), name
        assert not any(part.endswith("queries") for part in name.split(".")), name


def test_the_web_page_imports_neither_cli_nor_local_nor_activities() -> None:
    for path in ON_THE_WEB | set((CHECKOUT / "web").rglob("*.py")):
        assert not [name for name in imported(path) if name.split(".")[0] in {"cli", "local", "activities"}], path


def test_commands_import_the_web_page_only_to_serve_it() -> None:
    serving = {CHECKOUT / "cli" / "demo.py", CHECKOUT / "cli" / "web.py"}
    for path in (ON_THE_COMMAND_LINE | set((CHECKOUT / "cli").rglob("*.py")) | {CHECKOUT / "starter.py"}) - serving:
        assert not [name for name in imported(path) if name.split(".")[0] == "web"], path


def test_control_imports_neither_the_command_line_nor_the_web_page() -> None:
    for path in (CHECKOUT / "control").rglob("*.py"):
        assert not [name for name in imported(path) if name.split(".")[0] in {"cli", "local", "web"}], path


def test_questions_import_only_answers_and_records_of_other_questions() -> None:
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


def test_the_simulated_graph_imports_no_product_code() -> None:
    for path in (CHECKOUT / "local" / "simulated_graph").rglob("*.py"):
        # Both may use the facts that Microsoft publishes.
        names = {name for name in imported(path) if not name.startswith("graph.catalog.facts.")}
        assert not {name.split(".")[0] for name in names} & (OURS - {"local"}), path.name


def test_the_promotion_sandbox_imports_no_product_code() -> None:
    """It must not share a plan's mistakes about Graph."""
    names = imported(CHECKOUT / "answers" / "promotion" / "sandbox.py")
    assert not {name.split(".")[0] for name in names} & OURS


def test_worker_code_never_reads_the_wall_clock() -> None:
    """An operator may set it. Monotonic clocks, PostgreSQL's and Temporal's measure elapsed time."""
    for package in ("activities", "graph", "storage", "workflows"):
        for path in (CHECKOUT / package).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
                    name = f"{node.value.id}.{node.attr}"
                    assert name not in {"datetime.now", "datetime.utcnow", "time.time"}, f"{path.name}: {name}"


def test_no_module_imports_private_names() -> None:
    """A library's next release may remove them. Our own are private to their module."""
    for package in sorted(OURS):
        folder = CHECKOUT / package
        for path in folder.rglob("*.py") if folder.is_dir() else [folder.with_suffix(".py")]:
            for name in imported(path):
                private = [part for part in name.split(".") if part.startswith("_") and not part.startswith("__")]
                assert not private, f"{path.relative_to(CHECKOUT)}: {name}"


def test_no_sum_of_an_object_is_added_to_across_an_await() -> None:
    """`self.total += await …` reads the total before it waits, and loses what others add meanwhile."""
    sources = [*CHECKOUT.glob("*.py"), *CHECKOUT.glob("[a-z]*/**/*.py")]
    assert [
        f"{path.relative_to(CHECKOUT)}:{node.lineno}"
        for path in sources
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.AugAssign)
        and isinstance(node.op, ast.Add)
        and isinstance(node.target, ast.Attribute | ast.Subscript)
        and any(isinstance(part, ast.Await) for part in ast.walk(node.value))
    ] == []
