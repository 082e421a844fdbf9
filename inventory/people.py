"""People on the web page, their rights and acts."""

from datetime import datetime
from enum import StrEnum

from pydantic import BaseModel


class Role(StrEnum):
    """A person's rights. Each role includes those before it."""

    READER = "reader"
    """Read every page of the tenants in the person's scope."""
    OPERATOR = "operator"
    """Start and cancel runs, keep schedules, snooze notifications."""
    APPROVER = "approver"
    """Decide on findings and plans, set baselines, pin versions."""
    ADMIN = "admin"
    """Manage access and configured tenants, and read everybody's audit records."""

    def includes(self, other: "Role") -> bool:
        roles = list(Role)
        return roles.index(self) >= roles.index(other)


class Action(StrEnum):
    """An act that has an audit record."""

    SIGNED_IN = "signed_in"
    SIGNED_OUT = "signed_out"
    SYNC_REQUESTED = "sync_requested"
    SYNC_CANCELLED = "sync_cancelled"
    DEEP_READ_REQUESTED = "deep_read_requested"
    SCHEDULE_CHANGED = "schedule_changed"
    SCHEDULE_DELETED = "schedule_deleted"
    DECIDED = "decided"
    DECISION_WITHDRAWN = "decision_withdrawn"
    BASELINE_SET = "baseline_set"
    BASELINE_REMOVED = "baseline_removed"
    PINNED = "pinned"
    UNPINNED = "unpinned"
    EXPORTED = "exported"
    ACCESS_CHANGED = "access_changed"
    TENANT_PURGED = "tenant_purged"
    TENANT_CONFIGURED = "tenant_configured"
    TENANT_REMOVED = "tenant_removed"
    PLAN_CREATED = "plan_created"
    PLAN_APPROVED = "plan_approved"
    PLAN_APPROVAL_REFUSED = "plan_approval_refused"
    PLAN_REJECTED = "plan_rejected"
    REFERENCE_MAPPED = "reference_mapped"
    REFERENCE_UNMAPPED = "reference_unmapped"
    SNOOZED = "snoozed"
    SNOOZE_ENDED = "snooze_ended"


class Person(BaseModel, frozen=True):
    person_id: str
    """`local/<login>`, or Entra ID's `<tenant id>/<object id>`."""
    name: str
    role: Role

    def may(self, role: Role | str) -> bool:
        return self.role.includes(Role(role))


class KnownPerson(Person):
    """Somebody who has signed in, with name and role of the last time."""

    signed_in_at: datetime
