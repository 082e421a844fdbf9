"""The common part of records of one item: its title."""

from typing import TYPE_CHECKING

from pydantic import BaseModel, computed_field

from graph.catalog import item_title, kind_of_one


class TitledRecord(BaseModel, frozen=True):
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
        """The kind for one item: `Named location`."""
        return kind_of_one(self.type_key, self._kind_in_words())

    def _kind_in_words(self) -> str:
        """`item_kind` of a record whose `kind` is another."""
        values = vars(self)
        return str(values["item_kind"] if "item_kind" in values else values["kind"])
