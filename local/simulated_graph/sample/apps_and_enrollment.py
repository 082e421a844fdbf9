"""Apps, app protection, enrollment and tenant administration."""

from local.simulated_graph.documents import Document
from local.simulated_graph.sample.draw import Draw, Sample, choice_setting, encoded, single, titled
from local.simulated_graph.sample.more_apps import KINDS, typed_app

_COMMON_APPS = 32
_COMMON_ENROLLMENT = 8


def _install_script(draw: Draw) -> Document:
    return {
        "@odata.type": "#microsoft.graph.win32LobAppInstallPowerShellScript",
        "id": draw.id("install script"),
        "displayName": "install.ps1",
        "content": encoded("Start-Process setup.exe"),
        "state": "commitSuccess",
    }


def _mobile_app(draw: Draw) -> Document:
    kinds: list[tuple[str, Document]] = [
        ("winGetApp", {"packageIdentifier": f"9WZDNCRF{draw.number(1000, 9999)}"}),
        (
            "win32LobApp",
            {
                "fileName": "setup.intunewin",
                "size": draw.number(10**6, 10**8),
                "committedContentVersion": str(draw.number(1, 5)),
                "setupFilePath": "setup.exe",
                "contentVersions": [{"id": "1", "scripts": [_install_script(draw)]}],
            },
        ),
        ("iosStoreApp", {"bundleId": f"com.example.app{draw.index}", "appStoreUrl": "https://apps.example/app"}),
        ("iosVppApp", {"usedLicenseCount": draw.number(0, 90), "totalLicenseCount": 100}),
        ("androidManagedStoreApp", {"packageId": f"com.example.app{draw.index}", "usedLicenseCount": 0}),
        ("officeSuiteApp", {"productIds": ["o365ProPlusRetail"], "updateChannel": "monthlyEnterprise"}),
        ("webApp", {"appUrl": "https://intranet.example/", "useManagedBrowser": False}),
    ]
    kind, properties = draw.cycle(kinds) if draw.index < _COMMON_APPS else typed_app(draw.index - _COMMON_APPS)
    return titled(
        draw,
        "App",
        kind=kind,
        publisher=draw.pick(("Contoso", "Microsoft", "Fabrikam")),
        largeIcon={"type": "image/png", "value": encoded(f"icon {draw.index}")},
        isFeatured=draw.flag(),
        privacyInformationUrl=None,
        informationUrl=None,
        owner="",
        developer="",
        notes="",
        uploadState=1,
        publishingState="published",
        isAssigned=True,
        dependentAppCount=0,
        supersedingAppCount=0,
        supersededAppCount=0,
        categories=[
            {"id": draw.id_of("deviceAppManagement/mobileAppCategories", draw.index % 4), "displayName": "Productivity"}
        ],
        relationships=_relationships(draw) if draw.index % 4 == 1 else [],
        **properties,
    )


def _relationships(draw: Draw) -> list[Document]:
    target = draw.id_of("deviceAppManagement/mobileApps", 0)
    return [
        {
            "@odata.type": "#microsoft.graph.mobileAppDependency",
            "id": f"{draw.id()}_{target}",
            "targetId": target,
            "targetDisplayName": "App",
            "targetType": "child",
            "dependencyType": "detect",
        }
    ]


def _app_configuration(draw: Draw) -> Document:
    kinds: list[tuple[str, Document]] = [
        ("iosMobileAppConfiguration", {"encodedSettingXml": None, "settings": []}),
        ("androidManagedStoreAppConfiguration", {"packageId": "app:com.example", "appSupportsOemConfig": False}),
    ]
    kind, properties = draw.cycle(kinds)
    return titled(
        draw,
        "App configuration",
        kind=kind,
        targetedMobileApps=[draw.id_of("deviceAppManagement/mobileApps", draw.number(0, 9))],
        version=draw.number(1, 5),
        **properties,
    )


