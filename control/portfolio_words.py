"""Portfolio runs in words."""

from collections.abc import Callable
from uuid import UUID

from graph.catalog import load_catalog
from inventory.portfolio import TenantChoice
from inventory.visible_text import visible
from workflows.messages import PortfolioInput

MOST_NAMED = 3

NameOf = Callable[[UUID], str]
"""Gives a tenant's name for people."""


def summary(portfolio_input: PortfolioInput, name_of: NameOf) -> str:
    """The portfolio run's summary in Temporal Web."""
    return f"{visible(tenants_in_words(portfolio_input.chosen, name_of))}: {selection_name(portfolio_input)}"


def selection_name(portfolio_input: PortfolioInput) -> str:
    return portfolio_input.selection_name or load_catalog().name_of(portfolio_input.selection.type_keys)


def tenants_in_words(chosen: TenantChoice, name_of: NameOf) -> str:
    """Names up to `MOST_NAMED` tenants; counts more."""
    if chosen.everyone or len(chosen.tenant_ids) > MOST_NAMED:
        return chosen.in_words()
    return ", ".join([*map(name_of, chosen.tenant_ids), *(f"tag {tag}" for tag in chosen.tags)])
