"""Watching as JSON. Fixed contracts; field names never change."""

from datetime import datetime

from pydantic import BaseModel


class WatchRecord(BaseModel, frozen=True):
    """Whether and how tenants are watched. `looks` counts the looks so far, `skipped` those that the one before left no
    time for.
    """

    on: bool
    tenants: str | None = None
    every: str | None = None
    next_at: datetime | None = None
    last_at: datetime | None = None
    looks: int = 0
    skipped: int = 0
