"""Runs of the last release continue under this one: their recorded histories replay.

A failure here means that a deploy would break running workflows. Branch with `workflow.patched`, or let the data
decide; never overwrite the histories of a release (`tests/histories/record.py` records those of a new release).
"""

import os
from collections.abc import Iterable
from pathlib import Path

import pytest
from google.protobuf.message import Message
from temporalio.api.common.v1 import Header, Payload, SearchAttributes
from temporalio.client import WorkflowHistory
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.worker import Replayer

from payload_codec import EncryptionCodec, data_converter
from run_traces import RunTracing
from tests.histories.portfolios import PORTFOLIO_SHAPES
from tests.histories.record import HISTORIES, SHAPES, shapes_in
from worker import WORKFLOWS

OLD, NEW = os.urandom(32), os.urandom(32)
RECORDED = sorted(HISTORIES.glob("*/*.json"))
SAMPLED = [
    path if number % 6 == 0 else pytest.param(path, marks=pytest.mark.slow) for number, path in enumerate(RECORDED)
]
"""All histories; `make test` plays every sixth: these checks do not depend on a workflow's path."""


def name_of(path: Path) -> str:
    return f"{path.parent.name}/{path.stem}"


@pytest.mark.parametrize("path", RECORDED, ids=name_of)
async def test_a_recorded_history_replays(path: Path) -> None:
    history = _recorded(path)
    await Replayer(workflows=WORKFLOWS, data_converter=pydantic_data_converter).replay_workflow(history)


@pytest.mark.parametrize("path", SAMPLED, ids=name_of)
async def test_a_history_recorded_without_traces_replays_with_traces(path: Path) -> None:
    replayer = Replayer(workflows=WORKFLOWS, data_converter=pydantic_data_converter, interceptors=[RunTracing()])
    await replayer.replay_workflow(_recorded(path))


@pytest.mark.parametrize("path", SAMPLED, ids=name_of)
async def test_a_recorded_history_replays_under_encryption(path: Path) -> None:
    """Once with plain payloads from before encryption was enabled, and once with encrypted payloads."""
    history = _recorded(path)
    under_keys = Replayer(workflows=WORKFLOWS, data_converter=data_converter([NEW, OLD]))
    await under_keys.replay_workflow(history)
    assert await encrypt_payloads(history.events, EncryptionCodec([OLD])) > 0
    await under_keys.replay_workflow(history)
    with pytest.raises(RuntimeError):
        await Replayer(workflows=WORKFLOWS, data_converter=data_converter([NEW])).replay_workflow(history)


async def encrypt_payloads(messages: Iterable[Message], codec: EncryptionCodec) -> int:
    """Encrypts every payload that a codec would encrypt, and returns their number."""
    count = 0
    for message in messages:
        if isinstance(message, SearchAttributes | Header):
            continue
        if isinstance(message, Payload):
            (sealed,) = await codec.encode([message])
            message.CopyFrom(sealed)
            count += 1
            continue
        for field, value in message.ListFields():
            if field.message_type is None:
                continue
            if field.message_type.GetOptions().map_entry:
                values = [value[key] for key in value]
            else:
                values = value if field.is_repeated else [value]
            count += await encrypt_payloads([part for part in values if isinstance(part, Message)], codec)
    return count


def _recorded(path: Path) -> WorkflowHistory:
    return WorkflowHistory.from_json("recorded", path.read_text())


def test_each_shape_of_run_has_a_recorded_history() -> None:
    assert shapes_in(RECORDED) >= {*SHAPES, *PORTFOLIO_SHAPES}
