"""The result of the sweep."""

from activities.messages.base import Message


class SweepResult(Message):
    """The numbers of open runs with an expired lease, and of runs closed as abandoned."""

    expired: int
    closed: int
