"""Tenants that a person sees: none by default, all for administrators; an exclusion wins."""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import pytest

from inventory.access_rules import AccessRule, visible_tenants
from inventory.people import Person, Role

CONTOSO, FABRIKAM, TAILSPIN = UUID(int=1), UUID(int=2), UUID(int=3)
TAGS = {CONTOSO: ("emea", "pilot"), FABRIKAM: ("emea",), TAILSPIN: ()}
ALL = frozenset(TAGS)
NOBODY: frozenset[UUID] = frozenset()


def rule(**about: Any) -> AccessRule:
    fields = {"person_id": "x", "role": None, "tenant_id": None, "tag": None, "is_excluded": False, "reason": None}
    return AccessRule(access_rule_id=uuid4(), set_by="ada", set_at=datetime.now(UTC), **{**fields, **about})


def tenants_seen_by(role: Role, *rules: AccessRule) -> frozenset[UUID]:
    return visible_tenants(Person(person_id="x", name="x", role=role), rules, TAGS)


@pytest.mark.parametrize("role", Role)
def test_without_rules_only_administrators_see_tenants(role: Role) -> None:
    assert tenants_seen_by(role) == (ALL if role is Role.ADMIN else NOBODY)


@pytest.mark.parametrize("role", Role)
def test_rules_include_tenants_by_id_by_tag_or_all(role: Role) -> None:
    assert tenants_seen_by(role, rule(tenant_id=TAILSPIN)) == {TAILSPIN}
    assert tenants_seen_by(role, rule(tag="emea")) == {CONTOSO, FABRIKAM}
    assert tenants_seen_by(role, rule(tag="emea"), rule(tenant_id=TAILSPIN)) == ALL
    assert tenants_seen_by(role, rule()) == ALL
    assert tenants_seen_by(role, rule(tag="unknown"), rule(tenant_id=uuid4())) == NOBODY


@pytest.mark.parametrize("role", Role)
def test_an_exclusion_overrides_every_inclusion(role: Role) -> None:
    out = rule(tag="pilot", is_excluded=True)
    assert CONTOSO not in tenants_seen_by(role, out, rule(), rule(tenant_id=CONTOSO), rule(tag="pilot"))
    assert tenants_seen_by(role, rule(), out) == {FABRIKAM, TAILSPIN}
    assert tenants_seen_by(role, rule(), rule(is_excluded=True)) == NOBODY


def test_an_exclusion_alone_limits_administrators_and_grants_others_nothing() -> None:
    out = rule(tenant_id=CONTOSO, is_excluded=True)
    assert tenants_seen_by(Role.ADMIN, out) == {FABRIKAM, TAILSPIN}
    assert tenants_seen_by(Role.APPROVER, out) == NOBODY
