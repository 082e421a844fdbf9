"""A plan of two tenants, or of a tenant and an earlier version of one of its items."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import timedelta
from functools import cache
from typing import NamedTuple, cast

from answers.compare.answer import Comparison, Counterpart, Side, TargetId, counterparts, own_counterparts
from answers.compare.records import CoverageState, ItemComparison, Status
from answers.object_names import object_names
from answers.promotion import queries
from answers.promotion.candidates import (
    CollectionFacts,
    MappedTarget,
    PromotedVersion,
    PromotionItem,
    TenantIds,
    created_id,
)
from answers.promotion.records import BlockCode, BlockReason, PlanCollection, PlanContent, PlanCounts, PlannedItem
from answers.promotion.rules import planned, wanted_references
from graph.catalog import item_title, kind_of, load_catalog, write_rules
from inventory.exact_json import JsonObject, decode
from inventory.references import collection_of
from inventory.tenant_neutral import UnresolvedReason
from inventory.user_errors import UserError

VALID_FOR = timedelta(days=3)
"""How long a plan can be approved."""

ITEMS_AT_A_TIME = 500
"""Of each side, whose documents are read by one statement."""


class UnknownPlanItemError(UserError):
    """Nothing of the source is what the plan is to be about."""


class PlanRequest(NamedTuple):
    """What a plan is to be about. No `type_keys` are all that were read and have write rules; no `names` are all items.

    `version` is that of a restore: of the one item named, in the target itself.
    """

    created_by: str
    type_keys: Sequence[str] | None = None
    names: Sequence[str] | None = None
    version: int | None = None
    mapping: Mapping[tuple[str, str], str] = {}
    created_by_id: str = ""


async def plan_of(here: Side, there: Side, wanted: PlanRequest) -> PlanContent:
    """The plan of a promotion from here to there. Raises `UnknownPlanItemError` where a name is no item's."""
    rules = write_rules()
    known = [key for key in rules if key in here.coverage or key in there.coverage]
    type_keys = sorted(wanted.type_keys or known, key=lambda key: (rules[key].order if key in rules else 99, key))
    if wanted.version is not None:
        candidates = await _restored(there, type_keys, wanted)
    else:
        candidates = [
            candidate for type_key in type_keys for candidate in await _of_collection(here, there, type_key, wanted)
        ]
    if wanted.names:
        _check_names(wanted.names, candidates)
    facts = {type_key: collection_facts(type_key) for type_key in type_keys}
    mapped = await _mapped(here, there, candidates, facts, wanted)
    tenants = TenantIds(str(here.tenant.tenant_id), str(there.tenant.tenant_id))
    names = await _names(here, there, candidates, mapped)
    items: list[PlannedItem] = planned(candidates, facts, mapped, tenants, names)
    return PlanContent(
        source=here.tenant,
        target=there.tenant,
        source_version=wanted.version,
        collections=[
            PlanCollection(type_key=key, source=here.covered(key), target=there.covered(key)) for key in type_keys
        ],
        asked_at=there.asked_at,
        created_by=wanted.created_by,
        created_by_id=wanted.created_by_id,
        expires_at=there.asked_at + VALID_FOR,
        counts=PlanCounts.of(items),
        items=items,
    )


@cache
def collection_facts(type_key: str) -> CollectionFacts:
    """What the catalog says of a collection and of writing its items."""
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


async def _of_collection(here: Side, there: Side, type_key: str, wanted: PlanRequest) -> list[PromotionItem]:
    """The items of one collection of the source, matched as a comparison matches them."""
    names = wanted.names
    reasons = list(_coverage_reasons(here, there, type_key))
    if reasons:
        present = await queries.present_names(here.session, type_key)
        ids = [item.external_id for item in present]
        sources = await versions_of(here, type_key, ids)
        found = [PromotionItem(type_key, sources[item_id], None, tuple(reasons)) for item_id in ids]
        return [candidate for candidate in found if _is_wanted(candidate, names)]
    compared = [item async for item in Comparison(here, there, [type_key]).items_of(type_key) if item.here]
    sources = await versions_of(here, type_key, [end.external_id for item in compared for end in item.here])
    targets = await versions_of(
        there, type_key, [end.external_id for item in compared if _is_pair(item) for end in item.there]
    )
    found = []
    for item in compared:
        blocks = (_ambiguity(item),) if item.status is Status.AMBIGUOUS else ()
        for end in item.here:
            target = targets[item.there[0].external_id] if _is_pair(item) else None
            is_same = item.status is Status.SAME
            found.append(PromotionItem(type_key, sources[end.external_id], target, blocks, is_same))
    return [candidate for candidate in found if _is_wanted(candidate, names)]


async def _restored(there: Side, type_keys: Sequence[str], wanted: PlanRequest) -> list[PromotionItem]:
    """The named items as they were in an earlier version, each with its current one."""
    found = []
    for type_key in type_keys:
        present = {item.external_id for item in await queries.present_names(there.session, type_key)}
        known = await queries.named_ids(there.session, type_key, wanted.names or ())
        reasons = tuple(_coverage_reasons(there, there, type_key))
        numbers = {} if wanted.version is None else dict.fromkeys(known, wanted.version)
        earlier = await versions_of(there, type_key, known, numbers)
        current = await versions_of(there, type_key, [item_id for item_id in known if item_id in present])
        found += [
            PromotionItem(type_key, earlier[item_id], current.get(item_id), reasons)
            for item_id in known
            if earlier[item_id].version
        ]
    return found


