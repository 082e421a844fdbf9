"""What the simulated Graph serves: one line of data an endpoint, and how each of them behaves.

Written from the reference, not from the product's catalog, so that a mistake there shows. Numbers and quirks are those
of GRAPH_FACTS §2 and §5.
"""

from dataclasses import dataclass
from enum import Enum, auto
from functools import partial

INTUNE_PAGE = 1000
SETTINGS_PAGE = 25
DIRECTORY_PAGE = 100
DIRECTORY_LARGEST_PAGE = 999

BOTH = frozenset({"v1.0", "beta"})
BETA = frozenset({"beta"})


class Area(Enum):
    """Which service answers: it decides the shape of its error bodies and what `$count` means."""

    INTUNE = auto()
    DIRECTORY = auto()
    IDENTITY = auto()


@dataclass(frozen=True, slots=True)
class Navigation:
    """A related collection (or `single` entity) that answers show only under its own path or with `$expand`."""

    name: str
    page_size: int = INTUNE_PAGE
    single: bool = False
    children: tuple["Navigation", ...] = ()


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One collection or singleton.

    `entity` is the declared type: a document of just that type shows no `@odata.type`. `name`, `created` and `modified`
    are the properties with its name and times, empty where it has none; `first_version` is what `version` starts from.
    `page_size` is the default, `largest_page` what `$top` can ask for; where it is not `paged`, `$top` cuts the list.
    `cast_of` names the collection that holds the documents of a typed view (`iosManagedAppProtections`).
    `bodies` are null in lists and shown by GET with an id. `base_properties` are those that `$select` knows where
    documents have derived types. `beta_types` are left out of lists on v1.0. `counts_unasked` is `@odata.count` without
    `$count`. `growing_context` chains the types of a page in `assignments@odata.context`. `hides_assignments_of` is the
    template family (its beginning) whose `$expand=assignments` by id is empty.
    """

    path: str
    entity: str
    navigations: tuple[Navigation, ...] = ()
    versions: frozenset[str] = BOTH
    area: Area = Area.INTUNE
    name: str = "displayName"
    created: str = "createdDateTime"
    modified: str = "lastModifiedDateTime"
    first_version: int | str | None = None
    page_size: int = INTUNE_PAGE
    largest_page: int = INTUNE_PAGE
    paged: bool = True
    singleton: bool = False
    cast_of: str | None = None
    bodies: tuple[str, ...] = ()
    base_properties: frozenset[str] | None = None
    beta_types: tuple[str, ...] = ()
    counts_unasked: bool = False
    growing_context: bool = False
    hides_assignments_of: str | None = None

    @property
    def source(self) -> str:
        """The path whose documents this endpoint shows."""
        return self.cast_of or self.path

    @property
    def odata_type(self) -> str:
        """The declared type as `@odata.type` writes it."""
        return f"#microsoft.graph.{self.entity}"

    def navigation(self, name: str) -> Navigation | None:
        """The navigation called `name`, if it has one."""
        return next((each for each in self.navigations if each.name == name), None)


ASSIGNMENTS = Navigation("assignments")
CATALOG_SETTINGS = Navigation("settings", SETTINGS_PAGE, children=(Navigation("settingDefinitions"),))
ACTIONS = Navigation("scheduledActionsForRule", children=(Navigation("scheduledActionConfigurations"),))
APPS = Navigation("apps")
DEFINITION_VALUES = Navigation(
    "definitionValues",
    children=(
        Navigation("definition", single=True),
        Navigation("presentationValues", children=(Navigation("presentation", single=True),)),
    ),
)
INTENT_SETTINGS = Navigation("settings")
ENROLLMENT_PROFILES = (
    Navigation("enrollmentProfiles"),
    Navigation("defaultIosEnrollmentProfile", single=True),
    Navigation("defaultMacOsEnrollmentProfile", single=True),
)

_COMMON = frozenset({"id", "displayName", "description", "createdDateTime", "lastModifiedDateTime", "roleScopeTagIds"})
_APP = _COMMON | {
    "publisher", "largeIcon", "isFeatured", "privacyInformationUrl", "informationUrl", "owner", "developer", "notes",
    "publishingState", "uploadState", "isAssigned", "dependentAppCount", "supersedingAppCount", "supersededAppCount",
}  # fmt: skip
_MANAGED_APP_VERSION = '"00000000-0000-0000-0000-000000000001"'

_beta = partial(Endpoint, versions=BETA)
_script = partial(Endpoint, navigations=(ASSIGNMENTS,), versions=BETA)
_managed_app = partial(
    Endpoint,
    navigations=(ASSIGNMENTS, APPS),
    cast_of="deviceAppManagement/managedAppPolicies",
    first_version=_MANAGED_APP_VERSION,
)
_identity = partial(Endpoint, area=Area.IDENTITY, modified="modifiedDateTime", paged=False)
_directory = partial(
    Endpoint, area=Area.DIRECTORY, modified="", page_size=DIRECTORY_PAGE, largest_page=DIRECTORY_LARGEST_PAGE
)
_singleton = partial(Endpoint, singleton=True, created="", modified="")

_ENDPOINTS = (
    # Device configuration
    Endpoint("deviceManagement/deviceConfigurations", "deviceConfiguration", (ASSIGNMENTS,), first_version=1,
             base_properties=_COMMON | {"version", "supportsScopeTags"}, growing_context=True),
    _beta("deviceManagement/configurationPolicies", "deviceManagementConfigurationPolicy",
          (ASSIGNMENTS, CATALOG_SETTINGS), name="name", page_size=SETTINGS_PAGE,
          counts_unasked=True, hides_assignments_of="endpointSecurity"),
    _beta("deviceManagement/groupPolicyConfigurations", "groupPolicyConfiguration", (ASSIGNMENTS, DEFINITION_VALUES)),
    _beta("deviceManagement/intents", "deviceManagementIntent",
          (ASSIGNMENTS, INTENT_SETTINGS, Navigation("categories", children=(INTENT_SETTINGS,))), created=""),
    _beta("deviceManagement/reusablePolicySettings", "deviceManagementReusablePolicySetting",
          (Navigation("referencingConfigurationPolicies"),), first_version=1, bodies=("settingInstance",)),
    # Compliance
    Endpoint("deviceManagement/deviceCompliancePolicies", "deviceCompliancePolicy", (ASSIGNMENTS, ACTIONS),
             first_version=1, base_properties=_COMMON | {"version"}),
    _beta("deviceManagement/compliancePolicies", "deviceManagementCompliancePolicy",
          (ASSIGNMENTS, CATALOG_SETTINGS, ACTIONS), name="name", page_size=SETTINGS_PAGE, counts_unasked=True),
    Endpoint("deviceManagement/notificationMessageTemplates", "notificationMessageTemplate",
             (Navigation("localizedNotificationMessages"),), created=""),
    _singleton("deviceManagement/settings", "deviceManagementSettings"),
    # Scripts
    _script("deviceManagement/deviceManagementScripts", "deviceManagementScript", bodies=("scriptContent",)),
    _script("deviceManagement/deviceShellScripts", "deviceShellScript", bodies=("scriptContent",)),
    _script("deviceManagement/deviceCustomAttributeShellScripts", "deviceCustomAttributeShellScript",
            bodies=("scriptContent",)),
    _script("deviceManagement/deviceHealthScripts", "deviceHealthScript",
            bodies=("detectionScriptContent", "remediationScriptContent")),
    _script("deviceManagement/deviceComplianceScripts", "deviceComplianceScript", bodies=("detectionScriptContent",)),
    # Windows updates
    _beta("deviceManagement/windowsFeatureUpdateProfiles", "windowsFeatureUpdateProfile", (ASSIGNMENTS,),
          largest_page=200),
    _beta("deviceManagement/windowsQualityUpdateProfiles", "windowsQualityUpdateProfile", (ASSIGNMENTS,),
          largest_page=200),
    _beta("deviceManagement/windowsDriverUpdateProfiles", "windowsDriverUpdateProfile",
          (ASSIGNMENTS, Navigation("driverInventories")), largest_page=200),
    _beta("deviceManagement/windowsQualityUpdatePolicies", "windowsQualityUpdatePolicy", (ASSIGNMENTS,),
          largest_page=200),
    # Enrollment
    Endpoint("deviceManagement/deviceEnrollmentConfigurations", "deviceEnrollmentConfiguration", (ASSIGNMENTS,),
             first_version=1,
             base_properties=_COMMON | {"version", "priority", "deviceEnrollmentConfigurationType"}),
    _beta("deviceManagement/windowsAutopilotDeploymentProfiles", "windowsAutopilotDeploymentProfile",
          (ASSIGNMENTS, Navigation("assignedDevices"))),
    _beta("deviceManagement/depOnboardingSettings", "depOnboardingSetting", ENROLLMENT_PROFILES, name="tokenName",
          created="", page_size=100),
    _singleton("deviceManagement/applePushNotificationCertificate", "applePushNotificationCertificate"),
    # Apps
    Endpoint("deviceAppManagement/mobileApps", "mobileApp",
             (ASSIGNMENTS, Navigation("categories"), Navigation("relationships")), bodies=("largeIcon",),
             base_properties=_APP, beta_types=("#microsoft.graph.winGetApp",)),
    Endpoint("deviceAppManagement/mobileAppConfigurations", "managedDeviceMobileAppConfiguration", (ASSIGNMENTS,),
             first_version=1, base_properties=_COMMON | {"version", "targetedMobileApps"}),
    Endpoint("deviceAppManagement/managedAppPolicies", "managedAppPolicy", (APPS,), first_version=_MANAGED_APP_VERSION,
             base_properties=_COMMON | {"version"}),
    _managed_app("deviceAppManagement/iosManagedAppProtections", "iosManagedAppProtection"),
    _managed_app("deviceAppManagement/androidManagedAppProtections", "androidManagedAppProtection"),
    _managed_app("deviceAppManagement/windowsManagedAppProtections", "windowsManagedAppProtection", versions=BETA),
    _managed_app("deviceAppManagement/targetedManagedAppConfigurations", "targetedManagedAppConfiguration"),
    _beta("deviceAppManagement/policySets", "policySet", (ASSIGNMENTS, Navigation("items"))),
    # Tenant administration
    _beta("deviceManagement/assignmentFilters", "deviceAndAppManagementAssignmentFilter", (Navigation("payloads"),)),
    _beta("deviceManagement/roleScopeTags", "roleScopeTag", (ASSIGNMENTS,), created="", modified=""),
    Endpoint("deviceManagement/roleDefinitions", "roleDefinition", (Navigation("roleAssignments"),),
             created="", modified=""),
    Endpoint("deviceManagement/roleAssignments", "deviceAndAppManagementRoleAssignment",
             (Navigation("roleDefinition", single=True), Navigation("roleScopeTags")), created="", modified=""),
    Endpoint("deviceManagement/deviceCategories", "deviceCategory", created="", modified=""),
    Endpoint("deviceManagement/termsAndConditions", "termsAndConditions",
             (ASSIGNMENTS, Navigation("acceptanceStatuses")), first_version=1),
    _beta("deviceManagement/intuneBrandingProfiles", "intuneBrandingProfile", (ASSIGNMENTS,), name="profileName"),
    # Conditional Access: all in one page; $top cuts the list and no nextLink tells (GRAPH_FACTS §2)
    _identity("identity/conditionalAccess/policies", "conditionalAccessPolicy"),
    _identity("identity/conditionalAccess/namedLocations", "namedLocation",
              base_properties=frozenset({"id", "displayName", "createdDateTime", "modifiedDateTime"})),
    _identity("identity/conditionalAccess/authenticationStrengths/policies", "authenticationStrengthPolicy"),
    _identity("identity/conditionalAccess/authenticationContextClassReferences", "authenticationContextClassReference",
              created="", modified=""),
    _identity("identityGovernance/termsOfUse/agreements", "agreement", (Navigation("files"), Navigation("acceptances")),
              created="", modified=""),
    _singleton("policies/authorizationPolicy", "authorizationPolicy", area=Area.IDENTITY),
    _singleton("policies/identitySecurityDefaultsEnforcementPolicy", "identitySecurityDefaultsEnforcementPolicy",
               area=Area.IDENTITY),
    # Directory
    _directory("groups", "group", (Navigation("members", DIRECTORY_PAGE),)),
    _directory("organization", "organization", paged=False),
    _directory("subscribedSkus", "subscribedSku", name="skuPartNumber", created="", paged=False),
)  # fmt: skip

ENDPOINTS: dict[str, Endpoint] = {endpoint.path: endpoint for endpoint in _ENDPOINTS}
"""Every endpoint by its path, without version and leading slash."""


def endpoint_at(path: str) -> Endpoint:
    """The endpoint at `path`, whose outer slashes don't count; `KeyError` where there is none."""
    return ENDPOINTS[path.strip("/")]


def casts_of(path: str) -> list[Endpoint]:
    """The typed views on the documents of `path`."""
    return [endpoint for endpoint in _ENDPOINTS if endpoint.cast_of == path]
