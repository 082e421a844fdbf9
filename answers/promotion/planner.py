"""The content of a plan."""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from functools import cache

from answers.compare.answer import Counterpart, Side, TargetId, counterparts, own_counterparts
from answers.compare.records import CoverageState, SideCoverage
from answers.object_names import object_names
from answers.promotion.candidates import (
    CollectionFacts,
    MappedTarget,
    PlanRequest,
    PromotionItem,
    SourceBaseline,
    TenantIds,
    created_id,
)
from answers.promotion.matched_items import items_to_promote
from answers.promotion.operator_mapping import operator_targets
from answers.promotion.records import PlanCollection, PlanContent, PlanCounts, PlannedItem
from answers.promotion.rules import planned, wanted_references
from graph.catalog import load_catalog, write_rules

VALID_FOR = timedelta(days=3)
"""A plan can be approved for this long."""


async def plan_of(here: Side, there: Side, plan_request: PlanRequest) -> PlanContent:
    """Raises `UnknownPlanItemError`."""
    rules = write_rules()
    known = [key for key in rules if key in here.coverage or key in there.coverage or _has(plan_request.baseline, key)]
    type_keys = sorted(plan_request.type_keys or known, key=lambda key: (rules[key].order if key in rules else 99, key))
    candidates = await items_to_promote(here, there, type_keys, plan_request)
    facts = {type_key: collection_facts(type_key) for type_key in type_keys}
    mapped = await _mapped(here, there, candidates, facts, plan_request)
    tenants = TenantIds(str(here.tenant.tenant_id), str(there.tenant.tenant_id))
    names = await _names(here, there, candidates, mapped)
    items: list[PlannedItem] = planned(candidates, facts, mapped, tenants, names)
    return PlanContent(
        source=here.tenant,
        target=there.tenant,
        source_version=plan_request.version,
        source_baseline=None if plan_request.baseline is None else plan_request.baseline.name,
        collections=[
            PlanCollection(type_key=key, source=_source_coverage(here, key, plan_request), target=there.covered(key))
            for key in type_keys
        ],
        asked_at=there.asked_at,
        created_by=plan_request.created_by,
        created_by_id=plan_request.created_by_id,
        expires_at=there.asked_at + VALID_FOR,
        counts=PlanCounts.of(items),
        items=items,
    )


def _has(baseline: SourceBaseline | None, type_key: str) -> bool:
    return baseline is not None and (type_key in baseline.covered or type_key in baseline.versions)


def _source_coverage(here: Side, type_key: str, plan_request: PlanRequest) -> SideCoverage:
    """`NOT_COVERED` if the baseline lacks the collection."""
    covered = here.covered(type_key)
    if plan_request.baseline is None or type_key in plan_request.baseline.covered:
        return covered
    return covered.model_copy(update={"state": CoverageState.NOT_COVERED, "outcome": None, "error_code": None})


@cache
def collection_facts(type_key: str) -> CollectionFacts:
    collection = load_catalog().collections[type_key]
    neutral = collection.independence_rules()
    return CollectionFacts(
        title=collection.title,
        path=collection.path,
        id_field=collection.id_field,
        identity=neutral.identity,
        masked=neutral.masked,
        references=neutral.references,
        form=neutral.form,
        details=neutral.details,
        rules=write_rules().get(type_key),
    )


async def _mapped(
    here: Side,
    there: Side,
    candidates: Sequence[PromotionItem],
    facts: Mapping[str, CollectionFacts],
    plan_request: PlanRequest,
) -> dict[TargetId, MappedTarget]:
    ids: set[TargetId] = {
        (reference.target_types, reference.target_id)
        for candidate in candidates
        if not candidate.is_same
        for reference in wanted_references(candidate, facts[candidate.type_key])
    }
    if here.tenant.tenant_id == there.tenant.tenant_id:
        found = await own_counterparts(there, ids)
    else:
        found = await counterparts(here, there, ids)
    by_operator = await operator_targets(here, there, ids, plan_request.mapping)
    return {wanted_id: by_operator.get(wanted_id) or _target(counterpart) for wanted_id, counterpart in found.items()}


def _target(counterpart: Counterpart) -> MappedTarget:
    return MappedTarget(
        counterpart.type_key,
        counterpart.target_id,
        counterpart.name,
        counterpart.reason,
        in_source=counterpart.here,
        is_promotable=counterpart.type_key in write_rules(),
    )


async def _names(
    here: Side, there: Side, candidates: Sequence[PromotionItem], mapped: Mapping[TargetId, MappedTarget]
) -> dict[tuple[str, str], str]:
    changed = [candidate for candidate in candidates if candidate.target is not None and not candidate.is_same]
    sources = [(item.type_key, item.source.document) for item in changed if item.source.document is not None]
    targets = [
        (item.type_key, item.target.document) for item in changed if item.target is not None and item.target.document
    ]
    names = await object_names(here.session, sources) | await object_names(there.session, targets)
    for target in mapped.values():
        if target.target_id is not None and target.name:
            names[target.type_key, target.target_id] = target.name
    for item in candidates:
        if item.target is None:
            names[item.type_key, created_id(item.key)] = f"{item.source.title} (new)"
        else:
            names[item.type_key, item.target.external_id] = item.source.title
    return names
