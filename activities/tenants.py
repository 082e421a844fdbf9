"""The tenants file as the worker sees it: read again whenever it changes, so a new tenant needs no restart."""

import asyncio
from pathlib import Path
from uuid import UUID

from graph.tenants import TenantConfig, Tenants, load_tenants


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

    def _current(self) -> Tenants:
        stat = self._path.stat() if self._path.exists() else None
        stamp = (stat.st_mtime_ns, stat.st_size) if stat else None
        if self._tenants is None or stamp is None or stamp != self._read_at:
            self._tenants = load_tenants(self._path)
            self._read_at = stamp
        return self._tenants
