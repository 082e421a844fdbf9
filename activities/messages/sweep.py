"""The result of the sweep."""

from activities.messages.base import Message


class SweepResult(Message):
    """Numbers of open runs with an expired lease, and of those closed as abandoned."""

    expired: int
    closed: int
