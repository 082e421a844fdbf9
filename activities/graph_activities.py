"""The base of activities that read a run's collections."""

from activities.allowed_requests import AllowedRequests
from activities.observers import Observers
from activities.request_pace import Pace
from activities.tenants import TenantsFile
from graph.catalog import Catalog
from graph.client import GraphClient
from storage.database import Database


class GraphActivities:
    def __init__(
        self, graph: GraphClient, database: Database, catalog: Catalog, tenants: TenantsFile, observers: Observers
    ) -> None:
        self._graph = graph
        self._database = database
        self._catalog = catalog
        self._tenants = tenants
        self._observers = observers
        self._pace = Pace(database)
        self._requested = AllowedRequests(database, catalog)
