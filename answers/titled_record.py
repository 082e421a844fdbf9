"""The common part of records of one item: its title."""

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

from pydantic import BaseModel, computed_field

from graph.catalog import item_title, kind_of_one


class TitledRecord(BaseModel, ABC):
    """A record of one item, with its type key, id, display name and kind."""

    if TYPE_CHECKING:
        type_key: str
        external_id: str
        display_name: str | None

    @computed_field  # type: ignore[prop-decorator]  # mypy does not know decorated properties
    @property
    def title(self) -> str:
        """The item's name for people: `display_name`, or where Graph gives it none, its kind and a short id."""
        return item_title(self.type_key, self.external_id, self.display_name, self._kind_in_words())

    @property
    def kind_of_one(self) -> str:
        """The kind in words for one item: `Named location`."""
        return kind_of_one(self.type_key, self._kind_in_words())

    @abstractmethod
    def _kind_in_words(self) -> str: ...
