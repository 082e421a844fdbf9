"""Raw digests depend on the code that reads an object, not on its comments and docstrings."""

import ast
import sys
from collections.abc import Callable, Sequence
from types import FrameType
from typing import Any, cast
from uuid import UUID

import orjson
import pytest

from activities.messages.pages import CursorRequest, FetchPages
from activities.observers import READERS, Observers, SensitivityRules, TenantObservers
from activities.page_observations import PageObserver
from graph.catalog import load_catalog
from graph.client import GraphAnswer
from graph.raw_pages import split
from inventory import raw_digest
from inventory.data_keys import DataKey, DataKeyKind
from inventory.observation import Observation
from inventory.raw_digest import code_hash, sources_of, syntax_tree

SOURCES = sources_of(READERS)
NO_READERS = {
    "activities.observers",
    "graph.catalog.entries",
    "graph.catalog.model",
    "graph.errors",
}
"""Catalog entries and data keys are hashed by value; a failure is no observation."""
TYPE_KEY = "conditionalAccessPolicies"
PAGE = {
    "value": [
        {"id": "1", "displayName": "One", "omaSettings": [{"displayName": "Key", "value": "secret"}], "number": 1.50},
        {"id": "2", "displayName": "Two", "lastModifiedDateTime": "2026-01-01T00:00:00.10Z", "description": "A"},
    ]
}


def test_code_that_reads_an_object_is_hashed() -> None:
    executed: set[str] = set()

    def note(frame: FrameType, event: str, _: Any) -> None:
        module = frame.f_globals["__name__"]
        if event == "call" and module.partition(".")[0] in {"activities", "graph", "inventory", "storage"}:
            executed.add(module)

    read_page = _reader()
    sys.setprofile(note)
    try:
        observed = read_page()
    finally:
        sys.setprofile(None)
    assert [(read.display_name, read.raw_digest is None) for read in observed] == [("One", False), ("Two", False)]
    assert {"graph.bodies", "inventory.canonical", "inventory.normal_form", "inventory.settings"} <= executed
    assert executed - SOURCES.keys() <= NO_READERS


def _reader() -> Callable[[], Sequence[Observation]]:
    catalog, none = load_catalog(), cast("Any", None)
    observers = TenantObservers(
        Observers(catalog, SensitivityRules(), none), DataKey.of(bytes(range(32)), DataKeyKind.TENANT), UUID(int=1)
    )
    observers.raw_digests(TYPE_KEY)
    listing = CursorRequest(type_key=TYPE_KEY, url="/identity/conditionalAccess/policies", is_first_listing=True)
    request = FetchPages(tenant_id=UUID(int=1), run_id=UUID(int=2), api_version="beta", cursors=[listing])
    answer = orjson.dumps({"responses": [{"id": "0", "status": 200, "body": PAGE}]})

    def read() -> Sequence[Observation]:
        answers = [GraphAnswer(200, {}, split(answer)["responses"][0]["body"])]
        page_observer = PageObserver(none, catalog)
        digested = page_observer.digested(request, answers, observers)
        return page_observer.read(none, request, answers, observers, digested, [()])[0].observations

    return read


def test_modules_of_a_hashed_module_are_hashed() -> None:
    """Whatever the form of the import."""
    for name, source in SOURCES.items():
        for node in ast.walk(ast.parse(source)):
            if isinstance(node, ast.Import):
                assert not [alias.name for alias in node.names if alias.name.startswith("inventory")], name
            elif isinstance(node, ast.ImportFrom):
                assert node.level == 0, name
                assert node.module in SOURCES or not str(node.module).startswith("inventory"), name


@pytest.mark.parametrize("module", sorted(SOURCES))
def test_hash_depends_on_each_function(module: str) -> None:
    before = syntax_tree(SOURCES[module])
    lines = SOURCES[module].decode().splitlines(keepends=True)
    for function in _functions(SOURCES[module]):
        first = function.body[0]
        place = first.lineno - 1
        if first.lineno == function.lineno:
            edited = lines[place].replace("...", "raise RuntimeError")
        else:
            edited = f"{' ' * first.col_offset}raise RuntimeError\n{lines[place]}"
        assert syntax_tree("".join([*lines[:place], edited, *lines[place + 1 :]]).encode()) != before, function.name


def test_hash_depends_on_each_module(monkeypatch: pytest.MonkeyPatch) -> None:
    before = code_hash(READERS)
    for module in SOURCES:
        edited = {**SOURCES, module: SOURCES[module] + b"\nADDED = 1\n"}
        monkeypatch.setattr(raw_digest, "sources_of", lambda _, edited=edited: edited)
        assert code_hash.__wrapped__(READERS) != before, module


@pytest.mark.parametrize("module", sorted(SOURCES))
def test_comments_and_docstrings_are_not_hashed(module: str) -> None:
    assert syntax_tree(_with_other_words(SOURCES[module])) == syntax_tree(SOURCES[module])


def _with_other_words(source: bytes) -> bytes:
    """A comment above each statement, another text in each docstring, and one where there is none."""
    lines: list[str | None] = ["", *source.decode().splitlines()]
    tree = ast.parse(source)
    for node in ast.walk(tree):
        if not isinstance(node, ast.stmt):
            continue
        if _is_docstring(node):
            lines[node.lineno : (node.end_lineno or 0) + 1] = [None] * ((node.end_lineno or 0) + 1 - node.lineno)
            lines[node.lineno] = " " * node.col_offset + '"""Other words."""'
        else:
            lines[node.lineno] = f"# A comment.\n{lines[node.lineno]}"
    for function in _functions(source):
        first = function.body[0]
        if first.lineno > function.lineno and not _is_docstring(first):
            lines[first.lineno] = " " * first.col_offset + f'"""New words."""\n{lines[first.lineno]}'
    return "\n".join(line for line in lines if line is not None).encode()


def _functions(source: bytes) -> list[ast.FunctionDef | ast.AsyncFunctionDef]:
    return [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]


def _is_docstring(statement: ast.stmt) -> bool:
    return (
        isinstance(statement, ast.Expr)
        and isinstance(statement.value, ast.Constant)
        and isinstance(statement.value.value, str)
    )
