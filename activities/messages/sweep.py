"""The result of the sweep."""

from activities.messages.base import Message


class SweepResult(Message):
    """Open runs with an expired lease, and those closed as abandoned."""

    expired: int
    closed: int
