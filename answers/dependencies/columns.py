"""Columns of answers about references."""

from collections.abc import Sequence

from rich.text import Text

from answers.dependencies.evidence_words import evidence_in_words
from answers.dependencies.records import (
    AssignmentRecord,
    DanglingRecord,
    DependencyRecord,
    Direction,
    FilterRecord,
    ObjectRecord,
    Presence,
    ReachRecord,
    UnassignedRecord,
)
from cli import output
from cli.table import COLLECTION_COLUMN, Column, Shape, collection_title
from inventory.plurals import counted
from inventory.references import ReferenceRole
from inventory.visible_text import visible


def titles(type_keys: Sequence[str]) -> str:
    return " or ".join(map(collection_title, type_keys)) or "Everyone"


def neighbour_columns(direction: Direction) -> tuple[Column, ...]:
    far, near = ("target", "item") if direction is Direction.NEEDS else ("item", "target")

    def end(record: DependencyRecord, which: str) -> ObjectRecord:
        return record.target if which == "target" else record.item

    def collections(record: DependencyRecord) -> str:
        return titles(end(record, far).type_keys)

    return (
        Column("collection", f"{far}.type_keys", collections, Shape.HEADING, yields=True),
        Column("name", f"{far}.title", lambda record: name_of(end(record, far))),
        Column("id", f"{far}.external_id", shape=Shape.ID, is_kept=True),
        Column("role", "role", role_of),
        Column("state", f"{far}.presence", lambda record: state_of(end(record, far))),
        Column("confidence", f"{far}.confidence", lambda record: output.styled(end(record, far).confidence)),
        Column("through", near, lambda record: name_of(end(record, near)) if record.distance > 1 else None),
        Column("path", "path", yields=True),
    )


def _reaches(record: ReachRecord) -> Text:
    return Text("yes", style="green") if record.reaches else Text("no, excluded", style="yellow")


def _filter(used: FilterRecord) -> str:
    return f'{used.role} "{used.display_name}"' if used.display_name else f"{used.role} {used.external_id}"


def role_of(record: DependencyRecord | DanglingRecord) -> str:
    return str(record.role) if record.intent is None else f"{record.role} ({visible(record.intent)})"


def _assignment(assignment: AssignmentRecord) -> str:
    """For example `required: group`, `available: excludes the group`."""
    intent = "" if assignment.intent is None else f"{visible(assignment.intent)}: "
    way = assignment.through if assignment.role is ReferenceRole.INCLUDE else f"excludes the {assignment.through}"
    if assignment.policy_set_id is None:
        return intent + way
    name = (
        assignment.policy_set_id if assignment.policy_set_name is None else f'"{visible(assignment.policy_set_name)}"'
    )
    return f"{intent}{way} through policy set {name}"


def _why(record: UnassignedRecord) -> str:
    if record.exclusions:
        return f"only excludes {counted(record.exclusions, 'group')}"
    return evidence_in_words(record.evidence)


def name_of(end: ObjectRecord) -> str:
    return visible(end.title)


def _target_id(record: DependencyRecord | DanglingRecord) -> str | None:
    return None if record.target.title == record.target.external_id else record.target.external_id


_STYLES = {Presence.ABSENT: "red", Presence.NEVER_SEEN: "red", Presence.NOT_READ: "yellow", Presence.PRESENT: "green"}


def state_of(end: ObjectRecord) -> Text:
    return Text(str(end.presence).replace("_", " "), style=_STYLES.get(end.presence, ""))


REFERENCE_COLUMNS = (
    Column("collection", "item.type_keys", lambda record: titles(record.item.type_keys), Shape.HEADING, yields=True),
    Column("name", "item.title", lambda record: name_of(record.item)),
    Column("id", "item.external_id", shape=Shape.ID, is_kept=True),
    Column("role", "role", role_of),
    Column("target", "target.title", lambda record: name_of(record.target), is_kept=True),
    Column("in", "target.type_keys", lambda record: " or ".join(record.target.type_keys)),
    Column("state", "target.presence", lambda record: state_of(record.target)),
    Column("confidence", "target.confidence", lambda record: output.styled(record.target.confidence)),
    Column("target id", "target.external_id", _target_id, Shape.ID, yields=True),
    Column("path", "path", yields=True),
)

DANGLING_COLUMNS = (
    *REFERENCE_COLUMNS[:2],
    REFERENCE_COLUMNS[4]._replace(heading="refers to"),
    REFERENCE_COLUMNS[5],
    *REFERENCE_COLUMNS[6:8],
    Column("evidence", "target.evidence", lambda record: evidence_in_words(record.target.evidence)),
    *REFERENCE_COLUMNS[3:1:-1],
    *REFERENCE_COLUMNS[8:],
)

REACH_COLUMNS = (
    Column("collection", "item.type_keys", lambda record: titles(record.item.type_keys), Shape.HEADING, yields=True),
    Column("name", "item.title", lambda record: name_of(record.item)),
    Column("reaches", "reaches", _reaches, is_kept=True),
    Column("through", "through", lambda record: "; ".join(map(_assignment, record.assignments)), is_kept=True),
    Column("filters", "filters", lambda record: ", ".join(map(_filter, record.filters))),
    Column("id", "item.external_id", shape=Shape.ID),
    Column("state", "item.presence", lambda record: state_of(record.item)),
)

UNASSIGNED_COLUMNS = (
    COLLECTION_COLUMN,
    Column("name", "title", lambda record: record.title),
    Column("id", "external_id", shape=Shape.ID, is_kept=True),
    Column("confidence", "confidence", lambda record: output.styled(record.confidence)),
    Column("why", "evidence", _why),
    Column("as of", "observed_at", lambda record: output.ago(record.observed_at)),
    Column("version", "version", shape=Shape.NUMBER),
)
