"""A copy of a tenant's objects in memory, as Graph would show them after a plan's writes.

The copy takes writes that Microsoft documents for some collections; it refuses others, and bodies that Graph would
refuse. To be an independent witness, it imports nothing of the product.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from copy import deepcopy
from typing import Any
from uuid import uuid4

Document = dict[str, Any]

_LABEL = re.compile(r"\{created:([^{}]+)\}")
_URL_ID = re.compile(r"\('([^']+)'\)$")
_TEMPLATE_URL = re.compile(r"/groupPolicyDefinitions\('([^']+)'\)(?:/presentations\('([^']+)'\))?$")
_NOW = "2026-11-29T09:00:00Z"

_STATES = frozenset({"enabled", "disabled", "enabledForReportingButNotEnforced"})
"""States of a Conditional Access policy."""

_OF_THE_SERVICE = frozenset({"id", "createdDateTime", "lastModifiedDateTime", "modifiedDateTime", "isAssigned"})
"""Properties that only the service sets; the body of a creation may not have them."""

_WITH_SOURCE = re.compile(
    r"^/(deviceManagement/(deviceConfigurations|deviceCompliancePolicies|configurationPolicies|compliancePolicies)"
    r"|deviceAppManagement/\w*(Protections|targetedManagedAppConfigurations))$"
)


class RefusedWriteError(Exception):
    """Graph would refuse the request."""


class Sandbox:
    """Objects by their collection's path, such as `/deviceManagement/deviceConfigurations`.

    `catalog`: definitions and presentations of administrative templates by id, the same in every tenant.
    """

    def __init__(
        self,
        objects: Mapping[str, Iterable[Document]],
        catalog: Mapping[str, Document],
    ) -> None:
        self._objects = {
            path: {str(document["id"]): deepcopy(document) for document in documents}
            for path, documents in objects.items()
        }
        self._catalog = catalog
        self._created: dict[str, str] = {}
        self._actions: dict[str, Callable[[str, Document, Document], None]] = {
            "assign": self._assign,
            "targetApps": self._target_apps,
            "changeSettings": lambda _, stored, body: stored.update(settings=body["settings"]),
            "scheduleActionsForRules": self._schedule_actions,
            "updateDefinitionValues": self._update_definition_values,
            "updateAllowedCombinations": lambda _, stored, body: stored.update(body),
        }

    def created_id(self, label: str) -> str | None:
        return self._created.get(label)

    def object(self, path: str, object_id: str) -> Document | None:
        found = self._objects.get(path, {}).get(object_id)
        return None if found is None else self._shown(deepcopy(found))

    def objects(self, path: str) -> list[Document]:
        """As Graph shows them, with expansions."""
        return [self._shown(deepcopy(found)) for found in self._objects.get(path, {}).values()]

    def write(self, method: str, path: str, body: Document, label: str | None = None) -> None:
        """`label` names the created object. Raises `RefusedWriteError`."""
        path, body = self._resolved(path), self._resolved(body)
        if _holds_mark(body):
            raise RefusedWriteError(f"{method} {path}: the body holds a hidden value")
        if "/conditionalAccess/policies" in path and body.get("state", "enabled") not in _STATES:
            raise RefusedWriteError(f"{method} {path}: {body['state']!r} is no state")
        if method == "POST" and path in self._objects:
            created = self._create(path, body)
            if label is not None:
                self._created[label] = created
            return
        collection, object_id, action = _split(path, self._objects)
        found = self._objects.get(collection, {}).get(object_id)
        if found is None:
            raise RefusedWriteError(f"{method} {path}: there is no such object")
        if method == "PATCH" and not action:
            _merge(found, _unbound(body))
        elif method == "PUT" and not action:
            kept = {name: found[name] for name in ("id", "createdDateTime", "assignments") if name in found}
            found.clear()
            found.update(_unbound(body) | kept)
        elif method == "POST" and action in self._actions:
            self._actions[action](collection, found, body)
        else:
            raise RefusedWriteError(f"{method} {path}: Graph has no such write")

    def _create(self, path: str, body: Document) -> str:
        forbidden = _OF_THE_SERVICE & body.keys()
        if forbidden:
            raise RefusedWriteError(f"POST {path}: {', '.join(sorted(forbidden))} cannot be set")
        created = {**_unbound(body), "id": str(uuid4()), "createdDateTime": _NOW}
        if "/conditionalAccess/" not in path and "/policies/" not in path:
            created |= {"lastModifiedDateTime": _NOW, "version": 1}
        self._objects[path][created["id"]] = created
        return str(created["id"])

    def _resolved(self, value: Any) -> Any:
        if isinstance(value, str):
            return _LABEL.sub(self._created_id, value)
        if isinstance(value, dict):
            return {name: self._resolved(child) for name, child in value.items()}
        return [self._resolved(member) for member in value] if isinstance(value, list) else value

    def _created_id(self, match: re.Match[str]) -> str:
        if match[1] not in self._created:
            raise RefusedWriteError(f"{match[1]} is used before it is created")
        return self._created[match[1]]

    def _assign(self, collection: str, document: Document, body: Document) -> None:
        requested = [member for members in body.values() for member in members]
        origin = {"source": "direct", "sourceId": document["id"]} if _WITH_SOURCE.match(collection) else {}
        document["assignments"] = [
            {"id": f"{document['id']}_{assignment['target'].get('groupId', 'everyone')}", **origin, **assignment}
            for assignment in requested
        ]

    def _target_apps(self, _: str, document: Document, body: Document) -> None:
        document["apps"] = [{"id": _app_id(app["mobileAppIdentifier"]), "version": "1", **app} for app in body["apps"]]
        if "appGroupType" in body:
            document["appGroupType"] = body["appGroupType"]

    def _schedule_actions(self, _: str, document: Document, body: Document) -> None:
        document["scheduledActionsForRule"] = body["deviceComplianceScheduledActionForRules"]

    def _update_definition_values(self, _: str, document: Document, body: Document) -> None:
        kept = [value for value in document.get("definitionValues") or [] if value["id"] not in body["deletedIds"]]
        document["definitionValues"] = [*kept, *(self._definition_value(value) for value in body["added"])]

    def _definition_value(self, value: Document) -> Document:
        presentations = [
            {
                **{name: inner for name, inner in member.items() if name != "presentation@odata.bind"},
                "id": str(uuid4()),
                "presentation": self._of_catalog(member["presentation@odata.bind"]),
            }
            for member in value.get("presentationValues", [])
        ]
        kept = {name: inner for name, inner in value.items() if name != "definition@odata.bind"}
        definition = self._of_catalog(value["definition@odata.bind"])
        return {**kept, "id": str(uuid4()), "definition": definition, "presentationValues": presentations}

    def _of_catalog(self, url: str) -> Document:
        place = _TEMPLATE_URL.search(url)
        known = self._catalog.get((place[2] or place[1]) if place is not None else "")
        if known is None:
            raise RefusedWriteError(f"{url}: there is no such definition")
        return deepcopy(known)

    def _shown(self, document: Document) -> Document:
        controls = document.get("grantControls")
        strength = controls.get("authenticationStrength") if isinstance(controls, dict) else None
        known = self._objects.get("/policies/authenticationStrengthPolicies", {})
        if isinstance(strength, dict) and strength.get("id") in known:
            document["grantControls"] = {**document["grantControls"], "authenticationStrength": known[strength["id"]]}
        return document


def _split(path: str, collections: Iterable[str]) -> tuple[str, str, str]:
    found = [collection for collection in collections if path.startswith(f"{collection}/")]
    if not found:
        raise RefusedWriteError(f"{path}: the sandbox has no such collection")
    collection = max(found, key=len)
    object_id, _, action = path[len(collection) + 1 :].partition("/")
    return collection, object_id, action


def _merge(document: Document, body: Document) -> None:
    """Merges as a PATCH does: properties that the body omits stay, also in nested objects."""
    for name, value in body.items():
        if isinstance(value, dict) and isinstance(document.get(name), dict):
            _merge(document[name], value)
        else:
            document[name] = value


def _unbound(body: Document) -> Document:
    unbound: Document = {}
    for name, value in body.items():
        if name.endswith("@odata.bind"):
            urls = value if isinstance(value, list) else [value]
            bound = [{"id": found[1]} for url in urls if (found := _URL_ID.search(url))]
            unbound[name.removesuffix("@odata.bind")] = bound if isinstance(value, list) else bound[0]
        else:
            unbound[name] = value
    return unbound


def _app_id(identifier: Document) -> str:
    platform = "android" if "android" in identifier["@odata.type"] else "ios"
    return f"{identifier.get('packageId') or identifier.get('bundleId')}.{platform}".lower()


def _holds_mark(value: Any) -> bool:
    if isinstance(value, dict):
        return "sensitive" in value or any(map(_holds_mark, value.values()))
    return isinstance(value, list) and any(map(_holds_mark, value))
