"""Tenant administration, connectors, Microsoft Tunnel, Cloud PKI and Windows 365."""

from functools import partial

from local.simulated_graph.endpoints.model import ASSIGNMENTS, BETA, Endpoint, Navigation, on_beta, singleton

_BRANDING_IMAGES = tuple(
    Navigation(name, single=True, expandable=False, noted=True)
    for name in ("themeColorLogo", "lightBackgroundLogo", "landingPageCustomizedImage")
)

_bare = partial(Endpoint, created="", modified="")
_bare_on_beta = partial(_bare, versions=BETA)

ENDPOINTS = (
    on_beta("deviceManagement/assignmentFilters", "deviceAndAppManagementAssignmentFilter",
            (Navigation("payloads", expandable=False),)),
    on_beta("deviceManagement/roleScopeTags", "roleScopeTag", (ASSIGNMENTS,), created="", modified=""),
    Endpoint("deviceManagement/roleDefinitions", "roleDefinition", (Navigation("roleAssignments"),),
             created="", modified=""),
    Endpoint("deviceManagement/roleAssignments", "deviceAndAppManagementRoleAssignment",
             (Navigation("roleDefinition", single=True), Navigation("roleScopeTags")), created="", modified=""),
    _bare("deviceManagement/deviceCategories", "deviceCategory"),
    Endpoint("deviceManagement/termsAndConditions", "termsAndConditions",
             (ASSIGNMENTS, Navigation("acceptanceStatuses")), first_version=1),
    on_beta("deviceManagement/intuneBrandingProfiles", "intuneBrandingProfile", (ASSIGNMENTS, *_BRANDING_IMAGES),
            name="profileName"),
    on_beta("deviceManagement/operationApprovalPolicies", "operationApprovalPolicy", created=""),
    singleton("deviceManagement/remoteAssistanceSettings", "remoteAssistanceSettings", versions=BETA),
    singleton("deviceManagement/dataProcessorServiceForWindowsFeaturesOnboarding",
              "dataProcessorServiceForWindowsFeaturesOnboarding", versions=BETA),
    on_beta("deviceManagement/auditEvents", "auditEvent", versions=frozenset({"v1.0", "beta"}), name="activityType",
            created="", modified=""),
    # Connectors
    _bare("deviceManagement/complianceManagementPartners", "complianceManagementPartner"),
    _bare("deviceManagement/deviceManagementPartners", "deviceManagementPartner"),
    _bare("deviceManagement/remoteAssistancePartners", "remoteAssistancePartner"),
    _bare("deviceManagement/mobileThreatDefenseConnectors", "mobileThreatDefenseConnector", name="id"),
    _bare("deviceManagement/exchangeConnectors", "deviceManagementExchangeConnector", name="serverName"),
    _bare_on_beta("deviceManagement/ndesConnectors", "ndesConnector"),
    _bare_on_beta("deviceManagement/certificateConnectorDetails", "certificateConnectorDetails", name="connectorName"),
    _bare_on_beta("deviceManagement/domainJoinConnectors", "deviceManagementDomainJoinConnector"),
    on_beta("deviceManagement/serviceNowConnections", "serviceNowConnection", name="id"),
    _bare_on_beta("deviceManagement/telecomExpenseManagementPartners", "telecomExpenseManagementPartner",
                  undocumented=True),
    _bare_on_beta("deviceManagement/exchangeOnPremisesPolicies", "deviceManagementExchangeOnPremisesPolicy", name="id"),
    singleton("deviceManagement/conditionalAccessSettings", "onPremisesConditionalAccessSettings"),
    # Microsoft Tunnel and Cloud PKI
    _bare_on_beta("deviceManagement/microsoftTunnelConfigurations", "microsoftTunnelConfiguration",
                  modified="lastUpdateDateTime"),
    _bare_on_beta("deviceManagement/microsoftTunnelSites", "microsoftTunnelSite",
                  (Navigation("microsoftTunnelServers"), Navigation("microsoftTunnelConfiguration", single=True))),
    _bare_on_beta("deviceManagement/microsoftTunnelHealthThresholds", "microsoftTunnelHealthThreshold", name="id"),
    on_beta("deviceManagement/cloudCertificationAuthority", "cloudCertificationAuthority",
            (Navigation("cloudCertificationAuthorityLeafCertificate"),)),
    # Windows 365
    Endpoint("deviceManagement/virtualEndpoint/provisioningPolicies", "cloudPcProvisioningPolicy", (ASSIGNMENTS,),
             created="", modified=""),
    Endpoint("deviceManagement/virtualEndpoint/userSettings", "cloudPcUserSetting", (ASSIGNMENTS,)),
    _bare("deviceManagement/virtualEndpoint/onPremisesConnections", "cloudPcOnPremisesConnection"),
    _bare("deviceManagement/virtualEndpoint/deviceImages", "cloudPcDeviceImage", modified="lastModifiedDateTime"),
    singleton("deviceManagement/virtualEndpoint/organizationSettings", "cloudPcOrganizationSettings", versions=BETA),
    _bare_on_beta("deviceManagement/virtualEndpoint/externalPartnerSettings", "cloudPcExternalPartnerSetting",
                  name="partnerId"),
    _bare_on_beta("deviceManagement/virtualEndpoint/cloudApps", "cloudPcCloudApp"),
)  # fmt: skip
