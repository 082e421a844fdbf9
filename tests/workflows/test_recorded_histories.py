"""Runs that the last release began go on under this one: their recorded histories replay.

Where this fails, a running workflow would break in a deploy. Branch with `workflow.patched`, or let the data decide;
never record over the histories of a release (`tests/histories/record.py` makes those of a new one).
"""

from pathlib import Path

import pytest
from temporalio.client import WorkflowHistory
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.worker import Replayer

from run_traces import RunTracing
from tests.histories.portfolios import PORTFOLIO_SHAPES
from tests.histories.record import HISTORIES, SHAPES, shapes_in
from worker import WORKFLOWS

RECORDED = sorted(HISTORIES.glob("*/*.json"))


@pytest.mark.parametrize("path", RECORDED, ids=lambda path: f"{path.parent.name}/{path.stem}")
async def test_a_recorded_history_replays(path: Path) -> None:
    history = _recorded(path)
    await Replayer(workflows=WORKFLOWS, data_converter=pydantic_data_converter).replay_workflow(history)


@pytest.mark.parametrize("path", RECORDED, ids=lambda path: f"{path.parent.name}/{path.stem}")
async def test_a_history_that_was_recorded_without_traces_replays_with_them(path: Path) -> None:
    replayer = Replayer(workflows=WORKFLOWS, data_converter=pydantic_data_converter, interceptors=[RunTracing()])
    await replayer.replay_workflow(_recorded(path))


def _recorded(path: Path) -> WorkflowHistory:
    return WorkflowHistory.from_json("recorded", path.read_text())


def test_each_shape_of_run_has_been_recorded() -> None:
    assert shapes_in(RECORDED) >= {*SHAPES, *PORTFOLIO_SHAPES}
