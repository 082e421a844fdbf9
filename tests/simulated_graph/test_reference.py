"""Every endpoint and every detail that the reference names is served, in each version that it names."""

import csv
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from local.simulated_graph import SimulatedGraph

REFERENCE = Path(__file__).parents[3] / "shared" / "reference" / "graph-collections.csv"

MAY_BE_ABSENT = re.compile(
    r"/(defaultIosEnrollmentProfile|defaultMacOsEnrollmentProfile|identitySynchronization|landingPageCustomizedImage)$"
)
"""Single relations that an object need not have."""

NEEDS_WRITE = "getOmaSettingPlainTextValue"
"""Graph refuses it to a read-only app."""

NOT_PUBLISHED = {
    ("v1.0", "/identity/conditionalAccess/authenticationStrengths/policies"),
    ("v1.0", "/identity/b2cUserFlows"),
    # Published, and left to its other path: /policies/authenticationStrengthPolicies.
    ("beta", "/identity/conditionalAccess/authenticationStrengths/policies"),
    # Published as a list.
    ("beta", "/policies/authorizationPolicy"),
    ("beta", "/groupSettings"),
    ("beta", "/identityGovernance/entitlementManagement/accessPackages"),
    ("beta", "/identityGovernance/entitlementManagement/assignmentPolicies"),
    ("beta", "/identityGovernance/entitlementManagement/catalogs"),
}
"""Paths that the reference names for a version in which they are missing or have another form."""

Row = dict[str, str]


@pytest.fixture(scope="module")
def rows() -> list[Row]:
    """The reference, a row for each collection."""
    if not REFERENCE.is_file():
        pytest.skip("the reference (shared/reference) is not beside this checkout")
    with REFERENCE.open(newline="") as lines:
        return list(csv.DictReader(lines))


@pytest.fixture
def client(sample: SimulatedGraph, connect: Any) -> httpx.Client:
    signed_in: httpx.Client = connect(sample)
    return signed_in


def versions(row: Row) -> list[str]:
    """The versions in which the row's collection is published."""
    path = row["endpoint"].partition("?")[0]
    return [version for version in row["api_version"].split(";") if (version, path) not in NOT_PUBLISHED]


def listed_documents(client: httpx.Client, address: str) -> list[dict[str, Any]]:
    """Everything listed at `address`."""
    found = []
    following: str | None = address
    while following is not None:
        answer = client.get(following)
        assert answer.status_code == 200, f"{following}: {answer.text}"
        found += answer.json()["value"]
        following = answer.json().get("@odata.nextLink")
    return found


def alternative_addresses(address: str, organization: str) -> list[str]:
    """The addresses behind an address of the reference, which may hold alternatives (`{a|b}`)."""
    alternatives = re.search(r"\{([A-Za-z]+(?:\|[A-Za-z]+)+)\}", address)
    if alternatives is None:
        return [address.replace("{orgId}", organization)]
    named = [address.replace(alternatives.group(), alternative) for alternative in alternatives.group(1).split("|")]
    # Policies for Windows Information Protection have no relation `apps`, although the reference names it.
    return [
        address.replace("=apps,", "=") if "informationprotection" in address.lower() else address for address in named
    ]


def parents(client: httpx.Client, version: str, address: str) -> Iterator[str]:
    """The addresses with each placeholder filled by the listed ids, one placeholder after the other."""
    before, placeholder, after = re.split(r"(\{[A-Za-z]+\})", address, maxsplit=1)
    key = "tenantId" if placeholder == "{tenantId}" else "id"
    needed = "?$filter=scopeId eq '/' and scopeType eq 'DirectoryRole'" if "roleManagementPolicies" in before else ""
    for document in listed_documents(client, f"/{version}{before.rstrip('/')}{needed}"):
        filled = f"{before}{document[key]}{after}"
        if "{ref}" in filled:
            yield from (
                filled.replace("{ref}", setting["secretReferenceValueId"])
                for setting in document.get("omaSettings", ())
                if setting["secretReferenceValueId"]
            )
        elif "{" in filled:
            yield from parents(client, version, filled)
        else:
            yield filled


