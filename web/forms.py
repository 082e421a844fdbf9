"""Forms that act once, even if sent twice.

A form contains the macro `parts.once()`; its route takes `Once` and passes it to `storage.audit.record`.
"""

from typing import Annotated
from uuid import UUID

from fastapi import Depends, Form

from inventory.typed_text import problem_with
from inventory.user_errors import UserError

CONFIRMED = "confirmed"
REQUEST_ID = "request_id"

Once = Annotated[UUID, Form(alias=REQUEST_ID, description="Made for each form; sent again, it does nothing.")]


Why = Annotated[str, Form(min_length=1, max_length=2_000, pattern=r"\S")]
"""A required reason."""


class NotConfirmedError(UserError):
    """A form's box is not ticked."""


def _confirmed(once: Once, confirmed: Annotated[str, Form(alias=CONFIRMED, description="yes")] = "") -> UUID:
    if confirmed != "yes":
        raise NotConfirmedError("nothing was done, since the box that confirms it was not ticked; go back and tick it")
    return once


ConfirmedOnce = Annotated[UUID, Depends(_confirmed)]
"""`Once` of a form whose box `confirmed` must be ticked."""


class TypedTextError(UserError):
    """The field's text cannot be stored."""


def typed(text: str, label: str) -> str | None:
    """The trimmed text of a form's field; None if it is empty. Raises `TypedTextError`."""
    trimmed = text.strip()
    if (problem := problem_with(trimmed)) is not None:
        raise TypedTextError(f"{label}: {problem}")
    return trimmed or None


def _reason(reason: Annotated[str, Form(description="Why; kept in the records.")] = "") -> str | None:
    return typed(reason, "reason")


Reason = Annotated[str | None, Depends(_reason)]
"""An optional reason; None if the field `reason` is empty."""
