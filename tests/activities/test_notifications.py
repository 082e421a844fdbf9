"""The outbox: an event is noted once and sent once over all workers and retries, and each tenant has its own."""

import asyncio
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from uuid import UUID, uuid4

import pytest
from sqlalchemy import text
from temporalio.testing import ActivityEnvironment

from activities.messages.notifications import DeliverEvents, DeliveryResult, NoteEvents, NoteResult
from activities.notifications import (
    BUSY,
    DELIVERIES_AT_ONCE,
    LONGEST_WAIT,
    NotificationActivities,
    NotificationsFile,
    wait_after,
)
from activities.tenants import TenantsFile
from delivery.message import DeliveryAnswer, Message
from delivery.targets import AnyTarget
from inventory.error_codes import ErrorCode
from inventory.outcomes import Outcome, RunStatus
from storage.database import Database
from tests.deadlines import until_async
from tests.receiver import SECRET, Receiver, receiving
from tests.storage.support import begin, end

CONTOSO, FABRIKAM = UUID(int=71), UUID(int=72)
FILE = """
[[target]]
name = "ops"
kind = "webhook"
url = "{url}"
secret_env = "HOOK_SECRET"

[[rule]]
targets = ["ops"]
tags = ["emea"]
"""


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as receiver:
        yield receiver


class Worker:
    """The activities of a worker, as its workflows call them."""

    def __init__(self, database: Database, folder: Path, receiver: Receiver) -> None:
        self.file = folder / "notifications.toml"
        self.file.write_text(FILE.format(url=receiver.url()))
        tenants = folder / "tenants.toml"
        tenants.write_text(
            "".join(
                f'[[tenant]]\nid = "{tenant_id}"\nname = "{name}"\ntags = ["emea"]\nmanaged_identity = true\n'
                for tenant_id, name in ((CONTOSO, "Contoso"), (FABRIKAM, "Fabrikam"))
            )
        )
        self._database, self._tenants = database, TenantsFile(tenants)
        self.activities = self.started()

    def started(self, claim: timedelta = timedelta(minutes=1)) -> NotificationActivities:
        """The activities of another worker."""
        return NotificationActivities(self._database, self._tenants, NotificationsFile(self.file), claim=claim)

    async def note(self, run_id: UUID, tenant_id: UUID = CONTOSO) -> NoteResult:
        request = NoteEvents(tenant_id=tenant_id, look_id=uuid4(), run_ids=[run_id])
        return await ActivityEnvironment().run(self.activities.note_events, request)

    async def deliver(
        self, tenant_id: UUID = CONTOSO, target: str = "ops", activities: NotificationActivities | None = None
    ) -> DeliveryResult:
        deliver = (activities or self.activities).deliver_events
        return await ActivityEnvironment().run(deliver, DeliverEvents(tenant_id=tenant_id, target=target))


