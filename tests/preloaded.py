"""Imported last into the process of which commands and workers are forks: what each of them would load is loaded."""

from importlib import import_module

from sqlalchemy.orm import configure_mappers

from graph.catalog import load_catalog

for name in (
    "anyio._backends._asyncio",
    "cli.started_run",
    "encodings.utf_16_be",
    "encodings.utf_8_sig",
    "msal_extensions",
    "rich._emoji_codes",
    "typer._adapters",
):
    import_module(name)
configure_mappers()
load_catalog()
