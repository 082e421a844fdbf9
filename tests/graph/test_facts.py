"""The catalog, checked against Microsoft's published paths, properties, types and permissions."""

import re
from pathlib import Path

import pytest

from graph.catalog import Collection, load_catalog
from graph.catalog.deviations import deviations
from graph.catalog.facts import Place, extract, metadata, permissions_of, sources
from graph.catalog.facts.extract import csdl, permissions, subset
from tests.graph.catalog_judge import Problem, judge, shared_rules

COLLECTIONS = load_catalog().collections


def known_deviations() -> set[Problem]:
    return {Problem(key, what) for deviation in deviations() for key in deviation.type_keys for what in deviation.what}


def problems_of(key: str, **changes: object) -> set[str]:
    """The problems of an entry with these changes, beside its deviations."""
    changed = Collection.model_validate(COLLECTIONS[key].model_dump() | changes)
    return {problem.what for problem in judge(changed).problems if problem not in known_deviations()}


def test_unpublished_names_in_the_catalog_are_known_deviations() -> None:
    checked = [judge(entry) for entry in COLLECTIONS.values()]
    found = {problem for collection in checked for problem in collection.problems}
    assert sorted(found - known_deviations()) == []
    assert sorted(known_deviations() - found) == [], "deviations that are no longer needed"
    assert sum(collection.looked_up for collection in checked) > 1_500


def test_no_deviation_is_listed_twice() -> None:
    listed = [
        Problem(key, what) for deviation in deviations() for key in deviation.type_keys for what in deviation.what
    ]
    assert len(listed) == len(set(listed))


def test_shared_rule_holds_for_an_entry() -> None:
    unheld = {(file, rule) for file, rule, holds in shared_rules(COLLECTIONS) if not holds}
    assert unheld == set()


@pytest.mark.parametrize(
    ("key", "changes", "problem"),
    [
        ("authenticationStrengthPolicies", {"path": "/identity/conditionalAccess/authenticationStrengths/policies"},
         "path"),
        ("authorizationPolicy", {"api_version": "beta"}, "path"),
        ("groups", {"singleton": True}, "path"),
        ("groups", {"select": ["id", "displayName", "assignedLicences"]}, "select assignedLicences"),
        ("groups", {"permission": "Policy.Read.All"}, "permission"),
        ("groups", {"delegated_only": True}, "delegated_only"),
        ("ownerlessGroupPolicy", {"delegated_only": False}, "delegated_only"),
        ("administrativeUnits", {"expand": "scopedRoleMembers"}, "permission of expand scopedRoleMembers"),
        ("domains",
         {"details": [{"property": "federationConfiguration", "path": "/domains/{id}/federationConfiguration"}]},
         "permission of detail federationConfiguration"),
        ("groups", {"details": [{"property": "owner", "path": "/groups/{id}/owner"}]}, "detail owner"),
        ("microsoftTunnelSites", {"expand": None}, "reference microsoftTunnelConfiguration.id"),
        ("accessPackages", {"expand": "resourceRoleScopes($expand=roles)"}, "expand roles"),
        ("groups", {"expand": "owners"}, "expand owners of a directory object"),
        ("servicePrincipals",
         {"details": [{"path": "/servicePrincipals/{id}?$expand=appRoleAssignments", "single": True}]},
         "detail by id $expand appRoleAssignments of a directory object"),
        ("groups", {"volatile": ["renewed"]}, "volatile renewed"),
        ("customAuthenticationExtensions", {"sensitive": ["endpointConfiguration/uri"]},
         "sensitive endpointConfiguration/uri"),
        ("deviceConfigurations", {"sensitive": ["#microsoft.graph.windows81WifiImportConfiguration/content"]},
         "sensitive #microsoft.graph.windows81WifiImportConfiguration/content"),
        ("cloudCertificationAuthority", {"meta": {"status": "cloudCertificationAuthorityStatus"}},
         "meta cloudCertificationAuthorityStatus"),
        ("derivedCredentials", {"references": {"notificationTemplateId": "notificationMessageTemplates"}},
         "reference notificationTemplateId"),
        ("roleManagementPolicyAssignments", {"name_field": "displayName"}, "property displayName"),
        ("roleManagementPolicies", {"filter": "scope eq '/'"}, "filter scope"),
        ("groupEligibilitySchedules", {"parent_filter": "isAssignable eq true"}, "parent filter isAssignable"),
        ("windowsUpdateRings", {"filter": "isof('microsoft.graph.group')"}, "filter group"),
        ("deviceConfigurations", {"left_out_types": ["#microsoft.graph.group"]}, "left out #microsoft.graph.group"),
    ],
)  # fmt: skip
def test_mistake_in_an_entry_is_found(key: str, changes: dict[str, object], problem: str) -> None:
    assert problem in problems_of(key, **changes)
    assert problems_of(key) == set()


def test_facts_name_their_sources() -> None:
    assert len(sources()) >= 3
    for source in sources():
        assert source.url.startswith("https://github.com/microsoftgraph/")
        assert re.fullmatch(r"\d{4}-\d{2}-\d{2}", source.date)


