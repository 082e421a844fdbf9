"""The result of the sweep."""

from activities.messages.base import Message


class SweepResult(Message):
    """One sweep: the open runs with an expired lease, and how many of them it closed as abandoned."""

    expired: int
    closed: int
