"""Real documents, promoted into a copy of another tenant in memory: a comparison then finds no difference."""

import re
from collections import Counter
from typing import Any
from uuid import NAMESPACE_OID, uuid5

import pytest

from answers.compare.records import Status
from answers.promotion.records import PlanAction, PlanContent
from graph.catalog import write_rules
from inventory.references import collection_of, references
from storage.database import Database
from tests.answers.promotion.plan_application import (
    COLLECTIONS,
    SOURCE,
    TARGET,
    Documents,
    applied,
    audiences,
    comparisons,
    empty_parts,
    plan,
    read,
    simulated,
    type_keys_of,
)
from tests.conftest import needs_graph_data
from tests.real_documents import real_documents

APP_PROTECTION = {
    "#microsoft.graph.iosManagedAppProtection": "iosManagedAppProtections",
    "#microsoft.graph.androidManagedAppProtection": "androidManagedAppProtections",
}
MOST_OF_A_COLLECTION = 60


def own_id(name: object) -> str:
    return str(uuid5(NAMESPACE_OID, str(name)))


def golden() -> dict[str, list[dict[str, Any]]]:
    """Real documents by type key, each name once; groups that they name, and scope tag 0."""
    by_path = {COLLECTIONS[key].path.strip("/"): key for key in write_rules()}
    found: dict[str, dict[str, dict[str, Any]]] = {key: {} for key in write_rules()}
    for path, document in real_documents():
        key = APP_PROTECTION.get(str(document.get("@odata.type"))) if "managedApp" in path else by_path.get(path)
        if key is None:
            continue
        name = str(document[COLLECTIONS[key].name_field])
        # The same object was published several times, under other names.
        whole = {**empty_parts(key), **document, "id": own_id((key, name))}
        if len(found[key]) < MOST_OF_A_COLLECTION:
            found[key].setdefault(name, whole)
    documents = {key: list(by_name.values()) for key, by_name in found.items()}
    documents["groupPolicyConfigurations"] = [
        {**document, "definitionValues": as_graph_shows(document["definitionValues"])}
        for document in documents["groupPolicyConfigurations"]
    ]
    documents["roleScopeTags"] = [{"id": "0", "displayName": "Default", "isBuiltIn": True, "assignments": []}]
    return documents | referenced_objects(documents)


def as_graph_shows(sent: Any) -> list[dict[str, Any]]:
    """Administrative template values as Graph shows them; the published documents have the form that is sent."""

    def bound(value: dict[str, Any], name: str) -> dict[str, Any]:
        object_id = re.findall(r"\('([^']+)'\)", value[f"{name}@odata.bind"])[-1]
        return {"id": object_id, "displayName": f"{name} {object_id}"}

    def plain(value: dict[str, Any]) -> dict[str, Any]:
        return {name: inner for name, inner in value.items() if "#" not in name and "@odata.bind" not in name}

    return [
        {
            **plain(value),
            "id": own_id(("value", value["definition@odata.bind"])),
            "definition": bound(value, "definition"),
            "presentationValues": [
                {
                    **plain(member),
                    "id": own_id(member["presentation@odata.bind"]),
                    "presentation": bound(member, "presentation"),
                }
                for member in value.get("presentationValues") or []
            ],
        }
        for value in (sent if isinstance(sent, list) else [sent])
    ]


def referenced_objects(documents: dict[str, list[dict[str, Any]]]) -> dict[str, list[dict[str, Any]]]:
    """The groups, roles, apps and authentication strengths that documents name."""
    ids: dict[str, set[str]] = {key: set() for key in ("groups", "directoryRoleDefinitions", "servicePrincipals")}
    strengths: dict[str, dict[str, Any]] = {}
    for type_key, found in documents.items():
        for document in found:
            for reference in references(document, COLLECTIONS[type_key].references):
                for target_type in reference.target_types:
                    ids.setdefault(collection_of(target_type), set()).add(reference.target_id)
            strength = (document.get("grantControls") or {}).get("authenticationStrength")
            if strength:
                # Some publishers requested type annotations from Graph.
                strength.pop("@odata.type", None)
                strengths[strength["id"]] = strength
    return {
        "groups": [{"id": group_id, "displayName": f"Group {group_id}"} for group_id in sorted(ids["groups"])],
        "directoryRoleDefinitions": [
            {"id": role_id, "displayName": f"Role {role_id}", "isBuiltIn": True}
            for role_id in sorted(ids["directoryRoleDefinitions"])
        ],
        "servicePrincipals": [
            {"id": own_id(app_id), "appId": app_id, "displayName": f"App {app_id}"}
            for app_id in sorted(ids["servicePrincipals"])
        ],
        "authenticationStrengthPolicies": list(strengths.values()),
    }


