"""What the sweep answers."""

from activities.messages.base import Message


class SweepResult(Message):
    """One sweep: open runs with an expired lease, of which so many were closed as abandoned."""

    expired: int
    closed: int
