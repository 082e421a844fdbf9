"""Decides which requests write each item of the source.

A reference is mapped or blocks its item; none is dropped.
"""

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from graphlib import CycleError, TopologicalSorter

from answers.named_ids import ObjectNames
from answers.promotion.candidates import (
    CollectionFacts,
    ItemKey,
    MappedTarget,
    MappedTargets,
    PromotedVersion,
    PromotionItem,
    TenantIds,
    created_id,
)
from answers.promotion.item_requests import ItemRequests, has_ids, has_value
from answers.promotion.records import (
    BlockCode,
    BlockReason,
    PlanAction,
    PlannedItem,
    PlannedReference,
    RequestStep,
)
from inventory.canonical import JsonObject, encode
from inventory.exact_json import objects_in
from inventory.references import Reference, collection_of, references
from inventory.tenant_neutral import UnresolvedReason
from inventory.write_rules import PartShape, WriteRules

READ_IT = "run a sync that lists the collection to its end"


def planned(
    candidates: Sequence[PromotionItem],
    facts: Mapping[str, CollectionFacts],
    mapped: MappedTargets,
    tenants: TenantIds,
    names: ObjectNames,
) -> list[PlannedItem]:
    """Items are in the order of writing. `names` are by type key and id."""
    return _Plan(candidates, facts, mapped, tenants, names).items()


def wanted_references(candidate: PromotionItem, facts: CollectionFacts) -> list[Reference]:
    """References to objects, not to all users or all devices."""
    document = candidate.source.document
    found = [] if document is None else references(document, facts.references)
    return [reference for reference in found if reference.target_types]


