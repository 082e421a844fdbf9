"""No test fails because a machine is slow: deadlines come from `tests.deadlines`, or are at least a minute long.

The scan finds numbers below 60 in the place of a deadline: an argument or a setting named like a deadline, a call that
waits, a limit on elapsed time, an HTTP client with its library's default of five seconds.
"""

import ast
import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from tests.deadlines import DEADLINE_SECONDS
from tests.entry_tests import of_each

TESTS = Path(__file__).resolve().parent
LEAST_SECONDS = 60

NAMED = ("timeout", "deadline", "patience", "grace")
"""Parts of the names of deadlines."""

WAITING = frozenset({"timeout", "timeout_at", "wait_for", "communicate", "join", "wait", "wait_until", "until"})
"""Calls whose number is a deadline."""

HTTP_CLIENTS = frozenset({"Client", "AsyncClient", "get", "post"})

ALLOWED = {
    ("activities/test_interceptor.py", "heartbeat_timeout"): "sets the interval of beats; nothing waits for it",
    ("chaos/rig.py", "GRAPH_PATIENCE_SECONDS"): "ends bad runs; the clean run of a seed meets no fault",
    ("end_to_end/test_change_feed.py", "GRAPH_PATIENCE_SECONDS"): "ends runs whose faults stay; a clean run meets none",
    ("end_to_end/test_errors_for_people.py", "GRAPH_PATIENCE_SECONDS"): "Graph stays away: sooner or later it is over",
    ("end_to_end/test_operator_faults.py", "SHORT_PATIENCE"): "what was broken stays so: sooner or later it is over",
    ("end_to_end/test_faults.py", "patience"): "the faults stay: sooner or later it is over",
    ("storage/test_errors.py", "pool_timeout"): "no connection comes back: sooner or later it is over",
    ("storage/test_live_migrations.py", "timeout_ms"): "the lock is never free: attempts are counted",
}
"""Short patience of the product, whose end is the subject of the test: a slow machine does not change it."""

Found = tuple[int, str, float]
"""Line, name and seconds."""


def seconds_of(node: ast.expr | None) -> float | None:
    """The seconds that an expression of literals stands for: a number, its text, or a `timedelta`; else None."""
    if isinstance(node, ast.IfExp):
        choices = [seconds for branch in (node.body, node.orelse) if (seconds := seconds_of(branch)) is not None]
        return min(choices, default=None)
    if isinstance(node, ast.Constant) and not isinstance(node.value, bool):
        if isinstance(node.value, int | float):
            return float(node.value)
        if isinstance(node.value, str) and node.value.replace(".", "", 1).isdecimal():
            return float(node.value)
    if isinstance(node, ast.Call) and _name(node.func) == "timedelta" and not node.args:
        units = {"milliseconds": 0.001, "seconds": 1, "minutes": 60, "hours": 3600, "days": 86_400}
        parts = [(units.get(keyword.arg or ""), seconds_of(keyword.value)) for keyword in node.keywords]
        known = [unit * value for unit, value in parts if unit is not None and value is not None]
        return sum(known) if len(known) == len(parts) else None
    return None


def _name(node: ast.expr) -> str:
    return node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""


def _is_deadline(name: str | None) -> bool:
    return name is not None and any(part in name.lower() for part in NAMED)


def _named(node: ast.AST) -> Iterator[tuple[str | None, ast.expr | None]]:
    """Names with the expressions assigned to them."""
    match node:
        case ast.keyword():
            yield node.arg, node.value
        case ast.Assign(targets=[ast.Name() | ast.Attribute() as target]) | ast.AnnAssign(target=target):
            yield _name(target), node.value
        case ast.Assign(targets=[ast.Subscript(slice=ast.Constant(value=str() as key))]):
            yield key, node.value
        case ast.Dict():
            yield from (
                (key.value, value)
                for key, value in zip(node.keys, node.values, strict=True)
                if isinstance(key, ast.Constant) and isinstance(key.value, str)
            )
        case ast.arguments():
            positional = [*node.posonlyargs, *node.args]
            with_default = positional[len(positional) - len(node.defaults) :]
            defaults = [*node.defaults, *node.kw_defaults]
            yield from zip((parameter.arg for parameter in [*with_default, *node.kwonlyargs]), defaults, strict=True)


@cache
def short_deadlines(path: Path) -> list[Found]:
    """The numeric deadlines in a file that are too short."""
    return [found for found in deadlines(path.read_text()) if found[2] < LEAST_SECONDS]


