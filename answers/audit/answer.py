"""Acts of people: an administrator sees everybody's, anybody else their own."""

from sqlalchemy.ext.asyncio import AsyncSession

from answers.audit import queries
from answers.audit.records import ActRecord
from inventory.people import Person, Role

WantedActs = queries.WantedActs


async def acts(session: AsyncSession, person: Person, wanted: WantedActs, limit: int) -> list[ActRecord]:
    """Up to `limit` acts that the person may see, newest first."""
    if not person.may(Role.ADMIN):
        wanted = wanted._replace(person_id=person.person_id)
    return await queries.acts(session, wanted, limit)
