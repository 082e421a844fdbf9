"""Identity governance, external identities and Global Secure Access."""

from functools import partial

from local.simulated_graph.endpoints.model import (
    BETA,
    DIRECTORY_LARGEST_PAGE,
    DIRECTORY_PAGE,
    V1,
    Area,
    Endpoint,
    Navigation,
    singleton,
)

_governed = partial(Endpoint, area=Area.IDENTITY, page_size=DIRECTORY_PAGE, largest_page=DIRECTORY_LARGEST_PAGE)
_changed = partial(_governed, modified="modifiedDateTime")
_flow = partial(_governed, created="", modified="", paged=False)
_network = partial(_governed, created="", modified="lastModifiedDateTime", versions=BETA, name="name")
_settings = partial(singleton, area=Area.IDENTITY)

_ENTITLEMENT = "identityGovernance/entitlementManagement"
_LIFECYCLE = "identityGovernance/lifecycleWorkflows"
_FLOW_PARTS = (
    Navigation("userAttributeAssignments", children=(Navigation("userAttribute", single=True),)),
    Navigation("languages"),
)
_POLICY_LINKS = (Navigation("policies", children=(Navigation("policy", single=True),), noted=True),)

ENDPOINTS = (
    Endpoint("identityGovernance/termsOfUse/agreements", "agreement",
             (Navigation("files"), Navigation("acceptances"),
              Navigation("file", single=True, children=(Navigation("localizations"),))),
             area=Area.IDENTITY, created="", modified="", paged=False),
    _governed("identityGovernance/accessReviews/definitions", "accessReviewScheduleDefinition",
              (Navigation("instances"),)),
    _changed(f"{_ENTITLEMENT}/accessPackages", "accessPackage",
             (Navigation("resourceRoleScopes", noted=True,
                         children=(Navigation("role", single=True), Navigation("scope", single=True))),
              Navigation("assignmentPolicies"), Navigation("catalog", single=True),
              Navigation("incompatibleAccessPackages"), Navigation("incompatibleGroups")), versions=V1),
    _changed(f"{_ENTITLEMENT}/catalogs", "accessPackageCatalog",
             (Navigation("accessPackages"), Navigation("resources"), Navigation("customWorkflowExtensions")),
             versions=V1),
    _changed(f"{_ENTITLEMENT}/assignmentPolicies", "accessPackageAssignmentPolicy",
             (Navigation("accessPackage", single=True), Navigation("catalog", single=True), Navigation("questions"),
              Navigation("customExtensionStageSettings", children=(Navigation("customExtension", single=True),))),
             versions=V1),
    _changed(f"{_ENTITLEMENT}/connectedOrganizations", "connectedOrganization",
             (Navigation("internalSponsors"), Navigation("externalSponsors"))),
    _settings(f"{_ENTITLEMENT}/settings", "entitlementManagementSettings"),
    _governed(f"{_LIFECYCLE}/workflows", "workflow", (Navigation("tasks", noted=True), Navigation("versions")),
              bodies=("executionConditions",)),
    _settings(f"{_LIFECYCLE}/settings", "lifecycleManagementSettings"),
    _governed(f"{_LIFECYCLE}/customTaskExtensions", "customTaskExtension"),
    # External identities
    _flow("identity/identityProviders", "identityProviderBase"),
    _flow("identity/userFlowAttributes", "identityUserFlowAttribute"),
    _flow("identity/b2xUserFlows", "b2xIdentityUserFlow", _FLOW_PARTS, name="id"),
    _flow("identity/b2cUserFlows", "b2cIdentityUserFlow", _FLOW_PARTS, name="id", versions=BETA),
    _flow("identity/apiConnectors", "identityApiConnector", versions=BETA),
    _flow("identity/customAuthenticationExtensions", "customAuthenticationExtension"),
    _flow("identity/authenticationEventListeners", "authenticationEventListener"),
    # Global Secure Access and the application proxy
    _flow("onPremisesPublishingProfiles/applicationProxy/connectorGroups", "connectorGroup",
          (Navigation("members"), Navigation("applications")), versions=BETA, name="name"),
    _network("networkAccess/forwardingProfiles", "forwardingProfile", _POLICY_LINKS),
    _network("networkAccess/forwardingPolicies", "forwardingPolicy", (Navigation("policyRules", noted=True),)),
    _network("networkAccess/filteringPolicies", "filteringPolicy", (Navigation("policyRules", noted=True),),
             created="createdDateTime"),
    _network("networkAccess/filteringProfiles", "filteringProfile",
             _POLICY_LINKS, created="createdDateTime"),
    _network("networkAccess/connectivity/remoteNetworks", "remoteNetwork",
             (Navigation("deviceLinks"), Navigation("forwardingProfiles"))),
)  # fmt: skip
