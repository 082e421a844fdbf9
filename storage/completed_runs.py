"""Completed runs: their records tell which items exist and which are missing."""

from inventory.outcomes import RunKind


def completed(alias: str = "sync_run") -> str:
    """The condition that a row of `sync_run`, by this alias, is a completed run: it began, and was not cancelled.

    A run of `watch` reads single objects. It tells nothing about a collection, so it is none.
    """
    return (
        f"{alias}.status IN ('success', 'partial', 'failed') AND {alias}.started_at IS NOT NULL"
        f" AND {alias}.kind = '{RunKind.SYNC}'"
    )
