"""Names and settings, by which questions over all tenants find items."""

from uuid import UUID

from sqlalchemy import ForeignKey, Index, Text
from sqlalchemy.orm import Mapped, mapped_column

from storage.models.base import CURRENT_TENANT, Base, TenantKey, TextKey


class SearchedName(Base):
    """A trigger keeps one row for each item; lists are ordered by it."""

    __tablename__ = "item_name"
    __table_args__ = (
        Index("item_name_by_name", "tenant_id", "type_key", "name_key", "external_id"),
        {"comment": "what items are called, kept by a trigger on the items"},
    )

    tenant_id: Mapped[TenantKey]
    type_key: Mapped[TextKey]
    external_id: Mapped[TextKey]
    name_key: Mapped[str] = mapped_column(
        Text(collation="C"), comment="the beginning of the name, in lower case; U+10FFFF without a name"
    )


class ItemSettings(Base):
    """It has no foreign key to the item, like `ItemReference`."""

    __tablename__ = "item_settings"
    __table_args__ = {
        "postgresql_with": {"toast_tuple_target": "8160"},
        "comment": "what the current versions of items set",
    }

    tenant_id: Mapped[TenantKey]
    type_key: Mapped[TextKey]
    external_id: Mapped[TextKey]
    settings: Mapped[str] = mapped_column(
        Text(collation="C"), comment="an entry for each setting and value, with separators: storage/settings.py"
    )


class CollectionSetting(Base):
    """A setting may have two rows, if two transactions add it at once."""

    __tablename__ = "collection_setting"
    __mapper_args__ = {"primary_key": ["tenant_id", "type_key", "setting"]}
    __table_args__ = (
        Index("collection_setting_by_name", "setting"),
        Index("collection_setting_of_collection", "tenant_id", "type_key", "setting"),
        {"comment": "which settings items of a collection set, or once did"},
    )

    tenant_id: Mapped[UUID] = mapped_column(ForeignKey("tenant.tenant_id"), server_default=CURRENT_TENANT)
    type_key: Mapped[str]
    setting: Mapped[str] = mapped_column(
        Text(collation="C"), comment="the id of its definition, its OMA-URI, or the path of its property"
    )
