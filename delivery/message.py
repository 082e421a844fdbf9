"""A message about events of a tenant. Its first line, which a phone shows, names both."""

from collections.abc import Sequence
from datetime import timedelta
from typing import NamedTuple
from uuid import UUID

from inventory.notifications import NotificationEvent, one_line
from inventory.plurals import counted
from inventory.severity import Severity

MOST_LINES = 20
"""The most lines of a message; further events are counted. A Teams workflow refuses more than 28 KB."""


class Message(NamedTuple):
    """A message to a target. `delivery_id` is the idempotency key of all attempts."""

    delivery_id: UUID
    tenant_id: UUID | None
    tenant_name: str
    run_id: UUID | None
    severity: Severity
    subject: str
    lines: Sequence[str]
    events: Sequence[NotificationEvent]


class DeliveryAnswer(NamedTuple):
    """A target's answer in words. `retryable`: a later attempt, after `retry_after`, may succeed.

    `body`: the beginning of the answer, shown to a person who tests the target and never kept.
    """

    is_delivered: bool
    text: str
    retryable: bool = False
    retry_after: timedelta | None = None
    body: str = ""


def message_of(
    delivery_id: UUID,
    tenant_id: UUID,
    tenant_name: str,
    run_id: UUID | None,
    events: Sequence[NotificationEvent],
) -> Message:
    """Most severe events first."""
    order = list(Severity)
    ranked = sorted(events, key=lambda event: order.index(event.severity))
    name = one_line(tenant_name)
    first = one_line(ranked[0].text)
    rest = f", and {counted(len(ranked) - 1, 'more')}".replace("mores", "more") if len(ranked) > 1 else ""
    lines = [one_line(event.text) for event in ranked[:MOST_LINES]]
    if len(ranked) > MOST_LINES:
        lines.append(f"… and {len(ranked) - MOST_LINES:,} more")
    return Message(
        delivery_id, tenant_id, name, run_id, ranked[0].severity, one_line(f"{name}: {first}") + rest, lines, ranked
    )


def trial_message(delivery_id: UUID) -> Message:
    """The message of `notify test`."""
    text = "test message: notifications reach this target"
    return Message(delivery_id, None, "Tenant Inventory", None, Severity.LOW, f"Tenant Inventory: {text}", [text], [])
