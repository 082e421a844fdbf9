"""Logs: collections that are no configuration. Answers omit them unless a caller names them."""

from graph.catalog import load_catalog

LOGS = ("audit",)
"""Their categories: what comes to them is no change of the tenant."""


def log_types() -> list[str]:
    """The type keys of logs."""
    return sorted(load_catalog().in_categories(LOGS))
