"""Logs: collections that are no configuration. Answers omit them unless a caller names them."""

from graph.catalog import load_catalog


def log_types() -> list[str]:
    return sorted(load_catalog().logs)
