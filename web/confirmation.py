"""A box to tick before an act, beside what will happen."""

from typing import Annotated

from fastapi import Depends, Form

from inventory.user_errors import UserError

FIELD = "confirmed"


class NotConfirmedError(UserError):
    """A form's box is not ticked."""


def _confirmed(confirmed: Annotated[str, Form(alias=FIELD, description="yes")] = "") -> None:
    """Raises `NotConfirmedError`."""
    if confirmed != "yes":
        raise NotConfirmedError("nothing was done, since the box that confirms it was not ticked; go back and tick it")


Confirmed = Annotated[None, Depends(_confirmed)]
"""An argument of routes whose form has the box `confirmed` with the value `yes`."""
