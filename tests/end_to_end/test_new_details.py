"""A tenant that an earlier release read with fewer details, and the first runs of this release."""

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID, uuid4

import pytest

from answers.changes.answer import changes
from answers.changes.queries import Window
from answers.changes.records import ChangeKind, ChangeRecord
from graph.catalog import load_catalog
from inventory.observation import Observer
from inventory.outcomes import RunStatus
from local.simulated_graph import SimulatedGraph
from local.temporal import EmbeddedTemporal
from storage import details
from storage import merge as merging
from storage.documents import database_time
from tests.end_to_end.system import SEEDS, System
from tests.simulated_items import content_hashes, listing_documents, whole_document
from tests.storage.support import begin, end, land

ROLLOUTS = "policies/featureRolloutPolicies"
LISTS_ALONE = ("deviceConfigurations", "featureRolloutPolicies", "networkAccessForwardingProfiles")
"""Collections whose details the earlier release did not read."""

FEWER = {"applications": "federatedIdentityCredentials", "servicePrincipals": "appRoleAssignments"}
"""Collections of which the earlier release read only this detail."""

READ = (*LISTS_ALONE, *FEWER)
SELECTION = [argument for key in READ for argument in ("--type", key)]


@pytest.fixture
def graph() -> Iterator[SimulatedGraph]:
    with SimulatedGraph(tenants=1, seed=next(SEEDS)) as simulated:
        yield simulated


@pytest.fixture
def upgraded(graph: SimulatedGraph, temporal: EmbeddedTemporal, database_url: str, tmp_path: Path) -> Iterator[System]:
    """A tenant that the earlier release has read, and a worker of this release."""
    with System(graph, temporal, database_url, tmp_path) as system:
        asyncio.run(store_earlier_run(system))
        system.start_worker()
        yield system


async def store_earlier_run(system: System) -> None:
    """Stores a whole run of the earlier release."""
    tenant_id = UUID(system.tenant.id)
    async with system.database() as database:
        run = await begin(database, tenant_id, *READ)
        for type_key in READ:
            now = load_catalog().collections[type_key]
            had = tuple(detail for detail in now.details if detail.property == FEWER.get(type_key, ""))
            collection = now.model_copy(update={"details": had})
            observer = Observer(collection.observation_rules())
            documents_listed = listing_documents(system.tenant, collection)
            lists, _ = observer.observe_page(documents_listed)
            await land(database, tenant_id, run, lists)
            if had:
                documents, _ = observer.observe_page(
                    [whole_document(system.tenant, collection, entry) for entry in documents_listed]
                )
                pairs = zip(lists, documents, strict=True)
                async with database.tenant(tenant_id) as session:
                    token = uuid4()
                    await merging.claim(session, run.run_id, token)
                    read = [document._replace(list_hash=earlier.list_hash) for earlier, document in pairs]
                    await merging.merge_whole(session, run.run_id, token, read)
                    pending = await details.some_pending(session, run.run_id, [details.Share(type_key)], 10_000)
                    await details.drop(session, run.run_id, pending)
        await end(database, tenant_id, run)


async def reported_changes(system: System) -> list[ChangeRecord]:
    async with system.database() as database, database.tenant(UUID(system.tenant.id), read_only=True) as session:
        window = Window(datetime(2000, 1, 1, tzinfo=UTC), await database_time(session))
        return [change async for _, change in changes(session, UUID(system.tenant.id), window)]


def hashes(system: System, *type_keys: str) -> dict[tuple[str, str], str]:
    selection = [argument for key in type_keys for argument in ("--type", key)]
    return {(item.type_key, item.external_id): item.content_hash for item in system.items(*selection)}


@pytest.mark.slow
def test_first_runs_of_a_release_that_reads_more_details_report_no_change(upgraded: System) -> None:
    before = hashes(upgraded, *READ)
    now = content_hashes(upgraded.tenant, READ)
    gained = {type_key for type_key, external_id in now if before[type_key, external_id] != now[type_key, external_id]}
    assert gained == set(READ), "each collection has items with a new detail"

    assert upgraded.sync(*SELECTION).status is RunStatus.SUCCESS
    assert hashes(upgraded, *LISTS_ALONE) == content_hashes(upgraded.tenant, LISTS_ALONE)
    assert asyncio.run(reported_changes(upgraded)) == []

    assert upgraded.sync(*SELECTION, "--deep").status is RunStatus.SUCCESS
    assert hashes(upgraded, *READ) == now
    assert asyncio.run(reported_changes(upgraded)) == []

    (policy, *_) = (
        document["id"]
        for document in upgraded.tenant.documents(ROLLOUTS, "v1.0")
        if applies_to(upgraded, document["id"])
    )
    upgraded.tenant.remove(f"{ROLLOUTS}/{policy}/appliesTo", applies_to(upgraded, policy)[0])
    upgraded.sync(*SELECTION, "--deep")
    assert [(change.kind, change.external_id) for change in asyncio.run(reported_changes(upgraded))] == [
        (ChangeKind.CHANGED, policy)
    ]


def applies_to(system: System, policy: str) -> list[str]:
    return [document["id"] for document in system.tenant.documents(f"{ROLLOUTS}/{policy}/appliesTo", "v1.0")]
