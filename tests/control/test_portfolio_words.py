"""The summary of a portfolio run in Temporal Web."""

from uuid import UUID

import pytest

from control.portfolio_words import summary
from graph.catalog import load_catalog
from inventory.portfolio import TenantChoice
from inventory.selection import Selection
from workflows.messages import PortfolioInput

CONTOSO, FABRIKAM, *OTHERS = (UUID(int=number) for number in range(1, 6))
NAMES = {CONTOSO: "Contoso", FABRIKAM: "Fabrikam\nAG"}
GROUPS = Selection(type_keys=("groups",))


@pytest.mark.parametrize(
    ("chosen", "words"),
    [
        (TenantChoice(everyone=True), "all tenants: groups"),
        (TenantChoice(tenant_ids=(CONTOSO,), tags=("emea",)), "Contoso, tag emea: groups"),
        (TenantChoice(tenant_ids=(FABRIKAM,)), "Fabrikam\N{REPLACEMENT CHARACTER}AG: groups"),
        (TenantChoice(tenant_ids=(CONTOSO, FABRIKAM, *OTHERS)), "5 tenants: groups"),
    ],
)
def test_the_summary_names_tenants_and_selection(chosen: TenantChoice, words: str) -> None:
    assert summary(PortfolioInput(selection=GROUPS, chosen=chosen), lambda tenant_id: NAMES[tenant_id]) == words


def test_the_summary_shows_the_given_name_of_a_selection() -> None:
    everything = Selection(type_keys=tuple(load_catalog().everything()))
    chosen = TenantChoice(everyone=True)
    for name, words in ((None, "everything"), ("nightly", "nightly")):
        started = PortfolioInput(selection=everything, chosen=chosen, selection_name=name)
        assert summary(started, str) == f"all tenants: {words}"