class _Plan:
    def __init__(
        self,
        candidates: Sequence[PromotionItem],
        facts: Mapping[str, CollectionFacts],
        mapped: MappedTargets,
        tenants: TenantIds,
        names: ObjectNames,
    ) -> None:
        self._names = names
        self._candidates = {candidate.key: candidate for candidate in candidates}
        self._facts = facts
        self._mapped = mapped
        self._tenants = tenants
        self._blocks: dict[ItemKey, list[BlockReason]] = defaultdict(list)
        self._references: dict[ItemKey, list[Reference]] = {}

    def items(self) -> list[PlannedItem]:
        for key, candidate in self._candidates.items():
            facts = self._facts[candidate.type_key]
            self._references[key] = [] if candidate.is_same else wanted_references(candidate, facts)
            if not candidate.is_same:
                self._blocks[key] += [*candidate.reasons, *_own_reasons(candidate, facts)]
                self._blocks[key] += self._unresolved(key)
        self._block_dependants()
        found = {key: self._item(candidate) for key, candidate in self._candidates.items()}
        # Making its requests may block an item, and so the items that refer to it.
        while self._block_dependants() or self._block_circles(found):
            for key, item in found.items():
                if self._blocks[key] and item.action is not PlanAction.BLOCKED:
                    found[key] = self._item(self._candidates[key])
        return _numbered([found[key] for key in self._order(found)])

    def _item(self, candidate: PromotionItem) -> PlannedItem:
        source, target = candidate.source, candidate.target
        base = PlannedItem(
            action=PlanAction.NOTHING_TO_DO,
            type_key=candidate.type_key,
            kind=source.kind,
            title=source.title,
            source_id=source.external_id,
            source_version=source.version or None,
            source_hash=source.content_hash,
            target_id=None if target is None else target.external_id,
            precondition=None if target is None else target.content_hash,
        )
        if candidate.is_same:
            return base
        reasons = self._blocks[candidate.key]
        facts = self._facts[candidate.type_key]
        if not reasons and source.document is not None and facts.rules is not None:
            writing = ItemRequests(
                candidate, facts, facts.rules, self._resolution(candidate), self._tenants, self._names
            )
            reasons += writing.reasons()
            if not reasons:
                return base.model_copy(
                    update={**writing.outcome(), "references": list(self._planned_references(candidate))}
                )
        return base.model_copy(update={"action": PlanAction.BLOCKED, "reasons": list(reasons)})

    def _in_plan(self, reference: Reference) -> PromotionItem | None:
        keys = ((collection_of(target_type), reference.target_id) for target_type in reference.target_types)
        mapped = self._mapped.get((reference.target_types, reference.target_id))
        if mapped is not None and mapped.by_operator:
            return None
        return next((self._candidates[key] for key in keys if key in self._candidates), None)

    def _unresolved(self, key: ItemKey) -> Iterator[BlockReason]:
        for reference in self._references[key]:
            if self._in_plan(reference) is not None:
                continue
            mapped = self._mapped.get((reference.target_types, reference.target_id))
            if mapped is None or mapped.target_id is None:
                yield _unresolved_reason(reference, mapped)

    def _block_dependants(self) -> bool:
        """Blocks candidates that refer to blocked items; False if there were none."""
        any_blocked, again = False, True
        while again:
            again = False
            for key, candidate in self._candidates.items():
                if self._blocks[key] or candidate.is_same:
                    continue
                for reference in self._references[key]:
                    other = self._in_plan(reference)
                    if other is not None and other.key != key and self._blocks[other.key]:
                        self._blocks[key].append(
                            BlockReason(
                                code=BlockCode.REFERENCE_BLOCKED,
                                text=f'{reference.path} refers to "{other.source.title}", which is blocked',
                                unblocked_by=f'what unblocks "{other.source.title}"',
                                path=reference.path,
                            )
                        )
                        any_blocked = again = True
                        break
        return any_blocked

    def _needs(self, key: ItemKey, planned: Mapping[ItemKey, PlannedItem]) -> set[ItemKey]:
        others = (self._in_plan(reference) for reference in self._references[key])
        return {other.key for other in others if other is not None and planned[other.key].action is PlanAction.CREATE}

    def _block_circles(self, planned: Mapping[ItemKey, PlannedItem]) -> bool:
        """Blocks one circle of new items; False if there is none."""
        new = [key for key, item in planned.items() if item.action is PlanAction.CREATE]
        try:
            TopologicalSorter({key: self._needs(key, planned) for key in new}).prepare()
        except CycleError as error:
            circle = list(dict.fromkeys(error.args[1]))
            names = " → ".join(f'"{self._candidates[key].source.title}"' for key in [*circle, circle[0]])
            for key in circle:
                self._blocks[key].append(
                    BlockReason(
                        code=BlockCode.CIRCLE,
                        text=f"new items refer to each other: {names}",
                        unblocked_by="create one of them in the target by hand, without its reference",
                    )
                )
            return True
        return False

    def _order(self, planned: Mapping[ItemKey, PlannedItem]) -> Iterator[ItemKey]:
        """Items by collection and title, each after the new items that it refers to."""

        def place(key: ItemKey) -> tuple[int, str, str, str]:
            rules = self._facts[key[0]].rules
            return (rules.order if rules is not None else 99, key[0], planned[key].title.casefold(), key[1])

        sorter = TopologicalSorter({key: self._needs(key, planned) - {key} for key in planned})
        sorter.prepare()
        ready: list[ItemKey] = []
        while sorter.is_active():
            ready = sorted([*ready, *sorter.get_ready()], key=place)
            if ready:
                key = ready.pop(0)
                yield key
                sorter.done(key)

    def _resolution(self, candidate: PromotionItem) -> Callable[[tuple[str, ...], str], str | None]:
        """Returns the target's id for an id of the document; None if both are equal."""
        found: dict[tuple[tuple[str, ...], str], str | None] = {}
        for reference in self._references[candidate.key]:
            other = self._in_plan(reference)
            if other is None:
                target_id = self._mapped[reference.target_types, reference.target_id].target_id
            elif other.target is not None:
                target_id = other.target.external_id
            else:
                target_id = created_id(other.key)
            is_itself = target_id == reference.target_id
            found[reference.target_types, reference.target_id] = None if is_itself else target_id
        return lambda target_types, target_id: found.get((target_types, target_id))

    def _planned_references(self, candidate: PromotionItem) -> Iterator[PlannedReference]:
        for reference in self._references[candidate.key]:
            other = self._in_plan(reference)
            if other is not None:
                mapped = MappedTarget(
                    other.type_key, None if other.target is None else other.target.external_id, other.source.title
                )
            else:
                mapped = self._mapped[reference.target_types, reference.target_id]
            yield PlannedReference(
                path=reference.path,
                role=str(reference.role),
                type_key=mapped.type_key,
                source_id=reference.target_id,
                target_id=mapped.target_id,
                created_by=other.source.external_id if other is not None and mapped.target_id is None else None,
                name=mapped.name,
                mapped_by_operator=mapped.by_operator,
            )


_WHY = {
    UnresolvedReason.UNKNOWN: "has no such object",
    UnresolvedReason.GONE: "no longer has the object",
    UnresolvedReason.AMBIGUOUS: "has several objects that it may be",
    UnresolvedReason.NOT_READ: "was not read to its end there",
    UnresolvedReason.UNNAMED: "has the object without a name",
    UnresolvedReason.DAMAGED: "has a damaged document of the object",
}


