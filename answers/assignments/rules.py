from collections.abc import Iterator, Mapping
from typing import NamedTuple

from answers.named_ids import ObjectNames
from answers.value_text import Place, value_lines
from inventory.canonical import TYPE, JsonObject, JsonValue
from inventory.item_ids import item_key
from inventory.reference_extraction import ASSIGNMENTS, ReadingRules, read
from inventory.references import ALL_DEVICES, ReferenceRole, is_exclusion, references

GROUPS, FILTERS, POLICY_SETS = "groups", "assignmentFilters", "policySets"

EVERYONE = "everyone"
NOBODY = "assigned to nobody"

_FILTER_ID = "deviceAndAppManagementAssignmentFilterId"
_FILTER_MODE = "deviceAndAppManagementAssignmentFilterType"


class AssignmentParts(NamedTuple):
    role: ReferenceRole
    target: str
    group_id: str | None
    intent: str | None
    filter_id: str | None
    filter_mode: str | None
    policy_set_id: str | None
    source: JsonObject

    def wanted_names(self) -> Iterator[tuple[str, str]]:
        for key, external_id in ((GROUPS, self.group_id), (FILTERS, self.filter_id), (POLICY_SETS, self.policy_set_id)):
            if external_id is not None:
                yield key, external_id

    def text(self, names: ObjectNames) -> str:
        target = _object(self.source.get("target"))
        named_target = {
            **target,
            **_named(target, "groupId", GROUPS, names),
            **_named(target, _FILTER_ID, FILTERS, names),
        }
        named = {**self.source, "target": named_target, **_named(self.source, "sourceId", POLICY_SETS, names)}
        return " ".join(value_lines(named, Place(ASSIGNMENTS)))


def assignments_of(document: JsonObject) -> list[AssignmentParts] | None:
    """None if the document lacks their property."""
    listed = document.get(ASSIGNMENTS)
    if not isinstance(listed, list):
        return None
    return [
        _parts(assignment)
        for assignment in listed
        if isinstance(assignment, dict) and isinstance(assignment.get("target"), dict)
    ]


def is_for_everyone(document: JsonObject, rules: ReadingRules) -> bool:
    """Whether Microsoft gives the object to everyone regardless of its assignments."""
    return any(
        reference.path == ASSIGNMENTS and reference.target_id == ALL_DEVICES for reference in read(document, rules)
    )


def _parts(assignment: JsonObject) -> AssignmentParts:
    target = _object(assignment["target"])
    rules = {"assignments.target.groupId": (GROUPS,)}
    reference = next(iter(references({ASSIGNMENTS: [assignment]}, rules)), None)
    group_id = reference.target_id if reference is not None and reference.target_types else None
    kind = str(target.get(TYPE)).rpartition(".")[2].removesuffix("AssignmentTarget")
    audience = kind if reference is None else reference.target_id
    mode = target.get(_FILTER_MODE)
    filter_id = target.get(_FILTER_ID)
    is_filtered = isinstance(filter_id, str) and filter_id and mode not in (None, "none")
    intent = assignment.get("intent")
    return AssignmentParts(
        role=ReferenceRole.EXCLUDE if is_exclusion(target) else ReferenceRole.INCLUDE,
        target="group" if group_id is not None else audience,
        group_id=group_id,
        intent=intent if isinstance(intent, str) and intent else None,
        filter_id=item_key(str(filter_id)) if is_filtered else None,
        filter_mode=str(mode) if is_filtered else None,
        policy_set_id=(reference.policy_set_id or None) if reference is not None else None,
        source=assignment,
    )


def _object(value: JsonValue) -> JsonObject:
    return value if isinstance(value, dict) else {}


def _named(holder: Mapping[str, JsonValue], field: str, type_key: str, names: ObjectNames) -> JsonObject:
    value = holder.get(field)
    name = names.get((type_key, item_key(value))) if isinstance(value, str) else None
    return {} if name is None else {field: name}
