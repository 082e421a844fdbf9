"""The working week of docs/week.md: its commands exist, and their outputs match the page."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

from cli.app import app
from local.simulated_graph import SimulatedGraph
from local.temporal import EmbeddedTemporal
from tests.end_to_end import week
from tests.end_to_end.system import System

WRITE = "WRITE_WEEK"
"""A variable of the environment with which the slow test writes the page."""


@pytest.mark.parametrize("step", week.steps(), ids=lambda step: " ".join(step.words))
def test_each_command_of_the_week_parses(step: week.Step) -> None:
    command: Any = typer.main.get_command(app)
    words = list(step.words)
    while words and hasattr(command, "list_commands") and words[0] in command.list_commands(None):
        command = command.get_command(None, words.pop(0))
    command.make_context("starter", words)


@pytest.fixture
def tenants(temporal: EmbeddedTemporal, database_url: str, tmp_path: Path) -> Iterator[System]:
    with SimulatedGraph(tenants=3, alike=True) as graph, System(graph, temporal, database_url, tmp_path) as system:
        system.environment |= {"COLUMNS": "80", "TZ": "UTC"}
        yield system


@pytest.mark.slow
def test_outputs_of_the_week_match_the_page(tenants: System) -> None:
    tenants.start_worker()
    syncs = 0

    def output_of(words: tuple[str, ...]) -> str:
        nonlocal syncs
        if words[:2] == ("portfolio", "sync"):
            tenants.graph.set_generation(syncs)
            syncs += 1
        result = tenants.starter(*words)
        assert result.code in (0, 3), (words, result.stdout, result.stderr)
        return week.first_lines(result.stdout)

    if os.environ.get(WRITE):
        week.write(output_of)
        return
    outputs = {number: output_of(step.words) for number, step in enumerate(week.steps())}
    expected = {number: step.comparable for number, step in enumerate(week.steps())}
    assert {number: week.masked(output) for number, output in outputs.items()} == expected
