"""Asks many tenants by one query."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Generic, NamedTuple, TypeVar
from uuid import UUID

from pydantic import BaseModel
from sqlalchemy.ext.asyncio import AsyncSession

from answers.dependencies.answer import read_tenants
from answers.dependencies.tenant_coverage import TenantCoverage

TENANTS_AT_A_TIME = 50

RecordT = TypeVar("RecordT", bound=BaseModel)

Answers = Mapping[UUID, Sequence[RecordT]]

Portfolio = Callable[[], AbstractAsyncContextManager[AsyncSession]]
"""Opens a transaction over all tenants that the person sees."""

Question = Callable[[AsyncSession, Mapping[UUID, TenantCoverage]], Awaitable[Answers[RecordT]]]


class TenantAnswer(NamedTuple, Generic[RecordT]):
    coverage: TenantCoverage
    records: Sequence[RecordT]


class TenantsTogether(Generic[RecordT]):
    """Call `answer` in the order of `tenant_ids`. It leaves out tenants with unread references, which the caller reads
    first.
    """

    def __init__(self, tenant_ids: Sequence[UUID], question: Question[RecordT]) -> None:
        self._waiting = list(tenant_ids) if len(tenant_ids) > 1 else []
        self._question = question
        self._read: dict[UUID, TenantAnswer[RecordT]] = {}

    async def answer(self, portfolio: Portfolio, tenant_id: UUID) -> TenantAnswer[RecordT] | None:
        """A tenant's answer, once; None if the tenant must be queried alone."""
        if tenant_id in self._waiting:
            batch, self._waiting = self._waiting[:TENANTS_AT_A_TIME], self._waiting[TENANTS_AT_A_TIME:]
            self._read = await self._ask(portfolio, batch)
        return self._read.pop(tenant_id, None)

    async def _ask(self, portfolio: Portfolio, tenant_ids: Sequence[UUID]) -> dict[UUID, TenantAnswer[RecordT]]:
        try:
            async with portfolio() as session:
                read = await read_tenants(session, tenant_ids)
                coverage = await TenantCoverage.of_tenants(session, sorted(read))
                records = await self._question(session, coverage)
        except Exception:  # noqa: BLE001 - each tenant is asked alone, and its own error is reported
            return {}
        return {tenant_id: TenantAnswer(of_tenant, records[tenant_id]) for tenant_id, of_tenant in coverage.items()}
