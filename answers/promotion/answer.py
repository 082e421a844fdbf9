"""Plans of promotions, and decisions about them."""

from collections.abc import Callable, Collection, Sequence
from hashlib import sha256
from typing import NamedTuple, cast
from uuid import UUID, uuid4

from sqlalchemy.ext.asyncio import AsyncSession
from zstandard import ZstdError

from answers.compare.answer import Side
from answers.compare.records import CoverageState, SideCoverage, TenantRecord
from answers.drift.answer import baseline_called, pinned_versions
from answers.promotion import queries
from answers.promotion.candidates import PlanRequest, SourceBaseline
from answers.promotion.operator_mapping import source_object, target_object
from answers.promotion.planner import plan_of
from answers.promotion.queries import StoredPlan
from answers.promotion.queries import mappings as mappings
from answers.promotion.records import (
    MappingRecord,
    PlanAction,
    PlanContent,
    PlanCounts,
    PlanDecision,
    PlanDecisionRecord,
    PlannedItem,
    PlanRecord,
    PlanState,
)
from graph.catalog import kind_of
from inventory.item_ids import item_key
from inventory.people import Action, Person
from inventory.user_errors import NeverReadError, NotHereError, UserError
from storage import audit
from storage.compression import decompress
from storage.coverage import coverage

MOST_LISTED = 200

NAMED_REFUSALS = 5


class MappingWish(NamedTuple):
    """The target's object to put in place of the source's, each by id, unique name or alternate key."""

    type_key: str
    source_id: str
    target_id: str
    reason: str


class UnknownPlanError(NotHereError):
    """No plan's id begins with the text, or several do."""


class DamagedPlanError(UserError):
    """The stored plan does not match its hash."""


class DecidedPlanError(UserError):
    """Somebody has approved or rejected the plan."""


async def make_plan(
    here: Side, there: Side, plan_request: PlanRequest, person: Person
) -> tuple[PlanRecord, PlanContent]:
    """Stores a plan in the target's session. Raises `NeverReadError` or `UnknownPlanItemError`."""
    for end in (here, there):
        if not end.coverage:
            name = end.tenant.name
            raise NeverReadError(f"{name} was never read: no run has completed, so nothing can be planned")
    mapping = {
        (known.type_key, known.source_id): known.target_id
        for known in await mappings(there.session, here.tenant.tenant_id)
    }
    request = plan_request._replace(mapping=mapping, created_by=person.name, created_by_id=person.person_id)
    plan = await plan_of(here, there, request)
    plan_id = uuid4()
    content = plan.model_dump_json().encode()
    await queries.add_plan(there.session, plan_id, plan, content)
    act = _Act(person, Action.PLAN_CREATED, "", None)
    return await _decided(there.session, await _stored(there.session, str(plan_id)), plan, act, None), plan


async def source_baseline(session: AsyncSession, tenant_id: UUID, name: str) -> tuple[UUID, SourceBaseline | None]:
    """A baseline's tenant and items; items are None if the baseline is another tenant, as it is. Raises
    `UnknownBaselineError`.
    """
    found = await baseline_called(session, name)
    if found.other_tenant_id is not None:
        return found.other_tenant_id, None
    return tenant_id, SourceBaseline(name, frozenset(found.covered), await pinned_versions(session, name))


async def plan_called(session: AsyncSession, beginning: str) -> tuple[PlanRecord, PlanContent]:
    """The plan whose id begins with `beginning`. Raises `UnknownPlanError` or `DamagedPlanError`."""
    stored = await _stored(session, beginning)
    plan = _content(stored)
    return _plan_record(stored, plan.source, plan.target), plan


async def plans(
    session: AsyncSession,
    target: TenantRecord,
    name_of: Callable[[UUID], str],
    sources: Collection[UUID] | None = None,
) -> list[PlanRecord]:
    """The newest plans, from all sources or these; `name_of` names a tenant."""
    return [
        _plan_record(
            stored,
            TenantRecord(tenant_id=stored.source_tenant_id, name=name_of(stored.source_tenant_id)),
            target,
        )
        for stored in await queries.plans(session, MOST_LISTED, sources)
    ]


