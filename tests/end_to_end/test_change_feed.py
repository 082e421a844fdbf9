"""A replayed history: a tenant is edited step by step, with faulty runs in between. The change feed equals the edits.

Each item is edited at most once between two clean runs, so that edits can be told apart. A faulty run may report an
edit or leave it to the next run; no edit is reported twice, lost or invented.
"""

import asyncio
from collections import Counter
from datetime import datetime
from random import Random
from secrets import token_hex
from typing import Any, NamedTuple
from uuid import UUID

import pytest
from temporalio.client import WorkflowFailureError

from answers.changes.answer import changes
from answers.changes.queries import Window
from answers.changes.records import ChangeKind, ChangeRecord
from answers.field_labels import FieldChange
from connections import connect_temporal
from control.runs import start_sync
from graph.catalog import load_catalog
from inventory.differences import DifferenceKind
from inventory.selection import Selection
from local.simulated_graph import Fault, FaultKind, SimulatedTenant
from local.temporal import EmbeddedTemporal
from storage.documents import database_time
from tests.end_to_end.system import System
from workflows.messages import SyncInput

PATHS = {
    "assignmentFilters": "deviceManagement/assignmentFilters",
    "deviceCategories": "deviceManagement/deviceCategories",
    "configurationPolicies": "deviceManagement/configurationPolicies",
    "deviceCompliancePolicies": "deviceManagement/deviceCompliancePolicies",
    "deviceConfigurations": "deviceManagement/deviceConfigurations",
    "deviceManagementScripts": "deviceManagement/deviceManagementScripts",
    "groups": "groups",
}
SELECTION = Selection(type_keys=tuple(PATHS))

ASSIGNABLE = ("configurationPolicies", "deviceCompliancePolicies", "deviceConfigurations")
"""Their lists show assignments. Assignments of scripts are details, and no list shows that they changed."""

WITHOUT_RELATIONS = ("assignmentFilters", "deviceCategories")
"""Their items return whole, under the old id or re-created under a new id."""

LISTINGS = rf"/({'|'.join(PATHS.values())})(\?|$)"

BAD = (
    FaultKind.THROTTLED, FaultKind.FORBIDDEN, FaultKind.FORBIDDEN_INTUNE, FaultKind.SERVER_ERROR,
    FaultKind.BAD_GATEWAY, FaultKind.TRUNCATED_JSON, FaultKind.EMPTY_BODY, FaultKind.HTML_WITH_200, FaultKind.NO_VALUE,
    FaultKind.PAGE_EXPIRED, FaultKind.NEXT_LINK_REPEATS, FaultKind.NOT_APPLICABLE, FaultKind.NOT_FOUND, FaultKind.NOISE,
    FaultKind.DUPLICATE_ON_NEXT_PAGE, FaultKind.SLIP, FaultKind.BATCH_MISSING_RESPONSE, FaultKind.BATCH_UNAVAILABLE,
)  # fmt: skip


class Edit(NamedTuple):
    """The change that the feed must report for one edit.

    `field` is the changed property, if any; for a re-created item, its earlier id.
    """

    kind: ChangeKind
    type_key: str
    external_id: str
    field: str | None = None


