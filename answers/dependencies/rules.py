"""Whether a referred object is present, and how sure that is."""

from collections.abc import Mapping, Sequence
from datetime import datetime

from answers.dependencies.records import AssignmentRecord, KnownObject, ObjectState, Presence
from answers.old_details import OLD_DETAILS
from inventory.coverage import NEVER_READ, Coverage
from inventory.missing import FOUND_BY_ID, LISTED, Confidence
from inventory.references import ReferenceRole

NOT_IN_THE_CATALOG = "not_in_the_catalog"
ASSIGNMENTS_NOT_SHOWN = "assignments_not_shown"
DAMAGED = "damaged"
REFERENCES_NOT_READ = "references_not_read"
"""References of new versions, or by new rules, are unread until the next run."""

NEVER_ASSIGNED = frozenset({"deviceComplianceScripts"})
"""Collections that nobody assigns. Graph lists assignments, but a compliance policy names its script:
https://learn.microsoft.com/mem/intune/protect/compliance-custom-script
"""


def not_current_reason(type_key: str, coverage: Mapping[str, Coverage], catalog_keys: frozenset[str]) -> str | None:
    """None if the latest run listed the collection to its end, or the tenant cannot have it."""
    covered = coverage.get(type_key)
    if covered is None:
        return NEVER_READ if type_key in catalog_keys else NOT_IN_THE_CATALOG
    return None if covered.is_current or covered.is_skipped else covered.reason


def not_listed_reason(type_key: str, coverage: Mapping[str, Coverage], catalog_keys: frozenset[str]) -> str | None:
    """None if any run listed the collection to its end, or the tenant cannot have it."""
    covered = coverage.get(type_key)
    was_listed = covered is not None and covered.listed_at is not None
    return None if was_listed else not_current_reason(type_key, coverage, catalog_keys)


def item_presence(item: KnownObject, coverage: Coverage | None, *, rests_on_details: bool = False) -> ObjectState:
    """Presence is less sure if the latest run did not list the collection to its end.

    `rests_on_details`: the answer uses details that may have changed unseen by a list.
    """
    is_sure = coverage is not None and coverage.is_current and bool(coverage.listed_cleanly)
    if item.absence_evidence is not None:
        is_sure = item.absence_confidence == Confidence.HIGH and coverage is not None and coverage.is_current
        return ObjectState(Presence.ABSENT, _confidence(is_sure), item.absence_evidence)
    if coverage is None or not coverage.is_current:
        reason = NEVER_READ if coverage is None else coverage.reason
        return ObjectState(Presence.PRESENT, Confidence.LOW, f"{item.type_key}:{reason}")
    if rests_on_details and are_old(item.details_read_at, coverage):
        return ObjectState(Presence.PRESENT, Confidence.LOW, OLD_DETAILS)
    return ObjectState(Presence.PRESENT, _confidence(is_sure), FOUND_BY_ID if item.found_by_id else LISTED)


def are_old(details_read_at: datetime | None, coverage: Coverage | None) -> bool:
    """Whether details were read before the collection's latest complete listing began."""
    listed_from = None if coverage is None else coverage.listed_from
    return details_read_at is not None and listed_from is not None and details_read_at < listed_from


def unseen_presence(
    type_keys: Sequence[str], referred_at: datetime, coverage: Mapping[str, Coverage], catalog_keys: frozenset[str]
) -> ObjectState:
    """For an object that a document refers to since `referred_at` and no run has listed. `catalog_keys`: the catalog's
    collections.
    """
    reasons = {key: not_listed_reason(key, coverage, catalog_keys) for key in type_keys}
    unread = [f"{key}:{reason}" for key, reason in reasons.items() if reason is not None]
    if unread:
        return ObjectState(Presence.NOT_READ, None, ", ".join(unread))
    covered = [coverage[key] for key in type_keys]
    if any((collection.listed_from or collection.run_started_at) < referred_at for collection in covered):
        return ObjectState(Presence.NEVER_SEEN, Confidence.LOW, "listing_is_older")
    is_sure = all(collection.is_current and collection.listed_cleanly for collection in covered)
    return ObjectState(Presence.NEVER_SEEN, _confidence(is_sure), "never_listed")


def assignments_to(
    assignments: Sequence[tuple[ReferenceRole, str | None, str, str, str | None]],
) -> list[AssignmentRecord]:
    """Makes records from role, audience (None: the group), intent, and the policy set's id and name.

    An exclusion wins only within its intent: https://learn.microsoft.com/mem/intune/apps/apps-inc-exl-assignments
    """
    excluded = {intent for role, _, intent, _, _ in assignments if role == ReferenceRole.EXCLUDE}
    records = [
        AssignmentRecord(
            role=role,
            through=audience or "group",
            intent=intent or None,
            policy_set_id=policy_set_id or None,
            policy_set_name=policy_set_name,
            is_overridden=role == ReferenceRole.INCLUDE and intent in excluded,
        )
        for role, audience, intent, policy_set_id, policy_set_name in assignments
    ]
    return list(dict.fromkeys(records))


def _confidence(is_sure: bool) -> Confidence:
    return Confidence.HIGH if is_sure else Confidence.LOW
