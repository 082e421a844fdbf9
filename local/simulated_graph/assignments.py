"""Assignments of policies and apps, drawn from the tenant's groups."""

from collections.abc import Sequence
from random import Random
from typing import Any

from local.simulated_graph.documents import Document
from local.simulated_graph.endpoints import Endpoint

_ALL_USERS = "acacacac-9df4-4c7d-9d50-4ef0226f57a9"
_ALL_DEVICES = "adadadad-808e-44e2-905a-0b7873a8a531"
_APPS = "deviceAppManagement/mobileApps"


def drawn_assignments(endpoint: Endpoint, document_id: str, group_ids: Sequence[str], seed: str) -> list[Document]:
    """Up to three assignments of a document, always the same for a seed."""
    random = Random(seed)  # noqa: S311 (repeatable, not secret)
    targets: list[Document] = []
    if random.random() < 0.2:
        targets.append(random.choice((_everyone("allLicensedUsers"), _everyone("allDevices"))))
    chosen = random.sample(group_ids, min(len(group_ids), random.randrange(3)))
    targets += [
        _group(group_id, excluded=number > 0 and random.random() < 0.5) for number, group_id in enumerate(chosen)
    ]
    return [_assignment(endpoint, document_id, target) for target in targets]


def group_assignments(endpoint: Endpoint, document_id: str, group_ids: Sequence[str]) -> list[Document]:
    return [_assignment(endpoint, document_id, _group(group_id)) for group_id in group_ids]


def with_assignments(endpoint: Endpoint, document: Document, assigned: list[Document]) -> Document:
    """A copy with these assignments and dependent properties."""
    followed: Document = {"isAssigned": bool(assigned)} if "isAssigned" in document else {}
    if endpoint.navigation("groupAssignments"):
        targets = [assignment["target"] for assignment in assigned if "groupId" in assignment["target"]]
        followed["groupAssignments"] = [
            {
                "id": f"{document['id']}_{target['groupId']}",
                "targetGroupId": target["groupId"],
                "excludeGroup": "exclusion" in target["@odata.type"],
            }
            for target in targets
        ]
    return {**document, **followed, "assignments": assigned}


def _everyone(audience: str) -> Document:
    return {"@odata.type": f"#microsoft.graph.{audience}AssignmentTarget", **_NO_FILTER}


def _group(group_id: str, *, excluded: bool = False) -> Document:
    kind = "exclusionGroup" if excluded else "group"
    return {"@odata.type": f"#microsoft.graph.{kind}AssignmentTarget", **_NO_FILTER, "groupId": group_id}


def _assignment(endpoint: Endpoint, document_id: str, target: Document) -> Document:
    everyone = _ALL_USERS if "allLicensedUsers" in target["@odata.type"] else _ALL_DEVICES
    target_id = target.get("groupId", everyone)
    if endpoint.path == _APPS:
        return {"id": f"{target_id}_1_0", "intent": "required", "source": "direct", "sourceId": document_id,
                "settings": None, "target": target}  # fmt: skip
    return {"id": f"{document_id}_{target_id}", "source": "direct", "sourceId": document_id, "target": target}


_NO_FILTER: dict[str, Any] = {
    "deviceAndAppManagementAssignmentFilterId": None,
    "deviceAndAppManagementAssignmentFilterType": "none",
}
