"""One seed, played against the rig: a clean run, runs under faults, a clean run."""

import asyncio
import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from functools import partial
from random import Random
from uuid import UUID

from sqlalchemy import text

from graph.catalog import load_catalog
from inventory.selection import Selection
from local.simulated_graph import FaultKind, SimulatedTenant
from storage.database import StorageUnavailableError
from tests.chaos import invariants
from tests.chaos.hostile import hostile
from tests.chaos.rig import Rig, selection_of
from tests.chaos.schedule import COLLECTIONS, DETAILS, Edit, Event, Schedule, Start
from tests.deadlines import DEADLINE_SECONDS
from tests.readable_history import readable

WATCH_SECONDS = 1.0

UNDER_WAY_SECONDS = 0.25
"""A seed's runs overlap: a request of one run may be on its way while Graph throttles the other run."""

CLEAN_RUN_SECONDS = 5.0
"""A quiet machine needs less for the first run of a seed. On a slower machine, requests are longer on their way."""

TOKEN_START = "eyJhbGciOi"

_MOVE = text("""
WITH pending AS (UPDATE pending_item SET type_key = type_key)
UPDATE inventory_item SET graph_id = graph_id
""")


class Play:
    """The result of one seed; `violations` names the broken invariants."""

    def __init__(self, rig: Rig, schedule: Schedule, tenant: SimulatedTenant) -> None:
        self.schedule = schedule
        self.violations: list[str] = []
        self._rig = rig
        self._tenant = tenant
        self._selection = selection_of(*schedule.type_keys)
        self._selections: dict[str, Selection] = {self._selection.hash(): self._selection}
        self._workflow_ids: set[str] = set()
        self._under_way_seconds = UNDER_WAY_SECONDS

    async def run(self) -> "Play":
        """Plays the schedule to its end."""
        try:
            began = time.monotonic()
            await self._rig.sync(self._tenant, self._selection)
            slowness = max(1.0, (time.monotonic() - began) / CLEAN_RUN_SECONDS)
            self._under_way_seconds = UNDER_WAY_SECONDS * slowness
            held_seconds = self.schedule.rows_held_seconds
            moving = None if held_seconds is None else asyncio.create_task(self._move_rows(held_seconds))
            try:
                await self._bad_time()
                clean = await self._rig.sync(self._tenant, self._selection, deep=self._may_show_removed_properties())
            finally:
                if moving is not None:
                    moving.cancel()
                    await asyncio.gather(moving, return_exceptions=True)
            await self._check_the_end(clean)
        except* TimeoutError:
            self.violations.append("a run did not end in time")
        return self

    async def _bad_time(self) -> None:
        for fault in self.schedule.faults:
            self._rig.graph.faults.add(replace(fault, tenant_id=self._tenant.id, link=self._rig.trap.link))
        watching = asyncio.create_task(self._watch())
        try:
            async with asyncio.TaskGroup() as tasks:
                for start in self.schedule.starts:
                    tasks.create_task(self._start(start))
                for edit in self.schedule.edits:
                    tasks.create_task(self._edit(edit))
                for at, event in self.schedule.events:
                    tasks.create_task(self._carry_out(at, event))
                for at in self.schedule.looks:
                    tasks.create_task(self._look_at_logs(at))
        finally:
            self._rig.graph.faults.clear(self._tenant.id)
            watching.cancel()
            await asyncio.gather(watching, return_exceptions=True)
        await self._look()

    def _may_show_removed_properties(self) -> bool:
        """Whether faults may have added properties to details. No list shows that these are gone afterwards."""
        return any(fault.kind is FaultKind.UNKNOWN_PROPERTIES for fault in self.schedule.faults)

    async def _carry_out(self, at: float, event: Event) -> None:
        await asyncio.sleep(at)
        await self._rig.carry_out(event)

    async def _start(self, start: Start) -> None:
        await asyncio.sleep(start.at)
        selection = selection_of(*start.type_keys)
        self._selections[selection.hash()] = selection
        run = await self._rig.start(self._tenant, selection)
        self._workflow_ids.add(run.workflow_id)
        if start.cancel_after is not None:
            await asyncio.sleep(start.cancel_after)
            await self._rig.cancel(run, f"seed {self.schedule.seed}")
        await self._rig.wait_for(run)

    async def _edit(self, edit: Edit) -> None:
        await asyncio.sleep(edit.at)
        await asyncio.to_thread(self._edit_now, edit)

    async def _look_at_logs(self, at: float) -> None:
        """Without runs and faults of its own, a seed repeats its looks until one has read its edit: another seed's
        killed worker or crash can hit all of them.
        """
        await asyncio.sleep(at)
        is_sure_to_read = not self.schedule.faults and not self.schedule.starts
        async with asyncio.timeout(DEADLINE_SECONDS):
            while True:
                await self._rig.look(self._tenant)
                if not is_sure_to_read:
                    return
                with suppress(StorageUnavailableError):
                    if await self._rig.items_read_by_looks(self._tenant):
                        return

    async def _move_rows(self, held_seconds: float) -> None:
        """Moves rows by writing to them: a write that waits for a row must find the row's new place, or it is lost."""
        while True:
            with suppress(StorageUnavailableError):
                async with self._rig.database.tenant(UUID(self._tenant.id)) as session:
                    await session.execute(_MOVE)
                    await asyncio.sleep(held_seconds)
                self._rig.events["rows_moved"] += 1
            await asyncio.sleep(held_seconds / 10)

    def _edit_now(self, edit: Edit) -> None:
        path = COLLECTIONS[edit.type_key]
        version = "beta"
        documents = self._tenant.documents(path, version)
        name = f"{invariants.MARK} {self.schedule.seed}/{edit.pick}"
        if edit.action == "add" or not documents:
            original = documents[0] if documents else {}
            added = {key: value for key, value in original.items() if key != "id"}
            new = self._tenant.add(path, added | hostile(Random(edit.pick), name) if edit.pick % 2 else added)
            self._log(edit, new)
            return
        key = documents[edit.pick % len(documents)]["id"]
        match edit.action:
            case "change":
                self._tenant.change(path, key, {"description": name})
            case "detail":
                self._edit_detail(edit, path, key, name)
            case "rename":
                self._tenant.rename(path, key, name)
            case "remove":
                self._tenant.remove(path, key)
        self._log(edit, key)

    def _log(self, edit: Edit, key: str) -> None:
        log = load_catalog().collections[edit.type_key].audit_log
        if edit.logged_after is not None and log is not None:
            path = load_catalog().collections[log].path.strip("/")
            operation = {"add": "Create", "remove": "Delete"}.get(edit.action, "Patch")
            self._tenant.log_event(path, key, operation, listed_after=timedelta(seconds=edit.logged_after))

    def _edit_detail(self, edit: Edit, path: str, key: str, name: str) -> None:
        """Changes a detail that no list shows: a member below the object, or its body."""
        below = DETAILS.get(edit.type_key)
        if below is None:
            self._tenant.change(path, key, {"scriptContent": name} if "Script" in path else {"description": name})
            return
        members = self._tenant.documents(f"/{path}/{key}/{below}")
        if members:
            member = members[edit.pick % len(members)]["id"]
            self._tenant.change(f"{path}/{key}/{below}", member, {"edited": name})

    async def _watch(self) -> None:
        random = Random(self.schedule.seed)
        while True:
            await asyncio.sleep(WATCH_SECONDS * random.uniform(0.5, 1.5))
            await self._look()

    async def _look(self) -> None:
        """Checks the invariant of every moment."""
        for selection in list(self._selections.values()):
            try:
                self._violate(await invariants.falsely_missing(self._rig.database, self._tenant, selection))
            except StorageUnavailableError:
                continue

    async def _check_the_end(self, clean: UUID) -> None:
        database, tenant = self._rig.database, self._tenant
        while True:
            try:
                self._violate(await invariants.inventory_equals_tenant(database, tenant, self._selection, clean))
                self._violate(await invariants.records_are_sound(database, tenant))
                self._violate(await invariants.versions_are_sound(database, tenant))
                items = await self._rig.items_read_by_looks(tenant)
                self._rig.events["items_read_by_a_look"] += items
                break
            except StorageUnavailableError:
                await asyncio.sleep(0.3)
        self._violate(
            f"asked {violation.early_by_seconds:.2f} s too early for {violation.scope}: {violation.path}"
            for violation in self._rig.graph.violations()
            if violation.tenant_id == self._tenant.id and violation.told_seconds_ago > self._under_way_seconds
        )
        for workflow_id in self._workflow_ids:
            await self._rig.retry_until_answered(partial(self._read_history, workflow_id))

    async def _read_history(self, workflow_id: str) -> None:
        handle = self._rig.client.get_workflow_handle(workflow_id)
        history = readable(await handle.fetch_history(rpc_timeout=timedelta(minutes=1)))
        for secret in (self._tenant.client_secret, TOKEN_START, invariants.MARK):
            if secret in history:
                self.violations.append(f"a history holds {secret[:8]}…")

    def _violate(self, violations: Iterable[str]) -> None:
        for violation in violations:
            if violation not in self.violations:
                self.violations.append(violation)
