"""The command line's requests to Temporal: who asks, when, and what people who leave are told."""

import getpass
import socket
from datetime import UTC, datetime
from shlex import quote
from uuid import UUID

from inventory.visible_text import visible


def goes_on(run_id: UUID, tenant_name: str) -> str:
    """Tells a person who stops following a run how to return to it and end it."""
    return (
        f"run {run_id} goes on\n"
        f"  follow it: python starter.py run {run_id} --follow\n"
        f"  cancel it: python starter.py cancel {quote(visible(tenant_name))} --run {run_id}"
    )


def requester() -> str:
    return f"{getpass.getuser()}@{socket.gethostname()}"


def now() -> datetime:
    """The command's clock, for records that the database lacks."""
    return datetime.now(UTC)
