"""Documents and differences as JSON; field names never change."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from answers.field_text import ShownField
from answers.titled_record import TitledRecord
from inventory.differences import DifferenceKind
from inventory.missing import Confidence, State
from inventory.plurals import counted
from inventory.records import VersionChange, VersionRecord
from inventory.stale import Staleness

NAMED_PATHS = 5


class ShownRecord(TitledRecord):
    """The facts about a document. The state is the item's, not the version's.

    `stale` tells of details that could not be read: of the current version now, of another when it was first observed.
    """

    tenant_id: UUID
    type_key: str
    external_id: str
    display_name: str | None
    kind: str
    version: int
    is_current: bool
    details_complete: bool
    first_observed_at: datetime
    last_observed_at: datetime | None
    state: State | None
    confidence: Confidence | None
    evidence: str | None
    content_hash: str
    size_bytes: int
    details_read_at: datetime | None = None
    stale: Staleness | None = None


def version_in_words(version: VersionRecord) -> str:
    words = {
        VersionChange.FIRST: "first",
        VersionChange.CHANGED: "changed",
        VersionChange.RETURNED: f"returned to version {version.returns_to_version}'s document",
        VersionChange.COMPLETED: "details added, no known change",
        VersionChange.REREAD: "read by other rules, no known change",
    }
    parts = [words[version.change]]
    if version.recreates_external_id is not None:
        parts.append(f"re-creation of {version.recreates_external_id}")
    if version.renamed_from is not None:
        parts.append(f'renamed from "{version.renamed_from}"')
    if version.is_current:
        parts.append("current")
    return ", ".join(parts)


def not_compared_in_words(paths: Sequence[str]) -> str:
    more = f" and {counted(len(paths) - NAMED_PATHS, 'other field')}" if len(paths) > NAMED_PATHS else ""
    return f"not compared, because the two were not read alike: {', '.join(paths[:NAMED_PATHS])}{more}"


class DifferenceRecord(ShownField):
    """A field that differs between two versions: `before` is null if it was added, `after` if it was removed.

    A `hidden` value is null, a partly hidden text its marks and other lines. Numbers have all digits. `label` is the
    path with names; `before_named` and `after_named` have names in place of ids, null if nothing changes. `text` is for
    people.
    """

    path: str
    kind: DifferenceKind
    before: Any
    after: Any
    hidden: bool
    label: str = ""
    before_named: Any = None
    after_named: Any = None
