"""A look reads an item by id as its listing shows it, and so reports no change of an unchanged item."""

import pytest

from graph.catalog import AUDIT_EVENTS, DIRECTORY_AUDITS, load_catalog
from local.simulated_graph import ENTRA_LOG, INTUNE_LOG
from tests.end_to_end.system import System
from tests.end_to_end.test_watch import look


@pytest.mark.slow
def test_look_reports_no_change_of_unchanged_items(system: System) -> None:
    """Audit events name every item of all collections; looks read them by id with details, or leave them to runs."""
    system.start_worker()
    system.sync("--all")
    collections = load_catalog().collections
    named = 0
    for item in system.items():
        collection = collections[item.type_key]
        if collection.confirmable and collection.audit_log == AUDIT_EVENTS:
            system.tenant.log_event(INTUNE_LOG, item.external_id, "Patch")
            named += 1
        elif collection.confirmable and collection.audit_log == DIRECTORY_AUDITS:
            system.tenant.log_event(ENTRA_LOG, item.external_id, "Update")
            named += 1
    read = 0
    while found := look(system):
        if not found.read:
            break
        read += found.read
        assert (found.changed, found.gone, found.failed) == (0, 0, 0)
    assert named > read > 400, "items without a GET by id are left to full runs"
    assert system.sync("--all").counts.changed == 0


@pytest.mark.slow
def test_look_finds_new_items_as_their_listing_shows_them(system: System) -> None:
    """The tenant gets a copy of the first item of each collection; the next full run finds the copies unchanged."""
    system.start_worker()
    system.sync("--all")
    for collection in load_catalog().collections.values():
        if not collection.confirmable or collection.audit_log is None or collection.parent is not None:
            continue
        path = collection.path.strip("/")
        try:
            documents = system.tenant.get(path, collection.api_version)["value"]
            key = system.tenant.add(
                path, {name: value for name, value in documents[0].items() if name != collection.id_field}
            )
        except (LookupError, IndexError, KeyError):
            continue
        system.tenant.log_event(INTUNE_LOG if collection.audit_log == AUDIT_EVENTS else ENTRA_LOG, key, "Create")
    created = unknown = 0
    while (found := look(system)).created or found.unknown_events:
        created, unknown = created + found.created, unknown + found.unknown_events
        assert (found.changed, found.gone, found.failed) == (0, 0, 0)
    assert unknown < 10, "a look finds nearly all"
    assert created > 80
    full = system.sync("--all")
    assert (full.counts.created, full.counts.changed) == (0, 0)