def _unresolved_reason(reference: Reference, mapped: MappedTarget | None) -> BlockReason:
    types = " or ".join(collection_of(key) for key in reference.target_types)
    reason = UnresolvedReason.UNKNOWN if mapped is None else mapped.reason or UnresolvedReason.UNKNOWN
    where = "the source" if mapped is not None and mapped.in_source else "the target"
    name = f'"{mapped.name}"' if mapped is not None and mapped.name else reference.target_id
    is_ambiguous = reason is UnresolvedReason.AMBIGUOUS
    first = f"run a sync of {types} there, or " if reason is UnresolvedReason.NOT_READ else ""
    included = f"include {types} in the plan, " if mapped is not None and mapped.is_promotable else ""
    role = "" if reference.role == "use" else f" ({reference.role})"
    return BlockReason(
        code=BlockCode.REFERENCE_AMBIGUOUS if is_ambiguous else BlockCode.REFERENCE_UNRESOLVED,
        text=f"{reference.path}{role} refers to {name} of {types}: {where} {_WHY[reason]}",
        unblocked_by=f"{first}{included}make the object in the target and sync, or use promote map",
        path=reference.path,
        about=f"{name} of {types}",
    )


def _own_reasons(candidate: PromotionItem, facts: CollectionFacts) -> Iterator[BlockReason]:
    rules, source, target = facts.rules, candidate.source, candidate.target
    if rules is None:
        yield BlockReason(
            code=BlockCode.NO_WRITE_RULES,
            text=f"how {facts.title} are written is not known to this release",
            unblocked_by="write the item in the target by hand",
        )
    for side, item in (("source", source), ("target", target)):
        if item is not None:
            yield from _unread_reasons(side, item)
    if source.document is not None and rules is not None:
        yield from _content_reasons(source.document, facts, rules, is_new=target is None)


def _content_reasons(
    document: JsonObject, facts: CollectionFacts, rules: WriteRules, *, is_new: bool
) -> Iterator[BlockReason]:
    if is_new and any(has_value(document, path, value) for path, value in rules.built_in.items()):
        yield BlockReason(
            code=BlockCode.BUILT_IN,
            text="Microsoft makes the object; the target does not have it",
            unblocked_by="set up the feature in the target that brings the object, and sync",
        )
    for path, value in rules.not_in_document.items():
        if has_value(document, path, value):
            yield BlockReason(
                code=BlockCode.NOT_IN_DOCUMENT,
                text=f"Graph does not return all of it: {path} is {encode(value).decode()}",
                unblocked_by="write the item in the target by hand",
                path=path,
            )
    for part in rules.parts:
        if part.shape is PartShape.ADMINISTRATIVE_TEMPLATES and not has_ids(document.get(part.name)):
            yield BlockReason(
                code=BlockCode.NOT_IN_DOCUMENT,
                text=f"a value in {part.name} does not name its definition or presentation",
                unblocked_by="run a sync of the source with --deep",
                path=part.name,
            )
    without = facts.details - {part.name for part in rules.parts} - rules.bound.keys()
    for name in sorted(without - ({"settings"} if rules.replaced else set())):
        if document.get(name):
            yield BlockReason(
                code=BlockCode.PART_WITHOUT_RULE,
                text=f"no request is known that writes {name}",
                unblocked_by="write the item in the target by hand",
                path=name,
            )
    if any(assignment.get("source") == "policySets" for assignment in objects_in(document.get("assignments"))):
        yield BlockReason(
            code=BlockCode.OF_POLICY_SET,
            text="an assignment came by a policy set, which no plan writes",
            unblocked_by="assign the item itself in the source, or write it in the target by hand",
            path="assignments",
        )


def _unread_reasons(side: str, item: PromotedVersion) -> Iterator[BlockReason]:
    if item.is_damaged:
        yield BlockReason(
            code=BlockCode.DAMAGED,
            text=f"the stored document of the {side}'s item is damaged",
            unblocked_by="restore the table document from a backup, or sync after the item changed",
        )
    elif item.document is None:
        yield BlockReason(
            code=BlockCode.NO_DOCUMENT, text=f"no document of the {side}'s item has been read", unblocked_by=READ_IT
        )
    if item.document is not None and not item.details_complete:
        yield BlockReason(
            code=BlockCode.DETAILS_INCOMPLETE,
            text=f"details of the {side}'s item have not been read",
            unblocked_by=f"run a sync of the {side} with --deep",
        )
    if item.stale is not None:
        yield BlockReason(
            code=BlockCode.STALE,
            text=f"the {side}'s item is stale: {item.stale.why}",
            unblocked_by=f"run a sync of the {side} that reads them",
        )


def _numbered(items: Sequence[PlannedItem]) -> list[PlannedItem]:
    numbers: dict[tuple[int, int], int] = {}
    for step in RequestStep:
        for place, item in enumerate(items):
            for index, request in enumerate(item.requests):
                if request.step is step:
                    numbers[place, index] = len(numbers) + 1
    return [
        item.model_copy(
            update={
                "requests": [
                    request.model_copy(update={"number": numbers[place, index]})
                    for index, request in enumerate(item.requests)
                ]
            }
        )
        for place, item in enumerate(items)
    ]
