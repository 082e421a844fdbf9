"""Who is signed in on the web page, and what people did there. These tables belong to no tenant."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import CheckConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from inventory.people import Role
from storage.models.base import CLOCK, Base, one_of


class SignInLink(Base):
    """A one-time link that signs a person in; a used one is deleted."""

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


class WebSession(Base):
    """A person who is signed in."""

    __tablename__ = "web_session"
    __table_args__ = (
        CheckConstraint("octet_length(session_hash) = 32", name="session_hash_is_sha256"),
        CheckConstraint(one_of("role", Role), name="role_known"),
        {"comment": "who is signed in on the web page"},
    )

    session_hash: Mapped[bytes] = mapped_column(primary_key=True, comment="SHA-256 of the token in the cookie")
    person: Mapped[str]
    role: Mapped[str]
    created_at: Mapped[datetime] = mapped_column(server_default=CLOCK)
    expires_at: Mapped[datetime]


class AuditRecord(Base):
    """One act of a person. The database refuses to change or delete it."""

    __tablename__ = "audit_record"
    __table_args__ = (
        CheckConstraint("action IN ('signed_in', 'signed_out')", name="action_known"),
        {"comment": "what people did on the web page; rows are only added"},
    )

    audit_id: Mapped[UUID] = mapped_column(primary_key=True, server_default=text("gen_random_uuid()"))
    at: Mapped[datetime] = mapped_column(server_default=CLOCK)
    person: Mapped[str]
    role: Mapped[str]
    action: Mapped[str]
