"""Completed runs, from which missing items are derived."""

from inventory.outcomes import RunKind


def completed(alias: str = "sync_run") -> str:
    """The SQL condition of a run that began, and ended uncancelled. Watch's runs, of single objects, do not count."""
    return (
        f"{alias}.status IN ('success', 'partial', 'failed') AND {alias}.started_at IS NOT NULL"
        f" AND {alias}.kind = '{RunKind.SYNC}'"
    )
