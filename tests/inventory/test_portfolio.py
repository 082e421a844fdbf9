"""The tenants of a portfolio run, and its status."""

from uuid import UUID

import pytest
from pydantic import ValidationError

from inventory.outcomes import RunStatus
from inventory.portfolio import PortfolioCounts, TenantChoice, portfolio_hash, portfolio_status
from inventory.selection import Selection

A, B, C, GONE = (UUID(int=number) for number in range(1, 5))
TAGS = {C: ("emea",), A: ("emea", "pilot"), B: ()}


@pytest.mark.parametrize(
    ("choice", "chosen"),
    [
        (TenantChoice(everyone=True), [C, A, B]),
        (TenantChoice(tags=("emea",)), [C, A]),
        (TenantChoice(tags=("pilot", "none")), [A]),
        (TenantChoice(tenant_ids=(B, A), tags=("pilot",)), [A, B]),
        (TenantChoice(tenant_ids=(GONE, B)), [B, GONE]),
        (TenantChoice(tags=("none",)), []),
    ],
)
def test_each_tenant_is_chosen_once_in_file_order(choice: TenantChoice, chosen: list[UUID]) -> None:
    assert choice.resolve(TAGS) == chosen


@pytest.mark.parametrize("wrong", [{}, {"everyone": True, "tags": ("a",)}, {"tags": ("A",)}, {"tags": ("",)}])
def test_an_invalid_tenant_choice_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        TenantChoice.model_validate(wrong)


def test_the_portfolio_hash_ignores_order_and_repetition() -> None:
    selection = Selection(type_keys=("a",))
    choice = TenantChoice(tenant_ids=(A, B), tags=("x", "y"))
    reordered = TenantChoice(tenant_ids=(B, A, B), tags=("y", "x", "y"))
    assert portfolio_hash(selection, choice) == portfolio_hash(selection, reordered)
    different = [
        portfolio_hash(Selection(type_keys=("b",)), choice),
        portfolio_hash(selection, TenantChoice(tenant_ids=(A, B), tags=("x",))),
        portfolio_hash(selection, TenantChoice(everyone=True)),
    ]
    assert len({portfolio_hash(selection, choice), *different}) == 4


@pytest.mark.parametrize(
    ("counts", "status"),
    [
        (PortfolioCounts(tenants=2, success=2), RunStatus.SUCCESS),
        (PortfolioCounts(tenants=2, success=1, failed=1), RunStatus.PARTIAL),
        (PortfolioCounts(tenants=2, success=1, cancelled=1), RunStatus.PARTIAL),
        (PortfolioCounts(tenants=1, partial=1), RunStatus.PARTIAL),
        (PortfolioCounts(tenants=2, failed=1, cancelled=1), RunStatus.FAILED),
        (PortfolioCounts(), RunStatus.FAILED),
    ],
)
def test_portfolio_status_follows_from_its_tenants(counts: PortfolioCounts, status: RunStatus) -> None:
    assert portfolio_status(counts) is status
