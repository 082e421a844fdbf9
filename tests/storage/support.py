"""Runs and observations for the storage tests."""

import asyncio
from collections.abc import Awaitable, Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar, cast
from uuid import UUID, uuid4

import psycopg
from sqlalchemy import text

from graph.catalog import AUDIT_EVENTS, load_catalog
from inventory.canonical import Canonicalizer, JsonObject
from inventory.changed_fields import Comparability, changed_by
from inventory.error_codes import ErrorCode
from inventory.exact_json import decode
from inventory.normal_form import NormalForm, likeness_hash
from inventory.observation import Observation, ObservationRules, Observer
from inventory.outcomes import CollectionResult, Counts, Outcome, RunStatus
from inventory.records import ItemRecord
from inventory.selection import Selection
from storage import merge as merging
from storage import queries, runs, staging
from storage.database import Database
from storage.first_form import FirstFormItem
from storage.new_versions import NewVersion
from storage.recreated_items import StoredDocument, link_recreated
from tests.deadlines import until_async

ResultT = TypeVar("ResultT")

LEASE = timedelta(minutes=10)
SLOTS = runs.Slots(per_tenant=100, overall=100, lease=LEASE)


def observation(type_key: str, external_id: str, **properties: Any) -> Observation:
    collection = load_catalog().collections.get(type_key)
    details = frozenset[str]() if collection is None else collection.detail_properties
    return Observer(ObservationRules(type_key=type_key, details=details)).observe({"id": external_id, **properties})


AUDITED_AT = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)


def audit_event(event_id: str, *object_ids: str, at: datetime = AUDITED_AT, **properties: Any) -> Observation:
    """An event of the audit log about these objects, as the catalog's rules read it."""
    event: JsonObject = {
        "id": event_id,
        "activityDateTime": at.isoformat().replace("+00:00", "Z"),
        "activityOperationType": "Patch",
        "activityResult": "Success",
        "displayName": "Patch DeviceConfiguration",
        "actor": {"userPrincipalName": "ada@contoso.example", "userId": "u1", "ipAddress": "192.0.2.7"},
        "resources": [{"resourceId": object_id, "displayName": "Policy"} for object_id in object_ids],
    }
    return Observer(load_catalog().collections[AUDIT_EVENTS].observation_rules()).observe({**event, **properties})


def list_document(type_key: str, external_id: str, **properties: Any) -> Observation:
    """The list document of an item that has details."""
    rules = ObservationRules(type_key=type_key, has_details=True)
    return Observer(rules).observe({"id": external_id, **properties})


def identity(*type_keys: str, run_id: UUID | None = None) -> runs.RunIdentity:
    return runs.RunIdentity(run_id or uuid4(), "sync/test", Selection(type_keys=type_keys), "Contoso")


async def likeness_hashes(documents: Sequence[StoredDocument]) -> list[bytes]:
    return [likeness_hash(stored.document, stored.external_id, NormalForm()) for stored in documents]


DETAILS = frozenset({"settings"})
AS_THEY_ARE = Comparability(Canonicalizer(), NormalForm(), DETAILS, DETAILS)
"""How documents of made-up collections are compared; `settings` are a detail."""


class Comparison:
    """Compares documents of the same collection."""

    def __init__(self, comparability: Comparability = AS_THEY_ARE) -> None:
        self._comparability = comparability

    async def says_the_same(self, items: Sequence[FirstFormItem]) -> list[bool]:
        return [
            item.stored is not None
            and self._comparability.form.hash(cast("JsonObject", decode(item.stored))) == item.content_hash
            for item in items
        ]

    async def are_changes(self, versions: Sequence[NewVersion]) -> list[bool]:
        return [changed_by(version, self._comparability) != [] for version in versions]


async def until_it_waits(database_url: str, write: asyncio.Task[Any]) -> None:
    """Waits until another transaction blocks the write, or the write is done."""
    async with await psycopg.AsyncConnection.connect(database_url, autocommit=True) as connection:

        async def waits() -> bool:
            looked = await connection.execute(
                "SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
            )
            return write.done() or await looked.fetchone() is not None

        await until_async(waits)


