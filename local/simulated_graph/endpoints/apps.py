"""Apps: assignments, configuration, protection, certificates and tokens."""

from functools import partial

from local.simulated_graph.endpoints.model import (
    ASSIGNMENTS,
    BETA,
    COMMON,
    SETTINGS_PAGE,
    Endpoint,
    Navigation,
    on_beta,
)

_APP = COMMON | {
    "publisher", "largeIcon", "isFeatured", "privacyInformationUrl", "informationUrl", "owner", "developer", "notes",
    "publishingState", "uploadState", "isAssigned", "dependentAppCount", "supersedingAppCount", "supersededAppCount",
}  # fmt: skip
_MANAGED_APP_VERSION = '"00000000-0000-0000-0000-000000000001"'
_APPS = Navigation("apps", noted=True)
_APP_LOCKER_FILES = (
    Navigation("protectedAppLockerFiles", noted=True),
    Navigation("exemptAppLockerFiles", noted=True),
)

_managed_app = partial(
    Endpoint,
    navigations=(ASSIGNMENTS, _APPS),
    cast_of="deviceAppManagement/managedAppPolicies",
    first_version=_MANAGED_APP_VERSION,
)

ENDPOINTS = (
    Endpoint("deviceAppManagement/mobileApps", "mobileApp",
             (ASSIGNMENTS, Navigation("categories", noted=True), Navigation("relationships"),
              Navigation("contentVersions", children=(Navigation("scripts"),))), bodies=("largeIcon",),
             base_properties=_APP, beta_types=("#microsoft.graph.winGetApp", "#microsoft.graph.win32CatalogApp")),
    Endpoint("deviceAppManagement/mobileAppCategories", "mobileAppCategory", created=""),
    Endpoint("deviceAppManagement/mobileAppConfigurations", "managedDeviceMobileAppConfiguration", (ASSIGNMENTS,),
             first_version=1, base_properties=COMMON | {"version", "targetedMobileApps"}),
    Endpoint("deviceAppManagement/managedAppPolicies", "managedAppPolicy", (_APPS,), first_version=_MANAGED_APP_VERSION,
             base_properties=COMMON | {"version"}),
    _managed_app("deviceAppManagement/iosManagedAppProtections", "iosManagedAppProtection"),
    _managed_app("deviceAppManagement/androidManagedAppProtections", "androidManagedAppProtection"),
    _managed_app("deviceAppManagement/windowsManagedAppProtections", "windowsManagedAppProtection", versions=BETA),
    _managed_app("deviceAppManagement/targetedManagedAppConfigurations", "targetedManagedAppConfiguration",
                 navigations=(ASSIGNMENTS, _APPS, Navigation("settings", SETTINGS_PAGE, noted=True))),
    _managed_app("deviceAppManagement/defaultManagedAppProtections", "defaultManagedAppProtection",
                 navigations=(_APPS,)),
    _managed_app("deviceAppManagement/mdmWindowsInformationProtectionPolicies",
                 "mdmWindowsInformationProtectionPolicy", navigations=(ASSIGNMENTS, *_APP_LOCKER_FILES)),
    _managed_app("deviceAppManagement/windowsInformationProtectionPolicies", "windowsInformationProtectionPolicy",
                 navigations=(ASSIGNMENTS, *_APP_LOCKER_FILES)),
    on_beta("deviceAppManagement/iosLobAppProvisioningConfigurations", "iosLobAppProvisioningConfiguration",
            (ASSIGNMENTS,), first_version=1, bodies=("payload",)),
    on_beta("deviceAppManagement/wdacSupplementalPolicies", "windowsDefenderApplicationControlSupplementalPolicy",
            (ASSIGNMENTS,), bodies=("content",), first_version="1.0.0.0"),
    on_beta("deviceAppManagement/policySets", "policySet",
            (ASSIGNMENTS, Navigation("items", noted=True, expanded_size=100))),
    Endpoint("deviceAppManagement/vppTokens", "vppToken", created=""),
    Endpoint("deviceAppManagement/managedEBooks", "managedEBook", (ASSIGNMENTS, Navigation("categories"))),
    on_beta("deviceAppManagement/managedEBookCategories", "managedEBookCategory", created=""),
    on_beta("deviceAppManagement/enterpriseCodeSigningCertificates", "enterpriseCodeSigningCertificate",
            name="subject", created="uploadDateTime", modified="", bodies=("content",)),
    on_beta("deviceAppManagement/symantecCodeSigningCertificate", "symantecCodeSigningCertificate", singleton=True,
            name="subject", created="", modified=""),
    on_beta("deviceAppManagement/mobileAppCatalogPackages", "win32MobileAppCatalogPackage", name="productDisplayName",
            created="", modified=""),
    on_beta("deviceAppManagement/windowsManagementApp", "windowsManagementApp", singleton=True, created="",
            modified=""),
)  # fmt: skip
