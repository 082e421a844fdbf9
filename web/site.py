"""The objects that a web process's requests share."""

import asyncio
from collections.abc import Hashable
from threading import Lock
from urllib.parse import quote
from uuid import UUID

from fastapi import Request
from temporalio.common import MetricMeter

from configuration import Settings
from control.live_runs import LiveRuns
from control.queued_runs import QueuedRuns
from control.shared_looks import SharedLooks
from graph.entra_sign_in import EntraSignIn
from graph.tenants import TenantConfig, Tenants, TenantsSource
from inventory.portfolio import PortfolioRecord
from storage.connection_turns import ConnectionTurns
from storage.database import Database
from tenants_source import tenants_source
from web.place import WebPlace
from web.recent_answers import RecentAnswers
from web.temporal import TemporalAccess


class Site:
    def __init__(
        self,
        settings: Settings,
        database: Database,
        temporal_namespace: str = "default",
        temporal: TemporalAccess | None = None,
        *,
        place: WebPlace | None = None,
        url: str = "http://localhost",
        entra: EntraSignIn | None = None,
        meter: MetricMeter = MetricMeter.noop,
    ) -> None:
        """`url`: the page's address for people. Without `entra`, a one-time link signs the owner in."""
        self.meter = meter
        self.settings = settings
        self.database = database
        self.temporal = temporal or TemporalAccess()
        self.closing = asyncio.Event()
        """Set when the process ends, to end streams."""
        self.live_runs = LiveRuns(database, self.temporal.client, settings.temporal_task_queue)
        self.queued_runs = QueuedRuns(database, self.temporal.client, settings.temporal_task_queue)
        self.portfolio_looks = SharedLooks[PortfolioRecord]()
        self.temporal_namespace = temporal_namespace
        self.recent_answers = RecentAnswers()
        self.turns = database.turns = ConnectionTurns(database.pool_size)
        self.place = place or WebPlace()
        self.url = url
        self.entra = entra
        self.tenants_source = tenants_source(settings)
        self._known_tenants = _KnownTenants(self.tenants_source)

    def tenants(self) -> Tenants:
        """The tenants as last loaded. Raises `TenantsFileError`, `UnavailableError`."""
        return self._known_tenants.last()

    def tenants_now(self) -> Tenants:
        """Loads changed tenants. Call it in a thread, since it may query the database. Raises as `tenants`."""
        return self._known_tenants.now()

    def tenant(self, tenant_id: UUID) -> TenantConfig | None:
        return self.tenants().get(tenant_id)

    def workflow_url(self, workflow_id: str, run_id: UUID) -> str | None:
        """The address in Temporal Web; None if that is not configured."""
        base = self.settings.temporal_web_url
        if base is None:
            return None
        return f"{base}/namespaces/{quote(self.temporal_namespace)}/workflows/{quote(workflow_id, safe='')}/{run_id}"


class _KnownTenants:
    def __init__(self, source: TenantsSource) -> None:
        self._source = source
        self._stamp: Hashable = None
        self._tenants: Tenants | None = None
        self._lock = Lock()

    def last(self) -> Tenants:
        return self._tenants or self.now()

    def now(self) -> Tenants:
        with self._lock:
            stamp = self._source.stamp()
            if self._tenants is None or stamp is None or stamp != self._stamp:
                self._tenants, self._stamp = self._source.load(), stamp
            return self._tenants


def site_of(request: Request) -> Site:
    site: Site = request.app.state.site
    return site


def item_path(tenant_id: UUID, type_key: str, external_id: str) -> str:
    """Graph's ids may hold any character."""
    return f"/tenants/{tenant_id}/items/{quote(type_key, safe='')}/{quote(external_id, safe='')}"
