"""The source's items with their counterparts."""

from collections.abc import Iterable, Mapping, Sequence

from answers.compare.answer import Comparison, Side
from answers.compare.records import CoverageState, ItemComparison, Status
from answers.promotion import queries
from answers.promotion.candidates import PlanRequest, PromotedVersion, PromotionItem, SourceBaseline
from answers.promotion.records import BlockCode, BlockReason
from graph.catalog import item_title, kind_of, load_catalog
from inventory.exact_json import decode_object
from inventory.plurals import counted
from inventory.user_errors import UserError

ITEMS_AT_A_TIME = 500


class UnknownPlanItemError(UserError):
    """The source lacks an item that the request names."""


async def items_to_promote(
    here: Side, there: Side, type_keys: Sequence[str], plan_request: PlanRequest
) -> list[PromotionItem]:
    """Raises `UnknownPlanItemError`."""
    candidates: list[PromotionItem] = []
    if plan_request.version is not None:
        candidates = await _restored(there, type_keys, plan_request)
    else:
        for type_key in type_keys:
            if plan_request.baseline is not None:
                found = await _of_baseline(here, there, type_key, plan_request.baseline)
            else:
                found = await _of_collection(here, there, type_key)
            candidates += [candidate for candidate in found if _is_wanted(candidate, plan_request.names)]
    if plan_request.names:
        _check_names(plan_request.names, candidates)
    return candidates


async def _of_collection(here: Side, there: Side, type_key: str) -> list[PromotionItem]:
    reasons = list(_coverage_reasons(here, there, type_key))
    if reasons:
        present = await queries.present_names(here.session, type_key)
        ids = [item.external_id for item in present]
        sources = await versions_of(here, type_key, ids)
        return [PromotionItem(type_key, sources[item_id], None, tuple(reasons)) for item_id in ids]
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
    return found


async def _of_baseline(here: Side, there: Side, type_key: str, baseline: SourceBaseline) -> list[PromotionItem]:
    """A collection's items as of the source's baseline.

    Their counterparts are those of the source's present items or, within one tenant, the items themselves. An item is
    blocked if the target has another item of its name.
    """
    numbers = baseline.versions.get(type_key, {})
    sources = await versions_of(here, type_key, list(numbers), numbers)
    reasons = tuple(_coverage_reasons(here, there, type_key, baseline))
    if reasons:
        return [PromotionItem(type_key, source, None, reasons) for source in sources.values()]
    is_one_tenant = here.tenant.tenant_id == there.tenant.tenant_id
    today = (
        {} if is_one_tenant else {item.source.external_id: item for item in await _of_collection(here, there, type_key)}
    )
    present = await queries.present_names(there.session, type_key)
    ids = {item.external_id for item in present}
    own = await versions_of(there, type_key, sorted(ids & sources.keys())) if is_one_tenant else {}
    found = []
    for source in sources.values():
        known = today.get(source.external_id)
        target = own.get(source.external_id) if known is None else known.target
        blocks = () if known is None else known.reasons
        name = _name_of(type_key, source)
        taken = [
            item.external_id
            for item in present
            if (item.display_name, kind_of(type_key, item.meta)) == (name, source.kind)
            and (target is None or item.external_id != target.external_id)
        ]
        if taken and not blocks:
            blocks = (_taken(name, taken),)
        is_same = known is not None and known.is_same and known.source.version == source.version
        found.append(PromotionItem(type_key, source._replace(title=name), target, blocks, is_same))
    return found


def _name_of(type_key: str, source: PromotedVersion) -> str:
    name = (source.document or {}).get(load_catalog().collections[type_key].name_field)
    return name if isinstance(name, str) and name else source.title


def _taken(name: str, ids: Sequence[str]) -> BlockReason:
    shown = ", ".join(external_id[:8] for external_id in ids)
    return BlockReason(
        code=BlockCode.AMBIGUOUS,
        text=f'the target has another item "{name}" ({shown}), which may be the one',
        unblocked_by="give each its own name, and sync",
    )


async def _restored(there: Side, type_keys: Sequence[str], plan_request: PlanRequest) -> list[PromotionItem]:
    found = []
    for type_key in type_keys:
        present = {item.external_id for item in await queries.present_names(there.session, type_key)}
        known = await queries.named_ids(there.session, type_key, plan_request.names or ())
        reasons = tuple(_coverage_reasons(there, there, type_key))
        numbers = {} if plan_request.version is None else dict.fromkeys(known, plan_request.version)
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
    return not names or any(_is_called(candidate, name) for name in names)


def _is_called(candidate: PromotionItem, name: str) -> bool:
    source = candidate.source
    begins = len(name) >= SHORTEST_BEGINNING and source.external_id.startswith(name.lower())
    return begins or source.external_id == name or source.title.casefold() == name.casefold()


SHORTEST_BEGINNING = 8
"""The fewest characters that may stand for an id."""


def _check_names(names: Sequence[str], candidates: Sequence[PromotionItem]) -> None:
    for name in names:
        if not any(_is_called(candidate, name) for candidate in candidates):
            raise UnknownPlanItemError(
                f"the source has no item {name!r} in the collections of the plan; name its --type"
            )


def _coverage_reasons(
    here: Side, there: Side, type_key: str, baseline: SourceBaseline | None = None
) -> Iterable[BlockReason]:
    if baseline is not None and type_key not in baseline.covered:
        yield BlockReason(
            code=BlockCode.SOURCE_NOT_COMPLETE,
            text=f"baseline {baseline.name} does not know all of {type_key}",
            unblocked_by="set a baseline of a run that listed the collection to its end",
        )
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
    here, there = counted(len(item.here), "item"), len(item.there)
    return BlockReason(
        code=BlockCode.AMBIGUOUS,
        text=f"{here} of the source and {there} of the target ({ids}) may belong together",
        unblocked_by="give each its own name, and sync",
    )


async def versions_of(
    side: Side, type_key: str, external_ids: Sequence[str], numbers: Mapping[str, int] | None = None
) -> dict[str, PromotedVersion]:
    """By item id: versions with these numbers, else the current ones; the number 0 means none."""
    found: dict[str, PromotedVersion] = {}
    for start in range(0, len(external_ids), ITEMS_AT_A_TIME):
        some = external_ids[start : start + ITEMS_AT_A_TIME]
        numbers_by_id = {external_id: (numbers or {}).get(external_id) for external_id in some}
        for item in (await queries.items(side.session, type_key, numbers_by_id, side.read)).values():
            kind = kind_of(type_key, item.meta)
            found[item.external_id] = PromotedVersion(
                external_id=item.external_id,
                title=item_title(type_key, item.external_id, item.display_name, kind),
                kind=kind,
                version=item.version,
                content_hash=None if item.content_hash is None else item.content_hash.hex(),
                document=None if item.document is None else decode_object(item.document),
                details_complete=item.details_complete is not False,
                stale=item.stale if numbers_by_id[item.external_id] is None else None,
                is_damaged=item.is_damaged,
            )
    return found
