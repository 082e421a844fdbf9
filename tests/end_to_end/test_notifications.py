"""Notifications, as a target receives them from workers."""

import asyncio
import os
import signal
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
import pytest

from connections import connect_temporal
from local.processes import PartError
from local.simulated_graph import Fault, FaultKind
from tests.deadlines import DEADLINE_SECONDS, until
from tests.end_to_end.system import System
from tests.receiver import SECRET, Receiver, Reception, receiving

TYPES = ("--type", "deviceCompliancePolicies", "--type", "groups")
POLICIES, POLICIES_PATH = "conditionalAccessPolicies", "conditionalAccess/policies"
PATH = "identity/conditionalAccess/policies"
VPP = "deviceAppManagement/vppTokens"
FILE = """
[[target]]
name = "ops"
kind = "webhook"
url = "{url}"
secret_file = "{secret}"

[[rule]]
targets = ["ops"]
"""


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as receiver:
        yield receiver


def configure_receiver(system: System, receiver: Receiver, conditions: str = "") -> None:
    """Makes the system's workers notify the receiver."""
    secret = system.folder / "hook-secret"
    secret.write_text(SECRET)
    file = system.folder / "notifications.toml"
    file.write_text(FILE.format(url=receiver.url(), secret=secret) + conditions)
    system.environment["NOTIFICATIONS_FILE"] = str(file)


def subjects(receiver: Receiver) -> list[str]:
    return [received.json["subject"] for received in receiver.received]


def test_run_notifies_only_when_its_status_worsens(system: System, receiver: Receiver) -> None:
    configure_receiver(system, receiver)
    system.start_worker()
    assert system.sync(*TYPES).status == "success"
    fault = system.graph.faults.add(Fault(FaultKind.FORBIDDEN, path="groups"))
    partial = system.sync(*TYPES)
    assert partial.status == "partial"
    again = system.sync(*TYPES)
    system.graph.faults.remove(fault)
    assert system.sync(*TYPES).status == "success"
    system.graph.faults.add(Fault(FaultKind.FORBIDDEN))
    failed = system.sync(*TYPES)
    until(lambda: len(receiver.received) == 2)
    assert again.status == "partial"
    first, second = receiver.received
    assert first.is_signed()
    assert second.is_signed()
    name = system.tenant.name
    assert first.json["subject"] == f"{name}: run partial: 1 collection not read (graph_permission_missing 1)"
    assert (first.json["run_id"], first.json["tenant_id"]) == (str(partial.run_id), system.tenant.id)
    assert second.json["subject"] == f"{name}: run failed: 2 collections not read (graph_permission_missing 2)"
    assert second.json["run_id"] == str(failed.run_id)


@pytest.mark.slow
def test_failed_delivery_is_retried_with_the_same_idempotency_key(system: System, receiver: Receiver) -> None:
    configure_receiver(system, receiver)
    receiver.answer = lambda _: (503 if not receiver.received else 204, {})
    system.start_worker()
    system.graph.faults.add(Fault(FaultKind.TOKEN_INVALID_CLIENT))
    assert system.sync(*TYPES).status == "failed"
    until(lambda: len(receiver.received) == 2)
    first, second = receiver.received
    assert first.delivery_id == second.delivery_id
    assert first.body == second.body


@pytest.mark.slow
def test_weakened_policy_is_notified_once_by_the_next_complete_run(system: System, receiver: Receiver) -> None:
    configure_receiver(system, receiver, f'kinds = ["change"]\ntypes = ["{POLICIES}"]\neffect = "weakens"\n')
    system.start_worker()
    selection = ("--type", POLICIES, "--type", "groups")
    policy = next(found for found in system.tenant.documents(PATH) if found["state"] == "enabled")
    assert system.sync(*selection).status == "success"
    system.tenant.change(PATH, policy["id"], {"state": "disabled"})
    fault = system.graph.faults.add(Fault(FaultKind.FORBIDDEN, path=POLICIES_PATH))
    assert system.sync(*selection).status == "partial"
    system.graph.faults.remove(fault)
    telling = system.sync(*selection)
    until(lambda: receiver.received)
    system.tenant.change(PATH, policy["id"], {"state": "enabled"})
    assert system.sync(*selection).status == "success"
    system.tenant.change(PATH, policy["id"], {"state": "disabled"})
    last = system.sync(*selection)
    until(lambda: len(receiver.received) == 2)
    first, second = receiver.received
    assert first.json["run_id"] == str(telling.run_id)
    assert second.json["run_id"] == str(last.run_id)
    name = policy["displayName"]
    for received in receiver.received:
        assert received.json["subject"].startswith(f"{system.tenant.name}: {name} (")
        assert received.json["subject"].endswith("was weakened: state")
        assert "disabled" not in received.body.decode()