@pytest.fixture
def worker(database: Database, tmp_path: Path, receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> Worker:
    monkeypatch.setenv("HOOK_SECRET", SECRET)
    return Worker(database, tmp_path, receiver)


async def failed_run(database: Database, tenant_id: UUID = CONTOSO) -> UUID:
    """A run that has failed, the first of its selection."""
    type_key = f"c{uuid4().hex}"
    run = await begin(database, tenant_id, type_key)
    await end(database, tenant_id, run, RunStatus.FAILED, {type_key: (Outcome.FAILED, ErrorCode.AUTH_FAILED)})
    return run.run_id


async def rows(database: Database, tenant_id: UUID = CONTOSO) -> list[tuple[str, int, str | None]]:
    async with database.tenant(tenant_id) as session:
        found = await session.execute(text("SELECT state, attempts, answer FROM notification ORDER BY noted_at"))
        return [tuple(row) for row in found]


async def test_a_run_is_noted_once_and_sent_once(database: Database, worker: Worker, receiver: Receiver) -> None:
    run_id = await failed_run(database)
    assert (await worker.note(run_id)).targets == ["ops"]
    assert (await worker.note(run_id)).targets == ["ops"], "a retry"
    assert await worker.deliver() == DeliveryResult(sent=1)
    assert await worker.deliver() == DeliveryResult(), "no event is pending"
    assert (await worker.note(run_id)).targets == []
    assert await rows(database) == [("sent", 1, "answered 204")]
    (received,) = receiver.received
    assert received.json["subject"] == "Contoso: run failed: 1 collection not read (auth_failed 1)"


async def test_concurrent_deliveries_send_each_event_once(
    database: Database, worker: Worker, receiver: Receiver
) -> None:
    for _ in range(3):
        await worker.note(await failed_run(database))
    others = [worker.started() for _ in range(4)]
    results = await asyncio.gather(*(worker.deliver(activities=other) for other in others))
    assert len({received.delivery_id for received in receiver.received}) == len(receiver.received) == 3
    assert sum(result.sent for result in results) == 3


async def test_a_dead_workers_claim_expires_and_the_event_is_sent(
    database: Database, worker: Worker, receiver: Receiver
) -> None:
    await worker.note(await failed_run(database))

    attempted = []

    async def die_after_delivery(_target: AnyTarget, message: Message) -> DeliveryAnswer:
        attempted.append(str(message.delivery_id))
        raise MemoryError

    dying = worker.started(claim=timedelta(seconds=2))
    dying._send = die_after_delivery
    with pytest.raises(MemoryError):
        await worker.deliver(activities=dying)
    waiting = await worker.deliver()
    assert (waiting.sent, receiver.received) == (0, []), "the other attempt may still be under way"
    assert waiting.wait is not None

    async def sent() -> int:
        return (await worker.deliver()).sent

    await until_async(sent)
    assert await rows(database) == [("sent", 2, "answered 204")]
    assert [received.delivery_id for received in receiver.received] == attempted, "the same idempotency key"


async def test_an_apprise_target_is_retried_and_sent_once(
    database: Database,
    worker: Worker,
    receiver: Receiver,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setenv("PHONE_URL", f"json://localhost:{receiver.server_port}/hush-hush")
    worker.file.write_text(
        '[[target]]\nname = "phone"\nkind = "apprise"\nurl_env = "PHONE_URL"\n\n[[rule]]\ntargets = ["phone"]\n'
    )
    receiver.answer = lambda _: (503, {})
    run_id = await failed_run(database)
    assert (await worker.note(run_id)).targets == ["phone"]
    waiting = await worker.deliver(target="phone")
    assert (waiting.sent, waiting.failed) == (0, 0)
    assert await rows(database) == [("pending", 1, "answered 503")]

    receiver.answer = lambda _: (200, {})
    async with database.tenant(CONTOSO) as session:
        await session.execute(text("UPDATE notification SET not_before = clock_timestamp()"))
    assert await worker.deliver(target="phone") == DeliveryResult(sent=1)
    assert await worker.deliver(target="phone") == DeliveryResult()
    assert await rows(database) == [("sent", 2, "accepted")]
    first, second = receiver.received
    assert first.json["message"] == second.json["message"], "the same id in both"
    assert "hush-hush" not in caplog.text


async def test_an_outage_is_retried_and_a_refusal_is_final(
    database: Database, worker: Worker, receiver: Receiver
) -> None:
    await worker.note(await failed_run(database))
    receiver.answer = lambda _: (503, {"Retry-After": "90"})
    waiting = await worker.deliver()
    assert (waiting.sent, waiting.failed) == (0, 0)
    assert waiting.wait is not None
    assert timedelta(seconds=60) < waiting.wait <= timedelta(seconds=90)
    assert await rows(database) == [("pending", 1, "answered 503")]
    receiver.answer = lambda _: (410, {})
    await worker.note(await failed_run(database))
    assert (await worker.deliver()).failed == 1
    assert await rows(database) == [("pending", 1, "answered 503"), ("failed", 1, "answered 410")]
    assert [wait_after(attempts).total_seconds() for attempts in (1, 2, 3, 99)] == [
        10, 20, 40, LONGEST_WAIT.total_seconds(),
    ]  # fmt: skip


async def test_an_event_fails_after_a_day_of_attempts(database: Database, worker: Worker, receiver: Receiver) -> None:
    await worker.note(await failed_run(database))
    async with database.tenant(CONTOSO) as session:
        await session.execute(text("UPDATE notification SET noted_at = noted_at - interval '25 hours'"))
    receiver.answer = lambda _: (503, {})
    assert (await worker.deliver()).wait is None
    assert await rows(database) == [("failed", 1, "answered 503")]


async def test_events_for_a_removed_target_fail(database: Database, worker: Worker, receiver: Receiver) -> None:
    await worker.note(await failed_run(database))
    worker.file.write_text("")
    assert (await worker.deliver()).failed == 1
    assert await rows(database) == [("failed", 1, "the notifications file has no such target")]
    assert receiver.received == []


async def test_a_broken_file_leaves_the_last_valid_rules_in_force(database: Database, worker: Worker) -> None:
    await worker.note(await failed_run(database))
    worker.file.write_text("[[rule]]")
    assert (await worker.note(await failed_run(database))).targets == ["ops"]
    assert (await worker.deliver()).sent == 2


async def test_tenants_without_a_matching_rule_have_no_notifications(
    database: Database, worker: Worker, receiver: Receiver
) -> None:
    worker.file.write_text(FILE.format(url=receiver.url()).replace("emea", "apac"))
    assert (await worker.note(await failed_run(database))).targets == []
    assert await rows(database) == []


async def test_each_tenant_has_its_own_outbox(database: Database, worker: Worker, receiver: Receiver) -> None:
    await worker.note(await failed_run(database, CONTOSO), CONTOSO)
    await worker.note(await failed_run(database, FABRIKAM), FABRIKAM)
    assert (await worker.deliver(CONTOSO)).sent == 1
    assert [received.json["tenant"] for received in receiver.received] == ["Contoso"]
    assert [state for state, _, _ in await rows(database, FABRIKAM)] == ["pending"]


async def test_a_delivery_beyond_the_limit_waits_while_targets_hang(
    database: Database, worker: Worker, receiver: Receiver
) -> None:
    hanging, go_on = asyncio.Semaphore(0), asyncio.Event()

    async def hang(_target: AnyTarget, _message: Message) -> DeliveryAnswer:
        hanging.release()
        await go_on.wait()
        return DeliveryAnswer(True, "at last")

    worker.activities._send = hang
    for _ in range(DELIVERIES_AT_ONCE):
        await worker.note(await failed_run(database))
    under_way = [asyncio.create_task(worker.deliver()) for _ in range(DELIVERIES_AT_ONCE)]
    for _ in under_way:
        await hanging.acquire()
    await worker.note(await failed_run(database, FABRIKAM), FABRIKAM)
    assert await worker.deliver(FABRIKAM) == DeliveryResult(wait=BUSY)
    go_on.set()
    await asyncio.gather(*under_way)
    assert {state for state, _, _ in await rows(database)} == {"sent"}
