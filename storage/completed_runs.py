"""Completed runs: their records tell which items exist and which are missing."""


def completed(alias: str = "sync_run") -> str:
    """The condition that a row of `sync_run`, by this alias, is a completed run: it began, and was not cancelled."""
    return f"{alias}.status IN ('success', 'partial', 'failed') AND {alias}.started_at IS NOT NULL"
