"""The two sides of a comparison."""

from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from answers.compare.id_translation import IdTranslations
from answers.compare.kept_items import KeptItems
from answers.compare.records import SideCoverage, TenantRecord
from inventory.coverage import Coverage
from inventory.records import DamagedRecord
from storage import documents
from storage.bodies import Documents
from storage.coverage import coverage as coverage_of

SessionOf = Callable[[UUID], AbstractAsyncContextManager[AsyncSession]]

OnFailure = Callable[[TenantRecord, Exception], Awaitable[None]]
"""Is told that a tenant cannot be compared. Raises to end the comparison."""


async def end_comparison(_: TenantRecord, error: Exception) -> None:
    raise error


class Side(NamedTuple):
    """`kept`: a golden tenant's items, which a walk over other tenants reads once."""

    tenant: TenantRecord
    session: AsyncSession
    asked_at: datetime
    coverage: dict[str, Coverage]
    id_translations: IdTranslations
    read: Documents
    kept: KeptItems | None = None

    def covered(self, type_key: str) -> SideCoverage:
        return SideCoverage.of(self.coverage.get(type_key))

    @property
    def damaged(self) -> list[DamagedRecord]:
        tenant_id = self.tenant.tenant_id
        return [version.model_copy(update={"tenant_id": tenant_id}) for version in dict.fromkeys(self.read.damaged)]


async def side(tenant: TenantRecord, session: AsyncSession, kept: KeptItems | None = None) -> Side:
    """The session must see one moment (`Database.tenant` with `snapshot`), also that of `kept`."""
    coverage, read = await coverage_of(session), Documents()
    asked_at = await documents.database_time(session)
    return Side(tenant, session, asked_at, coverage, IdTranslations(coverage, read), read, kept)
