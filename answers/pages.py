"""Renders templates, which escape tenants' hostile texts and refuse unknown names."""

from collections.abc import Callable, Iterable, Mapping
from datetime import UTC
from functools import cache
from typing import Any, TypeVar

from jinja2 import Environment, PackageLoader, StrictUndefined

from answers import page_values
from answers.old_details import old_details_in_words
from graph.catalog import kind_of_one
from inventory.plurals import counted

MOST = 5_000
"""Changes, findings or items that one page shows."""

MAX_LISTED = 20
"""Lesser records named for one item, such as audit events."""

T = TypeVar("T")
Titles = Mapping[str, str]
"""Collections' titles by type key."""


def grouped(records: Iterable[T], key: Callable[[T], Any]) -> list[tuple[Any, list[T]]]:
    groups: dict[Any, list[T]] = {}
    for record in records:
        groups.setdefault(key(record), []).append(record)
    return list(groups.items())


def page(template: str, **context: Any) -> str:
    return environment().get_template(template).render(most=MAX_LISTED, **context)


@cache
def environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("answers", ""),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "when": lambda moment: moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S UTC"),
        "words": lambda code: str(code).replace("_", " "),
        "many": counted,
        "old_details_in_words": old_details_in_words,
        "shown": page_values.name,
        "kind_of_one": lambda item: kind_of_one(item.type_key, item.kind),
        "visible": page_values.visible,
        "rows": page_values.rows,
        "left_out": page_values.left_out,
    }
    return environment
