"""People who use the web page, and what each may do."""

from enum import StrEnum

from pydantic import BaseModel, ConfigDict


class Role(StrEnum):
    """What a person may do. Each role includes those before it."""

    READER = "reader"
    """Read every page of the tenants in the person's scope."""
    OPERATOR = "operator"
    """Start and cancel runs, and keep schedules."""
    APPROVER = "approver"
    """Decide on findings, set baselines, pin versions."""
    ADMIN = "admin"
    """Manage access, and read the audit records of everybody."""


class Person(BaseModel):
    """Someone who is signed in."""

    model_config = ConfigDict(frozen=True)

    name: str
    role: Role
