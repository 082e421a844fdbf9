"""Stale items in lines for people."""

from collections.abc import Sequence

from answers.stale_items import StaleItem
from cli import output
from inventory.plurals import counted
from inventory.stale import Staleness
from inventory.visible_text import visible

NAMED = 10
"""The most stale items to name. JSON names all."""


def stale_words(stale: Staleness) -> str:
    """`stale since 2026-03-01 10:00:00Z: settings could not be read (graph_unavailable, HTTP 500)`."""
    return visible(f"stale since {output.when(stale.since)}: {stale.why}")


def say_stale(items: Sequence[StaleItem], *, tenant: str | None = None) -> None:
    """Names items on stderr. `tenant`: given if several are asked."""
    where = "" if tenant is None else f" of {visible(tenant)}"
    for item in items[:NAMED]:
        output.stderr.print(
            f"{visible(item.title)} ({item.type_key}){where}: {stale_words(item.stale)}", style="yellow"
        )
    if len(items) > NAMED:
        more = counted(len(items) - NAMED, "more stale item")
        output.stderr.print(f"and {more}{where}; --json names all", style="yellow")
