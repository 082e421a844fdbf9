"""A tenant's documents at a moment, with its gaps."""

from collections.abc import Callable
from datetime import datetime
from typing import NamedTuple

from sqlalchemy.ext.asyncio import AsyncSession

from answers.export.records import ForgottenRecord
from answers.stale_items import StaleItem, stale_item
from answers.times import utc_text
from graph.catalog import kind_of
from inventory.records import DamagedRecord
from inventory.user_errors import NeverReadError, UserError
from storage import documents
from storage.coverage import coverage


class NothingKnownError(UserError):
    """No run had read the collections by then."""


Keep = Callable[[str, str, str | None, bytes], None]
"""Receives one document: type key, id, name and canonical JSON."""


class ExportBasis(NamedTuple):
    """Fields are as in `ExportRecord`; `at` is None for now."""

    at: datetime | None
    incomplete: int
    presumed: int
    unread: int
    forgotten: list[ForgottenRecord]
    damaged: list[DamagedRecord]
    types_not_read: list[str]
    stale: list[StaleItem]


async def export(
    session: AsyncSession, at: datetime | None, type_keys: frozenset[str] | None, keep: Keep
) -> ExportBasis:
    """Passes each document of the moment `at` (None: now) to `keep`, one in memory at a time.

    Raises `NothingKnownError` and `NeverReadError`.
    """
    moment = at or await documents.database_time(session)
    sorted_keys = None if type_keys is None else sorted(type_keys)
    if not await documents.was_read(session, moment, sorted_keys):
        subject = "these collections" if sorted_keys else "this tenant"
        nothing = "so nothing is exported and no file is removed"
        if at is None:
            raise NeverReadError(f"no run had read {subject} yet, {nothing}")
        raise NothingKnownError(f"no run had read {subject} by {utc_text(moment)}, {nothing}")
    incomplete = presumed = unread = 0
    forgotten: list[ForgottenRecord] = []
    damaged: list[DamagedRecord] = []
    stale: list[StaleItem] = []
    async for item in documents.items_at(session, moment, sorted_keys):
        if item.is_forgotten:
            forgotten.append(
                ForgottenRecord(
                    type_key=item.type_key,
                    external_id=item.external_id,
                    display_name=item.display_name,
                    kind=kind_of(item.type_key, item.meta),
                )
            )
        elif item.damaged is not None:
            damaged.append(item.damaged)
        elif item.document is None:
            unread += 1
        else:
            keep(item.type_key, item.external_id, item.display_name, item.document)
            incomplete += not item.details_complete
            presumed += item.is_presumed
            if item.stale is not None:
                stale.append(stale_item(item, item.stale))
    not_read = await documents.types_not_read(session, moment)
    never_read = set(sorted_keys or ()) - (await coverage(session, sorted_keys or ())).keys()
    types_not_read = sorted({key for key in not_read if type_keys is None or key in type_keys} | never_read)
    return ExportBasis(at, incomplete, presumed, unread, forgotten, damaged, types_not_read, stale)
