"""Durations as people type them: `90s`, `15m`, `2h`, `1d`, `1h30m`."""

import re
from datetime import timedelta

from control.errors import RequestError

_UNITS = {"d": "days", "h": "hours", "m": "minutes", "s": "seconds"}
_FORM = re.compile("".join(rf"(?:(?P<{name}>\d{{1,6}}){unit})?" for unit, name in _UNITS.items()))


def duration_of(value: str, option: str, *, least: timedelta = timedelta(0), most: timedelta) -> timedelta:
    """Raises `RequestError`, also for a duration out of bounds."""
    match = _FORM.fullmatch(value.strip().lower())
    if match is None or not any(match.groupdict().values()):
        raise RequestError(f"{option}: {value!r} is not a duration; write 90s, 15m, 2h, 1d or 1h30m")
    duration = timedelta(**{name: int(number) for name, number in match.groupdict().items() if number})
    if not least <= duration <= most:
        raise RequestError(f"{option}: {value} is not between {in_short(least)} and {in_short(most)}")
    return duration


def in_short(duration: timedelta) -> str:
    """Writes a duration, to the second, so that `duration_of` reads it back."""
    rest = int(duration.total_seconds())
    parts = []
    for unit, seconds in (("d", 86_400), ("h", 3600), ("m", 60), ("s", 1)):
        number, rest = divmod(rest, seconds)
        parts += [f"{number}{unit}"] if number else []
    return "".join(parts) or "0s"
