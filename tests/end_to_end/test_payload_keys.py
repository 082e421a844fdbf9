"""Encryption of payloads is switched on, and its key is rotated, while runs go on."""

import os
from collections.abc import Iterator
from typing import Any

import pytest
from google.protobuf.message import Message
from temporalio.api.common.v1 import Payload, SearchAttributes
from temporalio.api.failure.v1 import Failure

from connections import connect_temporal
from inventory.records import RunRecord
from payload_codec import ENCODING, KEY_ID, key_id
from tests.deadlines import DEADLINE_SECONDS, until
from tests.end_to_end.system import System
from tests.inventory.test_data_keys import NEW as OTHER_FIELDS_KEY
from tests.inventory.test_data_keys import OLD as FIELDS_KEY

OLD, NEW = os.urandom(32), os.urandom(32)
TYPES = ("--type", "namedLocations", "--type", "groups")


def ring(*keys: bytes) -> str:
    return ", ".join(key.hex() for key in keys)


def parts(message: Message) -> Iterator[Message]:
    """The message and all messages in it, except search attributes, which Temporal must read."""
    yield message
    for field, value in message.ListFields():
        if field.message_type is None:
            continue
        if field.message_type.GetOptions().map_entry:
            values = [value[key] for key in value]
        else:
            values = value if field.is_repeated else [value]
        for inner in values:
            if isinstance(inner, Message) and not isinstance(inner, SearchAttributes):
                yield from parts(inner)


@pytest.mark.slow
async def test_run_succeeds_across_a_payload_key_rotation(system: System) -> None:
    """A worker with a wrong SENSITIVE_FIELDS_KEY makes the run wait, and its history contain failures."""
    name = system.tenant.name
    system.environment |= {"SENSITIVE_FIELDS_KEY": FIELDS_KEY, "PAYLOAD_KEYS": ring(OLD)}
    worker = system.start_worker()
    assert system.sync(*TYPES).status == "success"
    worker.stop()
    system.environment |= {"SENSITIVE_FIELDS_KEY": OTHER_FIELDS_KEY, "PAYLOAD_KEYS": ring(OLD, NEW)}
    worker = system.start_worker()
    waiting = system.popen("sync", name, *TYPES, "--json")
    assert waiting.stderr is not None
    for line in waiting.stderr:
        if "is retried: SENSITIVE_FIELDS_KEY is not the key" in line:
            break
    else:
        pytest.fail("a person is not told why the run waits")

    worker.stop()
    system.environment |= {"SENSITIVE_FIELDS_KEY": FIELDS_KEY, "PAYLOAD_KEYS": ring(NEW, OLD)}
    system.start_worker()
    stdout, stderr = waiting.communicate(timeout=DEADLINE_SECONDS)
    assert waiting.returncode == 0, stderr
    run = RunRecord.model_validate_json(stdout)
    assert (run.status, run.counts.changed) == ("success", 0)

    used, words = await history(system, run)
    assert used == {key_id(OLD), key_id(NEW)}
    assert name.encode() not in words
    assert b"namedLocations" not in words


async def history(system: System, run: RunRecord) -> tuple[set[bytes], bytes]:
    """The key ids of the payloads in a run's history, and all its text outside payloads."""
    config: dict[str, Any] = {"target_host": system.environment["TEMPORAL_ADDRESS"]}
    client = await connect_temporal(config)
    recorded = await client.get_workflow_handle(run.workflow_id, run_id=None).fetch_history()
    # Markers hold ids of patches, which the SDK writes and reads without a codec.
    events = [event for event in recorded.events if not event.HasField("marker_recorded_event_attributes")]
    found = [part for event in events for part in parts(event)]
    payloads = [part for part in found if isinstance(part, Payload)]
    assert payloads
    assert {payload.metadata["encoding"] for payload in payloads} == {ENCODING}
    failures = [part for part in found if isinstance(part, Failure)]
    assert {failure.message for failure in failures} <= {"Encoded failure"}
    words = b"\n".join(
        value.encode()
        for part in found
        if not isinstance(part, Payload)
        for field, value in part.ListFields()
        if field.type == field.TYPE_STRING and isinstance(value, str)
    )
    return {payload.metadata[KEY_ID] for payload in payloads}, words


def test_schedule_in_clear_stays_readable_after_encryption_is_switched_on(system: System) -> None:
    """A command without the key is refused once the schedule is encrypted."""
    created = system.starter("schedule", "set", "nightly", "--tenant", system.tenant.name, "--every", "24h", *TYPES)
    assert created.code == 0, created.stderr
    in_clear = until(lambda: system.starter("schedule", "list", "--json").stdout)
    listed = system.starter("schedule", "list", "--json", PAYLOAD_KEYS=ring(NEW))
    assert (listed.code, listed.stdout) == (0, in_clear), listed.stderr
    again = system.starter(
        "schedule", "set", "nightly", "--tenant", system.tenant.name, "--every", "12h", *TYPES, PAYLOAD_KEYS=ring(NEW)
    )
    assert again.code == 0, again.stderr
    without = system.starter("schedule", "list", "--json")
    assert (without.code, without.stdout) == (2, "")
    assert without.stderr.count("\n") == 1
    assert f"encrypted under the key '{key_id(NEW).decode()}'" in without.stderr


def test_malformed_payload_keys_are_refused_without_repeating_them(system: System) -> None:
    for text in ("hunter2", f"{ring(NEW)},hunter2", f"{ring(NEW)},"):
        result = system.starter("schedule", "list", PAYLOAD_KEYS=text)
        assert result.code == 2
        assert result.stderr.startswith("error: PAYLOAD_KEYS: must be 32 random bytes"), result.stderr
        assert "hunter2" not in result.stderr
        assert NEW.hex() not in result.stderr
