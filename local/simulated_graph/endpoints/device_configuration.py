"""Device configuration, compliance, scripts and Windows updates."""

from functools import partial

from local.simulated_graph.endpoints.model import (
    ACTIONS,
    ASSIGNMENTS,
    BETA,
    CATALOG_SETTINGS,
    COMMON,
    SETTINGS_PAGE,
    Endpoint,
    Navigation,
    on_beta,
    singleton,
)

_DEFINITION_VALUES = Navigation(
    "definitionValues",
    children=(
        Navigation("definition", single=True),
        Navigation("presentationValues", children=(Navigation("presentation", single=True),), noted=True),
    ),
    noted=True,
)
_INTENT_SETTINGS = Navigation("settings", noted=True)
_CATEGORIES = Navigation("categories", children=(_INTENT_SETTINGS, Navigation("settingDefinitions")), noted=True)
_TEMPLATE_CATEGORIES = Navigation(
    "categories", children=(Navigation("recommendedSettings"), Navigation("settingDefinitions"))
)

_BOUND = (
    *(Navigation(name, single=True, expandable=False)
      for name in (
          "derivedCredentialSettings", "identityCertificate", "identityCertificateForClientAuthentication",
          "rootCertificate", "rootCertificateForClientValidation", "rootCertificateForServerValidation",
          "secondaryIdentityCertificateForClientAuthentication", "secondaryRootCertificateForClientValidation",
          "singleSignOnExtensionPkinitCertificate", "smimeEncryptionCertificate", "smimeSigningCertificate",
      )),
    *(Navigation(name, expandable=False)
      for name in (
          "networkAccessConfigurations", "privacyAccessControls", "rootCertificatesForClientValidation",
          "rootCertificatesForServerValidation",
      )),
)  # fmt: skip
"""Relations of profiles of some types, behind a cast."""

_script = partial(Endpoint, navigations=(ASSIGNMENTS, Navigation("groupAssignments", expandable=False)), versions=BETA)
_package = partial(Endpoint, navigations=(ASSIGNMENTS,), versions=BETA)
_update = partial(Endpoint, navigations=(ASSIGNMENTS,), versions=BETA, largest_page=200)

ENDPOINTS = (
    Endpoint("deviceManagement/deviceConfigurations", "deviceConfiguration",
             (ASSIGNMENTS, Navigation("groupAssignments", expandable=False), *_BOUND), first_version=1,
             base_properties=COMMON | {"version", "supportsScopeTags"}, growing_context=True,
             functions=("getOmaSettingPlainTextValue",)),
    on_beta("deviceManagement/configurationPolicies", "deviceManagementConfigurationPolicy",
            (ASSIGNMENTS, CATALOG_SETTINGS), name="name", page_size=SETTINGS_PAGE,
            counts_unasked=True, hides_assignments_of="endpointSecurity"),
    on_beta("deviceManagement/groupPolicyConfigurations", "groupPolicyConfiguration",
            (ASSIGNMENTS, _DEFINITION_VALUES)),
    on_beta("deviceManagement/groupPolicyUploadedDefinitionFiles", "groupPolicyUploadedDefinitionFile",
            (Navigation("groupPolicyOperations"), Navigation("definitions")), name="fileName", created=""),
    on_beta("deviceManagement/inventoryPolicies", "deviceManagementInventoryPolicy", (ASSIGNMENTS, CATALOG_SETTINGS),
            name="name", undocumented=True),
    on_beta("deviceManagement/hardwareConfigurations", "hardwareConfiguration", (ASSIGNMENTS,),
            bodies=("configurationFileContent",)),
    on_beta("deviceManagement/resourceAccessProfiles", "deviceManagementResourceAccessProfileBase", (ASSIGNMENTS,),
            created="creationDateTime"),
    on_beta("deviceManagement/reusablePolicySettings", "deviceManagementReusablePolicySetting",
            (Navigation("referencingConfigurationPolicies"),), first_version=1, bodies=("settingInstance",)),
    on_beta("deviceManagement/intents", "deviceManagementIntent", (ASSIGNMENTS, _INTENT_SETTINGS, _CATEGORIES),
            created=""),
    on_beta("deviceManagement/templates", "deviceManagementTemplate",
            (_TEMPLATE_CATEGORIES, Navigation("settings")), created="", modified=""),
    on_beta("deviceManagement/configurationPolicyTemplates", "deviceManagementConfigurationPolicyTemplate",
            (Navigation("settingTemplates", children=(Navigation("settingDefinitions"),)),), created="", modified=""),
    on_beta("deviceManagement/configurationSettings", "deviceManagementConfigurationSettingDefinition", created="",
            modified=""),
    on_beta("deviceManagement/derivedCredentials", "deviceManagementDerivedCredentialSettings", created="",
            modified=""),
    on_beta("deviceManagement/cartToClassAssociations", "cartToClassAssociation", first_version=1),
    on_beta("deviceManagement/zebraFotaDeployments", "zebraFotaDeployment", created=""),
    on_beta("deviceManagement/embeddedSIMActivationCodePools", "embeddedSIMActivationCodePool",
            (ASSIGNMENTS, Navigation("deviceStates")), modified="modifiedDateTime"),
    on_beta("deviceManagement/managedDeviceWindowsOSImages", "managedDeviceWindowsOperatingSystemImage", name="id",
            created="", modified=""),
    # Compliance
    Endpoint("deviceManagement/deviceCompliancePolicies", "deviceCompliancePolicy", (ASSIGNMENTS, ACTIONS),
             first_version=1, base_properties=COMMON | {"version"}),
    on_beta("deviceManagement/compliancePolicies", "deviceManagementCompliancePolicy",
            (ASSIGNMENTS, CATALOG_SETTINGS, ACTIONS), name="name", page_size=SETTINGS_PAGE, counts_unasked=True),
    Endpoint("deviceManagement/notificationMessageTemplates", "notificationMessageTemplate",
             (Navigation("localizedNotificationMessages"),), created=""),
    on_beta("deviceManagement/managementConditions", "managementCondition", modified="modifiedDateTime",
            undocumented=True),
    singleton("deviceManagement/settings", "deviceManagementSettings"),
    on_beta("deviceManagement/managedDeviceCleanupRules", "managedDeviceCleanupRule", created=""),
    # Scripts
    _script("deviceManagement/deviceManagementScripts", "deviceManagementScript", bodies=("scriptContent",)),
    _script("deviceManagement/deviceShellScripts", "deviceShellScript", bodies=("scriptContent",)),
    _script("deviceManagement/deviceCustomAttributeShellScripts", "deviceCustomAttributeShellScript",
            bodies=("scriptContent",)),
    _package("deviceManagement/deviceHealthScripts", "deviceHealthScript",
             bodies=("detectionScriptContent", "remediationScriptContent")),
    _package("deviceManagement/deviceComplianceScripts", "deviceComplianceScript", bodies=("detectionScriptContent",)),
    # Windows updates
    _update("deviceManagement/windowsFeatureUpdateProfiles", "windowsFeatureUpdateProfile"),
    _update("deviceManagement/windowsQualityUpdateProfiles", "windowsQualityUpdateProfile"),
    _update("deviceManagement/windowsDriverUpdateProfiles", "windowsDriverUpdateProfile",
            navigations=(ASSIGNMENTS, Navigation("driverInventories"))),
    _update("deviceManagement/windowsQualityUpdatePolicies", "windowsQualityUpdatePolicy"),
)  # fmt: skip
