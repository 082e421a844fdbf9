"""The base of messages, and the limits of their texts."""

from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

MOST_CHARACTERS = 500
"""Temporal refuses messages over two megabytes."""


def _cut(value: object) -> object:
    return value[: MOST_CHARACTERS - 1] + "…" if isinstance(value, str) and len(value) > MOST_CHARACTERS else value


ShortText = Annotated[str, BeforeValidator(_cut)]
"""A person's text, cut at `MOST_CHARACTERS`."""

SelectionName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$")]
"""A person's name for a selection, without effect on its hash and the workflow id."""

TenantName = Annotated[str, BeforeValidator(lambda name: name[:60] if isinstance(name, str) else name)]
"""A tenant's name, cut since one message holds 10,000 of them."""

WorkflowId = Annotated[str, Field(max_length=1000)]
"""Temporal's servers allow no longer ids."""


class Message(BaseModel):
    """Ignores fields of a newer sender."""

    model_config = ConfigDict(frozen=True, extra="ignore")
