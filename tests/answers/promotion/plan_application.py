"""Tenants for tests of plans: documents as Graph shows them, and a plan applied to a copy of them."""

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any
from uuid import UUID

from answers.compare.answer import Comparison, side
from answers.compare.records import ItemComparison, TenantRecord
from answers.promotion.answer import make_plan
from answers.promotion.candidates import PlanRequest
from answers.promotion.planner import plan_of
from answers.promotion.records import PlanContent, PlanRecord, PlanState, RequestStep
from answers.promotion.sandbox import Sandbox
from answers.promotion.simulation import Simulation, simulate
from graph.catalog import load_catalog
from inventory.observation import Observer
from inventory.people import Person
from inventory.references import references
from storage.database import Database
from tests.storage.support import sync

SOURCE, TARGET = UUID(int=31), UUID(int=32)
COLLECTIONS = load_catalog().collections
Documents = Mapping[str, Iterable[dict[str, Any]]]
"""Documents by type key."""


async def read(database: Database, tenant_id: UUID, documents: Documents) -> None:
    """One complete run over the collections of the documents."""
    observations = [
        Observer(COLLECTIONS[type_key].observation_rules()).observe(document)._replace(list_hash=None)
        for type_key, found in documents.items()
        for document in found
    ]
    await sync(database, tenant_id, observations, *documents)


async def plan(
    database: Database, *type_keys: str, source: UUID = SOURCE, target: UUID = TARGET, **fields: Any
) -> PlanContent:
    async with (
        database.tenant(source, read_only=True, snapshot=True) as source_session,
        database.tenant(target, read_only=True, snapshot=True) as target_session,
    ):
        here = await side(TenantRecord(tenant_id=source, name="golden"), source_session)
        there = await side(TenantRecord(tenant_id=target, name="branch"), target_session)
        return await plan_of(here, there, PlanRequest("ada", type_keys or None, **fields))


async def plan_between(database_url: str, source: UUID, target: UUID, person: Person) -> PlanRecord:
    """A stored plan, made over its own connections, because tests count the connections of a web page."""
    database = Database(database_url, pool_size=2)
    async with (
        database.tenant(source, read_only=True, snapshot=True) as source_session,
        database.tenant(target) as target_session,
    ):
        here = await side(TenantRecord(tenant_id=source, name="Contoso"), source_session)
        there = await side(TenantRecord(tenant_id=target, name="Fabrikam"), target_session)
        record, _ = await make_plan(here, there, PlanRequest(""), person)
    await database.close()
    return record


async def simulated(
    database: Database, content: PlanContent, source: UUID = SOURCE, target: UUID = TARGET
) -> Simulation:
    """Runs the plan on a copy in memory, like `promote simulate`."""
    record = PlanRecord(
        plan_id=UUID(int=1),
        plan_hash="",
        source=content.source,
        target=content.target,
        created_by=content.created_by,
        created_at=content.asked_at,
        expires_at=content.expires_at,
        state=PlanState.OPEN,
        counts=content.counts,
    )
    async with (
        database.tenant(source, read_only=True, snapshot=True) as source_session,
        database.tenant(target, read_only=True, snapshot=True) as target_session,
    ):
        return await simulate(
            await side(content.source, source_session), await side(content.target, target_session), record, content
        )


async def comparisons(database: Database, *type_keys: str) -> list[ItemComparison]:
    async with (
        database.tenant(SOURCE, read_only=True, snapshot=True) as source_session,
        database.tenant(TARGET, read_only=True, snapshot=True) as target_session,
    ):
        here = await side(TenantRecord(tenant_id=SOURCE, name="golden"), source_session)
        there = await side(TenantRecord(tenant_id=TARGET, name="branch"), target_session)
        return [item async for item in Comparison(here, there, type_keys).items()]


def applied(content: PlanContent, target: Documents, catalog: Mapping[str, dict[str, Any]]) -> Documents:
    """The target's documents after all requests of a plan, in their order."""
    by_path = {COLLECTIONS[type_key].path: documents for type_key, documents in target.items()}
    sandbox = Sandbox({**{COLLECTIONS[key].path: () for key in type_keys_of(content)}, **by_path}, catalog)
    requests = [(request, item) for item in content.items for request in item.requests]
    requests.sort(key=lambda planned: planned[0].number)
    for request, item in requests:
        path = COLLECTIONS[item.type_key].path
        creates = request.method == "POST" and request.path == path and request.step is RequestStep.CONTENT
        label = f"{item.type_key}/{item.source_id}" if creates else None
        sandbox.write(request.method, request.path, request.body, label)
    return {
        type_key: [{**empty_parts(type_key), **found} for found in sandbox.objects(COLLECTIONS[type_key].path)]
        for type_key in {*target, *type_keys_of(content)}
    }


def type_keys_of(content: PlanContent) -> list[str]:
    return [collection.type_key for collection in content.collections]


def empty_parts(type_key: str) -> dict[str, Any]:
    """The details of an object without any, as Graph answers further requests."""
    lists = ("apps", "assignments", "definitionValues", "settings")
    return {name: [] for name in COLLECTIONS[type_key].detail_properties if name in lists}


def audiences(documents: Documents) -> Counter[str]:
    """The number of references by collection, path and role: a promotion must keep each."""
    return Counter(
        f"{type_key} {reference.path} {reference.role}"
        for type_key, found in documents.items()
        for document in found
        for reference in references(document, COLLECTIONS[type_key].references)
    )
