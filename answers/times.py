"""Times as people type and read them."""

import re
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from typing import NamedTuple

EARLIEST = datetime(1, 1, 2, tzinfo=UTC)
LATEST = datetime(9999, 12, 30, tzinfo=UTC)
"""A day from the end of the range, so that every time zone can show the time."""

TIME_FORMS = 'yesterday, monday, 2d, 36h, 2026-11-01, "2026-11-01 14:00" or ISO 8601'
"""For help and errors."""

_WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")

# No leading zero: run ids begin with a zero.
_AGE = re.compile(r"(?:([1-9]\d{0,5})w)?(?:([1-9]\d{0,5})d)?(?:([1-9]\d{0,5})h)?(?:([1-9]\d{0,5})m)?")
_WITH_TIME = re.compile(r"(.+?) (\d{1,2}):(\d{2})")


class TimeSpan(NamedTuple):
    """A moment (both ends equal) or a day."""

    begins: datetime
    ends: datetime


def utc_text(moment: datetime) -> str:
    """For example `2026-01-02 03:04:05Z`; the moment must be in UTC."""
    return f"{moment:%Y-%m-%d %H:%M:%SZ}"


def time_of(value: str, zone: tzinfo | None = UTC) -> datetime | None:
    """Reads ISO 8601, by default in `zone` (None: local time); None for other texts, and for a time out of range."""
    try:
        moment = datetime.fromisoformat(value)
    except ValueError:
        return None
    return _bounded(moment, zone)


def typed_time(value: str, now: datetime, zone: tzinfo | None, *, is_ahead: bool = False) -> TimeSpan | None:
    """Reads one of `TIME_FORMS`; None for other texts. `zone` None is local time.

    A weekday is the latest, today included; after `last`, before today. A duration counts back from `now`. With
    `is_ahead`, both look ahead, unless `last` or `ago` says otherwise.
    """
    words = " ".join(value.lower().split())
    if (duration := _duration(words.removesuffix(" ago"))) is not None:
        try:
            return _moment(now + duration if is_ahead and not words.endswith(" ago") else now - duration, zone)
        except OverflowError:
            return None
    today = now.astimezone(zone).date()
    if (day := _day(words, today, is_ahead=is_ahead)) is not None:
        return _whole_day(day, zone)
    if (match := _WITH_TIME.fullmatch(words)) and (day := _day(match[1], today, is_ahead=is_ahead)) is not None:
        try:
            return _moment(datetime.combine(day, time(int(match[2]), int(match[3]))), zone)
        except ValueError:
            return None
    moment = time_of(value.strip(), zone)
    return None if moment is None else TimeSpan(moment, moment)


def _duration(words: str) -> timedelta | None:
    """`2d`, `36h`, `1d12h`, `90m`, `2w`."""
    match = _AGE.fullmatch(words)
    if match is None or not words:
        return None
    weeks, days, hours, minutes = (int(number or 0) for number in match.groups())
    return timedelta(weeks=weeks, days=days, hours=hours, minutes=minutes)


def _day(words: str, today: date, *, is_ahead: bool) -> date | None:
    steps = {"today": 0, "yesterday": -1, "tomorrow": 1}
    if words in steps:
        return _moved(today, steps[words])
    is_last, name = words.startswith("last "), words.removeprefix("last ")
    if name in _WEEKDAYS:
        passed = (today.weekday() - _WEEKDAYS.index(name)) % 7
        if is_last:
            return _moved(today, -(passed or 7))
        return _moved(today, 7 - passed if is_ahead else -passed)
    try:
        return date.fromisoformat(words.upper())
    except ValueError:
        return None


def _moved(day: date, days: int) -> date | None:
    try:
        return day + timedelta(days=days)
    except OverflowError:
        return None


def _whole_day(day: date, zone: tzinfo | None) -> TimeSpan | None:
    next_day = _moved(day, 1)
    begins = _bounded(datetime.combine(day, time()), zone)
    ends = None if next_day is None else _bounded(datetime.combine(next_day, time()), zone)
    return None if begins is None or ends is None else TimeSpan(begins, ends)


def _moment(moment: datetime, zone: tzinfo | None) -> TimeSpan | None:
    bounded = _bounded(moment, zone)
    return None if bounded is None else TimeSpan(bounded, bounded)


def _bounded(moment: datetime, zone: tzinfo | None) -> datetime | None:
    """Converts to UTC, from `zone` unless the moment has one; None if out of range."""
    try:
        if moment.tzinfo is None and zone is not None:
            moment = moment.replace(tzinfo=zone)
        moment = moment.astimezone(UTC)
    except (ValueError, OverflowError, OSError):
        return None
    return moment if EARLIEST <= moment <= LATEST else None
