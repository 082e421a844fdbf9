"""Completed runs, which tell the items that exist and those that are missing."""

from inventory.outcomes import RunKind


def completed(alias: str = "sync_run") -> str:
    """The SQL condition that a run began, and was not cancelled.

    Runs of `watch` read single objects: they do not count.
    """
    return (
        f"{alias}.status IN ('success', 'partial', 'failed') AND {alias}.started_at IS NOT NULL"
        f" AND {alias}.kind = '{RunKind.SYNC}'"
    )
