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
            add_directory_event(system, item.external_id, "Update")
            named += 1
    read = 0
    while found := look(system):
        if not found.read:
            break
        read += found.read
        assert (found.changed, found.gone, found.failed) == (0, 0, 0)
    assert named > read > 400, "what cannot be told by id is left to full runs"
    assert system.sync("--all").counts.changed == 0


@pytest.mark.slow
def test_a_new_item_of_any_collection_is_found_as_its_list_shows_it(system: System) -> None:
    """A copy of the first item of each collection is made: what a look finds, the next full run finds unchanged."""
    system.start_worker()
    system.sync("--all")
    for collection in load_catalog().collections.values():
        if not collection.confirmable or collection.audit_log is None or collection.parent is not None:
            continue
        path = collection.path.strip("/")
        try:
            shown = system.tenant.get(path, collection.api_version)["value"]
            key = system.tenant.add(
                path, {name: value for name, value in shown[0].items() if name != collection.id_field}
            )
        except (LookupError, IndexError, KeyError):
            continue
        (add_event if collection.audit_log == AUDIT_EVENTS else add_directory_event)(system, key, "Create")
    created = unknown = 0
    while (found := look(system)).created or found.unknown_events:
        created, unknown = created + found.created, unknown + found.unknown_events
        assert (found.changed, found.gone, found.failed) == (0, 0, 0)
    assert unknown < 10, "a look finds nearly all"
    assert created > 80
    full = system.sync("--all")
    assert (full.counts.created, full.counts.changed) == (0, 0)


def add_directory_event(system: System, object_id: str, operation: str) -> None:
    """An event of Entra's log."""
    system.tenant.add(
        DIRECTORY_EVENTS,
        {
            "activityDisplayName": operation,
            "activityDateTime": at(datetime.now(UTC)),
            "operationType": operation,
            "result": "success",
            "targetResources": [{"id": object_id, "type": "Policy", "modifiedProperties": []}],
        },
    )
