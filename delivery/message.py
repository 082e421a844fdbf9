"""Messages about a tenant's events. Phones show the subject, so it names the tenant and the severest event."""

import smtplib
import socket
import ssl
from collections.abc import Sequence
from datetime import timedelta
from typing import NamedTuple
from uuid import UUID

import httpx

from inventory.notifications import NotificationEvent, one_line
from inventory.severity import Severity

MOST_LINES = 20
"""The most events that a message lists; it counts the rest. A Teams workflow refuses more than 28 KB."""


class Message(NamedTuple):
    """`delivery_id` is the idempotency key of all attempts."""

    delivery_id: UUID
    tenant_id: UUID | None
    tenant_name: str
    run_id: UUID | None
    severity: Severity
    subject: str
    lines: Sequence[str]
    events: Sequence[NotificationEvent]


_CLOSED = (ConnectionResetError, BrokenPipeError, httpx.RemoteProtocolError, smtplib.SMTPServerDisconnected)


def unreachable(error: Exception) -> str:
    """Why no connection came about. The error's own text, which may hold the target's address, is left out."""
    causes: list[BaseException] = [error]
    for cause in causes:
        more = (cause.__cause__ or cause.__context__, *(cause.exceptions if isinstance(cause, ExceptionGroup) else ()))
        causes += [further for further in more if further is not None and further not in causes]
    if any(isinstance(cause, ssl.SSLCertVerificationError) for cause in causes):
        why = "its certificate is not trusted (ca_file)"
    elif any(isinstance(cause, ssl.SSLError) for cause in causes):
        why = "it does not speak TLS, or not on this port"
    elif any(isinstance(cause, socket.gaierror) for cause in causes):
        why = "its host name does not resolve"
    elif any(isinstance(cause, ConnectionRefusedError) for cause in causes):
        why = "nothing listens at its host and port"
    elif any(isinstance(cause, _CLOSED) for cause in causes):
        why = "it closed the connection without an answer"
    else:
        why = type(error).__name__
    return f"could not be reached: {why}"


class DeliveryAnswer(NamedTuple):
    """The result of one attempt. `retryable`: a later attempt, after `retry_after`, may succeed.

    `body`: the beginning of the target's answer, shown by `notify test` and never stored.
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
    """Lists the severest events first; at least one event is needed."""
    order = list(Severity)
    ranked = sorted(events, key=lambda event: order.index(event.severity))
    name = one_line(tenant_name)
    first = one_line(ranked[0].text)
    more = f", and {len(ranked) - 1:,} more" if len(ranked) > 1 else ""
    lines = [one_line(event.text) for event in ranked[:MOST_LINES]]
    if len(ranked) > MOST_LINES:
        lines.append(f"… and {len(ranked) - MOST_LINES:,} more")
    return Message(
        delivery_id, tenant_id, name, run_id, ranked[0].severity, one_line(f"{name}: {first}") + more, lines, ranked
    )


def trial_message(delivery_id: UUID) -> Message:
    """The message of `notify test`."""
    text = "test message: notifications reach this target"
    return Message(delivery_id, None, "Tenant Inventory", None, Severity.LOW, f"Tenant Inventory: {text}", [text], [])
