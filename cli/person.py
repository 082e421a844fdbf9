import getpass
import socket

from inventory.people import Person, Role


def local_person() -> Person:
    """The terminal's login, with every right, since it reaches the database anyway."""
    return Person(person_id=f"local/{getpass.getuser()}", name=getpass.getuser(), role=Role.ADMIN)


def requester() -> str:
    """The person's name in Temporal's records, such as `ada@workstation`."""
    return f"{getpass.getuser()}@{socket.gethostname()}"
