"""The tables by which questions over all tenants find items: their names and settings."""

from uuid import UUID

from sqlalchemy import Index, Integer, Text
from sqlalchemy.orm import Mapped, mapped_column

from storage.models.base import CURRENT_TENANT, Base


class SearchedName(Base):
    """The folded name of an item, kept by a trigger on the items. Lists go by it, so each item has one."""

    __tablename__ = "item_name"
    __table_args__ = (
        Index("item_name_by_name", "tenant_id", "type_key", "name_key", "external_id"),
        {"comment": "what items are called, kept by a trigger on the items"},
    )

    tenant_id: Mapped[UUID] = mapped_column(primary_key=True, server_default=CURRENT_TENANT)
    type_key: Mapped[str] = mapped_column(primary_key=True)
    external_id: Mapped[str] = mapped_column(primary_key=True)
    name_key: Mapped[str] = mapped_column(
        Text(collation="C"), comment="the beginning of the name, in lower case; U+10FFFF without a name"
    )


class ItemSetting(Base):
    """One setting of an item's current version. No foreign key, as `ItemReference` has none.

    No primary key either: its entries would all be different, and an index of equal ones takes a sixth of the room.
    """

    __tablename__ = "item_setting"
    __mapper_args__ = {  # noqa: RUF012 - SQLAlchemy's own convention
        "primary_key": ["tenant_id", "type_key", "external_id", "position"]
    }
    __table_args__ = (
        Index("item_setting_by_name", "setting", "value"),
        Index("item_setting_of_item", "tenant_id", "type_key", "external_id"),
        {"comment": "what the current versions of items set"},
    )

    tenant_id: Mapped[UUID] = mapped_column(server_default=CURRENT_TENANT)
    type_key: Mapped[str]
    external_id: Mapped[str]
    position: Mapped[int] = mapped_column(Integer, comment="its place among the settings of the item")
    setting: Mapped[str] = mapped_column(
        Text(collation="C"), comment="the id of its definition, its OMA-URI, or the path of its property"
    )
    value: Mapped[str | None] = mapped_column(
        Text(collation="C"), comment="null where it is hidden, or too long to be searched for"
    )
