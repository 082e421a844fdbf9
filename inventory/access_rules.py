"""Visibility of tenants on the web page."""

from collections.abc import Collection, Iterable, Mapping
from datetime import datetime
from uuid import UUID

from pydantic import BaseModel

from inventory.people import Person, Role


class AccessRule(BaseModel, frozen=True):
    """Tenants that a person, or a role, sees or does not see."""

    access_rule_id: UUID
    person_id: str | None
    role: Role | None
    tenant_id: UUID | None
    tag: str | None
    is_excluded: bool
    set_by: str
    set_at: datetime
    reason: str | None

    def is_about(self, tenant_id: UUID, tags: Collection[str]) -> bool:
        if self.tenant_id is not None:
            return self.tenant_id == tenant_id
        return self.tag is None or self.tag in tags


def visible_tenants(
    person: Person, rules: Iterable[AccessRule], tags_of_tenants: Mapping[UUID, Collection[str]]
) -> frozenset[UUID]:
    """Exclusions win. Without an including rule, an administrator sees all tenants, others none."""
    excluding = [rule for rule in rules if rule.is_excluded]
    including = [rule for rule in rules if not rule.is_excluded]
    sees_all = person.role is Role.ADMIN and not including
    return frozenset(
        tenant_id
        for tenant_id, tags in tags_of_tenants.items()
        if (sees_all or any(rule.is_about(tenant_id, tags) for rule in including))
        and not any(rule.is_about(tenant_id, tags) for rule in excluding)
    )
