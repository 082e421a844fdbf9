"""Requests that an app may make, by granted permissions and Microsoft's map."""

from collections.abc import Iterable, Iterator
from threading import Lock

from graph.catalog.facts import permissions_of
from local.simulated_graph.endpoints import template
from local.simulated_graph.messages import Answer, GraphRequest, error, not_authorized
from local.simulated_graph.query import Query, QueryError

_UNMAPPED = {
    "/deviceAppManagement": "DeviceManagementApps.Read.All",
    "/deviceManagement": "DeviceManagementConfiguration.Read.All",
    "/deviceManagement/depOnboardingSettings/{id}": "DeviceManagementServiceConfig.Read.All",
    "/deviceManagement/exchangeOnPremisesPolicies": "DeviceManagementServiceConfig.Read.All",
    "/deviceManagement/endpointPrivilegeManagementProvisioningStatus": "DeviceManagementConfiguration.Read.All",
    "/identity/apiConnectors": "APIConnectors.Read.All",
    "/identity/conditionalAccess/deletedItems/policies": "Policy.Read.All",
    "/identityGovernance/entitlementManagement/catalogs": "EntitlementManagement.Read.All",
    "/identityProtection/policy": "Policy.Read.IdentityProtection",
    "/networkAccess": "NetworkAccess.Read.All",
    "/officeConfiguration": "DeviceManagementConfiguration.Read.All",
    "/policies/activityBasedTimeoutPolicies": "Policy.Read.All",
    "/solutions/backupRestore/protectionPolicies": "BackupRestore-Configuration.Read.All",
}
"""Permissions of paths that the map lacks or has for writing only, from neighbours or Microsoft's pages."""

_MOVED = (
    "/deviceManagement/deviceCustomAttributeShellScripts",
    "/deviceManagement/deviceManagementScripts",
    "/deviceManagement/deviceShellScripts",
)
"""Intune's scripts, whose own permissions the map does not have everywhere."""


class Grants:
    """One tenant's permissions for the app; None for all. Thread-safe."""

    def __init__(self) -> None:
        self._granted: frozenset[str] | None = None
        self._lock = Lock()

    def set(self, permissions: Iterable[str] | None) -> None:
        """None ends the check."""
        with self._lock:
            self._granted = None if permissions is None else frozenset(permissions)

    def allow(self, request: GraphRequest) -> bool:
        """Whether the app may read the path and its expansions."""
        with self._lock:
            granted = self._granted
        if granted is None:
            return True
        try:
            expand = Query.parse(request.query).expand
        except QueryError:
            return True
        shown = template(request.path)
        return all(granted & readers(address) for address in (shown, *_expanded(shown, expand)))


def refusal(request: GraphRequest) -> Answer:
    if request.path.split("/")[2] in {"deviceManagement", "deviceAppManagement"}:
        return not_authorized(request)
    return error(request, 403, "Authorization_RequestDenied", "Insufficient privileges to complete the operation.")


def readers(path: str) -> frozenset[str]:
    """Application permissions, each sufficient to read the path; empty if only signed-in people may."""
    if path.startswith(_MOVED):
        return frozenset({"DeviceManagementScripts.Read.All"})
    while path:
        if path in _UNMAPPED:
            return frozenset({_UNMAPPED[path]})
        known = permissions_of(path)
        if known or permissions_of(path, delegated=True):
            return frozenset(known)
        path = path.rpartition("/")[0]
    return frozenset()


def _expanded(path: str, expand: dict[str, Query]) -> Iterator[str]:
    for name, nested in expand.items():
        below = f"{path}/{name}" if path.endswith("}") else f"{path}/{{id}}/{name}"
        yield below
        yield from _expanded(below, nested.expand)
