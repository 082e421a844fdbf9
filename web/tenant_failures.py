"""Tenants without an answer on a page about several."""

import logging
from collections.abc import Callable, Sequence
from uuid import UUID

from answers.unanswered_tenant import UnansweredTenant
from inventory.log_lines import place_of
from inventory.user_errors import NotHereError, UnavailableError, UserError
from storage.database import Database, StorageNotReadyError, StorageServerError, StorageUnavailableError

MOST_TIMEOUTS = 3
"""Timeouts that one request waits for: after so many, the database is slow for everybody."""

_log = logging.getLogger(__name__)


class TooSlowError(UnavailableError):
    """The database took longer than a page may."""


class IncompleteFileError(UnavailableError):
    """A file has no place to say that it lacks a tenant."""


class TenantFailures:
    """The failures of one request. The other tenants are still asked."""

    def __init__(self, database: Database, name_of: Callable[[UUID], str]) -> None:
        self._database = database
        self._name_of = name_of
        self._timeouts = 0
        self._by_tenant: dict[UUID, UnansweredTenant] = {}

    @property
    def tenants(self) -> Sequence[UnansweredTenant]:
        """In the order of their failures."""
        return list(self._by_tenant.values())

    def __contains__(self, tenant_id: UUID) -> bool:
        return tenant_id in self._by_tenant

    async def add(self, tenant_id: UUID, error: Exception) -> UnansweredTenant:
        """Raises an error that concerns the address or every tenant."""
        if isinstance(error, NotHereError | StorageNotReadyError | StorageServerError):
            raise error
        if isinstance(error, TooSlowError | StorageUnavailableError):
            self._timeouts += 1
            if self._timeouts == MOST_TIMEOUTS:
                raise error
            await self._database.check()
        found = UnansweredTenant(tenant_id=tenant_id, reason=_reason(error))
        return self._by_tenant.setdefault(tenant_id, found)

    async def refuse(self, tenant_id: UUID, error: Exception) -> None:
        """Raises `IncompleteFileError`, or as `add`."""
        self.refuse_file([await self.add(tenant_id, error)])

    def refuse_file(self, tenants: Sequence[UnansweredTenant]) -> None:
        """Raises `IncompleteFileError` if there is a tenant."""
        for tenant in tenants:
            raise IncompleteFileError(f"the file would lack {self._name_of(tenant.tenant_id)}: {tenant.reason}")


def _reason(error: Exception) -> str:
    if isinstance(error, UserError | UnavailableError):
        return str(error)
    _log.error("unexpected_error: %s at %s", type(error).__name__, place_of(error))
    return f"unexpected {type(error).__name__}; the log of the web process names its place"
