"""Coverage as JSON; field names never change."""

from collections import defaultdict
from collections.abc import Mapping
from datetime import datetime
from typing import Literal
from uuid import UUID

from pydantic import BaseModel

from graph.catalog import load_catalog
from inventory.coverage import NEVER_READ
from inventory.error_codes import ErrorCode
from inventory.outcomes import Outcome
from inventory.plurals import first_of


class CollectionCoverageRecord(BaseModel, frozen=True):
    """One collection, by the latest completed run that covers it.

    `listed_at`: when a run last read it to its end, if ever. `permissions` are the catalog's, if Graph refused the read
    for want of one. `failing_since`: when the first of the latest failing runs began; null if the latest run read it,
    or the answer does not say.
    """

    type_key: str
    title: str
    category: str
    outcome: Outcome
    error_code: ErrorCode | None
    remedy: str | None
    permissions: list[str]
    run_id: UUID
    run_started_at: datetime
    listed_at: datetime | None
    failing_since: datetime | None = None


class CoverageRecord(BaseModel, frozen=True):
    """The collections that completed runs of a tenant cover, unread ones first.

    `never_selected`: no completed run has selected them.
    """

    collections: list[CollectionCoverageRecord]
    never_selected: list[str]

    @property
    def expected(self) -> list[str]:
        """Never selected collections that are not opt-in."""
        return sorted(load_catalog().everything() & set(self.never_selected))

    def why_unread(self, type_key: str) -> str | None:
        """Why the collection was not read to its end, None if it was, or the tenant cannot have it."""
        collection = next((record for record in self.collections if record.type_key == type_key), None)
        if collection is None:
            return NEVER_READ
        if collection.outcome in (Outcome.COMPLETE, Outcome.SKIPPED):
            return None
        return f"{collection.outcome}:{collection.error_code}" if collection.error_code else str(collection.outcome)


NAMED_COLLECTIONS = 6
"""The most collections that a line names. JSON names all."""


class UnreadCollections(BaseModel, frozen=True):
    """Collections in which an answer would have looked, and the tenants in which one of them was not read to its end.

    `reason` is `failed:graph_throttled`, or `never_read` if no completed run has selected them. Without `type_keys`
    these tenants were never read.
    """

    answer: Literal["not_read"] = "not_read"
    reason: str
    type_keys: list[str]
    tenant_ids: list[UUID]

    @property
    def in_words(self) -> str:
        """Such as `groups, applications and 5 more (failed:graph_throttled)`."""
        return f"{first_of(self.type_keys, NAMED_COLLECTIONS)} ({self.reason})"

    @classmethod
    def of_tenant(cls, tenant_id: UUID, reasons: Mapping[str, str]) -> "list[UnreadCollections]":
        """`reasons`: by type key."""
        by_reason = defaultdict[str, list[str]](list)
        for type_key, reason in sorted(reasons.items()):
            by_reason[reason].append(type_key)
        return [
            cls(reason=reason, type_keys=type_keys, tenant_ids=[tenant_id])
            for reason, type_keys in sorted(by_reason.items())
        ]
