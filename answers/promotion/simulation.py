"""A plan carried out on a copy of the target in memory."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from answers.compare.answer import KnownPair, Side, compared_documents
from answers.compare.records import Status
from answers.promotion import queries
from answers.promotion.candidates import ItemKey, MappedTarget, PromotedVersion, PromotionItem, TenantIds
from answers.promotion.matched_items import versions_of
from answers.promotion.planner import collection_facts
from answers.promotion.records import (
    PlanAction,
    PlanContent,
    PlannedItem,
    PlanRecord,
    RequestStep,
    SimulatedItem,
    SimulationRecord,
)
from answers.promotion.rules import planned, wanted_references
from answers.promotion.sandbox import RefusedWriteError, Sandbox
from inventory.canonical import JsonObject
from inventory.exact_json import objects_in
from inventory.references import collection_of


class Simulation(NamedTuple):
    record: SimulationRecord
    items: list[SimulatedItem]


class _Written(NamedTuple):
    """`copy` is None if a request was refused."""

    item: PlannedItem
    source: PromotedVersion
    copy_id: str
    copy: JsonObject | None


async def simulate(here: Side, there: Side, record: PlanRecord, plan: PlanContent) -> Simulation:
    """The target is copied as it is now; the source's versions are the plan's."""
    writes = [item for item in plan.items if item.action in (PlanAction.CREATE, PlanAction.UPDATE)]
    sources = await _sources(here, writes)
    sandbox = Sandbox(await _objects(there, plan), _catalog(sources.values()))
    refused = _applied(sandbox, writes)
    written = [_written(sandbox, item, sources[item.type_key, item.source_id], refused) for item in writes]
    found = await _simulated(here, there, written, refused)
    return Simulation(
        SimulationRecord(
            plan_id=record.plan_id,
            plan_hash=record.plan_hash,
            source=record.source,
            target=record.target,
            simulated_at=there.asked_at,
            written=len(found),
            proven=sum(item.is_proven for item in found),
            blocked=plan.counts.blocked,
            requests=plan.counts.requests,
        ),
        found,
    )


async def _sources(here: Side, writes: Sequence[PlannedItem]) -> dict[ItemKey, PromotedVersion]:
    found: dict[ItemKey, PromotedVersion] = {}
    for type_key in dict.fromkeys(item.type_key for item in writes):
        numbers = {item.source_id: item.source_version or 0 for item in writes if item.type_key == type_key}
        versions = await versions_of(here, type_key, list(numbers), numbers)
        found |= {(type_key, external_id): version for external_id, version in versions.items()}
    return found


async def _objects(there: Side, plan: PlanContent) -> dict[str, list[JsonObject]]:
    objects: dict[str, list[JsonObject]] = {}
    for collection in plan.collections:
        type_key = collection.type_key
        ids = [item.external_id for item in await queries.present_names(there.session, type_key)]
        facts = collection_facts(type_key)
        objects[facts.path] = [
            {**item.document, facts.id_field: item.external_id}
            for item in (await versions_of(there, type_key, ids)).values()
            if item.document is not None
        ]
    return objects


def _catalog(sources: Iterable[PromotedVersion]) -> dict[str, Any]:
    known: dict[str, Any] = {}
    for source in sources:
        for value in objects_in((source.document or {}).get("definitionValues")):
            members = [(value, "definition")]
            members += [(member, "presentation") for member in objects_in(value.get("presentationValues"))]
            for holder, name in members:
                named = holder.get(name)
                if isinstance(named, dict):
                    known[str(named.get("id"))] = named
    return known


def _applied(sandbox: Sandbox, writes: Sequence[PlannedItem]) -> dict[ItemKey, str]:
    refused: dict[ItemKey, str] = {}
    requests = [(request, item) for item in writes for request in item.requests]
    for request, item in sorted(requests, key=lambda planned_request: planned_request[0].number):
        key = (item.type_key, item.source_id)
        is_creation = request.method == "POST" and request.path == collection_facts(item.type_key).path
        label = _label(item) if is_creation and request.step is RequestStep.CONTENT else None
        try:
            sandbox.write(request.method, request.path, request.body, label)
        except RefusedWriteError as error:
            refused.setdefault(key, f"request {request.number}: {error}")
    return refused


def _label(item: PlannedItem) -> str:
    return f"{item.type_key}/{item.source_id}"


def _written(sandbox: Sandbox, item: PlannedItem, source: PromotedVersion, refused: Mapping[ItemKey, str]) -> _Written:
    facts = collection_facts(item.type_key)
    copy_id = item.target_id or sandbox.created_id(_label(item)) or ""
    copy = None if (item.type_key, item.source_id) in refused else sandbox.object(facts.path, copy_id)
    if copy is not None and source.document is not None:
        # Graph answers an empty list for a detail that was not written.
        copy = {name: [] for name in facts.details if isinstance(source.document.get(name), list)} | copy
    return _Written(item, source, copy_id, copy)


async def _simulated(
    here: Side, there: Side, written: Sequence[_Written], refused: Mapping[ItemKey, str]
) -> list[SimulatedItem]:
    same = {(found.item.type_key, found.copy_id): found.item.source_id for found in written}
    whole = [found for found in written if found.copy is not None and found.source.document is not None]
    pairs = [
        KnownPair(
            found.item.type_key, found.item.source_id, found.source.document or {}, found.copy_id, found.copy or {}
        )
        for found in whole
    ]
    mapped = {
        (reference.type_key, reference.source_id): reference.target_id
        for found in written
        for reference in found.item.references
        if reference.mapped_by_operator and reference.target_id
    }
    verdicts = await compared_documents(here, there, pairs, same, mapped)
    by_key = {(pair.type_key, pair.here_id): verdict for pair, verdict in zip(pairs, verdicts, strict=True)}
    again = _planned_again(here, there, whole)
    shown = []
    for found in written:
        item, key = found.item, (found.item.type_key, found.item.source_id)
        verdict = by_key.get(key)
        paths = () if verdict is None or verdict.status is Status.SAME else verdict.paths
        shown.append(
            SimulatedItem(
                type_key=item.type_key,
                kind=item.kind,
                title=item.title,
                source_id=item.source_id,
                action=item.action,
                requests=len(item.requests),
                compared=None if verdict is None else verdict.status,
                differences=[path for path in paths if path.partition(".")[0].partition("[")[0] not in item.not_sent],
                again=again.get(key),
                refused=refused.get(key),
            )
        )
    return shown


def _planned_again(here: Side, there: Side, written: Sequence[_Written]) -> dict[ItemKey, PlanAction]:
    copies = {(found.item.type_key, found.item.source_id): found for found in written}
    candidates, mapped = [], {}
    for found in written:
        item = found.item
        target = found.source._replace(external_id=found.copy_id, content_hash=None, document=found.copy)
        candidate = PromotionItem(item.type_key, found.source, target)
        candidates.append(candidate)
        references = {(reference.type_key, reference.source_id): reference for reference in item.references}
        for reference in wanted_references(candidate, collection_facts(item.type_key)):
            for key in ((collection_of(target_type), reference.target_id) for target_type in reference.target_types):
                if key in references:
                    copy = copies.get(key)
                    target_id = references[key].target_id or (None if copy is None else copy.copy_id)
                    mapped[reference.target_types, reference.target_id] = MappedTarget(key[0], target_id)
    facts = {type_key: collection_facts(type_key) for type_key in {candidate.type_key for candidate in candidates}}
    tenants = TenantIds(str(here.tenant.tenant_id), str(there.tenant.tenant_id))
    return {(item.type_key, item.source_id): item.action for item in planned(candidates, facts, mapped, tenants, {})}
