"""Walks over pages, and their skiptokens."""

from collections import Counter
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import httpx
import pytest

from local.simulated_graph import SimulatedGraph, SimulatedTenant

CATALOG = "/beta/deviceManagement/configurationPolicies"
POLICIES = "/beta/identity/conditionalAccess/policies"


def walk(client: httpx.Client, address: str) -> list[dict[str, Any]]:
    """The pages from `address` on, each nextLink followed as it is."""
    pages = []
    following: str | None = address
    while following is not None:
        answer = client.get(following)
        assert answer.status_code == 200, answer.text
        pages.append(answer.json())
        following = pages[-1].get("@odata.nextLink")
    return pages


def ids(pages: list[dict[str, Any]]) -> list[str]:
    return [document["id"] for page in pages for document in page["value"]]


@pytest.mark.parametrize("page_size", [None, 7, 100, 1000])
def test_published_policies_are_listed_once_each(published_folder: Path, connect: Any, page_size: int | None) -> None:
    with SimulatedGraph(published_folder, tenants=1, page_size=page_size) as graph:
        pages = walk(connect(graph), CATALOG)
        assert len(pages) == -(-705 // (page_size or 25))
        assert set(Counter(ids(pages)).values()) == {1}
        assert len(ids(pages)) == 705
        assert ids(pages) == [document["id"] for document in graph.tenants[0].documents(CATALOG.removeprefix("/beta/"))]


def test_catalog_page_has_its_own_count_and_a_doubly_encoded_link(sample: SimulatedGraph, connect: Any) -> None:
    first, last = walk(connect(sample), f"{CATALOG}?$expand=assignments")
    assert (first["@odata.count"], last["@odata.count"]) == (25, 21)
    link = first["@odata.nextLink"]
    assert link.startswith(f"{sample.base_url}{CATALOG}?$expand=assignments&$skiptoken=%255Bcosmosdb%255D")
    assert "@odata.nextLink" not in last


def test_top_sets_the_page_size_up_to_the_maximum(graph: SimulatedGraph, tenant: SimulatedTenant, connect: Any) -> None:
    pages = walk(connect(graph), "/v1.0/deviceManagement/deviceConfigurations?$top=10")
    assert [len(page["value"]) for page in pages] == [10] * 8 + [8]
    assert [len(page["value"]) for page in walk(connect(graph), "/v1.0/groups?$top=5000")] == [20]


def test_forged_altered_and_foreign_skiptokens_are_refused(sample: SimulatedGraph, connect: Any) -> None:
    client = connect(sample)
    link = client.get(f"{CATALOG}?$top=5").json()["@odata.nextLink"]
    address, _, token = link.partition("$skiptoken=")
    other = client.get(f"{CATALOG}?$top=6").json()["@odata.nextLink"].partition("$skiptoken=")[2]
    tampered = token.replace("%2522%253A%2522", "%2522%253A%2522A")
    refused = {
        "made up": f"{address}$skiptoken=5",
        "decoded once too often": f"{address}$skiptoken={unquote(token)}",
        "encoded again": f"{address}$skiptoken={token.replace('%', '%25')}",
        "tampered with": f"{address}$skiptoken={tampered}",
        "without its options": f"{sample.base_url}{CATALOG}?$skiptoken={token}",
        "of another listing": f"{address}$skiptoken={other}",
    }
    answers = {name: client.get(url) for name, url in refused.items()}
    assert {name: answer.status_code for name, answer in answers.items()} == dict.fromkeys(refused, 400)
    assert {answer.json()["error"]["message"] for answer in answers.values()} == {"Invalid Skip Token"}
    assert connect(sample, sample.tenants[1]).get(link).status_code == 400
    assert client.get(link).status_code == 200


def test_skiptokens_are_the_same_in_every_process(connect: Any) -> None:
    tokens = []
    for _ in range(2):
        with SimulatedGraph(tenants=1) as graph:
            link = connect(graph).get(CATALOG).json()["@odata.nextLink"]
            tokens.append(link.partition("$skiptoken=")[2])
    assert tokens[0] == tokens[1]


def test_empty_pages_have_a_next_link(connect: Any) -> None:
    with SimulatedGraph(tenants=1, page_size=10, empty_page_every=2) as graph:
        pages = walk(connect(graph), CATALOG)
    assert [len(page["value"]) for page in pages] == [10, 10, 0, 10, 10, 0, 6]
    assert len(set(ids(pages))) == 46


def test_filter_empties_pages_but_ends_no_listing(tenant: SimulatedTenant, graph: SimulatedGraph, connect: Any) -> None:
    expression = "isof('microsoft.graph.windowsUpdateForBusinessConfiguration')"
    pages = walk(connect(graph), f"/v1.0/deviceManagement/deviceConfigurations?$filter={expression}&$top=2")
    assert any(not page["value"] and "@odata.nextLink" in page for page in pages)
    kinds = [document["@odata.type"] for page in pages for document in page["value"]]
    assert kinds == ["#microsoft.graph.windowsUpdateForBusinessConfiguration"] * 4


def test_top_cuts_conditional_access_policies_without_a_link(sample: SimulatedGraph, connect: Any) -> None:
    client = connect(sample)
    assert [len(page["value"]) for page in walk(client, POLICIES)] == [16]
    cut = client.get(f"{POLICIES}?$top=5").json()
    assert len(cut["value"]) == 5
    assert "@odata.nextLink" not in cut


def test_removal_between_pages_shifts_the_rest(graph: SimulatedGraph, tenant: SimulatedTenant, connect: Any) -> None:
    client = connect(graph)
    all_ids = [policy["id"] for policy in tenant.documents("deviceManagement/configurationPolicies")]
    first = client.get(CATALOG).json()
    tenant.remove("deviceManagement/configurationPolicies", all_ids[0])
    rest = walk(client, first["@odata.nextLink"])
    assert set(all_ids) - {document["id"] for document in first["value"]} - set(ids(rest)) == {all_ids[25]}


def test_settings_of_a_policy_come_25_on_a_page(graph: SimulatedGraph, tenant: SimulatedTenant, connect: Any) -> None:
    policy = next(
        policy for policy in tenant.documents("deviceManagement/configurationPolicies") if policy["settingCount"] == 60
    )
    pages = walk(connect(graph), f"{CATALOG}/{policy['id']}/settings")
    assert [len(page["value"]) for page in pages] == [25, 25, 10]
    inline = connect(graph).get(f"{CATALOG}/{policy['id']}?$expand=settings").json()
    assert [setting["id"] for setting in inline["settings"]] == ids(pages)
    assert "settings@odata.nextLink" not in inline
