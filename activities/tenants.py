"""The worker's tenants file or table, read again after each change; while it is invalid, the last valid one holds."""

import asyncio
import logging
import time
from collections.abc import Hashable
from datetime import timedelta
from pathlib import Path
from uuid import UUID

from graph.errors import GraphRequestError
from graph.tenants import FileSource, TenantConfig, Tenants, TenantsFileError, TenantsSource
from inventory.error_codes import ErrorCode
from inventory.portfolio import TenantChoice
from inventory.user_errors import UnavailableError

UNNAMED_RETRY_LIMIT = timedelta(minutes=2)
"""A file being saved may lack a tenant for a moment."""

SETTLING_SECONDS = 2
"""Until a changed file has this age, it may be half saved."""

_LOG = logging.getLogger(__name__)


class UnnamedTenantError(GraphRequestError):
    """The file lacks the tenant, and changed `since_change` ago."""

    def __init__(self, since_change: timedelta) -> None:
        super().__init__(
            ErrorCode.AUTH_FAILED,
            "the worker's tenants file does not name this tenant",
            retryable=True,
            retry_limit=UNNAMED_RETRY_LIMIT,
        )
        self.failing_for = since_change


class ReadingDisabledError(GraphRequestError):
    """The tenant is disabled: no request is made."""

    def __init__(self) -> None:
        super().__init__(ErrorCode.TENANT_DISABLED, "the tenants file disables this tenant", retryable=False)


class TenantsFile:
    def __init__(self, source: Path | TenantsSource) -> None:
        self._source: TenantsSource = FileSource(source) if isinstance(source, Path) else source
        self._seen: Hashable = None
        self._seen_at = 0.0
        self._settles_at = 0.0
        self._tenants: Tenants | None = None
        self._problem: TenantsFileError | None = None
        self._lock = asyncio.Lock()

    async def get(self, tenant_id: UUID) -> TenantConfig | None:
        """None if the file lacks the tenant. Raises `TenantsFileError` if no file was valid yet."""
        return (await self._latest()).get(tenant_id)

    async def tags(self) -> dict[UUID, tuple[str, ...]]:
        """Tags by tenant, in the order of the settled file. Raises `TenantsFileError`."""
        return (await self._settled()).tags()

    async def enabled(self, chosen: TenantChoice) -> tuple[list[UUID], list[UUID]]:
        """The chosen tenants, enabled and disabled by the settled file. Raises `TenantsFileError`."""
        tenants = await self._settled()
        disabled = tenants.disabled()
        tenant_ids = chosen.resolve(tenants.tags())
        return (
            [tenant_id for tenant_id in tenant_ids if tenant_id not in disabled],
            [tenant_id for tenant_id in tenant_ids if tenant_id in disabled],
        )

    async def configured(self, tenant_id: UUID) -> TenantConfig:
        """The entry of a tenant to read. Raises `UnnamedTenantError`, `ReadingDisabledError` or `TenantsFileError`."""
        tenant = await self.get(tenant_id)
        if tenant is None:
            raise UnnamedTenantError(timedelta(seconds=time.monotonic() - self._seen_at))
        if tenant.disabled:
            raise ReadingDisabledError
        return tenant

    async def get_or_none(self, tenant_id: UUID) -> TenantConfig | None:
        """As `get`; None also if no file was valid yet."""
        try:
            return await self.get(tenant_id)
        except TenantsFileError:
            return None

    async def name(self, tenant_id: UUID) -> str | None:
        tenant = await self.get_or_none(tenant_id)
        return tenant.name if tenant is not None else None

    async def is_disabled(self, tenant_id: UUID) -> bool:
        tenant = await self.get_or_none(tenant_id)
        return tenant is not None and tenant.disabled

    async def _settled(self) -> Tenants:
        tenants = await self._latest()
        while (rest := self._settles_at - time.monotonic()) > 0:
            await asyncio.sleep(rest)
            tenants = await self._latest()
        return tenants

    async def _latest(self) -> Tenants:
        async with self._lock:
            await asyncio.to_thread(self._look)
        if self._tenants is None:
            raise self._problem or TenantsFileError(f"{self._source.named}: has not been read")
        return self._tenants

    def _look(self) -> None:
        """Takes the stamp first, so as to miss no change. Raises `UnavailableError` if no table was read yet."""
        try:
            stamp = self._source.stamp()
            if self._tenants is not None and stamp == self._seen:
                return
            tenants = self._source.load()
        except TenantsFileError as error:
            self._see(stamp)
            if self._tenants is not None:
                _LOG.error("%s: %s; the last valid tenants are used", ErrorCode.CONFIGURATION_INVALID, error)
            self._problem = error
        except UnavailableError:
            if self._tenants is None:
                raise
        else:
            self._see(stamp)
            self._tenants = tenants
            if self._problem is not None:
                _LOG.info("%s: is valid again", self._source.named)
            self._problem = None

    def _see(self, stamp: Hashable) -> None:
        self._seen, self._seen_at = stamp, time.monotonic()
        if self._tenants is not None:
            self._settles_at = self._seen_at + SETTLING_SECONDS