async def approve(
    session: AsyncSession, beginning: str, person: Person, reason: str, once: UUID | None = None
) -> tuple[PlanRecord, list[str]]:
    """Approves a plan unless something forbids it; returns the plan and the reasons, which the audit log keeps.

    `once`, the form's id, is the idempotency key. Raises `UnknownPlanError`, `DamagedPlanError` or `DecidedPlanError`.
    """
    stored = await _stored(session, beginning)
    plan = _content(stored)
    refusals = [] if stored.decided is not None else await _refusals(session, stored, plan, person)
    act = _Act(person, Action.PLAN_APPROVAL_REFUSED, "; ".join(refusals), once)
    if not refusals:
        act = _Act(person, Action.PLAN_APPROVED, reason, once)
    return await _decided(session, stored, plan, act, None if refusals else PlanDecision.APPROVED), refusals


async def reject(
    session: AsyncSession, beginning: str, person: Person, reason: str, once: UUID | None = None
) -> PlanRecord:
    """Raises `UnknownPlanError`, `DamagedPlanError` or `DecidedPlanError`."""
    stored = await _stored(session, beginning)
    act = _Act(person, Action.PLAN_REJECTED, reason, once)
    return await _decided(session, stored, _content(stored), act, PlanDecision.REJECTED)


class _Act(NamedTuple):
    person: Person
    action: Action
    reason: str
    once: UUID | None


async def _decided(
    session: AsyncSession, stored: StoredPlan, plan: PlanContent, act: _Act, decision: PlanDecision | None
) -> PlanRecord:
    """Records an act and its decision, if any. A repeated form does nothing."""
    if await audit.record(
        session,
        act.person,
        act.action,
        tenant_id=plan.target.tenant_id,
        subject=f"plan {stored.plan_id}",
        reason=act.reason or None,
        request_id=act.once,
    ):
        is_open = stored.decided is None
        if is_open and decision is not None:
            is_open = await queries.decide(session, stored, decision, act.person.name, act.reason)
        if not is_open:
            # The error undoes the transaction, and so the audit record.
            known = cast("PlanDecisionRecord", (await _stored(session, str(stored.plan_id))).decided)
            raise DecidedPlanError(f"{known.decided_by} {known.decision} plan {stored.plan_id}; make a new one")
    return _plan_record(await _stored(session, str(stored.plan_id)), plan.source, plan.target)


async def map_reference(here: Side, there: Side, wish: MappingWish, person: Person) -> MappingRecord:
    """Replaces an earlier mapping of the source's object. Raises `UnknownItemError`."""
    type_key = wish.type_key
    source_id = await source_object(here.session, type_key, wish.source_id)
    target_id = await target_object(there.session, type_key, wish.target_id)
    source_tenant_id = here.tenant.tenant_id
    place = {"source_tenant_id": source_tenant_id, "type_key": type_key, "source_id": source_id}
    values = {**place, "target_id": target_id, "mapped_by": person.name, "reason": wish.reason}
    await queries.add_mapping(there.session, values)
    subject = f"{type_key} {source_id} of {source_tenant_id} is {target_id}"
    await audit.record(
        there.session,
        person,
        Action.REFERENCE_MAPPED,
        tenant_id=there.tenant.tenant_id,
        subject=subject,
        reason=wish.reason,
    )
    found = await mappings(there.session, source_tenant_id)
    return next(known for known in found if (known.type_key, known.source_id) == (type_key, source_id))


async def unmap_reference(here: Side, there: Side, wish: MappingWish, person: Person) -> str | None:
    """Returns the id of the source's object, or None if it is not mapped. Raises `UnknownItemError`."""
    type_key, source_tenant_id = wish.type_key, here.tenant.tenant_id
    place = {"source_tenant_id": source_tenant_id, "type_key": type_key}
    source_id = item_key(wish.source_id)
    # First as given: the object of a mapped id may be gone, or known by another id since.
    if not await queries.remove_mapping(there.session, {**place, "source_id": source_id}):
        source_id = await source_object(here.session, type_key, wish.source_id)
        if not await queries.remove_mapping(there.session, {**place, "source_id": source_id}):
            return None
    await audit.record(
        there.session,
        person,
        Action.REFERENCE_UNMAPPED,
        tenant_id=there.tenant.tenant_id,
        subject=f"{type_key} {source_id} of {source_tenant_id}",
        reason=wish.reason,
    )
    return source_id


