"""Who works at this terminal."""

import getpass
import socket

from inventory.people import Person, Role


def local_person() -> Person:
    """The person of this login, with every right: it reaches the database anyway."""
    return Person(person_id=f"local/{getpass.getuser()}", name=getpass.getuser(), role=Role.ADMIN)


def requester() -> str:
    """Who asks Temporal, for the record: `ada@workstation`."""
    return f"{getpass.getuser()}@{socket.gethostname()}"
