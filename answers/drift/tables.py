"""Tables of baselines, findings and decisions."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import (
    CheckConstraint,
    ForeignKeyConstraint,
    Index,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column

from answers.drift.rules import BaselineKind, Decision, FindingKind
from inventory.outcomes import Outcome
from inventory.severity import Severity
from storage.models.base import Base, RecordedTenantKey, TenantKey, TextKey, WrittenAt, one_of


class Baseline(Base):
    __tablename__ = "baseline"
    __table_args__ = (
        CheckConstraint(one_of("kind", BaselineKind), name="kind_known"),
        CheckConstraint("(run_id IS NOT NULL) = (kind = 'run')", name="run_iff_run"),
        CheckConstraint("(other_tenant_id IS NOT NULL) = (kind = 'tenant')", name="tenant_iff_tenant"),
        CheckConstraint("other_tenant_id <> tenant_id", name="another_tenant"),
        {"comment": "what a tenant is held against; the versions of then are pinned"},
    )

    tenant_id: Mapped[RecordedTenantKey]
    name: Mapped[TextKey]
    kind: Mapped[str]
    at: Mapped[datetime] = mapped_column(comment="the moment; of a run its end; of a tenant when it was set")
    run_id: Mapped[UUID | None]
    other_tenant_id: Mapped[UUID | None] = mapped_column(
        comment="the tenant whose inventory, as it is, this one is held against"
    )
    set_by: Mapped[str]
    set_at: Mapped[WrittenAt]
    reason: Mapped[str | None]
    evaluated_at: Mapped[datetime | None] = mapped_column(
        comment="when the tenant was last held against it; null where it never was"
    )
    evaluated_after: Mapped[str | None] = mapped_column(
        comment="the release, and the runs that had ended by then: of the tenant, and of the other one"
    )


class BaselineCollection(Base):
    __tablename__ = "baseline_collection"
    __table_args__ = (
        ForeignKeyConstraint(["tenant_id", "baseline"], ["baseline.tenant_id", "baseline.name"], ondelete="CASCADE"),
        CheckConstraint(one_of("outcome", Outcome), name="outcome_known"),
        {"comment": "how far each collection had been read; complete ones are covered"},
    )

    tenant_id: Mapped[TenantKey]
    baseline: Mapped[TextKey]
    type_key: Mapped[TextKey]
    outcome: Mapped[str]
    error_code: Mapped[str | None]
    run_id: Mapped[UUID] = mapped_column(comment="the latest completed run by then that selected the collection")
    read_at: Mapped[datetime] = mapped_column(comment="when that run ended")


class BaselineGap(Base):
    __tablename__ = "baseline_gap"
    __table_args__ = (
        ForeignKeyConstraint(["tenant_id", "baseline"], ["baseline.tenant_id", "baseline.name"], ondelete="CASCADE"),
        CheckConstraint("why IN ('forgotten', 'unread', 'presumed', 'ambiguous', 'undecided')", name="why_known"),
        {"comment": "items of which the baseline does not know all"},
    )

    tenant_id: Mapped[TenantKey]
    baseline: Mapped[TextKey]
    type_key: Mapped[TextKey]
    external_id: Mapped[TextKey]
    why: Mapped[str] = mapped_column(
        comment="its version of then is forgotten; no document had been read; whether it was there is not recorded;"
        " another tenant has several of its name; what it says cannot be compared with what another tenant's says"
    )


class DriftFinding(Base):
    __tablename__ = "drift_finding"
    __table_args__ = (
        ForeignKeyConstraint(["tenant_id", "baseline"], ["baseline.tenant_id", "baseline.name"], ondelete="CASCADE"),
        CheckConstraint("fingerprint ~ '^[0-9a-f]{64}$'", name="fingerprint_is_sha256"),
        CheckConstraint("octet_length(value_hash) = 32", name="value_hash_is_sha256"),
        CheckConstraint(one_of("kind", FindingKind), name="kind_known"),
        CheckConstraint(one_of("severity", Severity), name="severity_known"),
        CheckConstraint("NOT hidden OR before IS NULL AND after IS NULL", name="hidden_not_shown"),
        Index(
            "drift_finding_one_open",
            "tenant_id",
            "fingerprint",
            unique=True,
            postgresql_where=text("resolved_at IS NULL"),
        ),
        Index("drift_finding_by_baseline", "tenant_id", "baseline", "type_key", "external_id"),
        {"comment": "what deviates from a baseline: one row each time it began to"},
    )

    tenant_id: Mapped[TenantKey]
    fingerprint: Mapped[TextKey] = mapped_column(comment="SHA-256 of tenant, baseline, item, field and kind")
    period: Mapped[int] = mapped_column(primary_key=True, comment="from 1: how often it has begun to deviate")
    baseline: Mapped[str]
    type_key: Mapped[str]
    external_id: Mapped[str]
    display_name: Mapped[str | None]
    item_kind: Mapped[str]
    path: Mapped[str] = mapped_column(comment="the field; empty for the item as a whole")
    kind: Mapped[str]
    before: Mapped[str | None] = mapped_column(comment="in the baseline: canonical JSON, sensitive values hidden")
    after: Mapped[str | None]
    hidden: Mapped[bool]
    value_hash: Mapped[bytes] = mapped_column(comment="SHA-256 of both values; a decision is about them")
    severity: Mapped[str]
    evidence: Mapped[str]
    first_seen_at: Mapped[datetime] = mapped_column(comment="when the first version that deviates was first observed")
    last_seen_at: Mapped[datetime] = mapped_column(comment="when the item was last seen to deviate")
    resolved_at: Mapped[datetime | None] = mapped_column(comment="when it was noticed that it no longer deviates")


class DriftDecision(Base):
    """Decisions outlive baselines."""

    __tablename__ = "drift_decision"
    __table_args__ = (
        CheckConstraint(one_of("decision", Decision), name="decision_known"),
        CheckConstraint("octet_length(value_hash) = 32", name="value_hash_is_sha256"),
        CheckConstraint(
            "(value_hash IS NULL) = (scope_external_id IS NOT NULL OR scope_field IS NOT NULL)", name="finding_or_scope"
        ),
        CheckConstraint("scope_external_id IS NULL OR scope_type_key IS NOT NULL", name="item_in_collection"),
        CheckConstraint("(scope_field IS NULL) = (scope_expression IS NULL)", name="expression_of_field"),
        {"comment": "what has been decided about findings, items and fields; the latest of each fingerprint counts"},
    )

    tenant_id: Mapped[RecordedTenantKey]
    fingerprint: Mapped[TextKey] = mapped_column(
        comment="of a finding; of a decision about more than one, of its scope"
    )
    number: Mapped[int] = mapped_column(primary_key=True)
    decision: Mapped[str]
    value_hash: Mapped[bytes | None] = mapped_column(
        comment="of the values that it is about; of others it is none."
        " Null where it is about a scope, whatever the values"
    )
    decided_by: Mapped[str]
    decided_at: Mapped[WrittenAt]
    reason: Mapped[str]
    until: Mapped[datetime | None] = mapped_column(comment="it holds before this moment; for good where null")
    scope_baseline: Mapped[str | None] = mapped_column(comment="of a scope: one baseline; each where null")
    scope_type_key: Mapped[str | None] = mapped_column(comment="of a scope: one collection; each where null")
    scope_external_id: Mapped[str | None] = mapped_column(comment="of a scope: one item; each where null")
    scope_field: Mapped[str | None] = mapped_column(comment="of a scope: a pattern of field paths; each where null")
    scope_expression: Mapped[str | None] = mapped_column(comment="the pattern as a regular expression for a whole path")