def test_path_resolves_through_keys_casts_and_properties() -> None:
    v1 = metadata("v1.0")
    assert v1.resolve("/groups") == Place("group", is_collection=True)
    assert v1.resolve("/groups/{id}/owners") == Place("directoryObject", is_collection=True)
    assert v1.resolve("/groups/{id}/owners/x/microsoft.graph.user") == Place("user", is_collection=False)
    assert v1.resolve("/groups/{id}/owners/x/microsoft.graph.workbook") is None
    assert v1.resolve("/groups/{id}/displayName") == Place("", is_collection=False)
    assert v1.resolve("/unheardOf") is None
    assert metadata("beta").resolve("/networkAccess/filteringProfiles") is not None
    assert v1.resolve("/networkAccess/filteringProfiles") is None


def test_permissions_differ_for_delegated_access() -> None:
    assert permissions_of("/domains/{id}/federationConfiguration").keys() == {
        "Domain-InternalFederation.Read.All",
        "Domain-InternalFederation.ReadWrite.All",
    }
    assert permissions_of("/policies/ownerlessGroupPolicy") == {}
    assert permissions_of("/policies/ownerlessGroupPolicy", delegated=True)["Group.Read.All"]


CSDL = """<edmx:Edmx Version="4.0" xmlns:edmx="http://docs.oasis-open.org/odata/ns/edmx"><edmx:DataServices>
<Schema Namespace="microsoft.graph" Alias="graph" xmlns="http://docs.oasis-open.org/odata/ns/edm">
  <EnumType Name="state"><Member Name="on" Value="0"/></EnumType>
  <EntityType Name="entity" Abstract="true"><Property Name="id" Type="Edm.String"/></EntityType>
  <EntityType Name="group" BaseType="graph.entity">
    <Property Name="states" Type="Collection(graph.state)"/>
    <Property Name="settings" Type="Collection(microsoft.graph.setting)"/>
    <NavigationProperty Name="owners" Type="Collection(graph.entity)"/>
    <NavigationProperty Name="profile" Type="microsoft.graph.net.profile"/>
  </EntityType>
  <ComplexType Name="setting"><Property Name="value" Type="Edm.Int32"/></ComplexType>
  <EntityType Name="unreached" BaseType="graph.entity"/>
  <EntityContainer Name="GraphService">
    <EntitySet Name="groups" EntityType="microsoft.graph.group"/>
    <EntitySet Name="workbooks" EntityType="microsoft.graph.unreached"/>
    <Singleton Name="organization" Type="graph.entity"/>
  </EntityContainer>
</Schema>
<Schema Namespace="microsoft.graph.net" Alias="self" xmlns="http://docs.oasis-open.org/odata/ns/edm">
  <EntityType Name="profile" BaseType="graph.entity"><Property Name="next" Type="self.profile"/></EntityType>
</Schema></edmx:DataServices></edmx:Edmx>"""


def test_microsofts_metadata_is_extracted(tmp_path: Path) -> None:
    file = tmp_path / "metadata.csdl"
    file.write_text(CSDL)
    assert subset(*csdl(file)) == {
        "roots": {"groups": "*group", "organization": "entity"},
        "types": {
            "entity": [None, {"id": ""}, {}],
            "group": [
                "entity",
                {"states": "*", "settings": "*setting"},
                {"owners": "*entity", "profile": "net.profile"},
            ],
            "setting": [None, {"value": ""}, {}],
            "net.profile": ["entity", {"next": "net.profile"}, {}],
        },
    }


def test_microsofts_permission_map_is_extracted() -> None:
    def path_set(schemes: list[str], methods: list[str], paths: dict[str, str]) -> dict[str, object]:
        return {"schemeKeys": schemes, "methods": methods, "paths": paths}

    published = {
        "permissions": {
            "Group.Read.All": {
                "pathSets": [
                    path_set(["Application", "DelegatedWork"], ["GET"], {"/groups/{id}": "least=DelegatedWork"}),
                    path_set(["Application"], ["GET", "POST"], {"/groups/{id}": "least=Application;AlsoRequires=x"}),
                    path_set(["Application"], ["POST"], {"/groups": ""}),
                    path_set(["Application"], ["GET"], {"/me/messages": "", "/groups/delta()": ""}),
                ]
            }
        }
    }
    assert permissions(published) == {"/groups/{}": {"a": {"Group.Read.All": 1}, "d": {"Group.Read.All": 1}}}


def test_new_beta_types_replace_their_old_sources() -> None:
    before = [{"what": what, "url": "old"} for what in ("v1.0 metadata", "beta entity types", "permissions")]
    new = {"what": "beta metadata", "url": "new"}
    assert extract.sources(before, [new], new_beta=True) == [before[0], before[2], new]
    renewed = {"what": "permissions", "url": "new"}
    assert extract.sources(before, [renewed]) == [*before[:2], renewed]
