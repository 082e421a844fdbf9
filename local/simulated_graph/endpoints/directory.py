"""The directory: groups, applications, roles, domains and the organization."""

from functools import partial

from graph.catalog.facts import metadata
from local.simulated_graph.endpoints.model import DIRECTORY_PAGE, V1, Endpoint, Navigation, directory

_GROUP_PROPERTIES = frozenset(name for version in ("v1.0", "beta") for name in metadata(version).properties("group"))

_short = partial(directory, created="", paged=False)

ENDPOINTS = (
    Endpoint("auditLogs/directoryAudits", "directoryAudit", name="activityDisplayName", created="", modified=""),
    directory("groups", "group",
              (Navigation("members", DIRECTORY_PAGE), Navigation("owners", DIRECTORY_PAGE), Navigation("settings")),
              base_properties=_GROUP_PROPERTIES, only_selected=frozenset({"assignedLicenses"})),
    directory("directory/administrativeUnits", "administrativeUnit",
              (Navigation("members", DIRECTORY_PAGE), Navigation("scopedRoleMembers", DIRECTORY_PAGE)),
              created=""),
    directory("applications", "application",
              (Navigation("federatedIdentityCredentials"), Navigation("owners", DIRECTORY_PAGE))),
    directory("servicePrincipals", "servicePrincipal",
              (Navigation("appRoleAssignments", DIRECTORY_PAGE), Navigation("appRoleAssignedTo", DIRECTORY_PAGE),
               Navigation("owners", DIRECTORY_PAGE), Navigation("delegatedPermissionClassifications"),
               Navigation("synchronization", single=True, children=(Navigation("jobs"),), expandable=False)),
              created=""),
    directory("oauth2PermissionGrants", "oAuth2PermissionGrant", name="id", created=""),
    _short("domains", "domain", (Navigation("federationConfiguration", expandable=False),), name="id"),
    _short("organization", "organization",
           (Navigation("branding", single=True, children=(Navigation("localizations"),), expandable=False),
            Navigation("certificateBasedAuthConfiguration", expandable=False)), created="createdDateTime"),
    _short("subscribedSkus", "subscribedSku", name="skuPartNumber"),
    _short("groupSettings", "groupSetting", versions=V1),
    _short("groupLifecyclePolicies", "groupLifecyclePolicy", name="id"),
    _short("directoryRoles", "directoryRole", (Navigation("members", DIRECTORY_PAGE), Navigation("scopedMembers"))),
    directory("roleManagement/directory/roleDefinitions", "unifiedRoleDefinition", created=""),
    directory("roleManagement/directory/roleAssignments", "unifiedRoleAssignment",
              (Navigation("principal", single=True), Navigation("roleDefinition", single=True)), name="id", created=""),
    directory("roleManagement/directory/roleEligibilitySchedules", "unifiedRoleEligibilitySchedule",
              (Navigation("principal", single=True), Navigation("roleDefinition", single=True)), name="id"),
    directory("roleManagement/directory/roleAssignmentScheduleInstances", "unifiedRoleAssignmentScheduleInstance",
              (Navigation("principal", single=True), Navigation("roleDefinition", single=True)), name="id", created=""),
    _short("directory/attributeSets", "attributeSet", name="id"),
    _short("directory/customSecurityAttributeDefinitions", "customSecurityAttributeDefinition",
           (Navigation("allowedValues"),), name="name"),
    _short("directory/federationConfigurations", "identityProviderBase"),
    _short("directory/onPremisesSynchronization", "onPremisesDirectorySynchronization", name="id"),
)  # fmt: skip
