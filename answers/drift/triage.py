"""The order of drift for people: by item, weakening findings first."""

from collections.abc import Iterable, Sequence
from enum import StrEnum
from itertools import groupby

from answers.drift.records import DriftFindingRecord, DriftItemRecord
from inventory.name_key import list_place
from inventory.severity import ProtectionEffect, Severity

_RANKS = {severity: rank for rank, severity in enumerate(Severity, 1)}


class FailOn(StrEnum):
    """The open findings that fail a pipeline: of this severity or higher, or weakening."""

    WEAKENED = "weakened"
    HIGH = "high"
    MEDIUM = "medium"
    LOW = "low"


Rank = tuple[bool, int]
"""Whether the finding is closed; then 0 if it weakens, else a number by severity."""


def weakens(finding: DriftFindingRecord) -> bool:
    return finding.direction is ProtectionEffect.WEAKENS


def fails(finding: DriftFindingRecord, fail_on: FailOn) -> bool:
    if fail_on is FailOn.WEAKENED:
        return finding.is_open and weakens(finding)
    return finding.is_open and _RANKS[finding.severity] <= _RANKS[Severity(fail_on)]


def by_item(findings: Iterable[DriftFindingRecord]) -> list[list[DriftFindingRecord]]:
    """Most urgent items first, closed ones last."""
    ordered = sorted(findings, key=lambda finding: (*_item(finding), _rank(finding), finding.path, finding.period))
    items = [list(of_item) for _, of_item in groupby(ordered, key=_item)]
    return sorted(items, key=lambda of_item: (_rank(of_item[0]), _list_place(of_item[0])))


def placed(findings: Sequence[DriftFindingRecord]) -> list[tuple[tuple[str, ...], DriftFindingRecord]]:
    """Adds unique sort keys, in `by_item`'s order."""
    found: list[tuple[tuple[str, ...], DriftFindingRecord]] = []
    for of_item in by_item(findings):
        first = of_item[0]
        item = (*_rank_as_text(first), *_list_place(first))
        found += [((*item, *_rank_as_text(row), row.path, f"{row.period:06}", row.fingerprint), row) for row in of_item]
    return found


def items_of(findings: Iterable[DriftFindingRecord]) -> list[DriftItemRecord]:
    return [_record(of_item) for of_item in by_item(finding for finding in findings if finding.is_open)]


def _record(findings: Sequence[DriftFindingRecord]) -> DriftItemRecord:
    first = findings[0]
    return DriftItemRecord(
        type_key=first.type_key,
        item_kind=first.item_kind,
        external_id=first.external_id,
        display_name=first.display_name,
        severity=min((finding.severity for finding in findings), key=_RANKS.__getitem__),
        open=len(findings),
        weakening=sum(map(weakens, findings)),
        fingerprints=[finding.fingerprint for finding in findings],
    )


def _item(finding: DriftFindingRecord) -> tuple[str, str]:
    return finding.type_key, finding.external_id


def _rank(finding: DriftFindingRecord) -> Rank:
    return not finding.is_open, 0 if weakens(finding) else _RANKS[finding.severity]


def _rank_as_text(finding: DriftFindingRecord) -> tuple[str, str]:
    is_closed, soon = _rank(finding)
    return str(int(is_closed)), str(soon)


def _list_place(finding: DriftFindingRecord) -> tuple[str, str, str]:
    return list_place(finding.type_key, finding.display_name, finding.external_id)
