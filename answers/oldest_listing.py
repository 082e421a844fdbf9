"""The oldest reading on which an answer rests, if a run has begun since then."""

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Literal
from uuid import UUID

from pydantic import BaseModel

from graph.catalog import load_catalog
from inventory.coverage import Coverage


class OldestListing(BaseModel, frozen=True):
    """Of the collections on which an answer rests, this one's latest complete listing began first, at `read_from`.

    The tenant's newest run, which began at `newest_run_at`, did not read it.
    """

    answer: Literal["oldest_listing"] = "oldest_listing"
    tenant_id: UUID
    type_key: str
    read_from: datetime
    newest_run_at: datetime


def oldest_listing(
    tenant_id: UUID, coverage: Mapping[str, Coverage], type_keys: Collection[str] | None = None
) -> OldestListing | None:
    """None if the newest run has read the whole basis: all collections of these type keys but logs."""
    collections = [collection for key, collection in coverage.items() if key not in load_catalog().logs]
    listings = [
        (collection.listed_from, collection.type_key)
        for collection in collections
        if collection.is_current
        and collection.listed_from is not None
        and (type_keys is None or collection.type_key in type_keys)
    ]
    if not listings:
        return None
    read_from, type_key = min(listings)
    newest = max(collection.run_started_at for collection in collections)
    if read_from >= newest:
        return None
    return OldestListing(tenant_id=tenant_id, type_key=type_key, read_from=read_from, newest_run_at=newest)
