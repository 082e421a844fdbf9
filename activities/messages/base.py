"""The base of all messages, and the bounds of their texts."""

from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

MOST_CHARACTERS = 500
"""Limit of a person's text. Temporal accepts two megabytes, and would refuse a larger message for ever."""


def _cut(value: object) -> object:
    return value[: MOST_CHARACTERS - 1] + "…" if isinstance(value, str) and len(value) > MOST_CHARACTERS else value


ShortText = Annotated[str, BeforeValidator(_cut)]
"""A text that a person has written, cut if it is longer than `MOST_CHARACTERS`."""

SelectionName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$")]
"""A person's name for a selection. Neither its hash nor the workflow id depends on it."""

TenantName = Annotated[str, BeforeValidator(lambda name: name[:60] if isinstance(name, str) else name)]
"""A tenant's name in a summary: 10,000 of them travel in one message."""

WorkflowId = Annotated[str, Field(max_length=1000)]
"""As long as Temporal's servers allow."""


class Message(BaseModel):
    """Base of messages: frozen, and ignores fields of a newer sender."""

    model_config = ConfigDict(frozen=True, extra="ignore")
