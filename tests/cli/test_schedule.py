"""Start times and durations of schedules, as people write them."""

from datetime import timedelta

import pytest

from cli.schedule import schedule_spec
from control.durations import duration_of, in_short
from inventory.user_errors import UserError


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({}, "say when, in one way"),
        ({"every": "1h", "cron": "0 * * * *"}, "say when, in one way"),
        ({"every": "soon"}, "--every: 'soon' is not a duration"),
        ({"every": ""}, "is not a duration"),
        ({"every": "5s"}, "is not between 1m and 366d"),
        ({"every": "1h", "jitter": "2d"}, "--jitter: 2d is not between 0s and 1d"),
        ({"every": "1h", "time_zone": "Europe/Berlin"}, "--time-zone goes with"),
        ({"cron": "0 * * * *", "time_zone": "Moon/Sea"}, "is not known"),
        ({"cron": "0 * * * *", "time_zone": "../etc"}, "is not known"),
        ({"cron": "* *"}, "takes five fields"),
        ({"calendar": "someday 06:30"}, "is not a time"),
        ({"calendar": "mon- 06:30"}, "is not a time"),
        ({"calendar": "mon 24:00"}, "is not a time"),
        ({"calendar": "06:60"}, "is not a time"),
    ],
)
def test_an_invalid_schedule_is_refused(options: dict[str, str], words: str) -> None:
    values: dict[str, str | None] = {"every": None, "cron": None, "calendar": None, "time_zone": None} | options
    with pytest.raises(UserError) as refused:
        schedule_spec(
            values["every"], values["cron"], values["calendar"], values["time_zone"], options.get("jitter", "0s")
        )
    assert words in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("calendar", "days"),
    [
        ("06:30", {0, 1, 2, 3, 4, 5, 6}),
        ("mon-fri 06:30", {1, 2, 3, 4, 5}),
        ("FRI-MON,wed 6:30", {5, 6, 0, 1, 3}),
        ("sun 06:30", {0}),
    ],
)
def test_a_calendar_is_parsed_as_days_and_a_time(calendar: str, days: set[int]) -> None:
    (spec,) = schedule_spec(None, None, calendar, "Europe/Berlin", "0s").calendars
    covered = {day for range_ in spec.day_of_week for day in range(range_.start, max(range_.start, range_.end) + 1)}
    assert covered == days
    assert ([span.start for span in spec.hour], [span.start for span in spec.minute]) == ([6], [30])


@pytest.mark.parametrize(
    ("text", "duration"),
    [
        ("90s", timedelta(seconds=90)),
        ("15m", timedelta(minutes=15)),
        ("2h", timedelta(hours=2)),
        ("1d", timedelta(days=1)),
        ("1H30M", timedelta(minutes=90)),
    ],
)
def test_durations_round_trip(text: str, duration: timedelta) -> None:
    assert duration_of(text, "--every", most=timedelta(days=2)) == duration
    assert duration_of(in_short(duration), "--every", most=timedelta(days=2)) == duration