def is_creator(person: Person, plan: PlanContent) -> bool:
    """By id or name."""
    return person.person_id == plan.created_by_id or person.name.casefold() == plan.created_by.casefold()


async def _refusals(session: AsyncSession, stored: StoredPlan, plan: PlanContent, person: Person) -> list[str]:
    refusals = []
    if is_creator(person, plan):
        refusals.append(f"{person.name} made the plan; somebody else approves it")
    if stored.is_over:
        refusals.append("the plan has expired; make a new one")
    written = [item for item in plan.items if item.action in (PlanAction.CREATE, PlanAction.UPDATE)]
    if not written:
        refusals.append("the plan writes nothing")
    refusals += await _changed(session, written)
    refusals += await _taken(session, written)
    refusals += await _lost(session, written)
    known = await coverage(session, sorted({item.type_key for item in written}))
    for type_key in sorted({item.type_key for item in written}):
        covered = SideCoverage.of(known.get(type_key))
        if covered.state is not CoverageState.COMPLETE:
            refusals.append(f"{type_key} of the target: {covered.in_words}; sync, and make a new plan")
    return refusals


async def _changed(session: AsyncSession, written: Sequence[PlannedItem]) -> list[str]:
    found = {(item.type_key, item.target_id): item for item in written if item.target_id is not None}
    keys = {(type_key, target_id) for type_key, target_id in found if target_id is not None}
    hashes = await queries.content_hashes(session, keys)
    changed = [item.title for key, item in found.items() if hashes.get((key[0], key[1] or "")) != item.precondition]
    return _counted(changed, "changed in the target since the plan was made; make a new one")


async def _taken(session: AsyncSession, written: Sequence[PlannedItem]) -> list[str]:
    taken = []
    for type_key in sorted({item.type_key for item in written if item.action is PlanAction.CREATE}):
        present = await queries.present_names(session, type_key)
        there = {(item.display_name, kind_of(type_key, item.meta)) for item in present}
        new = [item for item in written if item.type_key == type_key and item.action is PlanAction.CREATE]
        taken += [item.title for item in new if (item.title, item.kind) in there]
    return _counted(taken, "made in the target since the plan was made; make a new one")


async def _lost(session: AsyncSession, written: Sequence[PlannedItem]) -> list[str]:
    referred = {
        (reference.type_key, reference.target_id): reference.name or reference.target_id
        for item in written
        for reference in item.references
        if reference.target_id is not None
    }
    lost = await queries.gone(session, referred.keys())
    return _counted([referred[key] for key in sorted(lost)], "gone from the target; make a new plan")


def _counted(names: Sequence[str], verb: str) -> list[str]:
    if not names:
        return []
    named = ", ".join(f'"{name}"' for name in names[:NAMED_REFUSALS])
    more = f" and {len(names) - NAMED_REFUSALS} more" if len(names) > NAMED_REFUSALS else ""
    return [f"{named}{more} {'was' if len(names) == 1 else 'were'} {verb}"]


async def _stored(session: AsyncSession, beginning: str) -> StoredPlan:
    found = await queries.plans_beginning(session, beginning)
    if len(found) != 1:
        why = "several plans have an id that begins" if found else "no plan of this tenant has an id that begins"
        raise UnknownPlanError(f"{why} {beginning!r}; python starter.py promote list TENANT shows them")
    return found[0]


def _content(stored: StoredPlan) -> PlanContent:
    try:
        content = decompress(stored.content or b"")
    except ZstdError:
        content = b""
    if sha256(content).digest() != stored.content_hash:
        raise DamagedPlanError(f"the stored plan {stored.plan_id} does not match its hash; make a new one")
    return PlanContent.model_validate_json(content)


def _plan_record(stored: StoredPlan, source: TenantRecord, target: TenantRecord) -> PlanRecord:
    if stored.decided is not None:
        state = PlanState(str(stored.decided.decision))
    else:
        state = PlanState.EXPIRED if stored.is_over else PlanState.OPEN
    return PlanRecord(
        plan_id=stored.plan_id,
        plan_hash=stored.content_hash.hex(),
        source=source,
        target=target,
        created_by=stored.created_by,
        created_at=stored.created_at,
        expires_at=stored.expires_at,
        state=state,
        counts=PlanCounts.model_validate(stored.counts),
        decided=stored.decided,
    )
