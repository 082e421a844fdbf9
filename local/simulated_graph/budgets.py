"""Tenants' budgets of requests to each throttle family, in sliding windows."""

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from threading import Lock


@dataclass(frozen=True, slots=True)
class Budget:
    """Requests in any window of this length. `retry_after`: whether a 429 has the header."""

    requests: int
    window_seconds: float
    retry_after: bool = True

    def __post_init__(self) -> None:
        if self.requests < 1 or self.window_seconds <= 0:
            raise ValueError("a budget is of 1 request or more, in a window longer than nothing")


REAL_BUDGETS: Mapping[str, Budget] = {
    "device-configuration": Budget(1000, 20),
    "settings-catalog": Budget(1000, 20),
    "apps": Budget(1000, 20),
    "conditional-access": Budget(1, 1, retry_after=False),
    "directory": Budget(8000, 10),
    "reports": Budget(5, 10),
}
"""Graph's budget for each throttle family."""

_FAMILIES = (
    ("deviceManagement/configurationPolicies", "settings-catalog"),
    ("deviceManagement/compliancePolicies", "settings-catalog"),
    ("deviceManagement/reusablePolicySettings", "settings-catalog"),
    ("deviceManagement", "device-configuration"),
    ("deviceAppManagement", "apps"),
    ("identity/conditionalAccess/policies", "conditional-access"),
    ("identity/conditionalAccess/namedLocations", "conditional-access"),
    ("auditLogs", "reports"),
)


def family_of(path: str) -> str:
    """The throttle family of a path with its version."""
    below = f"{path.lstrip('/').partition('/')[2]}/"
    return next((family for start, family in _FAMILIES if below.startswith(f"{start}/")), "directory")


@dataclass(frozen=True, slots=True)
class Exceeded:
    """The throttle family with a full window, and the seconds until there is room, if told."""

    family: str
    retry_after_seconds: float | None


class Budgets:
    """Budgets by family, windows by tenant. Thread-safe."""

    def __init__(self, budgets: Mapping[str, Budget] | None = None) -> None:
        self._lock = Lock()
        self._budgets: dict[str, Budget] = {}
        self._windows: dict[tuple[str, str], deque[float]] = {}
        if budgets:
            self.set(budgets)

    def set(self, budgets: Mapping[str, Budget]) -> None:
        """Replaces all budgets and empties the windows. Raises `ValueError` for an unknown family."""
        if unknown := set(budgets) - set(REAL_BUDGETS):
            raise ValueError(f"no family {', '.join(sorted(unknown))}; there are {', '.join(REAL_BUDGETS)}")
        with self._lock:
            self._budgets = dict(budgets)
            self._windows.clear()

    def clear(self) -> None:
        self.set({})

    def spend(self, tenant_id: str, path: str, now: float) -> Exceeded | None:
        """Counts a request at `now`, a monotonic time, even if refused; None within the budget."""
        family = family_of(path)
        with self._lock:
            budget = self._budgets.get(family)
            if budget is None:
                return None
            window = self._windows.setdefault((tenant_id, family), deque())
            while window and window[0] <= now - budget.window_seconds:
                window.popleft()
            window.append(now)
            if len(window) <= budget.requests:
                return None
            # There is room for one more once all but `requests - 1` of these have left.
            room = window[len(window) - budget.requests] + budget.window_seconds - now
            return Exceeded(family, room if budget.retry_after else None)
