"""A tenant's notifications with states, and its snoozes."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncSession

from answers.items.answer import find_item
from answers.notifications import queries
from answers.notifications.records import (
    NotificationPlace,
    PlacedNotification,
    SnoozeRecord,
)
from inventory.item_ids import item_key
from inventory.notifications import NotificationKind, NotificationState
from inventory.user_errors import NeverReadError, UserError
from storage.documents import database_time
from storage.runs import is_recorded

LONGEST_SNOOZE_DAYS = 366


class UnknownSnoozeError(UserError):
    """No active snooze has such an id, or several have."""


async def notifications(
    session: AsyncSession, limit: int, state: NotificationState | None = None, after: NotificationPlace | None = None
) -> Sequence[PlacedNotification]:
    """Newest first, of the session's tenant or tenants."""
    return await queries.newest_notifications(session, limit, state, after)


async def snoozes(session: AsyncSession) -> Sequence[SnoozeRecord]:
    """Active snoozes, first to end first."""
    return await queries.current_snoozes(session)


async def snooze(
    session: AsyncSession,
    until: datetime,
    reason: str,
    snoozed_by: str,
    *,
    kind: NotificationKind | None = None,
    type_key: str | None = None,
    external_id: str | None = None,
) -> SnoozeRecord:
    """Raises `UserError`."""
    now = await database_time(session)
    if until <= now:
        raise UserError("a snooze ends in the future; name a later time")
    if (until - now).days > LONGEST_SNOOZE_DAYS:
        raise UserError("a snooze lasts a year at most; take the rule out of the notifications file instead")
    if not reason.strip():
        raise UserError("a snooze has a reason, for those who come later")
    if not await is_recorded(session):
        raise NeverReadError("no run of this tenant is recorded, so there is nothing to snooze")
    key = None if external_id is None else await _item(session, type_key, external_id)
    about = {"kind": kind, "type_key": type_key, "external_id": key}
    return await queries.add_snooze(session, {"until": until, "reason": reason, "snoozed_by": snoozed_by, **about})


async def _item(session: AsyncSession, type_key: str | None, sought: str) -> str:
    """`sought` is an item's id; with a type key also the beginning of the id, or the name. Raises `UserError`."""
    if type_key is not None:
        return await find_item(session, type_key, sought)
    key = item_key(sought)
    if not await queries.has_item(session, key):
        raise UserError(
            f"no item has the id {sought!r}; with its collection the beginning of an id or a name is enough"
        )
    return key


async def end_snooze(session: AsyncSession, beginning: str) -> SnoozeRecord:
    """`beginning` begins the snooze's id. Raises `UnknownSnoozeError`."""
    matches = [record for record in await snoozes(session) if str(record.snooze_id).startswith(beginning.lower())]
    if len(matches) != 1 or not beginning:
        problem = "several snoozes begin" if matches else "no snooze that holds begins"
        raise UnknownSnoozeError(f"{problem} with {beginning!r}; python starter.py notify snoozes TENANT lists them")
    await queries.end_snooze(session, matches[0].snooze_id)
    return matches[0]
