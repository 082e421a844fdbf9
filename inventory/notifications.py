"""Events, and the rules by which they go to targets."""

import hashlib
from collections.abc import Collection, Iterable, Sequence
from datetime import timedelta
from enum import StrEnum
from typing import Annotated, NamedTuple
from uuid import UUID

from pydantic import BaseModel, Field

from inventory.portfolio import Tag
from inventory.severity import ProtectionEffect, Severity
from inventory.visible_text import visible

TargetName = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._-]{0,63}$")]

MOST_CHARACTERS = 200
"""Characters of a line about an event."""


class NotificationKind(StrEnum):
    """Kinds of events."""

    RUN_FAILED = "run_failed"
    RUN_PARTIAL = "run_partial"
    CHANGE = "change"
    MISSING = "missing"
    DRIFT = "drift"
    NOT_READ = "not_read"
    """No clean run has ended for a rule's hours."""
    EXPIRING = "expiring"
    PLAN_WAITING = "plan_waiting"

    @property
    def lasts(self) -> bool:
        """Whether it is a state, which is sent after a snooze if it still holds."""
        return self in (NotificationKind.NOT_READ, NotificationKind.EXPIRING, NotificationKind.PLAN_WAITING)


class NotificationState(StrEnum):
    """An event's state for a target."""

    PENDING = "pending"
    SENT = "sent"
    FAILED = "failed"
    """The target refused it, or did not take it within `DELIVERY_RETRY_LIMIT`."""
    SNOOZED = "snoozed"


class NotificationEvent(BaseModel, frozen=True):
    """`key` is the same in every attempt and run. `text` names no value. `threshold`: a rule's hours or days."""

    kind: NotificationKind
    severity: Severity
    key: str
    text: str
    type_key: str | None = None
    category: str | None = None
    external_id: str | None = None
    effect: ProtectionEffect | None = None
    threshold: int | None = None


class NotificationRule(BaseModel, frozen=True, extra="forbid"):
    """Empty lists fit every event."""

    targets: Annotated[tuple[TargetName, ...], Field(min_length=1)]
    tags: frozenset[Tag] = frozenset()
    kinds: frozenset[NotificationKind] = frozenset()
    severity: Severity = Severity.LOW
    types: frozenset[str] = frozenset()
    categories: frozenset[str] = frozenset()
    effect: ProtectionEffect | None = None
    not_read_hours: Annotated[int, Field(ge=1, le=8760)] = 24
    expiring_days: Annotated[frozenset[Annotated[int, Field(ge=0, le=3650)]], Field(min_length=1)] = frozenset(
        {30, 7, 1, 0}
    )

    def is_about(self, tags: Collection[str]) -> bool:
        return not self.tags or not self.tags.isdisjoint(tags)

    def wants(self, kind: NotificationKind) -> bool:
        return not self.kinds or kind in self.kinds

    def fits(self, event: NotificationEvent) -> bool:
        """A property that the event lacks fits only an empty list."""
        return (
            self.wants(event.kind)
            and event.severity.is_at_least(self.severity)
            and (not self.types or event.type_key in self.types)
            and (not self.categories or event.category in self.categories)
            and (self.effect is None or event.effect is self.effect)
            and (event.kind is not NotificationKind.NOT_READ or event.threshold == self.not_read_hours)
            and (event.kind is not NotificationKind.EXPIRING or event.threshold in self.expiring_days)
        )


class NotificationSnooze(BaseModel, frozen=True):
    """Events that are not sent for now. None fits all."""

    kind: NotificationKind | None = None
    type_key: str | None = None
    external_id: str | None = None

    def fits(self, event: NotificationEvent) -> bool:
        return (
            self.kind in (None, event.kind)
            and self.type_key in (None, event.type_key)
            and self.external_id in (None, event.external_id)
        )


class AddressedEvent(NamedTuple):
    target: str
    event: NotificationEvent


class TenantRules:
    def __init__(self, rules: Iterable[NotificationRule], tags: Collection[str]) -> None:
        self._rules = [rule for rule in rules if rule.is_about(tags)]

    def wants(self, *kinds: NotificationKind) -> bool:
        return any(rule.wants(kind) for rule in self._rules for kind in kinds)

    def fits(self, event: NotificationEvent) -> bool:
        return any(rule.fits(event) for rule in self._rules)

    def addressed(self, events: Iterable[NotificationEvent]) -> list[AddressedEvent]:
        """The events, once for each target of fitting rules."""
        return [
            AddressedEvent(target, event)
            for event in events
            for target in dict.fromkeys(target for rule in self._rules if rule.fits(event) for target in rule.targets)
        ]

    def not_read_hours(self) -> list[int]:
        """Hours without a clean run after which rules want an event."""
        return sorted({rule.not_read_hours for rule in self._rules if rule.wants(NotificationKind.NOT_READ)})

    def expiring_days(self, remaining: timedelta) -> list[int]:
        """Each rule's fewest days that cover the time `left`."""
        return sorted(
            {
                min(within)
                for rule in self._rules
                if rule.wants(NotificationKind.EXPIRING)
                and (within := [days for days in rule.expiring_days if remaining <= timedelta(days=days)])
            }
        )


def event_hash(event: NotificationEvent) -> bytes:
    """The event's key in the database."""
    return hashlib.sha256(f"{event.kind}\n{event.key}".encode("utf-8", "surrogatepass")).digest()


def one_line(text: str) -> str:
    """The text without control characters, cut to `MOST_CHARACTERS`."""
    line = visible(" ".join(text.split()))
    return line if len(line) <= MOST_CHARACTERS else line[: MOST_CHARACTERS - 1] + "…"


class NotificationGroup(NamedTuple):
    """One message; `delivery_id` is the same in every attempt."""

    delivery_id: UUID
    target: str
    run_id: UUID | None
    events: Sequence[NotificationEvent]
    attempts: int
