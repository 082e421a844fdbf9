"""Options that choose items."""

from collections.abc import Sequence
from typing import Annotated

import typer

from answers.item_filter import ItemFilter, Platform, SettingCondition
from answers.item_states import StateChoice
from cli.errors import UsageError
from cli.options import known_type_keys
from graph.catalog import load_catalog

PlatformOption = Annotated[
    Platform | None, typer.Option("--platform", help="Items for this platform alone.", show_default=False)
]
KindOption = Annotated[
    str | None,
    typer.Option(
        "--kind", metavar="TEXT", help="Items whose kind holds this: 'update ring', BitLocker.", show_default=False
    ),
]
StateOption = Annotated[
    StateChoice | None, typer.Option("--state", help="Items in this state alone.", show_default=False)
]
SettingOption = Annotated[
    str | None,
    typer.Option(
        "--setting",
        metavar="NAME[=VALUE]",
        help="Items that set this: a definition's id or display name, an OMA-URI, or the path of a property, such as"
        " bitLockerEnabled=false.",
        show_default=False,
    ),
]
NameOption = Annotated[
    str | None,
    typer.Option("--name", metavar="TEXT", help="Items whose names hold each of these words.", show_default=False),
]


def item_filter(platform: Platform | None, kind: str | None, state: StateChoice | None) -> ItemFilter:
    """Raises `UsageError`."""
    if kind is not None and not kind.strip():
        raise UsageError("--kind takes a part of a kind's name; the kinds are those of the column `kind` of items")
    return ItemFilter(platform, kind, state)


def setting_condition(setting: str | None) -> SettingCondition | None:
    """Raises `UsageError`."""
    if setting is None:
        return None
    condition = SettingCondition.of(setting)
    if not condition.name or condition.value == "":
        raise UsageError(f"a setting is NAME or NAME=VALUE, such as bitLockerEnabled=false, not {setting!r}")
    return condition


def chosen_type_keys(type_keys: Sequence[str] | None, categories: Sequence[str] | None) -> tuple[str, ...] | None:
    """The collections of `--type` and `--category`; None without either."""
    if not categories:
        return known_type_keys(type_keys)
    return tuple(sorted({*(known_type_keys(type_keys) or ()), *load_catalog().in_categories(categories)}))
