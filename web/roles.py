"""Arguments of routes that require a role, such as `person: Operator`."""

from typing import Annotated, NamedTuple

from fastapi import Depends

from inventory.people import Person, Role
from inventory.user_errors import UserError
from web.sign_in import SignedIn


class RoleNeededError(UserError):
    """The person's role is too low."""


class Needs(NamedTuple):
    """Raises `RoleNeededError` unless the person has this role or a higher one."""

    role: Role

    async def __call__(self, person: SignedIn) -> Person:
        if not person.may(self.role):
            raise RoleNeededError(
                f"it takes the role {self.role} or a higher one, and yours is {person.role}; ask an administrator"
            )
        return person


def needs(role: Role) -> Needs:
    return Needs(role)


Operator = Annotated[Person, Depends(needs(Role.OPERATOR))]
Approver = Annotated[Person, Depends(needs(Role.APPROVER))]
Admin = Annotated[Person, Depends(needs(Role.ADMIN))]
