"""Who works at this terminal."""

import getpass

from inventory.people import Person, Role


def local_person() -> Person:
    """The person of this login, who may do everything: whoever reaches the database may."""
    return Person(person_id=f"local/{getpass.getuser()}", name=getpass.getuser(), role=Role.ADMIN)
