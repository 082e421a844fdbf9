"""The tenants file as the worker sees it: read again whenever it changes, so a new tenant needs no restart."""

import asyncio
from pathlib import Path
from uuid import UUID

from temporalio.exceptions import ApplicationError

from graph.tenants import TenantConfig, Tenants, load_tenants
from inventory.error_codes import ErrorCode


class TenantsFile:
    """The tenants of one file, by id."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._read_at: tuple[int, int] | None = None
        self._tenants: Tenants | None = None
        self._lock = asyncio.Lock()

    async def get(self, tenant_id: UUID) -> TenantConfig | None:
        """The tenant's entry, or None. Raises `TenantsFileError` while the file cannot be read as one."""
        async with self._lock:
            tenants = await asyncio.to_thread(self._current)
        return tenants.get(tenant_id)

    async def tags(self) -> dict[UUID, tuple[str, ...]]:
        """The tags of each tenant, in the order of the file. Raises `TenantsFileError`."""
        async with self._lock:
            tenants = await asyncio.to_thread(self._current)
        return tenants.tags()

    async def configured(self, tenant_id: UUID) -> TenantConfig:
        """The tenant's entry. Raises `ApplicationError` with `auth_failed` where there is none."""
        tenant = await self.get(tenant_id)
        if tenant is None:
            raise ApplicationError(
                "the worker's tenants file does not name this tenant",
                type=ErrorCode.AUTH_FAILED,
                non_retryable=True,
            )
        return tenant

    def _current(self) -> Tenants:
        stat = self._path.stat() if self._path.exists() else None
        stamp = (stat.st_mtime_ns, stat.st_size) if stat else None
        if self._tenants is None or stamp is None or stamp != self._read_at:
            self._tenants = load_tenants(self._path)
            self._read_at = stamp
        return self._tenants
