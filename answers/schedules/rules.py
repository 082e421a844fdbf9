"""Rights on schedules, and start times in their form."""

import re
from collections.abc import Collection
from typing import NamedTuple
from uuid import UUID

from inventory.portfolio import TenantChoice


class Rights(NamedTuple):
    may_see: bool
    may_change: bool


def rights(chosen: TenantChoice, covered: Collection[UUID], visible: Collection[UUID], *, sees_all: bool) -> Rights:
    """`covered`: the schedule's tenants now.

    All tenants and tags are resolved at each run, so only a person who sees all tenants may choose them.
    """
    if sees_all:
        return Rights(may_see=True, may_change=True)
    theirs = set(visible)
    by_id = not (chosen.everyone or chosen.tags)
    return Rights(may_see=not theirs.isdisjoint(covered), may_change=by_id and theirs.issuperset(covered))


class StartTimes(NamedTuple):
    """`how` names the field that is used."""

    how: str = "calendar"
    every: str = ""
    calendar: str = ""
    cron: str = ""


_TIME_OF_DAY = re.compile(r"(?:[a-z,-]+ +)?\d{1,2}:\d{2}")


def timing(every: str | None, comment: str) -> StartTimes:
    """Fills the form from a schedule's interval, or from Temporal's note of a time of day or cron expression."""
    if every is not None:
        return StartTimes("every", every=every)
    if _TIME_OF_DAY.fullmatch(comment):
        return StartTimes("calendar", calendar=comment)
    return StartTimes("cron", cron=comment)
