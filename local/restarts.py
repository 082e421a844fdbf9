"""The waits before restarts of a part."""

QUICK_SECONDS = 30.0
"""A part that lives for less dies a quick death."""

QUICK_DEATHS = 5
"""Quick deaths in a row after which the part is given up."""

FIRST_WAIT_SECONDS, LONGEST_WAIT_SECONDS = 0.5, 8.0


class Restarts:
    def __init__(self) -> None:
        self._quick = 0

    def wait_after(self, lived_seconds: float) -> float | None:
        """Seconds to wait before the restart; None to give up."""
        self._quick = self._quick + 1 if lived_seconds < QUICK_SECONDS else 0
        if self._quick >= QUICK_DEATHS:
            return None
        if self._quick <= 1:
            return 0.0
        return min(FIRST_WAIT_SECONDS * 2.0 ** (self._quick - 2), LONGEST_WAIT_SECONDS)
