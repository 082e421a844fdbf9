"""Events that somebody may want to be told, and the rules by which they go to targets. Pure."""

import hashlib
from collections.abc import Collection, Iterable, Sequence
from enum import StrEnum
from typing import Annotated, NamedTuple
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from inventory.portfolio import Tag
from inventory.severity import ProtectionEffect, Severity
from inventory.visible_text import visible

TargetName = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._-]{0,63}$")]

MOST_CHARACTERS = 200
"""Of one line about an event: names come from the tenant."""


class NotificationKind(StrEnum):
    """What may be told."""

    RUN_FAILED = "run_failed"
    RUN_PARTIAL = "run_partial"


class NotificationState(StrEnum):
    """What became of an event for a target."""

    PENDING = "pending"
    SENT = "sent"
    FAILED = "failed"
    """The target refused it, or did not take it within `DELIVERY_PATIENCE`."""
    SNOOZED = "snoozed"


class NotificationEvent(BaseModel):
    """One thing to tell. `key` identifies it: the same event has the same key in every attempt and run.

    `text` is one line of names and labels, never a value.
    """

    model_config = ConfigDict(frozen=True)

    kind: NotificationKind
    severity: Severity
    key: str
    text: str
    type_key: str | None = None
    category: str | None = None
    external_id: str | None = None
    effect: ProtectionEffect | None = None


class NotificationRule(BaseModel):
    """Which events of which tenants go to which targets. A list that is empty narrows nothing."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    targets: Annotated[tuple[TargetName, ...], Field(min_length=1)]
    tags: frozenset[Tag] = frozenset()
    kinds: frozenset[NotificationKind] = frozenset()
    severity: Severity = Severity.LOW
    types: frozenset[str] = frozenset()
    categories: frozenset[str] = frozenset()
    effect: ProtectionEffect | None = None

    def is_about(self, tags: Collection[str]) -> bool:
        """Whether the rule holds for a tenant with these tags."""
        return not self.tags or not self.tags.isdisjoint(tags)

    def fits(self, event: NotificationEvent) -> bool:
        """Whether such an event is told. What an event does not have fits no list that is not empty."""
        return (
            (not self.kinds or event.kind in self.kinds)
            and event.severity.is_at_least(self.severity)
            and (not self.types or event.type_key in self.types)
            and (not self.categories or event.category in self.categories)
            and (self.effect is None or event.effect is self.effect)
        )


class AddressedEvent(NamedTuple):
    """An event for one target."""

    target: str
    event: NotificationEvent


def addressed(
    events: Iterable[NotificationEvent], rules: Sequence[NotificationRule], tags: Collection[str]
) -> list[AddressedEvent]:
    """The events of a tenant with these tags, once for each target that a rule names."""
    about = [rule for rule in rules if rule.is_about(tags)]
    return [
        AddressedEvent(target, event)
        for event in events
        for target in dict.fromkeys(target for rule in about if rule.fits(event) for target in rule.targets)
    ]


def event_hash(event: NotificationEvent) -> bytes:
    """The event's key as the database keeps it."""
    return hashlib.sha256(f"{event.kind}\n{event.key}".encode("utf-8", "surrogatepass")).digest()


def one_line(text: str) -> str:
    """The text in one line without characters that steer, cut to a length that a phone shows."""
    line = visible(" ".join(text.split()))
    return line if len(line) <= MOST_CHARACTERS else line[: MOST_CHARACTERS - 1] + "…"


class NotificationGroup(NamedTuple):
    """The events that go to one target in one message. `delivery_id` stays the same in every attempt."""

    delivery_id: UUID
    target: str
    run_id: UUID | None
    events: Sequence[NotificationEvent]
    attempts: int
