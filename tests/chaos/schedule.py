"""The schedule of a seed: faults of Graph, edits, runs, looks, cancellations, held rows, and events of servers."""

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from enum import StrEnum
from random import Random

from local.simulated_graph import Fault, FaultKind

COLLECTIONS: dict[str, str] = {
    "deviceConfigurations": "deviceManagement/deviceConfigurations",
    "configurationPolicies": "deviceManagement/configurationPolicies",
    "deviceCompliancePolicies": "deviceManagement/deviceCompliancePolicies",
    "mobileApps": "deviceAppManagement/mobileApps",
    "assignmentFilters": "deviceManagement/assignmentFilters",
    "conditionalAccessPolicies": "identity/conditionalAccess/policies",
    "namedLocations": "identity/conditionalAccess/namedLocations",
    "groups": "groups",
    "deviceManagementScripts": "deviceManagement/deviceManagementScripts",
    "groupPolicyConfigurations": "deviceManagement/groupPolicyConfigurations",
    "depEnrollmentProfiles": "deviceManagement/depOnboardingSettings",
}
"""Type keys and the paths that edits and faults hit: each throttle family, with and without pages, assignments,
details, details of details, parents."""

DETAILS = {
    "configurationPolicies": "settings",
    "groupPolicyConfigurations": "definitionValues",
    "depEnrollmentProfiles": "enrollmentProfiles",
}
"""The path of the details below an object."""

FAULT_WINDOW_SECONDS = 4.0
"""How long after the first start edits, starts, cancellations and events happen."""

LISTINGS = rf"/({'|'.join(COLLECTIONS.values())})(\?|$)"
"""SLIP hits listings only: below an object, a slip comes with an edit of the object, which the object's list shows."""

NOT_DRAWN = frozenset({FaultKind.SLOW_FIRST_BYTE, FaultKind.SLOW_DRIP})


class Event(StrEnum):
    """An event that hits a server, and so every seed under way, since seeds share the servers."""

    KILL_WORKER = "kill_worker"
    RESTART_TEMPORAL = "restart_temporal"
    RESTART_POSTGRES = "restart_postgres"
    CRASH_POSTGRES = "crash_postgres"


@dataclass(frozen=True)
class Edit:
    """One change of the tenant; `pick` chooses the object. An audit log lists it after so many seconds, if at all."""

    at: float
    action: str
    type_key: str
    pick: int
    logged_after: float | None = None


@dataclass(frozen=True)
class Start:
    """One start of a run, of the whole selection or a part of it, and when it is cancelled, if at all."""

    at: float
    type_keys: tuple[str, ...]
    cancel_after: float | None = None


@dataclass(frozen=True)
class Schedule:
    """Everything that one seed does. Times are seconds from the first start.

    `looks` are the times of looks at audit logs. Unless `rows_held_seconds` is None, transactions that move rows of
    items follow one another, each of this length.
    """

    seed: int
    type_keys: tuple[str, ...]
    faults: tuple[Fault, ...]
    edits: tuple[Edit, ...]
    starts: tuple[Start, ...]
    events: tuple[tuple[float, Event], ...]
    looks: tuple[float, ...]
    rows_held_seconds: float | None

    @classmethod
    def of(cls, seed: int, *, events: float = 0.04) -> "Schedule":
        """The schedule of a seed; `events` is the share of seeds with an event."""
        random = Random(seed)
        type_keys = tuple(sorted(random.sample(sorted(COLLECTIONS), random.randint(3, 5))))
        faults = tuple(_fault(random, type_keys) for _ in range(random.randint(1, 4)))
        edits = tuple(
            Edit(
                random.uniform(0, FAULT_WINDOW_SECONDS),
                random.choice(("add", "change", "detail", "rename", "remove", "remove")),
                random.choice(type_keys),
                random.randrange(1000),
                random.uniform(0, FAULT_WINDOW_SECONDS / 2) if random.random() < 0.8 else None,
            )
            for _ in range(random.randint(0, 5))
        )
        part = tuple(sorted(random.sample(type_keys, 2)))
        starts = [Start(0.0, type_keys, random.uniform(0, 3) if random.random() < 0.2 else None)]
        for selection, chance in ((type_keys, 0.3), (part, 0.3), (type_keys, 0.2)):
            if random.random() < chance:
                cancel_after = random.uniform(0, 3) if random.random() < 0.2 else None
                starts.append(Start(random.uniform(0, FAULT_WINDOW_SECONDS), selection, cancel_after))
        happens = random.random() < events
        event = (random.uniform(0, FAULT_WINDOW_SECONDS), random.choice(list(Event)))
        looks = tuple(random.uniform(0, FAULT_WINDOW_SECONDS) for _ in range(random.randint(0, 3)))
        held = random.uniform(0.01, 0.1) if random.random() < 0.5 else None
        return cls(seed, type_keys, faults, edits, tuple(starts), (event,) if happens else (), looks, held)

    def with_event(self, at: float, event: Event) -> "Schedule":
        """A copy with one more event."""
        return replace(self, events=(*self.events, (at, event)))

    def describe(self) -> str:
        """The schedule in lines: its collections, then each fault, edit, start, look and event."""
        lines = [f"seed {self.seed}: {', '.join(self.type_keys)}"]
        lines += [f"  fault {fault}" for fault in self.faults]
        lines += [f"  {edit}" for edit in (*self.edits, *self.starts)]
        lines += [f"  look at {at:.2f} s" for at in self.looks]
        lines += [f"  at {at:.2f} s {event}" for at, event in self.events]
        lines += [f"  rows held for {self.rows_held_seconds:.2f} s"] if self.rows_held_seconds else []
        return "\n".join(lines)


def _fault(random: Random, type_keys: tuple[str, ...]) -> Fault:
    kind = random.choice([kind for kind in FaultKind if kind not in NOT_DRAWN])
    if random.random() < 0.08:
        kind = random.choice(sorted(NOT_DRAWN))
    is_page_fault = not kind.startswith(("batch_", "token_", "reset_", "slow_")) and kind is not FaultKind.APP_REVOKED
    path = COLLECTIONS[random.choice(type_keys)] if is_page_fault and random.random() < 0.7 else ""
    chance = random.random()
    return Fault(
        kind,
        path=LISTINGS if kind is FaultKind.SLIP else path.replace("/", r"\/"),
        probability=1.0 if chance < 0.7 else random.uniform(0.05, 0.6),
        count=random.randint(1, 4) if chance < 0.55 else random.randint(5, 60) if chance < 0.9 else None,
        skip=random.choice((0, 0, 1, 2, 5)),
        seed=random.randrange(1 << 30),
        retry_after=_retry_after(random),
        seconds=random.uniform(0.05, 1.5),
    )


def _retry_after(random: Random) -> str | None:
    """Forms of Retry-After, real and malformed; only absurd values are longer than a test can wait."""
    soon = format_datetime(datetime.now(UTC) + timedelta(seconds=random.uniform(0, 3)), usegmt=True)
    forms = ("1", "2", "0.7", "2.128", "0", "-5", "soon", "", "99999999999", "1e400", "nan", soon, None, None)
    return random.choice(forms)
