"""The activities that note events and send them to targets."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from datetime import timedelta
from pathlib import Path
from uuid import UUID

from temporalio import activity

from activities.messages.notifications import DeliverEvents, DeliveryResult, NoteResult, NoteRun
from activities.tenants import TenantsFile
from answers.notifications.answer import events_of_run
from delivery import sender
from delivery.message import DeliveryAnswer, Message, message_of
from delivery.targets import AnyTarget, Notifications, NotificationsFileError, load_notifications
from graph.tenants import TenantsFileError
from inventory.error_codes import ErrorCode
from inventory.notifications import NotificationGroup, NotificationState, addressed
from storage import notifications
from storage.database import Database

CLAIM = timedelta(minutes=1)
"""For which an attempt has its events to itself: longer than an attempt lasts, so that no two send at once."""

DELIVERY_PATIENCE = timedelta(hours=24)
"""How long a message is tried, since its events were noted."""

FIRST_WAIT, LONGEST_WAIT = timedelta(seconds=10), timedelta(minutes=30)
"""Between two attempts at a message: doubled each time."""

DELIVERIES_AT_ONCE = 4
"""Of one worker: targets that do not answer leave its other slots to runs."""

BUSY = timedelta(seconds=5)
"""When to come again where a worker has as many deliveries as it may."""

SENDING = timedelta(minutes=1)
"""One activity begins no further message after this."""

_LOG = logging.getLogger(__name__)

Send = Callable[[AnyTarget, Message], Awaitable[DeliveryAnswer]]


class NotificationsFile:
    """The notifications file as the worker sees it: read again when it changes; a broken one leaves the last valid."""

    def __init__(self, path: Path | None) -> None:
        self.path = path
        self._seen: tuple[int, int] | None = None
        self._valid = Notifications()

    async def current(self) -> Notifications:
        """The targets and rules that hold now; none without a file."""
        if self.path is not None:
            await asyncio.to_thread(self._look, self.path)
        return self._valid

    def _look(self, path: Path) -> None:
        try:
            stat = path.stat()
            stamp = stat.st_mtime_ns, stat.st_size
        except OSError:
            stamp = None
        if stamp is not None and stamp == self._seen:
            return
        try:
            self._valid = load_notifications(path)
        except NotificationsFileError as error:
            if stamp != self._seen or stamp is None:
                _LOG.error("%s: %s; the last valid one is used", ErrorCode.CONFIGURATION_INVALID, error)
        self._seen = stamp


class NotificationActivities:
    """Every event is noted once for a target. It is sent until the target has taken it, with one idempotency key."""

    def __init__(
        self,
        database: Database,
        tenants: TenantsFile,
        file: NotificationsFile,
        *,
        send: Send = sender.send,
        claim: timedelta = CLAIM,
    ) -> None:
        self._database = database
        self._tenants = tenants
        self._file = file
        self._send = send
        self._claim = claim
        self._deliveries = asyncio.Semaphore(DELIVERIES_AT_ONCE)

    @activity.defn
    async def note_run(self, request: NoteRun) -> NoteResult:
        """Notes the events of a run, once: a second attempt finds it noted."""
        rules = (await self._file.current()).rules
        tags = await self._tags(request.tenant_id)
        async with self._database.tenant(request.tenant_id) as session:
            if await notifications.begin_run(session, request.run_id):
                events = await events_of_run(session, request.run_id)
                await notifications.note(session, request.run_id, request.run_id, addressed(events, rules, tags))
            return NoteResult(targets=await notifications.pending_targets(session))

    async def _tags(self, tenant_id: UUID) -> tuple[str, ...]:
        """The tenant's tags. Events are noted also where the tenants file cannot be read, or no longer has it."""
        try:
            tenant = await self._tenants.get(tenant_id)
        except TenantsFileError:
            return ()
        return () if tenant is None else tenant.tags

    @activity.defn
    async def deliver_events(self, request: DeliverEvents) -> DeliveryResult:
        """Sends what is due, message after message, each with its own idempotency key: the delivery's id.

        The claim is committed before a message is sent, and what came of it afterwards. Where a worker dies in between,
        the message is sent again when the claim has run out.
        """
        if self._deliveries.locked():
            return DeliveryResult(wait=BUSY)
        async with self._deliveries:
            result = DeliveryResult()
            until = time.monotonic() + SENDING.total_seconds()
            while time.monotonic() < until:
                async with self._database.tenant(request.tenant_id) as session:
                    group = await notifications.claim(session, request.target, self._claim)
                if group is None:
                    break
                result = await self._attempted(request.tenant_id, group, result)
            async with self._database.tenant(request.tenant_id, read_only=True) as session:
                wait = await notifications.next_attempt(session, request.target)
            return result.model_copy(update={"wait": wait})

    async def _attempted(self, tenant_id: UUID, group: NotificationGroup, result: DeliveryResult) -> DeliveryResult:
        """One message, and what came of it."""
        target = (await self._file.current()).targets.get(group.target)
        if target is None:
            answer = DeliveryAnswer(False, "the notifications file has no such target")
        else:
            name = await self._tenants.name(tenant_id) or str(tenant_id)
            answer = await self._send(
                target, message_of(group.delivery_id, tenant_id, name, group.run_id, group.events)
            )
        state = (
            NotificationState.SENT
            if answer.is_delivered
            else NotificationState.PENDING
            if answer.retryable
            else NotificationState.FAILED
        )
        wait = max(answer.retry_after or timedelta(0), wait_after(group.attempts))
        async with self._database.tenant(tenant_id) as session:
            await notifications.mark(session, group, state, answer.text, wait=wait, patience=DELIVERY_PATIENCE)
        if not answer.is_delivered:
            activity.logger.warning("notification not sent to %s: %s", group.target, answer.text)
        return result.model_copy(
            update={
                "sent": result.sent + (state is NotificationState.SENT),
                "failed": result.failed + (state is NotificationState.FAILED),
            }
        )


def wait_after(attempts: int) -> timedelta:
    """How long after so many attempts the next one comes."""
    return min(FIRST_WAIT * (1 << min(attempts - 1, 20)), LONGEST_WAIT)
