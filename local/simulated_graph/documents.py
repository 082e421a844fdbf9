"""Published documents, prepared with the properties that Graph serves."""

import gzip
from copy import deepcopy
from functools import lru_cache
from pathlib import Path
from random import Random
from typing import Any
from uuid import UUID, uuid5

import orjson

from local.simulated_graph.endpoints import ENDPOINTS, Endpoint
from local.simulated_graph.moments import moment

Document = dict[str, Any]

NAMESPACE = UUID("5f0c2a3e-7a51-4b0e-9d59-0b6f2f6a7c11")
"""The namespace of all made-up ids."""

# Types that a property declares, so minimal metadata does not name them.
_DECLARED_TYPES = frozenset(
    f"#microsoft.graph.{name}"
    for name in (
        "deviceManagementConfigurationSetting",
        "deviceManagementConfigurationChoiceSettingValue",
        "deviceManagementConfigurationGroupSettingValue",
        "deviceManagementConfigurationPolicyTemplateReference",
        "deviceManagementConfigurationSettingInstanceTemplateReference",
        "deviceManagementConfigurationSettingValueTemplateReference",
        "deviceComplianceScheduledActionForRule",
        "deviceComplianceActionItem",
        "sharedPCAccountManagerPolicy",
        "conditionalAccessConditionSet",
        "conditionalAccessApplications",
        "conditionalAccessUsers",
        "conditionalAccessGrantControls",
        "conditionalAccessSessionControls",
        "conditionalAccessLocations",
        "conditionalAccessPlatforms",
        "conditionalAccessGuestsOrExternalUsers",
        "conditionalAccessDevices",
        "conditionalAccessFilter",
        "conditionalAccessAgents",
        "conditionalAccessAgentContext",
        "conditionalAccessClientApplications",
        "conditionalAccessAuthenticationFlows",
        "signInFrequencySessionControl",
        "persistentBrowserSessionControl",
        "applicationEnforcedRestrictionsSessionControl",
        "continuousAccessEvaluationSessionControl",
        "authenticationStrengthPolicy",
    )
)


@lru_cache(maxsize=4)
def read_folder(folder: Path) -> dict[str, list[Document]]:
    """The documents of each `<path with _>.jsonl.gz`, by endpoint path. Callers must not change them.

    Raises `FileNotFoundError`, and `ValueError` for a file without an endpoint: omitted documents would look like a
    clean run.
    """
    if not folder.is_dir():
        raise FileNotFoundError(f"{folder} is no folder of documents")
    by_file_name = {path.replace("/", "_"): endpoint for path, endpoint in ENDPOINTS.items()}
    documents: dict[str, list[Document]] = {}
    for file in sorted(folder.glob("*.jsonl.gz")):
        name = file.name.removesuffix(".jsonl.gz")
        if name not in by_file_name:
            raise ValueError(f"{file.name}: the simulated Graph has no such endpoint")
        endpoint = by_file_name[name]
        documents[endpoint.path] = _read_file(file, endpoint)
    return documents


def _read_file(file: Path, endpoint: Endpoint) -> list[Document]:
    taken: set[str] = set()
    documents = []
    with gzip.open(file, "rb") as lines:
        for number, line in enumerate(lines):
            record = orjson.loads(line)
            document = record["document"]
            if record["style"] == "odata-full":
                document = without_full_metadata(document)
            document.pop("@odata.context", None)
            document.pop("assignments@odata.context", None)
            if document.get("@odata.type") == endpoint.odata_type:
                del document["@odata.type"]
            if document.get("id") in taken:
                document = with_new_id(document, made_id(f"{endpoint.path}#{number}"))
            documents.append(complete(document, endpoint, made_id(f"{endpoint.path}#{number}")))
            taken.add(documents[-1]["id"])
    return documents


def made_id(name: str) -> str:
    """The same id for `name` in every process."""
    return str(uuid5(NAMESPACE, name))


def without_full_metadata(value: Any) -> Any:
    """Leaves minimal metadata: no links, actions or declared types, but bindings."""
    if isinstance(value, list):
        return [without_full_metadata(member) for member in value]
    if not isinstance(value, dict):
        return value
    return {key: without_full_metadata(member) for key, member in value.items() if not _only_in_full(key, member)}


def _only_in_full(key: str, value: Any) -> bool:
    if key == "@odata.type":
        return value in _DECLARED_TYPES
    return key.startswith("#microsoft.graph.") or ("@odata." in key and not key.endswith("@odata.bind"))


def with_new_id(document: Document, new_id: str) -> Document:
    old_id = document.get("id")
    copy = {**document, "id": new_id}
    if old_id and copy.get("assignments"):
        copy["assignments"] = orjson.loads(orjson.dumps(copy["assignments"]).replace(old_id.encode(), new_id.encode()))
    return copy


def complete(document: Document, endpoint: Endpoint, made: str, seed: str | None = None) -> Document:
    """Adds missing properties of the server: the key `made`, times drawn from `seed`, the first version."""
    random = Random(seed or made)  # noqa: S311 (repeatable, not secret)
    first = moment(random)
    last = max(first, moment(random))
    defaults: Document = {}
    if not isinstance(document.get(endpoint.key), str):
        defaults[endpoint.key] = made
    if endpoint.created and endpoint.created not in document:
        defaults[endpoint.created] = first
    if endpoint.modified and endpoint.modified not in document:
        defaults[endpoint.modified] = last
    if endpoint.first_version is not None and "version" not in document:
        defaults["version"] = endpoint.first_version
    completed = {**document, **defaults}
    if "definitionValues" in completed:
        completed["definitionValues"] = _definition_values(completed)
    return completed


def _definition_values(policy: Document) -> list[Document]:
    published = policy["definitionValues"]
    values = []
    for number, value in enumerate(deepcopy(published if isinstance(published, list) else [published])):
        entry: Document = {
            "createdDateTime": policy["createdDateTime"],
            "enabled": value["enabled"],
            "configurationType": value.get("configurationType", "policy"),
            "id": value.get("id") or made_id(f"{policy['id']}/definitionValues/{number}"),
            "lastModifiedDateTime": policy["lastModifiedDateTime"],
            "definition": value.get("definition")
            or {
                "id": _bound_id(value["definition@odata.bind"]),
                "classType": value.get("#Definition_classType", "machine"),
                "displayName": value.get("#Definition_displayName", ""),
                "categoryPath": value.get("#Definition_categoryPath", ""),
                "policyType": "admxBacked",
            },
        }
        presented = value.get("presentationValues") or []
        entry["presentationValues"] = [
            _presentation_value(presentation, made_id(f"{entry['id']}/presentationValues/{position}"), entry)
            for position, presentation in enumerate(presented if isinstance(presented, list) else [presented])
        ]
        values.append(entry)
    return values


def _presentation_value(published: Document, made: str, definition_value: Document) -> Document:
    times = {key: definition_value[key] for key in ("createdDateTime", "lastModifiedDateTime")}
    properties = {
        key: value for key, value in published.items() if not key.startswith("#") and not key.endswith("@odata.bind")
    }
    if "presentation" not in properties:
        properties["presentation"] = {
            "id": _bound_id(published["presentation@odata.bind"]),
            "label": published.get("#Presentation_Label", ""),
        }
    return {"id": made, **times, **properties}


def _bound_id(bind: str) -> str:
    """The last id in `…/groupPolicyDefinitions('<id>')`."""
    return bind.rsplit("('", 1)[1].removesuffix("')")
