"""Schedules as JSON. Fixed contracts; field names never change."""

from datetime import datetime

from pydantic import BaseModel

from control.portfolio_words import NameOf, selection_name, tenants_in_words
from control.schedules import StoredSchedule


class ScheduleRecord(BaseModel, frozen=True):
    """A schedule of portfolio runs. `last_status` is that of the run that it started last, null if Temporal forgot it.

    `skipped_overlap` counts starts that did not happen because the last run was still under way, `missed_catch_up`
    those that Temporal was down for, longer than `catch_up`.
    """

    name: str
    tenants: str
    selection_hash: str
    selection_name: str
    when: str
    jitter: str | None
    catch_up: str
    paused: bool
    note: str | None
    next_at: datetime | None
    last_at: datetime | None
    last_status: str | None
    running: int
    actions: int
    skipped_overlap: int
    missed_catch_up: int


def record_of(stored: StoredSchedule, name_of: NameOf) -> ScheduleRecord:
    return ScheduleRecord(
        tenants=tenants_in_words(stored.input.chosen, name_of),
        selection_hash=stored.input.selection.hash(),
        selection_name=selection_name(stored.input),
        **{name: value for name, value in stored._asdict().items() if name in ScheduleRecord.model_fields},
    )