def _protection(draw: Draw, kind: str, app: Document) -> Document:
    version = draw.id("version")
    return titled(
        draw,
        "App protection",
        kind=kind,
        version=f'"{version}"',
        periodOfflineBeforeAccessCheck="PT12H",
        pinRequired=draw.flag(),
        maximumPinRetries=draw.number(3, 10),
        deployedAppCount=1,
        isAssigned=True,
        apps=[{"id": draw.id("app"), "version": "1", "mobileAppIdentifier": app}],
    )


def _ios_protection(draw: Draw) -> Document:
    app = {"@odata.type": "#microsoft.graph.iosMobileAppIdentifier", "bundleId": "com.microsoft.office.outlook"}
    return _protection(draw, "iosManagedAppProtection", app)


def _android_protection(draw: Draw) -> Document:
    app = {"@odata.type": "#microsoft.graph.androidMobileAppIdentifier", "packageId": "com.microsoft.office.outlook"}
    return _protection(draw, "androidManagedAppProtection", app)


def _windows_protection(draw: Draw) -> Document:
    app = {"@odata.type": "#microsoft.graph.windowsAppIdentifier", "windowsAppId": "com.microsoft.edge"}
    return _protection(draw, "windowsManagedAppProtection", app)


def _targeted_configuration(draw: Draw) -> Document:
    app = {"@odata.type": "#microsoft.graph.iosMobileAppIdentifier", "bundleId": "com.microsoft.msedge"}
    settings = [{"name": "com.microsoft.intune.homepage", "value": "https://intranet.example/"}]
    definition = "com.microsoft.edge.mamedgeappconfigsettings.homepage"
    catalog = choice_setting(0, definition, "enabled")
    configuration = _protection(draw, "targetedManagedAppConfiguration", app)
    return configuration | {"customSettings": settings, "settings": [catalog]}


def _policy_set(draw: Draw) -> Document:
    payload = draw.id_of("deviceAppManagement/mobileApps", draw.number(0, 9))
    item = {
        "@odata.type": "#microsoft.graph.mobileAppPolicySetItem",
        "id": f"{draw.id()}_{payload}",
        "payloadId": payload,
        "displayName": "App",
        "status": "success",
    }
    document = titled(draw, "Policy set", status="success", errorCode="noError", guidedDeploymentTags=[], items=[item])
    document["roleScopeTags"] = document.pop("roleScopeTagIds")
    return document


def _enrollment_configuration(draw: Draw) -> Document:
    kinds: list[tuple[str, str, Document]] = [
        ("deviceEnrollmentLimitConfiguration", "limit", {"limit": draw.number(1, 15)}),
        (
            "windows10EnrollmentCompletionPageConfiguration",
            "windows10EnrollmentCompletionPageConfiguration",
            {"showInstallationProgress": True, "installProgressTimeoutInMinutes": 60},
        ),
        (
            "deviceEnrollmentPlatformRestrictionConfiguration",
            "singlePlatformRestriction",
            {"platformType": "ios", "platformRestriction": {"platformBlocked": False, "osMinimumVersion": "17.0"}},
        ),
        (
            "deviceEnrollmentWindowsHelloForBusinessConfiguration",
            "windowsHelloForBusiness",
            {"pinMinimumLength": 6, "state": "enabled"},
        ),
    ]
    rarer: list[tuple[str, str, Document]] = [
        (
            "deviceEnrollmentPlatformRestrictionsConfiguration",
            "platformRestrictions",
            {"iosRestriction": {"platformBlocked": False}, "androidRestriction": {"platformBlocked": True}},
        ),
        ("deviceComanagementAuthorityConfiguration", "deviceComanagementAuthorityConfiguration",
         {"installConfigurationManagerAgent": True, "configurationManagerAgentCommandLineArgument": ""}),
        ("deviceEnrollmentNotificationConfiguration", "enrollmentNotificationsConfiguration",
         {"platformType": "ios", "templateType": "email", "defaultLocale": "en-US", "brandingOptions": "none"}),
        ("windowsRestoreDeviceEnrollmentConfiguration", "windowsRestore", {"state": "enabled"}),
    ]  # fmt: skip
    kind, configuration_type, properties = draw.cycle(kinds if draw.index < _COMMON_ENROLLMENT else rarer)
    return titled(
        draw,
        "Enrollment",
        kind=kind,
        id=f"{draw.id()}_{configuration_type}",
        priority=draw.index,
        version=draw.number(1, 3),
        deviceEnrollmentConfigurationType=configuration_type,
        **properties,
    )


