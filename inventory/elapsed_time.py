"""Times as people say them."""

from datetime import datetime, timedelta

from inventory.plurals import counted

LONGEST = timedelta(days=31)
"""For longer times a date is clearer."""

_UNITS = ((" h", 3_600), (" min", 60))

_DAY = 86_400


def elapsed(moment: datetime, now: datetime) -> str | None:
    """The time since or until a moment: `3 h ago`, `in 2 days`; None beyond `LONGEST`."""
    passed = now - moment
    is_over = passed >= timedelta(0)
    seconds = abs(passed).total_seconds()
    if seconds < 60:
        return "just now" if is_over else "in a moment"
    if seconds >= LONGEST.total_seconds():
        return None
    if seconds >= _DAY:
        number = counted(int(seconds // _DAY), "day")
    else:
        unit, size = next((unit, size) for unit, size in _UNITS if seconds >= size)
        number = f"{int(seconds // size)}{unit}"
    return f"{number} ago" if is_over else f"in {number}"


def lasting(duration: timedelta | None) -> str:
    if duration is None:
        return ""
    seconds = duration.total_seconds()
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes // 60} h {minutes % 60} min" if minutes >= 60 else f"{minutes} min {rest} s"
