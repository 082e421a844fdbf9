"""Remedies for collections that were not read."""

from collections import defaultdict
from collections.abc import Iterable
from datetime import datetime
from typing import NamedTuple

from answers.coverage.records import CollectionCoverageRecord
from inventory.error_codes import ErrorCode
from inventory.outcomes import Outcome


class Task(NamedTuple):
    """A remedy with its collections, and the `permissions` to grant, if any."""

    code: ErrorCode | None
    remedy: str | None
    permissions: tuple[str, ...]
    collections: list[CollectionCoverageRecord]

    @property
    def failing_since(self) -> datetime | None:
        """When the earliest failure began."""
        return min((record.failing_since for record in self.collections if record.failing_since), default=None)


def tasks(collections: Iterable[CollectionCoverageRecord]) -> list[Task]:
    """Remedies for collections not read to their end; the remedy for most collections first."""
    by_task: dict[tuple[ErrorCode | None, str | None, tuple[str, ...]], list[CollectionCoverageRecord]]
    by_task = defaultdict(list)
    for record in collections:
        if record.outcome in (Outcome.FAILED, Outcome.INCOMPLETE):
            by_task[record.error_code, record.remedy, tuple(record.permissions)].append(record)
    ordered = sorted(by_task.items(), key=lambda entry: (-len(entry[1]), str(entry[0][0]), entry[0][2]))
    return [Task(*what, members) for what, members in ordered]