class Editor:
    """Edits a tenant at random, and returns the changes that the feed must report."""

    def __init__(self, tenant: SimulatedTenant, random: Random) -> None:
        self._tenant = tenant
        self._random = random
        self._touched: set[str] = set()
        self._removed: list[tuple[str, dict[str, Any]]] = []
        self._number = 0
        self._added: list[Edit] = []

    def settled(self) -> None:
        """After a clean run, every item may be edited again."""
        self._touched.clear()

    def edit(self) -> list[Edit]:
        """Edits an item not edited since the last clean run; adds items first if too few are left."""
        action = self._random.choice((
            self._add, self._change, self._rename, self._remove, self._reassign, self._setting, self._restore,
            self._make_again,
        ))  # fmt: skip
        self._number += 1
        edit = action()
        edits, self._added = [edit, *self._added], []
        return edits

    def _pick(self, *type_keys: str) -> tuple[str, dict[str, Any]]:
        type_key = self._random.choice(type_keys or tuple(PATHS))
        candidates = [entry for entry in self._listed(type_key) if entry["id"] not in self._touched]
        if len(candidates) < 3:
            self._added.append(self._add(type_key))
            return self._pick(*type_keys)
        document = self._random.choice(candidates)
        self._touched.add(document["id"])
        return type_key, document

    def _listed(self, type_key: str) -> list[dict[str, Any]]:
        """The objects of the collection; its path also lists objects of other collections."""
        left_out = load_catalog().collections[type_key].left_out_types
        return [
            document
            for document in self._tenant.documents(PATHS[type_key])
            if document.get("@odata.type") not in left_out
        ]

    def _add(self, type_key: str | None = None) -> Edit:
        self._number += 1  # Of two equal items, the re-created item would be ambiguous.
        type_key = type_key or self._random.choice(list(PATHS))
        like = self._listed(type_key)[0]
        copied = {name: value for name, value in like.items() if name not in ("id", "createdDateTime")}
        name = "name" if "name" in copied else "displayName"
        key = self._tenant.add(PATHS[type_key], {**copied, name: f"Added {self._number}", "description": "new"})
        self._touched.add(key)
        return Edit(ChangeKind.APPEARED, type_key, key)

    def _change(self) -> Edit:
        type_key, document = self._pick()
        self._tenant.change(PATHS[type_key], document["id"], {"description": f"edited {self._number}"})
        return Edit(ChangeKind.CHANGED, type_key, document["id"], "description")

    def _rename(self) -> Edit:
        type_key, document = self._pick()
        self._tenant.rename(PATHS[type_key], document["id"], f"Renamed {self._number}")
        return Edit(ChangeKind.RENAMED, type_key, document["id"], "name" if "name" in document else "displayName")

    def _remove(self) -> Edit:
        type_key, document = self._pick()
        self._tenant.remove(PATHS[type_key], document["id"])
        if type_key in WITHOUT_RELATIONS:
            self._removed.append((type_key, document))
        return Edit(ChangeKind.MISSING, type_key, document["id"])

    def _reassign(self) -> Edit:
        type_key, document = self._pick(*ASSIGNABLE)
        groups = [f"{self._random.getrandbits(128):032x}" for _ in range(2)]
        self._tenant.reassign(PATHS[type_key], document["id"], groups)
        return Edit(ChangeKind.CHANGED, type_key, document["id"], "assignments")

    def _setting(self) -> Edit:
        type_key, document = self._pick("configurationPolicies")
        below = f"{PATHS[type_key]}/{document['id']}/settings"
        settings = self._tenant.documents(below)
        if settings:
            self._tenant.remove(below, settings[0]["id"])
        else:
            definition = {"settingInstance": {"settingDefinitionId": f"device_{self._number}"}}
            self._tenant.add(below, definition)
        return Edit(ChangeKind.CHANGED, type_key, document["id"], "settings")

    def _restore(self) -> Edit:
        removals = [removal for removal in self._removed if removal[1]["id"] not in self._touched]
        if not removals:
            return self._remove()
        type_key, document = self._random.choice(removals)
        self._removed.remove((type_key, document))
        self._touched.add(document["id"])
        self._tenant.add(PATHS[type_key], document)
        return Edit(ChangeKind.CAME_BACK, type_key, document["id"])

    def _make_again(self) -> Edit:
        type_key, document = self._pick(*WITHOUT_RELATIONS)
        self._tenant.remove(PATHS[type_key], document["id"])
        key = self._tenant.add(PATHS[type_key], {name: value for name, value in document.items() if name != "id"})
        self._touched.add(key)
        return Edit(ChangeKind.RECREATED, type_key, key, document["id"])


def reported_edit(change: ChangeRecord, expected: Counter[Edit]) -> Edit:
    """The edit that a change reports, with its changed property."""
    properties = {field.path.partition("[")[0].partition(".")[0] for field in _certain(change)}
    if change.kind not in (ChangeKind.CHANGED, ChangeKind.RENAMED):
        return Edit(change.kind, change.type_key, change.external_id, change.recreates_external_id)
    assert len(properties) <= 1, f"{change} is more than one edit; expected {expected}"
    return Edit(change.kind, change.type_key, change.external_id, next(iter(properties), None))


