"""Arrays without an order, checked against Microsoft's metadata."""

import pytest

from graph.catalog import Collection, load_catalog
from graph.catalog.facts import metadata
from inventory.exact_json import JsonObject
from inventory.observation import Observer
from tests.graph.catalog_judge import shape_of
from tests.graph.test_array_order import DERIVED_LISTS, arrays_of

COLLECTIONS = load_catalog().collections


def arrays_of_objects(entry: Collection) -> dict[str, bool]:
    """The names of the arrays of objects in an entry's documents, and whether these objects have an id."""
    shape, facts = shape_of(entry), metadata(entry.api_version)
    found: dict[str, bool] = {}
    for reached in shape.everywhere() if shape else ():
        for kind in reached.types:
            for name, place in facts.properties(kind).items():
                if place.is_collection and place.type_name:
                    found[name] = found.get(name, False) or "id" in facts.properties(place.type_name)
    return found


def test_unordered_names_are_arrays_of_objects_without_an_id() -> None:
    published: dict[str, bool] = {}
    for entry in COLLECTIONS.values():
        for name, has_id in arrays_of_objects(entry).items():
            published[name] = published.get(name, False) or has_id
    unordered = {name for entry in COLLECTIONS.values() for name in entry.unordered}
    assert {name for name in unordered if published.get(name) is not False} == set()


SEQUENCES = {
    "allowedOptions": "options as people are offered them",
    "assignments": "the groups of an update policy of Windows Autopatch, a list that its author keeps",
    "choiceSettingCollectionValueTemplate": "values of the settings catalog have an order",
    "connectorStatus": "states of the service",
    "delegatedAdministrationRoleAssignments": "a group may have several",
    "dependentOn": "a setting may depend on one setting in several ways",
    "domainJoinConfigurations": "tried one after another",
    "excluded": "members may have no id at all",
    "groupSettingCollectionValueTemplate": "values of the settings catalog have an order",
    "healthChecks": "steps of a check",
    "identities": "of people, whom no collection reads",
    "included": "members may have no id at all",
    "kioskProfiles": "an account may be in two, and the first one counts",
    "licenseAssignmentStates": "of people, whom no collection reads",
    "options": "options as people are offered them",
    "payloads": "a filter may be used twice in one",
    "resources": "of an audit event",
    "revokeLicenseActionResults": "states of the service",
    "simpleSettingCollectionValueTemplate": "values of the settings catalog have an order",
    "stageSettings": "the stages of a review follow each other",
    "trafficRules": "the app is one condition of several",
    "userRoleScopeTags": "of an audit event",
}
"""Arrays of objects that name another object by id, and are still not sets."""


def test_arrays_of_objects_that_name_other_objects_are_judged() -> None:
    met = set()
    for key, entry in COLLECTIONS.items():
        facts = metadata(entry.api_version)
        for name, place in arrays_of(key) if key not in DERIVED_LISTS else ():
            if place.type_name not in facts.types or name in entry.unordered | entry.ordered:
                continue
            properties = facts.properties(place.type_name)
            names_another = any(own.endswith(("Id", "ID")) and not properties[own].is_collection for own in properties)
            if names_another and not properties.keys() & {"id", "settingDefinitionId", "definitionId", "target"}:
                met.add(name)
    assert met == SEQUENCES.keys()


@pytest.mark.parametrize(
    ("type_key", "document"),
    [
        ("applications", {"requiredResourceAccess": [{"resourceAppId": "a"}, {"resourceAppId": "b"}]}),
        ("applications", {"passwordCredentials": [{"keyId": "a"}, {"keyId": "b"}]}),
        ("servicePrincipals", {"keyCredentials": [{"keyId": "a"}, {"keyId": "b"}]}),
        ("groups", {"assignedLicenses": [{"skuId": "a"}, {"skuId": "b"}]}),
        ("organization", {"assignedPlans": [{"servicePlanId": "a"}, {"servicePlanId": "b"}]}),
        ("organization", {"provisionedPlans": [{"service": "a"}, {"service": "b"}]}),
        ("subscribedSkus", {"servicePlans": [{"servicePlanId": "a"}, {"servicePlanId": "b"}]}),
        (
            "delegatedAdminRelationships",
            {"accessDetails": {"unifiedRoles": [{"roleDefinitionId": "a"}, {"roleDefinitionId": "b"}]}},
        ),
        ("deviceConfigurations", {"compliantAppsList": [{"appId": "a"}, {"appId": "b"}]}),
        ("deviceCompliancePolicies", {"restrictedApps": [{"appId": "a"}, {"appId": "b"}]}),
        ("mobileApps", {"includedApps": [{"bundleId": "a"}, {"bundleId": "b"}]}),
        ("roleManagementPolicies", {"rules": [{"setting": {"primaryApprovers": [{"userId": "a"}, {"userId": "b"}]}}]}),
        ("accessReviewDefinitions", {"reviewers": [{"query": "/users/a"}, {"query": "/users/b"}]}),
    ],
)
def test_reordered_sets_keep_their_content_hash(type_key: str, document: JsonObject) -> None:
    observer = Observer(COLLECTIONS[type_key].observation_rules())

    def turned(value: object) -> object:
        if isinstance(value, list):
            return [turned(member) for member in reversed(value)]
        return {name: turned(member) for name, member in value.items()} if isinstance(value, dict) else value

    first, second = (observer.observe({"id": "x", **body}) for body in (document, turned(document)))  # type: ignore[dict-item]
    assert first.content_hash == second.content_hash
