"""The activities that note events and send them to targets."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import timedelta
from functools import partial
from pathlib import Path
from uuid import UUID, uuid5

from temporalio import activity

from activities.failures import tenant_result
from activities.messages.notifications import (
    DeliverEvents,
    DeliveryResult,
    LookForEvents,
    NoteEvents,
    NoteResult,
    TenantsToTell,
    TenantToTell,
)
from activities.tenants import TenantsFile
from answers.notifications.answer import (
    ReadingApp,
    events_of_drift,
    events_of_run,
    expiring_events,
    not_read_events,
    plan_events,
)
from delivery import sender
from delivery.message import DeliveryAnswer, Message, message_of
from delivery.targets import AnyTarget, Notifications, NotificationsFileError, load_notifications
from graph.credentials import CredentialError, credential_ends_at
from graph.vault import Vault, VaultUnavailableError
from inventory.error_codes import ErrorCode
from inventory.notifications import NotificationGroup, NotificationKind, NotificationState, TenantRules
from inventory.portfolio import TenantChoice
from storage import notifications
from storage.database import Database
from storage.documents import database_time
from storage.notifications import KnownTenant

CLAIM = timedelta(minutes=1)
"""How long an attempt holds its message: longer than it lasts, so that no two workers send the message at once."""

DELIVERY_RETRY_LIMIT = timedelta(hours=24)
"""How long a message is tried after its events were noted."""

FIRST_WAIT, LONGEST_WAIT = timedelta(seconds=10), timedelta(minutes=30)
"""Waits between attempts, doubled each time."""

DELIVERIES_AT_ONCE = 4
"""The limit of one worker, so that silent targets leave slots to runs."""

BUSY = timedelta(seconds=5)
"""The wait if a worker already has `DELIVERIES_AT_ONCE`."""

SENDING = timedelta(minutes=1)
"""After this, an activity begins no message."""

RETENTION = timedelta(days=90)
"""How long the outbox keeps events."""

EXPIRING_EVERY = timedelta(hours=20)
"""About once a day, at any hour."""

UNTOLD_FOR = timedelta(minutes=2)
"""A look ignores runs that ended more recently, since they start their own workflow."""

NOTING_SECONDS = 10
"""The limit of a look for one tenant, since the others wait; the next look notes its events."""

LOOK_TENANTS, LOOK_RUNS, TENANT_RUNS = 500, 500, 50
"""Tenants and runs of one look, and runs of one tenant; the next look takes the rest."""

_LOG = logging.getLogger(__name__)

Send = Callable[[AnyTarget, Message], Awaitable[DeliveryAnswer]]


class NotificationsFile:
    """Reads the file again after each change; while it is invalid, the last valid content holds."""

    def __init__(self, path: Path | None) -> None:
        self.path = path
        self._seen: tuple[int, int] | None = None
        self._valid = Notifications()

    async def current(self) -> Notifications:
        """Targets and rules; none without a file."""
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
    def __init__(
        self,
        database: Database,
        tenants: TenantsFile,
        file: NotificationsFile,
        *,
        vault: Vault | None = None,
        send: Send = sender.send,
        claim: timedelta = CLAIM,
    ) -> None:
        self._database = database
        self._tenants = tenants
        self._file = file
        self._vault = vault
        self._send = send
        self._claim = claim
        self._deliveries = asyncio.Semaphore(DELIVERIES_AT_ONCE)
        self._drift = asyncio.Lock()

    @activity.defn
    async def note_events(self, request: NoteEvents) -> NoteResult:
        """Notes events of runs, drift and expiries; idempotent by each event's key."""
        rules = await self._rules(request.tenant_id)
        for run_id in request.run_ids:
            async with self._database.tenant(request.tenant_id) as session:
                if await notifications.begin_run(session, run_id):
                    # From here on a look finds runs that start no workflow.
                    await notifications.positions(session, {notifications.RUNS: await database_time(session)})
                    events = await events_of_run(session, request.tenant_id, run_id, rules)
                    await notifications.note(session, run_id, run_id, rules.addressed(events))
        if request.run_ids and rules.wants(NotificationKind.DRIFT):
            await self._note_drift(request.tenant_id, request.run_ids[-1], rules)
        if request.expiring:
            app = await self._reading_app(request.tenant_id)
            async with self._database.tenant(request.tenant_id) as session:
                await notifications.forget(session, RETENTION)
                events = await expiring_events(session, await database_time(session), rules, app)
                await notifications.note(session, request.look_id, None, rules.addressed(events))
        async with self._database.tenant(request.tenant_id, read_only=True) as session:
            return NoteResult(targets=await notifications.pending_targets(session))

    async def _reading_app(self, tenant_id: UUID) -> ReadingApp | None:
        tenant = await self._tenants.get_or_none(tenant_id)
        if tenant is None:
            return None
        ends_at = None
        with suppress(CredentialError, VaultUnavailableError):
            ends_at = await asyncio.to_thread(credential_ends_at, tenant, self._vault)
        return ReadingApp(tenant.client_id, ends_at)

    async def _note_drift(self, tenant_id: UUID, run_id: UUID, rules: TenantRules) -> None:
        """One at a time in a worker, since drift from another tenant's inventory holds two connections."""
        async with self._drift, self._database.tenant(tenant_id) as session:
            session_of = partial(self._database.tenant, read_only=True)
            events = await events_of_drift(session, session_of, tenant_id, await database_time(session))
            await notifications.note(session, uuid5(run_id, "drift"), run_id, rules.addressed(events))

    async def _rules(self, tenant_id: UUID) -> TenantRules:
        tenant = await self._tenants.get_or_none(tenant_id)
        return TenantRules((await self._file.current()).rules, () if tenant is None else tenant.tags)

    @activity.defn
    async def look_for_events(self, request: LookForEvents) -> TenantsToTell:
        """Notes that tenants were not read for long, and finds tenants with further events."""
        if self._file.path is None:
            return TenantsToTell()
        enabled, _ = await self._tenants.enabled(TenantChoice(everyone=True))
        async with self._database.portfolio() as session:
            waiting = await notifications.known_tenants(session, enabled)
            runs = await notifications.untold_runs(session, UNTOLD_FOR, LOOK_RUNS)
            due = await notifications.due_tenants(session)
        to_tell = {tenant_id: TenantToTell(tenant_id=tenant_id) for tenant_id in due}
        for tenant in waiting:
            rules = await self._rules(tenant.tenant_id)
            has_pending = await tenant_result(
                tenant.tenant_id,
                self._note_states(tenant, request.look_id, rules),
                seconds=NOTING_SECONDS,
                if_late=ErrorCode.STORAGE_UNAVAILABLE,
            )
            if has_pending is True:
                to_tell.setdefault(tenant.tenant_id, TenantToTell(tenant_id=tenant.tenant_id))
            if rules.wants(NotificationKind.EXPIRING) and (
                tenant.expiring_at is None or tenant.now - tenant.expiring_at > EXPIRING_EVERY
            ):
                to_tell[tenant.tenant_id] = TenantToTell(tenant_id=tenant.tenant_id, expiring=True)
        by_tenant: dict[UUID, list[UUID]] = {}
        for run in runs:
            by_tenant.setdefault(run.tenant_id, []).append(run.run_id)
        tenants = [
            to_tell.get(tenant_id, TenantToTell(tenant_id=tenant_id)).model_copy(
                update={"run_ids": by_tenant.get(tenant_id, [])[:TENANT_RUNS]}
            )
            for tenant_id in dict.fromkeys([*by_tenant, *to_tell])
        ]
        return TenantsToTell(tenants=tenants[:LOOK_TENANTS])

    async def _note_states(self, tenant: KnownTenant, look_id: UUID, rules: TenantRules) -> bool:
        events = [] if tenant.clean_at is None else not_read_events(tenant.clean_at, tenant.now, rules)
        wants_plans = rules.wants(NotificationKind.PLAN_WAITING)
        if not events and not wants_plans:
            return False
        async with self._database.tenant(tenant.tenant_id) as session:
            await notifications.positions(session, {notifications.RUNS: tenant.now})
            if wants_plans:
                events += await plan_events(session)
            await notifications.note(session, uuid5(look_id, str(tenant.tenant_id)), None, rules.addressed(events))
            return bool(await notifications.pending_targets(session))

    @activity.defn
    async def deliver_events(self, request: DeliverEvents) -> DeliveryResult:
        """Sends due messages in turn; the delivery's id is the idempotency key.

        The claim is committed before sending, the result after it. If a worker dies in between, the message is sent
        again once the claim expires.
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
            await notifications.mark(session, group, state, answer.text, wait=wait, retry_limit=DELIVERY_RETRY_LIMIT)
        if not answer.is_delivered:
            activity.logger.warning("notification not sent to %s: %s", group.target, answer.text)
        return result.model_copy(
            update={
                "sent": result.sent + (state is NotificationState.SENT),
                "failed": result.failed + (state is NotificationState.FAILED),
            }
        )


def wait_after(attempts: int) -> timedelta:
    return min(FIRST_WAIT * (1 << min(attempts - 1, 20)), LONGEST_WAIT)