async def triggered(system: System) -> None:
    """Triggers Temporal's notification schedule."""
    client = await connect_temporal({"target_host": system.environment["TEMPORAL_ADDRESS"]})
    queue = system.environment["TEMPORAL_TASK_QUEUE"]
    await client.get_schedule_handle(f"tenant-inventory-notification-look/{queue}").trigger()


def test_schedule_notifies_of_expiring_tokens_and_unread_tenants(system: System, receiver: Receiver) -> None:
    configure_receiver(system, receiver, 'kinds = ["expiring", "not_read"]\nnot_read_hours = 6\n')
    system.start_worker()
    soon = (datetime.now(UTC) + timedelta(days=5)).strftime("%Y-%m-%dT%H:%M:%SZ")
    (token, *_) = system.tenant.documents(VPP)
    system.tenant.change(VPP, token["id"], {"expirationDateTime": soon})
    assert system.sync("--type", "vppTokens").status == "success"
    asyncio.run(triggered(system))
    until(lambda: receiver.received)
    with psycopg.connect(system.environment["DATABASE_URL"]) as connection:
        connection.execute(
            "UPDATE sync_run SET queued_at = queued_at - interval '7 hours',"
            " started_at = started_at - interval '7 hours', finished_at = finished_at - interval '7 hours'"
        )
    asyncio.run(triggered(system))
    until(lambda: len(receiver.received) == 2)
    expiring, stale = receiver.received
    assert "VPP token of " in expiring.json["subject"]
    assert f"expires {soon[:10]}" in expiring.json["subject"]
    assert ": no clean run for 6 hours" in stale.json["subject"]
    assert expiring.json["run_id"] is stale.json["run_id"] is None


@pytest.mark.slow
def test_worker_killed_before_recording_a_delivery_repeats_it_once(system: System, receiver: Receiver) -> None:
    configure_receiver(system, receiver)
    worker = system.start_worker()

    def killing(_: Reception) -> tuple[int, dict[str, str]]:
        if not receiver.received:
            os.kill(worker.pid, signal.SIGKILL)
        return 204, {}

    receiver.answer = killing
    system.graph.faults.add(Fault(FaultKind.FORBIDDEN))
    following = system.popen("sync", system.tenant.name, *TYPES, "--json", log=system.folder / "follow.log")
    until(lambda: receiver.received)
    assert worker.wait() == -signal.SIGKILL
    system.start_worker()
    until(lambda: len(receiver.received) == 2)
    following.communicate(timeout=DEADLINE_SECONDS)
    # A further run with another status: its notification follows any that is still due for the first run.
    system.graph.faults.clear()
    fault = Fault(FaultKind.FORBIDDEN, path="groups")
    system.graph.faults.add(fault)
    assert system.sync(*TYPES).status == "partial"
    until(lambda: len(receiver.received) >= 3)
    first, again, other = receiver.received
    assert first.delivery_id == again.delivery_id != other.delivery_id
    assert first.body == again.body
    assert all(received.is_signed() for received in receiver.received)


def test_worker_does_not_start_with_an_invalid_notifications_file(system: System, tmp_path: Path) -> None:
    file = tmp_path / "broken.toml"
    file.write_text("[[rule]]\n")
    system.environment["NOTIFICATIONS_FILE"] = str(file)
    with pytest.raises(PartError):
        system.start_worker()
    assert "rule 1: targets: is missing" in system.logs()
