"""The person as an argument of a route: `Annotated[Person, Depends(needs(Role.OPERATOR))]`."""

from typing import NamedTuple

from inventory.people import Person, Role
from inventory.user_errors import UserError
from web.sign_in import SignedIn


class RoleNeededError(UserError):
    """The person's role does not include the one that this takes."""


class Needs(NamedTuple):
    """A dependency that lets persons of a role, or of a higher one, pass."""

    role: Role

    async def __call__(self, person: SignedIn) -> Person:
        """The person of the request. Raises `RoleNeededError`."""
        if not person.may(self.role):
            raise RoleNeededError(
                f"it takes the role {self.role} or a higher one, and yours is {person.role}; ask an administrator"
            )
        return person


def needs(role: Role) -> Needs:
    """The dependency that a route of this role has."""
    return Needs(role)