def test_every_endpoint_is_served_in_each_version(
    rows: list[Row], client: httpx.Client, sample: SimulatedGraph
) -> None:
    for row in rows:
        for version in versions(row):
            address = row["endpoint"].replace("{orgId}", sample.tenants[0].id)
            addresses = list(parents(client, version, address)) if "{" in address else [address]
            for address in addresses:
                answer = client.get(f"/{version}{address}")
                assert answer.status_code == 200, f"{version}{address}: {answer.text}"
                is_list = isinstance(answer.json().get("value"), list)
                assert is_list != (
                    row["odata_filter_or_type"].startswith("singleton") or "identityProtection" in address
                ), address
                assert not is_list or answer.json()["value"], f"{address} has nothing to show"


def test_beta_only_paths_are_not_on_v1(rows: list[Row], client: httpx.Client) -> None:
    on_v1 = {row["endpoint"].partition("?")[0] for row in rows if "v1.0" in versions(row)}
    on_beta = {row["endpoint"].partition("?")[0] for row in rows} - on_v1
    for path in on_beta:
        assert client.get(f"/v1.0{path}").status_code == 400, path


def test_unpublished_addresses_are_not_served(client: httpx.Client) -> None:
    for version, path in NOT_PUBLISHED:
        assert client.get(f"/{version}{path}").status_code == 400, f"{version}{path}"
    for address in (
        "/v1.0/groups?$expand=unheardOf",
        "/v1.0/groups?$select=unheardOf",
        "/v1.0/identity/conditionalAccess/policies?$select=unheardOf",
        "/beta/deviceManagement/microsoftTunnelSites?$expand=microsoftTunnelConfiguration($expand=unheardOf)",
        "/v1.0/networkAccess/filteringProfiles",
        "/v1.0/policies/roleManagementPolicies/one/rule",
    ):
        assert client.get(address).status_code == 400, address


def test_every_detail_of_every_object_is_served(rows: list[Row], client: httpx.Client, sample: SimulatedGraph) -> None:
    statuses_of: dict[str, list[int]] = {}
    named: set[str] = set()
    for row in rows:
        version = (versions(row) or ["beta"])[-1]
        details = ";".join((row["detail_endpoint"], row["assignments_endpoint"]))
        for detail in filter(None, details.split(";")):
            for address in alternative_addresses(detail, sample.tenants[0].id):
                named.add(address)
                for parent_address in parents(client, version, address):
                    answer = client.get(f"/{version}{parent_address}")
                    allowed = {200} | ({404} if MAY_BE_ABSENT.search(parent_address) else set())
                    assert answer.status_code in ({403} if NEEDS_WRITE in parent_address else allowed), (
                        f"{parent_address}: {answer.text}"
                    )
                    statuses_of.setdefault(address, []).append(answer.status_code)
    assert all({200, 403} & set(statuses) for statuses in statuses_of.values()), (
        "each detail is served for one object at least"
    )
    assert statuses_of.keys() == named


SUBTYPES = REFERENCE.with_name("graph-subtypes.csv")


@pytest.mark.parametrize(
    ("path", "least"),
    [
        ("deviceManagement/deviceConfigurations", 60),
        ("deviceManagement/deviceCompliancePolicies", 10),
        ("deviceManagement/deviceEnrollmentConfigurations", 8),
        ("deviceAppManagement/mobileApps", 30),
    ],
)
def test_sample_has_many_types_of_the_reference(sample: SimulatedGraph, path: str, least: int) -> None:
    if not SUBTYPES.is_file():
        pytest.skip("the reference (shared/reference) is not beside this checkout")
    named = set(re.findall(r"#microsoft\.graph\.\w+", SUBTYPES.read_text() + REFERENCE.read_text()))
    documents = sample.tenants[0].documents(path)
    types = {document["@odata.type"] for document in documents}
    assert types <= named
    assert len(types) >= least
