"""Tables of the web page, which belong to no tenant."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, Index, text
from sqlalchemy.orm import Mapped, mapped_column

from inventory.people import Action, Role
from storage.models.base import Base, TextKey, UuidKey, WrittenAt, one_of


class SignInLink(Base):
    __tablename__ = "sign_in_link"
    __table_args__ = (
        CheckConstraint("octet_length(link_hash) = 32", name="link_hash_is_sha256"),
        CheckConstraint(one_of("role", Role), name="role_known"),
        {"comment": "one-time links that sign a person in; a used one is deleted"},
    )

    link_hash: Mapped[bytes] = mapped_column(primary_key=True, comment="SHA-256 of the token in the link")
    person: Mapped[str]
    role: Mapped[str]
    expires_at: Mapped[datetime]
    person_id: Mapped[str | None]


class SignInFlow(Base):
    __tablename__ = "sign_in_flow"
    __table_args__ = (
        CheckConstraint("octet_length(flow_hash) = 32", name="flow_hash_is_sha256"),
        {"comment": "sign-ins with Entra ID that have begun; each is used once"},
    )

    flow_hash: Mapped[bytes] = mapped_column(
        primary_key=True, comment="SHA-256 of the token in the cookie of the browser that began it"
    )
    flow: Mapped[dict[str, Any]] = mapped_column(comment="state, nonce and the verifier of PKCE")
    goes_to: Mapped[str] = mapped_column(comment="the page that the person asked for")
    expires_at: Mapped[datetime]


class WebSession(Base):
    __tablename__ = "web_session"
    __table_args__ = (
        CheckConstraint("octet_length(session_hash) = 32", name="session_hash_is_sha256"),
        CheckConstraint(one_of("role", Role), name="role_known"),
        {"comment": "who is signed in on the web page"},
    )

    session_hash: Mapped[bytes] = mapped_column(primary_key=True, comment="SHA-256 of the token in the cookie")
    person: Mapped[str]
    role: Mapped[str]
    created_at: Mapped[WrittenAt]
    expires_at: Mapped[datetime]
    person_id: Mapped[str | None]


class AuditRecord(Base):
    """The database refuses to change or delete it."""

    __tablename__ = "audit_record"
    __table_args__ = (
        CheckConstraint(one_of("action", Action), name="action_known"),
        Index(
            "audit_record_once",
            "tenant_id",
            "request_id",
            unique=True,
            postgresql_nulls_not_distinct=True,
            postgresql_where=text("request_id IS NOT NULL"),
        ),
        Index("audit_record_recent", "at", "audit_id"),
        Index("audit_record_of_person", "person_id", "at", "audit_id"),
        Index("audit_record_of_tenant", "tenant_id", "at", "audit_id"),
        {"comment": "what people did on the web page; rows are only added"},
    )

    audit_id: Mapped[UUID] = mapped_column(primary_key=True, server_default=text("gen_random_uuid()"))
    at: Mapped[WrittenAt]
    person: Mapped[str]
    role: Mapped[str]
    action: Mapped[str]
    person_id: Mapped[str | None] = mapped_column(comment="of the directory that the person signed in with")
    tenant_id: Mapped[UUID | None] = mapped_column(comment="null where the act is about no single tenant")
    subject: Mapped[str | None] = mapped_column(comment="what the act was done to")
    reason: Mapped[str | None] = mapped_column(comment="as the person gave it")
    request_id: Mapped[UUID | None] = mapped_column(comment="of the form; one that is sent twice does its act once")
    receipt: Mapped[dict[str, Any] | None] = mapped_column(
        comment="of a purged tenant: what was deleted, and how much of it"
    )


class WebPerson(Base):
    __tablename__ = "web_person"
    __table_args__ = (
        CheckConstraint(one_of("role", Role), name="role_known"),
        {"comment": "who has signed in on the web page, as of the last time"},
    )

    person_id: Mapped[TextKey] = mapped_column(comment="of the directory that the person signed in with")
    name: Mapped[str]
    role: Mapped[str]
    signed_in_at: Mapped[WrittenAt]


class ConfiguredTenant(Base):
    __tablename__ = "configured_tenant"
    __table_args__ = (
        CheckConstraint("entry ->> 'id' = tenant_id::text", name="entry_is_of_the_tenant"),
        {"comment": "the tenants to read, where TENANTS_FROM is table"},
    )

    tenant_id: Mapped[UuidKey]
    entry: Mapped[dict[str, Any]] = mapped_column(comment="the keys of an entry of the tenants file; no secret")
    changed_by: Mapped[str]
    changed_at: Mapped[WrittenAt]


class AccessRuleRow(Base):
    __tablename__ = "access_rule"
    __table_args__ = (
        CheckConstraint("(person_id IS NULL) <> (role IS NULL)", name="person_or_role"),
        CheckConstraint(one_of("role", Role), name="role_known"),
        CheckConstraint("tenant_id IS NULL OR tag IS NULL", name="tenant_or_tag"),
        Index(
            "access_rule_once",
            "person_id",
            "role",
            "tenant_id",
            "tag",
            unique=True,
            postgresql_nulls_not_distinct=True,
        ),
        {"comment": "which tenants a person, or everybody of a role, sees on the web page"},
    )

    access_rule_id: Mapped[UUID] = mapped_column(primary_key=True, server_default=text("gen_random_uuid()"))
    person_id: Mapped[str | None]
    role: Mapped[str | None]
    tenant_id: Mapped[UUID | None] = mapped_column(
        comment="the rule is about all tenants where this and the tag are null"
    )
    tag: Mapped[str | None]
    is_excluded: Mapped[bool] = mapped_column(
        comment="whether these tenants are kept from them; that wins over every other rule"
    )
    set_by: Mapped[str]
    set_at: Mapped[WrittenAt]
    reason: Mapped[str | None]