def catalog_of(documents: dict[str, list[dict[str, Any]]]) -> dict[str, dict[str, Any]]:
    """The definitions of administrative templates and their presentations."""
    known: dict[str, dict[str, Any]] = {}
    for document in documents["groupPolicyConfigurations"]:
        for value in document["definitionValues"]:
            known[value["definition"]["id"]] = value["definition"]
            for presented in value["presentationValues"]:
                known[presented["presentation"]["id"]] = presented["presentation"]
    return known


def documents_with_ids(documents: Documents, ids: set[str]) -> Documents:
    return {key: [document for document in found if document["id"] in ids] for key, found in documents.items()}


def branch(source: dict[str, list[dict[str, Any]]]) -> dict[str, list[dict[str, Any]]]:
    """A tenant with the golden tenant's groups under other ids, the same built-in objects, and no policy."""
    same = ("roleScopeTags", "directoryRoleDefinitions", "servicePrincipals", "authenticationStrengthPolicies")
    groups = [{**group, "id": own_id(group["id"])} for group in source["groups"]]
    return {key: [] for key in source} | {"groups": groups} | {key: source[key] for key in same}


async def assert_same_tenants(database: Database, content: PlanContent) -> None:
    """Each unblocked item is the same in both tenants, except in fields that no request can send."""
    items = {(item.type_key, item.source_id): item for item in content.items}
    counts = Counter[PlanAction]()
    for compared in await comparisons(database, *type_keys_of(content)):
        for end in compared.here:
            item = items[compared.type_key, end.external_id]
            counts[item.action] += 1
            if item.action is not PlanAction.BLOCKED:
                paths = {field.path for field in compared.fields}
                assert compared.status is Status.SAME or (paths and paths <= set(item.not_sent)), (item, compared)
    assert counts.total() == len(items)


async def assert_proven(database: Database, content: PlanContent) -> None:
    """The simulation proves that each written item becomes as in the source."""
    found = await simulated(database, content)
    assert [item for item in found.items if not item.is_proven] == []
    assert found.record.proven == found.record.written == content.counts.create + content.counts.update


@needs_graph_data
async def test_promotion_makes_a_tenant_without_policies_the_same(database: Database) -> None:
    source = golden()
    target = branch(source)
    await read(database, SOURCE, source)
    await read(database, TARGET, target)
    content = await plan(database)
    assert (content.counts.create, content.counts.nothing_to_do, content.counts.blocked) == (202, 5, 26)
    await assert_proven(database, content)
    written = applied(content, target, catalog_of(source))
    created = {item.source_id for item in content.items if item.action is PlanAction.CREATE}
    assert audiences(documents_with_ids(source, created)) == audiences(
        {key: found for key, found in written.items() if key not in {"roleScopeTags", "authenticationStrengthPolicies"}}
    )
    await read(database, TARGET, written)
    await assert_same_tenants(database, content)
    again = await plan(database)
    assert {item.action for item in again.items if item.source_id in created} == {PlanAction.NOTHING_TO_DO}
    assert again.counts.blocked == content.counts.blocked


def edited(document: dict[str, Any], number: int) -> dict[str, Any]:
    """The document after edits of its description, scope tags, assignments, settings or conditions."""
    changed = dict(document)
    if number % 3 == 0:
        changed["description"] = f"edited {number}"
        changed.pop("roleScopeTagIds", None)
    if number % 3 == 1 and isinstance(changed.get("assignments"), list):
        changed["assignments"] = []
    if number % 4 == 2 and changed.get("settings"):
        changed["settings"] = changed["settings"][1:]
    if "conditions" in changed:
        users = {**changed["conditions"]["users"], "excludeGroups": [], "includeGuestsOrExternalUsers": None}
        changed["conditions"] = {**changed["conditions"], "users": users, "signInRiskLevels": ["high"]}
        changed["state"] = "disabled"
    return changed


@pytest.mark.slow
@needs_graph_data
async def test_promotion_makes_a_tenant_with_edited_items_the_same(database: Database) -> None:
    source = golden()
    target = branch(source)
    await read(database, SOURCE, source)
    await read(database, TARGET, target)
    written = applied(await plan(database), target, catalog_of(source))
    changed = {
        key: [edited(document, number) for number, document in enumerate(found)] if key in write_rules() else found
        for key, found in written.items()
    }
    await read(database, TARGET, changed)
    content = await plan(database)
    assert content.counts.update > 100
    assert content.counts.create == 0
    assert all(item.fields and item.requests for item in content.items if item.action is PlanAction.UPDATE)
    await assert_proven(database, content)
    restored = applied(content, changed, catalog_of(source))
    await read(database, TARGET, restored)
    await assert_same_tenants(database, content)
    again = await plan(database)
    assert (again.counts.create, again.counts.update) == (0, 0)
