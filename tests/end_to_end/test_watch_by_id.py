"""What a look reads by id is what a listing shows: an item that nobody changed is not told as changed."""

from datetime import UTC, datetime

import pytest

from graph.catalog import AUDIT_EVENTS, DIRECTORY_AUDITS, load_catalog
from tests.end_to_end.system import System
from tests.end_to_end.test_watch import DIRECTORY_EVENTS, add_event, at, look


@pytest.mark.slow
def test_what_nobody_changed_is_not_told_as_changed(system: System) -> None:
    """Every item of every collection is named, read by id with its details, and found to be the same, or left."""
    system.start_worker()
    system.sync("--all")
    collections = load_catalog().collections
    named = 0
    for item in system.items():
        collection = collections[item.type_key]
        if collection.confirmable and collection.audit_log == AUDIT_EVENTS:
            add_event(system, item.external_id, "Patch")
            named += 1
        elif collection.confirmable and collection.audit_log == DIRECTORY_AUDITS:
            system.tenant.add(
                DIRECTORY_EVENTS,
                {
                    "activityDisplayName": "Update",
                    "activityDateTime": at(datetime.now(UTC)),
                    "operationType": "Update",
                    "result": "success",
                    "targetResources": [{"id": item.external_id, "type": "Policy", "modifiedProperties": []}],
                },
            )
            named += 1
    read = 0
    while found := look(system):
        if not found.read:
            break
        read += found.read
        assert (found.changed, found.gone, found.failed) == (0, 0, 0)
    assert named > read > 400, "what cannot be told by id is left to full runs"
    assert system.sync("--all").counts.changed == 0
