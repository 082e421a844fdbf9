"""Query parameters of pages that list items."""

from typing import Annotated, Literal, NamedTuple

from fastapi import Query

from answers.item_filter import ItemFilter, Platform, SettingCondition
from answers.item_states import StateChoice
from answers.search.answer import Sought, UnknownSettingError
from graph.catalog import UnknownCategoryError, load_catalog
from inventory.user_errors import NeverReadError, UserError

TypeKey = Annotated[str | None, Query(alias="type", description="Only this collection.", max_length=100)]


class SettingTextError(UserError):
    """The text names no setting."""


CHOICE_ERRORS = (SettingTextError, UnknownSettingError, UnknownCategoryError, NeverReadError)
"""Errors to show beside the form."""


class ItemChoice(NamedTuple):
    """Empty texts choose all."""

    name: str = ""
    type_key: str = ""
    category: str = ""
    platform: str = ""
    kind: str = ""
    state: str = ""
    setting: str = ""

    @property
    def type_keys(self) -> list[str] | None:
        """The chosen collections; None for all. Raises `UnknownCategoryError`."""
        of_category = load_catalog().in_categories([self.category]) if self.category else None
        if self.type_key:
            return [self.type_key] if of_category is None or self.type_key in of_category else []
        return None if of_category is None else sorted(of_category)

    @property
    def sought(self) -> Sought | None:
        """All filters but collections; None without any. Raises `SettingTextError`."""
        found = Sought(
            words=self.name.strip() or None,
            setting=setting_condition(self.setting) if self.setting.strip() else None,
            items=ItemFilter(
                platform=Platform(self.platform) if self.platform else None,
                kind=self.kind.strip() or None,
                state=StateChoice(self.state) if self.state else None,
            ),
        )
        return None if found == Sought() else found


async def item_choice(
    name: Annotated[str, Query(description="Words that the name has.", max_length=200)] = "",
    type_key: TypeKey = None,
    category: Annotated[str, Query(description="Only collections of this category.", max_length=100)] = "",
    platform: Annotated[Platform | Literal[""], Query(description="Only items for this platform.")] = "",
    kind: Annotated[str, Query(description="Words in the kind of the item.", max_length=100)] = "",
    state: Annotated[StateChoice | Literal[""], Query(description="Only items in this state.")] = "",
    setting: Annotated[
        str,
        Query(description="Only items that set this, NAME or NAME=VALUE.", max_length=1000),
    ] = "",
) -> ItemChoice:
    return ItemChoice(name, type_key or "", category, platform, kind, state, setting)


def setting_condition(text: str) -> SettingCondition:
    """Raises `SettingTextError`."""
    condition = SettingCondition.of(text)
    if not condition.name or condition.value == "":
        raise SettingTextError("a setting is NAME or NAME=VALUE, such as bitLockerEnabled=false")
    return condition