def deadlines(source: str) -> Iterator[Found]:
    """The numeric deadlines in a module."""
    for node in ast.walk(ast.parse(source)):
        line = getattr(node, "lineno", 0)
        for name, value in _named(node):
            if name is not None and _is_deadline(name) and (seconds := seconds_of(value)) is not None:
                yield line, name, seconds
        if isinstance(node, ast.Call) and _name(node.func) in WAITING:
            for argument in node.args:
                if (seconds := seconds_of(argument)) is not None:
                    yield line, _name(node.func), seconds
        if isinstance(node, ast.BinOp | ast.Compare):
            yield from _on_the_clock(node, line)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and _name(node.func.value) == "httpx":
            has_its_own = node.func.attr in HTTP_CLIENTS and not any(
                keyword.arg == "timeout" for keyword in node.keywords
            )
            if has_its_own:
                yield line, "httpx", 5.0


def _on_the_clock(node: ast.BinOp | ast.Compare, line: int) -> Iterator[Found]:
    """`monotonic() + N`, and an upper limit on elapsed time."""
    calls = {_name(inner.func) for inner in ast.walk(node) if isinstance(inner, ast.Call)}
    if not calls & {"monotonic", "perf_counter"}:
        return
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add) and (seconds := seconds_of(node.right)) is not None:
        yield line, "monotonic", seconds
    if isinstance(node, ast.Compare) and isinstance(node.ops[0], ast.Lt | ast.LtE):
        limit = seconds_of(node.comparators[0])
        if limit is not None:
            yield line, "elapsed", limit


@pytest.mark.parametrize(
    ("source", "seconds"),
    [
        ("popen.communicate(timeout=30)", 30),
        ("process.wait(10)", 10),
        ("fork.wait_until(ready, 5)", 5),
        ("asyncio.timeout(1.5)", 1.5),
        ("await asyncio.wait_for(answer, 20)", 20),
        ("call(rpc_timeout=timedelta(seconds=20))", 20),
        ("deadline = time.monotonic() + 30", 30),
        ("assert time.monotonic() - began < 2", 2),
        ("GRACE_SECONDS = 15.0", 15),
        ('patience = "8" if stays else LONG', 8),
        ("def wait(timeout_seconds: float = 45): pass", 45),
        ('Rig(GRAPH_PATIENCE_SECONDS="8")', 8),
        ('environment["GRAPH_PATIENCE_SECONDS"] = "2"', 2),
        ('environment |= {"RUN_QUEUE_PATIENCE_SECONDS": "3"}', 3),
        ("@pytest.mark.timeout(30)\ndef test(): pass", 30),
        ("httpx.Client(verify=context)", 5),
        ("psycopg.connect(url, connect_timeout=2)", 2),
    ],
)
def test_the_scan_finds_short_deadlines(source: str, seconds: float) -> None:
    assert [found for _, _, found in deadlines(source)] == [seconds]


@pytest.mark.parametrize(
    "source",
    [
        "popen.communicate(timeout=DEADLINE_SECONDS)",
        "assert time.monotonic() - began >= 0.05",
        "retry_after = timedelta(seconds=1)",
        "', '.join(names)",
        "await event.wait()",
        "call(schedule_to_close_timeout=limits)",
    ],
)
def test_the_scan_ignores_code_without_numeric_deadlines(source: str) -> None:
    assert list(deadlines(source)) == []


@of_each({str(path.relative_to(TESTS)): path for path in sorted(TESTS.rglob("*.py"))})
def test_no_deadline_is_shorter_than_a_minute(path: Path) -> None:
    if path == Path(__file__):
        return
    short = [
        f"line {line}: {name} of {seconds:g} seconds; use tests.deadlines"
        for line, name, seconds in short_deadlines(path)
        if (str(path.relative_to(TESTS)), name) not in ALLOWED
    ]
    assert short == []


def test_embedded_servers_have_no_short_deadlines() -> None:
    for path in (TESTS.parent / "local").glob("*.py"):
        assert short_deadlines(path) == [], path.name


def test_every_allowance_is_used() -> None:
    used = {
        (str(path.relative_to(TESTS)), name) for path in TESTS.rglob("*.py") for _, name, _ in short_deadlines(path)
    }
    assert used >= {allowed for allowed in ALLOWED if (TESTS / allowed[0]).exists()}


def test_pytest_waits_longer_than_any_wait_in_a_test() -> None:
    configured = tomllib.loads((TESTS.parent / "pyproject.toml").read_text())["tool"]["pytest"]["ini_options"]
    assert configured["timeout"] >= 2 * DEADLINE_SECONDS
    assert configured["timeout_method"] == "signal", "the other method ends the process without running fixtures' ends"


def test_hypothesis_never_fails_slow_examples() -> None:
    assert settings.default is not None
    assert settings.default.deadline is None
    for path in TESTS.rglob("*.py"):
        source = path.read_text()
        if "suppress_health_check=[" in source and path != Path(__file__):
            lines = [line for line in source.splitlines() if "suppress_health_check=[" in line]
            assert all(HealthCheck.too_slow.name in line for line in lines), f"{path.name} gives up on a slow machine"
