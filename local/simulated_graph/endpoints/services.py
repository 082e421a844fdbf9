"""Microsoft 365's services, Defender, Windows Autopatch, other role systems and other tenants."""

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

_listed = partial(
    Endpoint,
    area=Area.IDENTITY,
    created="",
    modified="",
    page_size=DIRECTORY_PAGE,
    largest_page=DIRECTORY_LARGEST_PAGE,
)
_settings = partial(singleton, area=Area.IDENTITY)
_updates = partial(_listed, versions=BETA, name="id", created="createdDateTime")
_network = partial(_listed, versions=BETA, name="name", modified="lastModifiedDateTime")

_MONITORING = "admin/configurationManagement"
_ROLES = "roleManagement"
_RULES = (Navigation("policyRules", noted=True),)
_UPDATES = "admin/windows/updates"

ENDPOINTS = (
    _settings("admin/sharepoint/settings", "sharepointSettings"),
    _settings("admin/people/itemInsights", "insightsSettings"),
    _settings("admin/microsoft365Apps/installationOptions", "m365AppsInstallationOptions"),
    _settings("admin/reportSettings", "adminReportSettings"),
    _settings("admin/forms", "adminForms", versions=BETA),
    _settings("admin/appsAndServices", "adminAppsAndServices", versions=BETA),
    _listed("officeConfiguration/clientConfigurations", "officeClientConfiguration", versions=BETA, undocumented=True),
    _listed("appCatalogs/teamsApps", "teamsApp", (Navigation("appDefinitions"),)),
    _listed("agentRegistry/agentInstances", "agentInstance", versions=BETA, created="createdDateTime",
            modified="lastModifiedDateTime"),
    _listed("solutions/backupRestore/protectionPolicies", "protectionPolicyBase", versions=V1,
            created="createdDateTime", modified="lastModifiedDateTime"),
    # Purview and Defender
    _listed("security/dataSecurityAndGovernance/sensitivityLabels", "sensitivityLabel",
            (Navigation("sublabels"), Navigation("rights", single=True)), versions=V1),
    _listed("security/rules/detectionRules", "detectionRule", versions=BETA, created="createdDateTime",
            modified="lastModifiedDateTime", undocumented=True),
    # Windows Autopatch
    _updates(f"{_UPDATES}/updatePolicies", "updatePolicy",
             (Navigation("complianceChanges"),)),
    _updates(f"{_UPDATES}/policies", "policy", (Navigation("rings"), Navigation("approvals")),
             name="displayName", modified="lastModifiedDateTime"),
    _updates(f"{_UPDATES}/deploymentAudiences", "deploymentAudience",
             (Navigation("members"), Navigation("exclusions")), created=""),
    _updates(f"{_UPDATES}/deployments", "deployment", modified="lastModifiedDateTime"),
    # Roles
    _listed(f"{_ROLES}/exchange/roleDefinitions", "unifiedRoleDefinition", versions=BETA),
    _listed(f"{_ROLES}/exchange/roleAssignments", "unifiedRoleAssignment", versions=BETA, name="id"),
    _listed(f"{_ROLES}/defender/roleDefinitions", "unifiedRoleDefinition", versions=BETA),
    _listed(f"{_ROLES}/defender/roleAssignments", "unifiedRoleAssignmentMultiple", versions=BETA),
    _listed(f"{_ROLES}/cloudPC/roleDefinitions", "unifiedRoleDefinition", versions=BETA),
    _listed(f"{_ROLES}/cloudPC/roleAssignments", "unifiedRoleAssignmentMultiple", versions=BETA),
    _listed(f"{_ROLES}/entitlementManagement/roleDefinitions", "unifiedRoleDefinition"),
    _listed(f"{_ROLES}/entitlementManagement/roleAssignments", "unifiedRoleAssignment", name="id"),
    _listed(f"{_ROLES}/directory/roleAssignmentSchedules", "unifiedRoleAssignmentSchedule", name="id",
            created="createdDateTime", modified="modifiedDateTime"),
    _listed("identityGovernance/roleManagementAlerts/alertConfigurations", "unifiedRoleManagementAlertConfiguration",
            versions=BETA, name="id", needs_filter=("scopeId", "scopeType")),
    *(_listed(f"identityGovernance/privilegedAccess/group/{name}s", f"privilegedAccessGroup{entity}", name="id",
              created="createdDateTime", modified="modifiedDateTime", needs_filter=("groupId",))
      for name, entity in (("eligibilitySchedule", "EligibilitySchedule"),
                           ("assignmentSchedule", "AssignmentSchedule"))),
    # Other tenants
    _listed("tenantRelationships/delegatedAdminRelationships", "delegatedAdminRelationship",
            (Navigation("accessAssignments"), Navigation("operations"), Navigation("requests")),
            created="createdDateTime", modified="lastModifiedDateTime"),
    _listed("directory/tenantGovernance/governanceRelationships", "governanceRelationship",
            versions=BETA, name="governedTenantName"),
    _listed("directory/tenantGovernance/governancePolicyTemplates",
            "governancePolicyTemplate", versions=BETA, created="createdDateTime",
            modified="lastModifiedDateTime"),
    _settings("directory/tenantGovernance/settings", "tenantGovernanceSetting",
              versions=BETA),
    _settings("tenantRelationships/multiTenantOrganization", "multiTenantOrganization"),
    _listed("tenantRelationships/multiTenantOrganization/tenants", "multiTenantOrganizationMember", key="tenantId"),
    _listed("policies/crossTenantAccessPolicy/default/m365Capabilities", "m365CapabilityBase", versions=BETA,
            key="name", name="name", modified="lastModifiedDateTime"),
    _listed(f"{_MONITORING}/configurationMonitors", "configurationMonitor", (Navigation("baseline", single=True),),
            created="createdDateTime", modified="lastModifiedDateTime"),
    _listed(f"{_MONITORING}/configurationDrifts", "configurationDrift", name="baselineResourceDisplayName"),
    # Certificates, user flows and Conditional Access
    _listed("directory/publicKeyInfrastructure/certificateBasedAuthConfigurations", "certificateBasedAuthPki",
            (Navigation("certificateAuthorities"),), modified="lastModifiedDateTime"),
    _listed("directory/certificateAuthorities/certificateBasedApplicationConfigurations",
            "certificateBasedApplicationConfiguration", (Navigation("trustedCertificateAuthorities"),), versions=BETA),
    _listed("identity/authenticationEventsFlows", "authenticationEventsFlow"),
    _listed("identity/conditionalAccess/deletedItems/policies", "conditionalAccessPolicy", paged=False,
            created="createdDateTime", modified="modifiedDateTime"),
    # Global Secure Access
    _settings("networkAccess/settings/conditionalAccess", "conditionalAccessSettings", versions=BETA),
    _settings("networkAccess/settings/crossTenantAccess", "crossTenantAccessSettings", versions=BETA),
    _settings("networkAccess/settings/enrichedAuditLogs", "enrichedAuditLogs", versions=BETA,
              undocumented=True),
    _network("networkAccess/tlsInspectionPolicies", "tlsInspectionPolicy", _RULES),
    _network("networkAccess/threatIntelligencePolicies", "threatIntelligencePolicy", _RULES),
    _network("networkAccess/cloudFirewallPolicies", "cloudFirewallPolicy", _RULES),
    _network("networkAccess/tls/externalCertificateAuthorityCertificates",
             "externalCertificateAuthorityCertificate", modified=""),
    # Intune
    singleton("deviceManagement", "deviceManagement", versions=BETA),
    singleton("deviceManagement/endpointPrivilegeManagementProvisioningStatus",
              "endpointPrivilegeManagementProvisioningStatus", versions=BETA),
)  # fmt: skip
