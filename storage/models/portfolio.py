"""Portfolio runs."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import (
    CheckConstraint,
    ForeignKeyConstraint,
    Index,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column

from inventory.outcomes import RunStatus
from inventory.portfolio import PORTFOLIO_COUNT_NAMES
from storage.models.base import Base, Count, TenantKey, UuidKey, WrittenAt, one_of


class PortfolioRunRow(Base):
    """Tenants' sessions do not see it."""

    __tablename__ = "portfolio_run"
    __table_args__ = (
        CheckConstraint(one_of("status", RunStatus), name="status_known"),
        CheckConstraint("(finished_at IS NULL) = (status = 'running')", name="finished_iff_ended"),
        CheckConstraint("selection_hash ~ '^[0-9a-f]{64}$'", name="selection_hash_is_sha256"),
        CheckConstraint(" AND ".join(f"{name} >= 0" for name in PORTFOLIO_COUNT_NAMES), name="counts_not_negative"),
        CheckConstraint("success + partial + failed + cancelled <= tenants", name="outcomes_of_its_tenants"),
        Index("portfolio_run_recent", "started_at"),
        {"comment": "one selection over many tenants"},
    )

    portfolio_run_id: Mapped[UuidKey] = mapped_column(comment="the workflow's first execution run id")
    workflow_id: Mapped[str]
    schedule: Mapped[str | None] = mapped_column(comment="the schedule that started it, if one did")
    selection_hash: Mapped[str]
    selection: Mapped[dict[str, Any]] = mapped_column(comment="the canonical selection")
    selection_name: Mapped[str | None] = mapped_column(
        comment="what its starter called the selection; null without a name"
    )
    chosen: Mapped[dict[str, Any]] = mapped_column(comment="which tenants: all, ids, tags")
    status: Mapped[str] = mapped_column(server_default=RunStatus.RUNNING)
    started_at: Mapped[WrittenAt]
    finished_at: Mapped[datetime | None]
    error_codes: Mapped[list[str]] = mapped_column(server_default=text("'{}'"))
    cancel_requested_by: Mapped[str | None]
    cancel_reason: Mapped[str | None]
    tenants: Mapped[Count]
    success: Mapped[Count]
    partial: Mapped[Count]
    failed: Mapped[Count]
    cancelled: Mapped[Count]
    joined: Mapped[Count]


class PortfolioRunTenant(Base):
    """Copied from the tenant's run when that ended."""

    __tablename__ = "portfolio_run_tenant"
    __table_args__ = (
        ForeignKeyConstraint(["portfolio_run_id"], ["portfolio_run.portfolio_run_id"], ondelete="CASCADE"),
        CheckConstraint(one_of("status", RunStatus), name="status_known"),
        Index("portfolio_run_tenant_by_run", "portfolio_run_id"),
        {"comment": "what became of one tenant in one portfolio run"},
    )

    tenant_id: Mapped[TenantKey]
    portfolio_run_id: Mapped[UuidKey]
    run_id: Mapped[UUID | None] = mapped_column(comment="null where no run of the tenant could be started")
    status: Mapped[str] = mapped_column(comment="running where the run was not waited for")
    joined: Mapped[bool] = mapped_column(comment="the run was under way already")
    error_codes: Mapped[list[str]] = mapped_column(server_default=text("'{}'"))
    started_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]