def _autopilot_profile(draw: Draw) -> Document:
    hybrid = draw.index == 1
    return titled(
        draw,
        "Autopilot",
        kind=f"{'activeDirectory' if hybrid else 'azureAD'}WindowsAutopilotDeploymentProfile",
        domainJoinConfiguration={"id": draw.id_of("deviceManagement/deviceConfigurations", 0)} if hybrid else None,
        language="os-default",
        locale="os-default",
        preprovisioningAllowed=draw.flag(),
        hardwareHashExtractionEnabled=False,
        deviceNameTemplate="PC-%SERIAL%",
        deviceType="windowsPc",
        outOfBoxExperienceSetting={"privacySettingsHidden": True, "eulaHidden": True, "userType": "standard"},
    )


def _apple_token(draw: Draw) -> Document:
    profile = {
        "@odata.type": "#microsoft.graph.depIOSEnrollmentProfile",
        "id": f"{draw.id()}_{draw.id('profile')}",
        "displayName": f"iOS default {draw.index + 1}",
        "description": "",
        "requiresUserAuthentication": True,
        "supervisedModeEnabled": True,
        "isDefault": True,
    }
    profiles = [
        {
            **profile,
            "@odata.type": f"#microsoft.graph.{kind}",
            "id": f"{draw.id()}_{draw.id(kind)}",
            "displayName": f"{kind} default {draw.index + 1}",
        }
        for kind in ("depMacOSEnrollmentProfile", "depTvOSEnrollmentProfile", "depVisionOSEnrollmentProfile")
        if draw.index > 0
    ]
    return {
        "appleIdentifier": "mdm@example.com",
        "tokenExpirationDateTime": draw.moment(),
        "lastSuccessfulSyncDateTime": draw.moment(),
        "lastSyncTriggeredDateTime": draw.moment(),
        "lastSyncErrorCode": 0,
        "tokenName": draw.name("Apple token"),
        "tokenType": "dep",
        "syncedDeviceCount": draw.number(0, 900),
        "roleScopeTagIds": draw.scope_tags(),
        "enrollmentProfiles": [profile, *profiles],
        "defaultIosEnrollmentProfile": profile,
        # The first token has no default for macOS.
        "defaultMacOsEnrollmentProfile": profiles[0] if profiles else None,
        "defaultTvOSEnrollmentProfile": profiles[1] if profiles else None,
        "defaultVisionOSEnrollmentProfile": profiles[2] if profiles else None,
    }


def _apple_certificate(draw: Draw) -> Document:
    return {
        "id": draw.id(),
        "appleIdentifier": "mdm@example.com",
        "topicIdentifier": f"com.apple.mgmt.External.{draw.id('topic')}",
        "lastModifiedDateTime": draw.moment(),
        "expirationDateTime": "2026-11-01T00:00:00Z",
        "certificateSerialNumber": f"{draw.number(10**9, 10**10)}",
    }


def _assignment_filter(draw: Draw) -> Document:
    document = titled(
        draw,
        "Filter",
        platform=draw.cycle(("windows10AndLater", "iOS", "macOS", "androidForWork")),
        rule=f'(device.model -startsWith "Model {draw.number(1, 20)}")',
        assignmentFilterManagementType="devices",
        payloads=[
            {
                "payloadId": draw.id("payload"),
                "payloadType": "deviceConfigurationAndCompliance",
                "groupId": draw.id_of("groups", 0),
                "assignmentFilterType": "include",
            }
        ],
    )
    document["roleScopeTags"] = document.pop("roleScopeTagIds")
    return document