def _is_pair(item: ItemComparison) -> bool:
    return item.status not in (Status.AMBIGUOUS, Status.ONLY_HERE, Status.ONLY_THERE)


def _is_wanted(candidate: PromotionItem, names: Sequence[str] | None) -> bool:
    """Whether an item is one of those named: by its name or id, or the beginning of its id."""
    return not names or any(_is_called(candidate, name) for name in names)


def _is_called(candidate: PromotionItem, name: str) -> bool:
    source = candidate.source
    begins = len(name) >= SHORTEST_BEGINNING and source.external_id.startswith(name.lower())
    return begins or source.external_id == name or source.title.casefold() == name.casefold()


SHORTEST_BEGINNING = 8
"""Characters of an id that may stand for it."""


def _check_names(names: Sequence[str], candidates: Sequence[PromotionItem]) -> None:
    for name in names:
        if not any(_is_called(candidate, name) for candidate in candidates):
            raise UnknownPlanItemError(
                f"the source has no item {name!r} in the collections of the plan; name its --type"
            )


def _coverage_reasons(here: Side, there: Side, type_key: str) -> Iterable[BlockReason]:
    for side, code in ((here, BlockCode.SOURCE_NOT_COMPLETE), (there, BlockCode.TARGET_NOT_COMPLETE)):
        covered = side.covered(type_key)
        is_known = covered.is_answered if side is here else covered.state is CoverageState.COMPLETE
        if not is_known:
            yield BlockReason(
                code=code,
                text=f"{type_key} of {side.tenant.name}: {covered.in_words}",
                unblocked_by=f"run a sync of {type_key} in {side.tenant.name} that lists it to its end",
            )


def _ambiguity(item: ItemComparison) -> BlockReason:
    ids = ", ".join(end.external_id[:8] for end in item.there)
    return BlockReason(
        code=BlockCode.AMBIGUOUS,
        text=f"{len(item.here)} items of the source and {len(item.there)} of the target ({ids}) may belong together",
        unblocked_by="give each its own name, and sync",
    )


async def versions_of(
    side: Side, type_key: str, external_ids: Sequence[str], numbers: Mapping[str, int] | None = None
) -> dict[str, PromotedVersion]:
    """Items by id, each with the version of a number, or with its current one; version 0 where it has none."""
    found: dict[str, PromotedVersion] = {}
    for start in range(0, len(external_ids), ITEMS_AT_A_TIME):
        some = external_ids[start : start + ITEMS_AT_A_TIME]
        wanted = {external_id: (numbers or {}).get(external_id) for external_id in some}
        for item in (await queries.items(side.session, type_key, wanted, side.read)).values():
            kind = kind_of(type_key, item.meta)
            found[item.external_id] = PromotedVersion(
                external_id=item.external_id,
                title=item_title(type_key, item.external_id, item.display_name, kind),
                kind=kind,
                version=item.version,
                content_hash=None if item.content_hash is None else item.content_hash.hex(),
                document=None if item.document is None else cast("JsonObject", decode(item.document)),
                details_complete=item.details_complete is not False,
                stale=item.stale if wanted[item.external_id] is None else None,
                is_damaged=item.is_damaged,
            )
    return found


async def _mapped(
    here: Side,
    there: Side,
    candidates: Sequence[PromotionItem],
    facts: Mapping[str, CollectionFacts],
    wanted: PlanRequest,
) -> dict[TargetId, MappedTarget]:
    """Where each reference of the candidates leads: by the operator's mapping, or by meaning."""
    ids: set[TargetId] = {
        (reference.target_types, reference.target_id)
        for candidate in candidates
        if not candidate.is_same
        for reference in wanted_references(candidate, facts[candidate.type_key])
    }
    if wanted.version is not None:
        found = await own_counterparts(there, ids)
    else:
        found = await counterparts(here, there, ids)
    gone = await queries.gone(there.session, {(type_key, known) for (type_key, _), known in wanted.mapping.items()})
    return {
        wanted_id: _by_operator(wanted_id, wanted.mapping, gone) or _target(counterpart)
        for wanted_id, counterpart in found.items()
    }


def _by_operator(
    wanted_id: TargetId, mapping: Mapping[tuple[str, str], str], gone: Collection[tuple[str, str]]
) -> MappedTarget | None:
    """The object that an operator mapped an id to; if that is gone, the id leads nowhere."""
    target_types, target_id = wanted_id
    keys = [(collection_of(target_type), target_id) for target_type in target_types]
    for key in keys:
        if key in mapping:
            is_gone = (key[0], mapping[key]) in gone
            reason = UnresolvedReason.GONE if is_gone else None
            return MappedTarget(key[0], None if is_gone else mapping[key], reason=reason, by_operator=True)
    return None


def _target(counterpart: Counterpart) -> MappedTarget:
    return MappedTarget(
        counterpart.type_key, counterpart.target_id, counterpart.name, counterpart.reason, in_source=counterpart.here
    )


async def _names(
    here: Side, there: Side, candidates: Sequence[PromotionItem], mapped: Mapping[TargetId, MappedTarget]
) -> dict[tuple[str, str], str]:
    """Names for the ids in documents of both sides, and for new objects."""
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
