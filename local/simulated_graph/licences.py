"""Refusals for missing licences, in Graph's many wordings."""

from collections.abc import Iterable
from threading import Lock

from local.simulated_graph.endpoints import template
from local.simulated_graph.messages import Answer, GraphRequest, error

P1, P2, GOVERNANCE, WINDOWS_365 = "Entra ID P1", "Entra ID P2", "Entra ID Governance", "Windows 365"

_NEEDED = {
    "/deviceManagement/virtualEndpoint": WINDOWS_365,
    "/directory/administrativeUnits/{id}/scopedRoleMembers": P1,
    "/groupLifecyclePolicies": P1,
    "/identity/conditionalAccess": P1,
    "/identityGovernance/accessReviews": P2,
    "/identityGovernance/entitlementManagement": P2,
    "/identityGovernance/entitlementManagement/catalogs/{id}/customWorkflowExtensions": GOVERNANCE,
    "/identityGovernance/lifecycleWorkflows": GOVERNANCE,
    "/identityGovernance/privilegedAccess": P2,
    "/identityGovernance/roleManagementAlerts": P2,
    "/identityGovernance/termsOfUse": P1,
    "/identityProtection": P2,
    "/onPremisesPublishingProfiles": P1,
    "/organization/{id}/branding": P1,
    "/policies/accessReviewPolicy": P2,
    "/policies/authenticationStrengthPolicies": P1,
    "/policies/crossTenantAccessPolicy/partners/{id}/identitySynchronization": P1,
    "/policies/mobileAppManagementPolicies": P1,
    "/policies/mobileDeviceManagementPolicies": P1,
    "/policies/ownerlessGroupPolicy": P1,
    "/policies/roleManagementPolicies": P2,
    "/policies/roleManagementPolicyAssignments": P2,
    "/roleManagement/cloudPC": WINDOWS_365,
    "/roleManagement/directory/roleAssignmentScheduleInstances": P2,
    "/roleManagement/directory/roleAssignmentSchedules": P2,
    "/roleManagement/directory/roleEligibilitySchedules": P2,
    "/roleManagement/entitlementManagement": P2,
    "/servicePrincipals/{id}/synchronization": P1,
}
"""Licences by path with `{id}` for ids; the longest that fits (https://learn.microsoft.com/entra/fundamentals/licensing).
"""

_REFUSALS = {
    P1: (403, "AccessDenied", "Your tenant is not licensed for this feature."),
    P2: (400, "AadPremiumLicenseRequired", "The tenant needs an AAD Premium 2 license."),
    GOVERNANCE: (403, "Forbidden", "Tenant does not meet license requirement."),
    WINDOWS_365: (403, "NoLicense", "The tenant has no license for the service."),
}


class Licences:
    """One tenant's licences; None for all. Thread-safe."""

    def __init__(self) -> None:
        self._held: frozenset[str] | None = None
        self._lock = Lock()

    def set(self, licences: Iterable[str] | None) -> None:
        """None ends the check."""
        with self._lock:
            self._held = None if licences is None else frozenset(licences)

    def refusal(self, request: GraphRequest) -> Answer | None:
        """None unless the request needs a missing licence."""
        with self._lock:
            held = self._held
        licence = licence_of(template(request.path))
        if held is None or licence is None or licence in held:
            return None
        return error(request, *_REFUSALS[licence])


def licence_of(path: str) -> str | None:
    """The licence that a path (without version, with `{id}`) needs."""
    start = max((start for start in _NEEDED if f"{path}/".startswith(f"{start}/")), key=len, default=None)
    return None if start is None else _NEEDED[start]
