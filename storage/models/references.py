"""References of items' current versions."""

from sqlalchemy import (
    CheckConstraint,
    Index,
    Integer,
)
from sqlalchemy.orm import Mapped, mapped_column

from inventory.references import ReferenceRole
from storage.models.base import Base, TenantKey, TextKey, one_of


class ItemReference(Base):
    """It has no foreign key to the item, since each check would lock and rewrite the item's row."""

    __tablename__ = "item_reference"
    __table_args__ = (
        CheckConstraint(one_of("role", ReferenceRole), name="role_known"),
        Index("item_reference_by_target", "tenant_id", "target_id", "target_type_keys"),
        {"comment": "what the current versions of items refer to"},
    )

    tenant_id: Mapped[TenantKey]
    type_key: Mapped[TextKey]
    external_id: Mapped[TextKey]
    position: Mapped[int] = mapped_column(
        Integer, primary_key=True, comment="its place among the references of the item"
    )
    version_number: Mapped[int] = mapped_column(comment="the version that it was read from")
    path: Mapped[str] = mapped_column(comment="where it stands, as the rule of the catalog says")
    role: Mapped[str]
    target_type_keys: Mapped[list[str]] = mapped_column(
        comment="the collections that the target may belong to; none where it is an audience and no object"
    )
    target_id: Mapped[str]
    intent: Mapped[str] = mapped_column(server_default="", comment="of an assignment that has one")
    policy_set_id: Mapped[str] = mapped_column(server_default="", comment="the policy set that an assignment came by")


class UnreadItem(Base):
    __tablename__ = "unread_item"
    __table_args__ = {"comment": "items with a version whose references have not been read yet"}

    tenant_id: Mapped[TenantKey]
    type_key: Mapped[TextKey]
    external_id: Mapped[TextKey]


class ReferenceRulesOfType(Base):
    __tablename__ = "reference_rules"
    __table_args__ = {"comment": "the rules of the catalog that references have last been read by"}

    tenant_id: Mapped[TenantKey]
    type_key: Mapped[TextKey]
    rules_hash: Mapped[bytes] = mapped_column(comment="SHA-256: where it differs, all items are read again")