def _may_have_changed(change: ChangeRecord) -> bool:
    """Whether only masked secrets may have changed. The fault `noise` moves times of last edits without an edit; in
    policies without a version number, this time is the only sign of an edit.
    """
    return change.kind is ChangeKind.CHANGED and bool(change.fields) and not _certain(change)


def _certain(change: ChangeRecord) -> list[FieldChange]:
    return [field for field in change.fields or () if field.kind is not DifferenceKind.MAY_HAVE_CHANGED]


async def replay(system: System, temporal: EmbeddedTemporal, *, seed: int, rounds: int, edits: int) -> Counter[str]:
    """Plays a history; returns the number of runs by status."""
    # Without a key, each hidden value of an edited object would be reported as possibly changed.
    key = {"SENSITIVE_FIELDS_KEY": token_hex()}
    system.environment |= {"GRAPH_PATIENCE_SECONDS": "3", "GRAPH_ATTEMPTS": "2", **key}
    await asyncio.to_thread(system.start_worker)
    random, tenant, graph = Random(seed), system.tenant, system.graph
    tenant_id, editor = UUID(tenant.id), Editor(system.tenant, Random(seed))
    client = await connect_temporal({"target_host": temporal.address})
    statuses: Counter[str] = Counter()

    async def sync() -> str:
        queue = system.environment["TEMPORAL_TASK_QUEUE"]
        run = await start_sync(client, queue, SyncInput(tenant_id=tenant_id, selection=SELECTION), tenant.name)
        try:
            status = str((await run.handle.result())["status"])
        except WorkflowFailureError:
            status = "failed"
        statuses[status] += 1
        return status

    async def noticed(since: datetime, *, is_noisy: bool) -> tuple[list[ChangeRecord], datetime]:
        async with system.database() as database, database.tenant(tenant_id, read_only=True) as session:
            until = await database_time(session)
            found = [change async for _, change in changes(session, tenant_id, Window(since, until))]
        aside = [change for change in found if _may_have_changed(change)]
        assert is_noisy or not aside, "a masked secret changed without an edit"
        return [change for change in found if change not in aside], until

    assert await sync() == "success"
    found, since = await noticed(datetime.fromisoformat("2000-01-01T00:00:00Z"), is_noisy=False)
    assert found == [], "the first listing reports no change"
    for _ in range(rounds):
        expected: Counter[Edit] = Counter(edit for _ in range(edits) for edit in editor.edit())
        kinds: list[FaultKind] = []
        for _ in range(random.randint(0, 2)):
            for _ in range(random.randint(1, 3)):
                kind = random.choice(BAD)
                kinds.append(kind)
                graph.faults.add(
                    Fault(
                        kind,
                        tenant_id=tenant.id,
                        path="" if kind.startswith("batch_") else LISTINGS,
                        probability=random.choice((0.3, 1.0)),
                        count=random.choice((2, 8, None)),
                        skip=random.choice((0, 1, 3)),
                        seed=random.randrange(1 << 30),
                    )
                )
            await sync()
            graph.faults.clear()
            expected.update(edit for _ in range(random.randint(0, 2)) for edit in editor.edit())
        assert await sync() == "success"
        editor.settled()
        found, since = await noticed(since, is_noisy=FaultKind.NOISE in kinds)
        assert Counter(reported_edit(change, expected) for change in found) == expected
    return statuses


@pytest.mark.slow
async def test_change_feed_equals_the_list_of_edits(system: System, temporal: EmbeddedTemporal) -> None:
    statuses = await replay(system, temporal, seed=1, rounds=4, edits=8)
    assert statuses["success"] >= 5


@pytest.mark.slow
@pytest.mark.parametrize("seed", [2, 3])
async def test_change_feed_reports_each_of_hundreds_of_edits(
    system: System, temporal: EmbeddedTemporal, seed: int
) -> None:
    statuses = await replay(system, temporal, seed=seed, rounds=20, edits=12)
    assert statuses["partial"] + statuses["failed"] > 3, "some runs failed in between"
