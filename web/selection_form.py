from typing import Annotated, Literal, NamedTuple

from fastapi import Depends, Form

from graph.catalog import load_catalog
from inventory.selection import Selection, select
from inventory.user_errors import UserError


class NoSelectionError(UserError):
    """The form names no collection."""


class CollectionChoice(NamedTuple):
    type_key: str
    title: str
    is_chosen: bool


class SelectionChoices(NamedTuple):
    is_everything: bool
    categories: list[tuple[str, list[CollectionChoice]]]


def selection_choices(chosen: Selection | None = None) -> SelectionChoices:
    """The form's choices, with `chosen` marked; None marks everything."""
    catalog = load_catalog()
    marked = frozenset() if chosen is None else frozenset(chosen.type_keys)
    is_everything = chosen is None or marked == catalog.everything()
    categories: dict[str, list[CollectionChoice]] = {name: [] for name in catalog.categories()}
    for key, collection in sorted(catalog.collections.items(), key=lambda entry: entry[1].title.casefold()):
        choice = CollectionChoice(key, collection.title, not is_everything and key in marked)
        categories[collection.category].append(choice)
    return SelectionChoices(is_everything, list(categories.items()))


def _selection(
    reads: Annotated[Literal["everything", "some"], Form(description="All collections, or some of them.")],
    categories: Annotated[list[str], Form(alias="category", max_length=100)] = [],  # noqa: B006 - FastAPI copies it
    type_keys: Annotated[list[str], Form(alias="type", max_length=1000)] = [],  # noqa: B006 - FastAPI copies it
) -> Selection:
    catalog = load_catalog()
    if reads == "everything":
        return select(catalog.everything(), collections=catalog.collections)
    named = set(type_keys) | catalog.in_categories(categories)
    if not named:
        raise NoSelectionError("choose everything, or at least one collection")
    return select(named, collections=catalog.collections)


FormSelection = Annotated[Selection, Depends(_selection)]
"""The choice in a form with the macro `parts.selection`."""
