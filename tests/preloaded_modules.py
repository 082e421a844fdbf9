"""Imported last into the process that commands and workers are forked from: loads the modules that each would load."""

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
