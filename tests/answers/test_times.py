"""Times as people type them."""

import calendar
from datetime import UTC, date, datetime, timedelta, tzinfo
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from answers.times import EARLIEST, LATEST, TIME_FORMS, typed_time

BERLIN = ZoneInfo("Europe/Berlin")
NOW = datetime(2026, 11, 4, 23, 30, tzinfo=UTC)
"""A Wednesday in London, and already a Thursday in Berlin."""

ZONES = st.sampled_from([UTC, BERLIN, ZoneInfo("America/New_York"), ZoneInfo("Asia/Kathmandu")])
MOMENTS = st.timedeltas(timedelta(days=-20_000), timedelta(days=20_000)).map(lambda passed: NOW + passed)
DAYS_OF_THE_WEEK = st.sampled_from([name.lower() for name in calendar.day_name])


def begins(value: str, zone: tzinfo = UTC, *, is_ahead: bool = False) -> str | None:
    typed = typed_time(value, NOW, zone, is_ahead=is_ahead)
    return None if typed is None else typed.begins.astimezone(zone).isoformat(" ", "minutes")


@pytest.mark.parametrize(
    ("value", "moment"),
    [
        ("today", "2026-11-04 00:00+00:00"),
        ("Yesterday", "2026-11-03 00:00+00:00"),
        ("yesterday 14:00", "2026-11-03 14:00+00:00"),
        ("2d", "2026-11-02 23:30+00:00"),
        ("2d ago", "2026-11-02 23:30+00:00"),
        ("36h", "2026-11-03 11:30+00:00"),
        ("1d12h", "2026-11-03 11:30+00:00"),
        ("2w", "2026-10-21 23:30+00:00"),
        ("wednesday", "2026-11-04 00:00+00:00"),
        ("last wednesday", "2026-10-28 00:00+00:00"),
        ("monday", "2026-11-02 00:00+00:00"),
        ("last monday", "2026-11-02 00:00+00:00"),
        ("monday 9:15", "2026-11-02 09:15+00:00"),
        ("2026-11-01", "2026-11-01 00:00+00:00"),
        ("2026-11-01 14:00", "2026-11-01 14:00+00:00"),
        ("2026-11-01T14:00:00", "2026-11-01 14:00+00:00"),
        ("2026-11-01T14:00:00Z", "2026-11-01 14:00+00:00"),
        ("2026-11-01 14:00:00+02:00", "2026-11-01 12:00+00:00"),
    ],
)
def test_each_form_means_a_moment(value: str, moment: str) -> None:
    assert begins(value) == moment


@pytest.mark.parametrize(
    "value", ["", "later", "2", "d", "0d", "019d", "2d3", "next", "last", "last 2d", "monday 25:00", "2026-13-01", "1y"]
)
def test_other_text_is_not_a_time(value: str) -> None:
    assert typed_time(value, NOW, UTC) is None


def test_day_begins_at_midnight_of_the_zone() -> None:
    assert begins("today", BERLIN) == "2026-11-05 00:00+01:00"
    assert begins("2026-10-25 14:00", BERLIN) == "2026-10-25 14:00+01:00"
    assert begins("2026-10-24", BERLIN) == "2026-10-24 00:00+02:00"


def test_times_ahead_are_in_the_future() -> None:
    assert begins("monday", is_ahead=True) == "2026-11-09 00:00+00:00"
    assert begins("wednesday", is_ahead=True) == "2026-11-11 00:00+00:00"
    assert begins("2d", is_ahead=True) == "2026-11-06 23:30+00:00"


def test_forms_named_in_help_and_errors_are_valid() -> None:
    forms = [form.strip('" ') for form in TIME_FORMS.removesuffix(" or ISO 8601").split(",")]
    assert len(forms) > 5
    assert [form for form in forms if typed_time(form, NOW, UTC) is None] == []


@given(MOMENTS, ZONES, DAYS_OF_THE_WEEK)
def test_weekday_is_the_latest_or_the_next(now: datetime, zone: tzinfo, name: str) -> None:
    today = now.astimezone(zone).date()

    def day(value: str, *, is_ahead: bool = False) -> date:
        typed = typed_time(value, now, zone, is_ahead=is_ahead)
        assert typed is not None
        found = typed.begins.astimezone(zone).date()
        assert calendar.day_name[found.weekday()].lower() == name
        return found

    assert timedelta(0) <= today - day(name) < timedelta(days=7)
    assert timedelta(0) < today - day(f"last {name}") <= timedelta(days=7)
    assert timedelta(0) < day(name, is_ahead=True) - today <= timedelta(days=7)


@given(MOMENTS, ZONES, st.sampled_from(["today", "yesterday", "tomorrow"]) | st.dates().map(str) | DAYS_OF_THE_WEEK)
def test_day_ends_when_the_next_begins(now: datetime, zone: tzinfo, value: str) -> None:
    typed = typed_time(value, now, zone)
    if typed is None:
        return
    assert timedelta(hours=22) < typed.ends - typed.begins < timedelta(hours=26)
    following = typed_time(str(typed.ends.astimezone(zone).date()), now, zone)
    assert following is None or following.begins == typed.ends


@given(st.datetimes(timezones=st.none() | ZONES), ZONES, st.sampled_from(" T"))
def test_iso_time_is_parsed_exactly(moment: datetime, zone: tzinfo, between: str) -> None:
    typed = typed_time(moment.isoformat(between), NOW, zone)
    here = moment if moment.tzinfo else moment.replace(tzinfo=zone)
    if typed is not None:
        assert typed.begins == typed.ends == here.astimezone(UTC)
    else:
        assert not EARLIEST + timedelta(days=2) <= here.replace(tzinfo=UTC) <= LATEST - timedelta(days=2)


@given(st.text(), MOMENTS, ZONES, st.booleans())
def test_any_text_is_rejected_or_within_limits(value: str, now: datetime, zone: tzinfo, is_ahead: bool) -> None:
    typed = typed_time(value, now, zone, is_ahead=is_ahead)
    assert typed is None or EARLIEST <= typed.begins <= typed.ends <= LATEST
