"""The title of records of one item."""

from typing import TYPE_CHECKING

from pydantic import BaseModel, computed_field

from graph.catalog import item_title, kind_of_one


class TitledRecord(BaseModel, frozen=True):
    if TYPE_CHECKING:
        type_key: str
        external_id: str
        display_name: str | None

    @computed_field  # type: ignore[prop-decorator]  # mypy does not know decorated properties
    @property
    def title(self) -> str:
        """The item's name for people: `display_name`, or if Graph gives none, its kind and a short id."""
        return item_title(self.type_key, self.external_id, self.display_name, self._kind_in_words())

    @property
    def kind_of_one(self) -> str:
        """For example `Named location`."""
        return kind_of_one(self.type_key, self._kind_in_words())

    def _kind_in_words(self) -> str:
        """`item_kind` if the record has one: its `kind` then means something else."""
        values = vars(self)
        return str(values["item_kind"] if "item_kind" in values else values["kind"])
