"""Reasons of a run's waits: summaries of timers in Temporal Web."""

from datetime import datetime
from typing import NamedTuple

from inventory.error_codes import ErrorCode
from workflows.cursor import Cursor


class Wait(NamedTuple):
    due: datetime
    summary: str


def wait_summary(cursor: Cursor, due: datetime, *, is_paused: bool, has_turns: bool) -> str:
    """`is_paused`: the throttle family waits. `has_turns`: it allows one request at a time."""
    subject = cursor.type_key
    if cursor.confirming:
        subject = f"items of {subject}"
    if cursor.detailing:
        subject = f"details of {subject}"
    at = f"{due:%H:%M:%S} UTC"
    if has_turns and (is_paused or cursor.failed_with is None):
        return f"{subject}: its throttle family's next turn comes at {at}"
    if is_paused or cursor.failed_with is None:
        return f"{subject}: Graph throttles its family; asked again at {at}"
    match cursor.failed_with:
        case ErrorCode.GRAPH_MALFORMED_RESPONSE:
            return f"Graph's answer for {subject} was no page; asked again at {at}"
        case ErrorCode.GRAPH_THROTTLED:
            return f"Graph throttles {subject}; asked again at {at}"
        case ErrorCode.GRAPH_UNAVAILABLE if cursor.http_status is not None:
            return f"Graph answered {cursor.http_status} for {subject}; asked again at {at}"
        case ErrorCode.GRAPH_UNAVAILABLE:
            return f"Graph could not be reached for {subject}; asked again at {at}"
        case ErrorCode.AUTH_FAILED:
            return f"no token could be had for {subject}; asked again at {at}"
        case code:
            return f"{subject} failed with {code}; asked again at {at}"