def _scope_tag(draw: Draw) -> Document:
    name = "Default" if draw.index == 0 else draw.name("Scope")
    return {"id": str(draw.index), "displayName": name, "description": "", "isBuiltIn": draw.index == 0}


def _role_definition(draw: Draw) -> Document:
    actions = ["Microsoft.Intune_DeviceConfigurations_Read", "Microsoft.Intune_MobileApps_Read"]
    permissions = [{"resourceActions": [{"allowedResourceActions": actions, "notAllowedResourceActions": []}]}]
    return {
        "displayName": draw.name("Role"),
        "description": "",
        "isBuiltIn": draw.index % 3 == 0,
        "rolePermissions": permissions,
        "roleAssignments": [],
    }


def _role_assignment(draw: Draw) -> Document:
    return {
        "displayName": draw.name("Helpdesk"),
        "description": "",
        "scopeMembers": [],
        "scopeType": "allDevicesAndLicensedUsers",
        "resourceScopes": [],
        "members": [draw.id_of("groups", draw.number(0, 19))],
        "roleDefinition": {"id": draw.id_of("deviceManagement/roleDefinitions", 1)},
        "roleScopeTags": [],
    }


def _terms(draw: Draw) -> Document:
    return titled(
        draw,
        "Terms",
        title="Acceptable use",
        bodyText="Company devices are for company work.",
        acceptanceStatement="I accept.",
        version=draw.number(1, 3),
        acceptanceStatuses=[],
    )


def _branding(draw: Draw) -> Document:
    return {
        "profileName": draw.name("Branding"),
        "profileDescription": None,
        "isDefaultProfile": draw.index == 0,
        "displayName": "Contoso",
        "themeColor": {"r": draw.number(0, 255), "g": draw.number(0, 255), "b": draw.number(0, 255)},
        "contactITName": "Service desk",
        "themeColorLogo": {"type": "image/png", "value": encoded("logo")},
        "lightBackgroundLogo": {"type": "image/png", "value": encoded("light")},
        # Only the default profile has an image on its landing page.
        "landingPageCustomizedImage": ({"type": "image/png", "value": encoded("landing")} if draw.index == 0 else None),
        "roleScopeTagIds": draw.scope_tags(),
    }


SAMPLES = {
    "deviceAppManagement/mobileApps": Sample(_COMMON_APPS + KINDS, _mobile_app),
    "deviceAppManagement/mobileAppConfigurations": Sample(6, _app_configuration),
    "deviceAppManagement/iosManagedAppProtections": Sample(4, _ios_protection),
    "deviceAppManagement/androidManagedAppProtections": Sample(4, _android_protection),
    "deviceAppManagement/windowsManagedAppProtections": Sample(3, _windows_protection),
    "deviceAppManagement/targetedManagedAppConfigurations": Sample(4, _targeted_configuration),
    "deviceAppManagement/policySets": Sample(3, _policy_set),
    "deviceManagement/deviceEnrollmentConfigurations": Sample(_COMMON_ENROLLMENT + 4, _enrollment_configuration),
    "deviceManagement/windowsAutopilotDeploymentProfiles": Sample(4, _autopilot_profile),
    "deviceManagement/depOnboardingSettings": Sample(3, _apple_token),
    "deviceManagement/applePushNotificationCertificate": single(_apple_certificate),
    "deviceManagement/assignmentFilters": Sample(5, _assignment_filter),
    "deviceManagement/roleScopeTags": Sample(4, _scope_tag),
    "deviceManagement/roleDefinitions": Sample(6, _role_definition),
    "deviceManagement/roleAssignments": Sample(4, _role_assignment),
    "deviceManagement/deviceCategories": Sample(5, lambda draw: titled(draw, "Category")),
    "deviceManagement/termsAndConditions": Sample(3, _terms),
    "deviceManagement/intuneBrandingProfiles": Sample(3, _branding),
}
