"""Item states for people: an item not read is not missing, though records say so."""

from enum import StrEnum
from typing import Protocol

from inventory.missing import Confidence, State

_UNREAD = "collection_"
"""Begins the evidence of an item whose collection was not read to its end."""


class StateChoice(StrEnum):
    PRESENT = "present"
    MISSING = "missing"
    NOT_READ = "not_read"


class StatedItem(Protocol):
    @property
    def state(self) -> State | None: ...
    @property
    def confidence(self) -> Confidence | None: ...
    @property
    def evidence(self) -> str | None: ...


def state_of(item: StatedItem) -> StateChoice | None:
    """None before any completed run."""
    if item.state is State.MISSING:
        return StateChoice.NOT_READ if (item.evidence or "").startswith(_UNREAD) else StateChoice.MISSING
    return None if item.state is None else StateChoice.PRESENT


def told_confidence(item: StatedItem) -> Confidence | None:
    """None if the item was not read."""
    return None if state_of(item) is StateChoice.NOT_READ else item.confidence


def reason(item: StatedItem) -> str | None:
    """`confirmed`, `failed:graph_throttled`; None for a present item."""
    return None if item.state is State.PRESENT or item.evidence is None else item.evidence.removeprefix(_UNREAD)


def told_state(item: StatedItem) -> str:
    """For example `missing, high confidence, confirmed` or `not read (failed:graph_throttled)`."""
    state = state_of(item)
    if state is None:
        return "no state yet"
    if state is StateChoice.NOT_READ:
        return f"not read ({reason(item)})"
    return f"{state}, {item.confidence} confidence, {item.evidence}"
