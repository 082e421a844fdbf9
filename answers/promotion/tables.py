"""Plans, decisions and mappings."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKeyConstraint
from sqlalchemy.orm import Mapped, mapped_column

from answers.promotion.records import PlanDecision
from storage.models.base import Base, RecordedTenantKey, TenantKey, TextKey, UuidKey, WrittenAt, one_of


class PromotionPlan(Base):
    __tablename__ = "promotion_plan"
    __table_args__ = (
        CheckConstraint("octet_length(content_hash) = 32", name="content_hash_is_sha256"),
        {"comment": "what promotions into the tenant would write; a plan never changes"},
    )

    tenant_id: Mapped[RecordedTenantKey]
    plan_id: Mapped[UuidKey]
    source_tenant_id: Mapped[UUID] = mapped_column(
        comment="the tenant whose items would be written; the tenant itself where earlier versions would be restored"
    )
    created_by: Mapped[str]
    created_at: Mapped[WrittenAt]
    expires_at: Mapped[datetime]
    counts: Mapped[dict[str, Any]] = mapped_column(comment="how many items would be treated which way")
    content_hash: Mapped[bytes] = mapped_column(comment="SHA-256 of the plan as JSON: an approval is of it")
    content: Mapped[bytes] = mapped_column(comment="the plan as JSON, a frame of zstd")


class PromotionDecision(Base):
    __tablename__ = "promotion_decision"
    __table_args__ = (
        ForeignKeyConstraint(["tenant_id", "plan_id"], ["promotion_plan.tenant_id", "promotion_plan.plan_id"]),
        CheckConstraint(one_of("decision", PlanDecision), name="decision_known"),
        CheckConstraint("octet_length(content_hash) = 32", name="content_hash_is_sha256"),
        {"comment": "what was decided about plans: once, for good"},
    )

    tenant_id: Mapped[TenantKey]
    plan_id: Mapped[UuidKey]
    decision: Mapped[str]
    content_hash: Mapped[bytes] = mapped_column(comment="of the plan that was decided about")
    decided_by: Mapped[str]
    decided_at: Mapped[WrittenAt]
    reason: Mapped[str]


class PromotionMapping(Base):
    __tablename__ = "promotion_mapping"
    __table_args__ = ({"comment": "objects of the tenant that operators put in the place of another tenant's"},)

    tenant_id: Mapped[RecordedTenantKey]
    source_tenant_id: Mapped[UuidKey]
    type_key: Mapped[TextKey]
    source_id: Mapped[TextKey]
    target_id: Mapped[str]
    mapped_by: Mapped[str]
    mapped_at: Mapped[WrittenAt]
    reason: Mapped[str]