async def without_locks(database_url: str, operation: Awaitable[ResultT]) -> ResultT:
    """The result, with each statement ended that waits for a lock meanwhile."""
    task, ended = asyncio.ensure_future(operation), set[tuple[int, datetime]]()
    async with await psycopg.AsyncConnection.connect(database_url, autocommit=True) as connection:

        async def is_done() -> bool:
            waiting = await connection.execute(
                "SELECT pid, query_start FROM pg_stat_activity"
                " WHERE datname = current_database() AND wait_event_type = 'Lock'"
            )
            for pid, began_at in set(await waiting.fetchall()) - ended:
                await connection.execute("SELECT pg_cancel_backend(%s)", [pid])
                ended.add((pid, began_at))
            return task.done()

        await until_async(is_done)
    return await task


async def begin(database: Database, tenant_id: UUID, *type_keys: str, slots: runs.Slots = SLOTS) -> runs.RunIdentity:
    run = identity(*type_keys)
    async with database.tenant(tenant_id) as session:
        assert (await runs.open_run(session, run, slots)).state is runs.OpeningState.RUNNING
    return run


async def land(
    database: Database,
    tenant_id: UUID,
    run: runs.RunIdentity,
    observations: Iterable[Observation],
    comparability: Comparability = AS_THEY_ARE,
) -> merging.MergeResult:
    """Stages and merges one wave."""
    wave, comparison = list(observations), Comparison(comparability)
    token = uuid4()
    async with database.tenant(tenant_id) as session:
        await staging.stage(session, run.run_id, token, wave)
    async with database.tenant(tenant_id) as session:
        return await merging.merge(session, run.run_id, token, promised_rows=len(wave), comparison=comparison)


ONE_CREATED = {"created": 1, "changed": 0, "unchanged": 0}


async def record_wave(database: Database, tenant_id: UUID, run_id: UUID, result: dict[str, Any]) -> None:
    """Records a wave of the run as merged, with this result."""
    token = uuid4()
    async with database.tenant(tenant_id) as session:
        assert await merging.claim(session, run_id, token) is None
        await merging.record(session, run_id, token, result)


async def end(
    database: Database,
    tenant_id: UUID,
    run: runs.RunIdentity,
    status: RunStatus = RunStatus.SUCCESS,
    outcomes: dict[str, tuple[Outcome, ErrorCode | None]] | None = None,
) -> None:
    results = {
        type_key: CollectionResult(outcome=outcome, error_code=code)
        for type_key, (outcome, code) in (
            outcomes or dict.fromkeys(run.selection.type_keys, (Outcome.COMPLETE, None))
        ).items()
    }
    codes = sorted(code for _, code in (outcomes or {}).values() if code is not None)
    async with database.tenant(tenant_id) as session:
        await runs.finish_run(session, run, runs.RunEnd(status, Counts(), codes, results))
        complete = [key for key, result in results.items() if result.outcome is Outcome.COMPLETE]
        await link_recreated(session, run.run_id, complete, likeness_hashes)


async def sync(
    database: Database,
    tenant_id: UUID,
    observations: Iterable[Observation],
    *type_keys: str,
    status: RunStatus = RunStatus.SUCCESS,
    outcomes: dict[str, tuple[Outcome, ErrorCode | None]] | None = None,
    comparability: Comparability = AS_THEY_ARE,
) -> merging.MergeResult:
    """A whole run, from its opening to its end."""
    run = await begin(database, tenant_id, *type_keys)
    merged = await land(database, tenant_id, run, observations, comparability)
    await end(database, tenant_id, run, status, outcomes)
    return merged


async def items(database: Database, tenant_id: UUID, *type_keys: str) -> dict[str, ItemRecord]:
    """The tenant's items by id, relative to the selection of `type_keys`, or to the latest run's."""
    selection_hash = Selection(type_keys=type_keys).hash() if type_keys else None
    async with database.tenant(tenant_id, read_only=True) as session:
        question = await queries.question(session, selection_hash)
        return {item.external_id: item async for item in queries.items(session, question)}


async def age_details(database: Database, tenant_id: UUID, age: timedelta, *type_keys: str) -> None:
    """Gives this age to the details of the collections' items."""
    statement = text(
        "UPDATE inventory_item SET details_read_at = clock_timestamp() - CAST(:age AS interval)"
        " WHERE type_key = ANY (:type_keys)"
    )
    async with database.tenant(tenant_id) as session:
        await session.execute(statement, {"age": age, "type_keys": list(type_keys)})
