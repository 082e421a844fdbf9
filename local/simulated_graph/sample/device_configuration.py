"""Device configuration, compliance, scripts and Windows updates."""

from local.simulated_graph.documents import Document
from local.simulated_graph.sample.configuration_kinds import KINDS, configuration, typed_configuration
from local.simulated_graph.sample.draw import Draw, Sample, choice_setting, constant, encoded, titled

_COMMON_CONFIGURATIONS = 28
_COMMON_POLICIES = 40
_COMMON_COMPLIANCE = 12
_PLATFORMS = ("windows10", "macOS", "iOS", "android")


def _device_configuration(draw: Draw) -> Document:
    if draw.index >= _COMMON_CONFIGURATIONS:
        return typed_configuration(draw, draw.index - _COMMON_CONFIGURATIONS)
    oma_settings = [_oma_setting(draw, number) for number in range(draw.number(1, 4))]
    kinds: list[tuple[str, Document]] = [
        ("windows10CustomConfiguration", {"omaSettings": oma_settings}),
        ("windows10GeneralConfiguration", {"passwordRequired": True, "passwordMinimumLength": draw.number(8, 14)}),
        ("iosGeneralDeviceConfiguration", {"cameraBlocked": draw.flag(), "appStoreBlocked": draw.flag()}),
        ("macOSGeneralDeviceConfiguration", {"passwordRequired": True, "passwordMinimumLength": 8}),
        (
            "windowsUpdateForBusinessConfiguration",
            {
                "qualityUpdatesDeferralPeriodInDays": draw.number(0, 14),
                "featureUpdatesDeferralPeriodInDays": draw.number(0, 180),
                "automaticUpdateMode": "autoInstallAtMaintenanceTime",
            },
        ),
        ("iosUpdateConfiguration", {"desiredOsVersion": "18.2", "scheduledInstallDays": []}),
        ("androidDeviceOwnerGeneralDeviceConfiguration", {"screenCaptureBlocked": draw.flag()}),
    ]
    kind, properties = draw.cycle(kinds)
    return configuration(draw, "Device restrictions", kind, draw.number(1, 12), properties)


def _oma_setting(draw: Draw, number: int) -> Document:
    return {
        "@odata.type": "#microsoft.graph.omaSettingString",
        "displayName": f"Setting {number + 1}",
        "description": "",
        "omaUri": f"./Device/Vendor/MSFT/Policy/Config/Sample/Setting{number + 1}",
        "secretReferenceValueId": draw.id(f"secret {number}"),
        "isEncrypted": True,
        "value": "****",
    }


def _catalog_settings(draw: Draw, count: int) -> list[Document]:
    names = [f"device_vendor_msft_policy_config_sample_setting{number + 1}" for number in range(count)]
    return [choice_setting(number, name, f"{name}_{draw.number(0, 1)}") for number, name in enumerate(names)]


def _secret_setting(number: int, token: str) -> Document:
    return {
        "id": str(number),
        "settingInstance": {
            "@odata.type": "#microsoft.graph.deviceManagementConfigurationSimpleSettingInstance",
            "settingDefinitionId": "com.apple.wifi.managed_password",
            "settingInstanceTemplateReference": None,
            "simpleSettingValue": {
                "@odata.type": "#microsoft.graph.deviceManagementConfigurationSecretSettingValue",
                "settingValueTemplateReference": None,
                "value": token,
                "valueState": "encryptedValueToken",
            },
        },
    }


def _configuration_policy(draw: Draw) -> Document:
    family = draw.cycle(("none", "none", "endpointSecurityAntivirus", "none", "endpointSecurityFirewall"))
    # Every tenth has more settings than a page holds.
    settings = _catalog_settings(draw, 60 if draw.index % 10 == 7 else draw.number(1, 9))
    if draw.index >= _COMMON_POLICIES and draw.index % 2 == 0:
        settings.append(_secret_setting(len(settings), draw.id("secret")))
    return {
        "creationSource": None,
        "description": "",
        "name": draw.name("Settings catalog"),
        "platforms": draw.cycle(_PLATFORMS),
        "priorityMetaData": None,
        "roleScopeTagIds": draw.scope_tags(),
        "settingCount": len(settings),
        "technologies": "mdm",
        "templateReference": {
            "templateId": "" if family == "none" else f"{draw.id('template')}_1",
            "templateFamily": family,
            "templateDisplayName": None if family == "none" else "Sample template",
            "templateDisplayVersion": None if family == "none" else "Version 1",
        },
        "settings": settings,
    }


def _compliance_policy_v2(draw: Draw) -> Document:
    return {
        "creationSource": None,
        "description": "",
        "name": draw.name("Linux compliance"),
        "platforms": "linux",
        "roleScopeTagIds": draw.scope_tags(),
        "settingCount": 2,
        "technologies": "linuxMdm",
        "settings": _catalog_settings(draw, 2),
        "scheduledActionsForRule": _scheduled_actions(draw),
    }


def _scheduled_actions(draw: Draw) -> list[Document]:
    action = {
        "id": draw.id("action"),
        "gracePeriodHours": draw.pick((0, 24, 72)),
        "actionType": "block",
        "notificationTemplateId": "00000000-0000-0000-0000-000000000000",
        "notificationMessageCCList": [],
    }
    return [{"id": draw.id("rule"), "ruleName": None, "scheduledActionConfigurations": [action]}]


def _compliance_policy(draw: Draw) -> Document:
    kinds = ("windows10", "ios", "macOS", "androidWorkProfile")
    newer = ("android", "androidDeviceOwner", "aospDeviceOwner", "windows81", "androidForWork", "windows10Mobile")
    kind = draw.cycle(kinds if draw.index < _COMMON_COMPLIANCE else newer)
    return titled(
        draw,
        "Compliance",
        kind=f"{kind}CompliancePolicy",
        version=draw.number(1, 8),
        passwordRequired=draw.flag(),
        osMinimumVersion=draw.pick((None, "10.0.22631", "17.5")),
        scheduledActionsForRule=_scheduled_actions(draw),
    )


def _group_policy(draw: Draw) -> Document:
    definition = {
        "id": draw.id("definition"),
        "classType": "machine",
        "displayName": "Configure the sample",
        "categoryPath": "\\Sample\\Policies",
        "policyType": "admxBacked",
    }
    presentation = {
        "@odata.type": "#microsoft.graph.groupPolicyPresentationValueText",
        "id": draw.id("presentation value"),
        "value": str(draw.number(1, 99)),
        "presentation": {"id": draw.id("presentation"), "label": "Value"},
        "createdDateTime": draw.moment(),
        "lastModifiedDateTime": draw.moment(),
    }
    value = {
        "id": draw.id("definition value"),
        "enabled": draw.flag(),
        "configurationType": "policy",
        "createdDateTime": draw.moment(),
        "lastModifiedDateTime": draw.moment(),
        "definition": definition,
        "presentationValues": [presentation],
    }
    policy = titled(draw, "Administrative template", policyConfigurationIngestionType="builtIn")
    return policy | {
        "createdDateTime": value["createdDateTime"],
        "lastModifiedDateTime": value["lastModifiedDateTime"],
        "definitionValues": [value],
    }


def _intent(draw: Draw) -> Document:
    setting = {
        "@odata.type": "#microsoft.graph.deviceManagementBooleanSettingInstance",
        "id": draw.id("setting"),
        "definitionId": "deviceConfiguration--windows10EndpointProtectionConfiguration_bitLockerEncryptDevice",
        "valueJson": "true",
        "value": True,
    }
    category = {"id": draw.id("category"), "displayName": "BitLocker", "settings": [setting]}
    return titled(
        draw,
        "Security baseline",
        isAssigned=True,
        isMigratingToConfigurationPolicy=None,
        templateId=draw.id("template"),
        settings=[setting],
        categories=[category],
    )


def _windows_script(draw: Draw) -> Document:
    return titled(
        draw,
        "Script",
        scriptContent=encoded(f"Write-Output 'sample {draw.index}'"),
        runAsAccount=draw.pick(("system", "user")),
        enforceSignatureCheck=False,
        fileName=f"sample-{draw.index}.ps1",
        runAs32Bit=False,
    )


def _shell_script(draw: Draw) -> Document:
    return titled(
        draw,
        "Shell script",
        scriptContent=encoded(f"#!/bin/sh\necho sample {draw.index}\n"),
        runAsAccount="system",
        fileName=f"sample-{draw.index}.sh",
        executionFrequency="PT0S",
        retryCount=draw.number(0, 3),
        blockExecutionNotifications=True,
    )


def _custom_attribute(draw: Draw) -> Document:
    return titled(
        draw,
        "Custom attribute",
        scriptContent=encoded(f"#!/bin/sh\nsysctl -n hw.ncpu # {draw.index}\n"),
        customAttributeName="Cores",
        customAttributeType="integer",
        runAsAccount="system",
        fileName=f"attribute-{draw.index}.sh",
    )


def _health_script(draw: Draw) -> Document:
    return titled(
        draw,
        "Remediation",
        publisher="Endpoint team",
        version="",
        runAs32Bit=False,
        runAsAccount="system",
        enforceSignatureCheck=False,
        isGlobalScript=draw.index == 0,
        highestAvailableVersion=None,
        deviceHealthScriptType="deviceHealthScript",
        detectionScriptParameters=[],
        remediationScriptParameters=[],
        detectionScriptContent=encoded(f"exit {draw.index % 2}"),
        remediationScriptContent=encoded("exit 0"),
    )


def _compliance_script(draw: Draw) -> Document:
    return titled(
        draw,
        "Compliance discovery",
        publisher="Endpoint team",
        version="1",
        runAs32Bit=False,
        runAsAccount="system",
        enforceSignatureCheck=False,
        detectionScriptContent=encoded("return @{ Sample = 1 } | ConvertTo-Json -Compress"),
    )


def _feature_update(draw: Draw) -> Document:
    return titled(
        draw,
        "Feature update",
        featureUpdateVersion=draw.pick(("Windows 11, version 23H2", "Windows 11, version 24H2")),
        rolloutSettings=None,
        deployableContentDisplayName="Windows 11",
        endOfSupportDate="2027-10-12T00:00:00Z",
        installLatestWindows10OnWindows11IneligibleDevice=draw.flag(),
    )


def _quality_update(draw: Draw) -> Document:
    return titled(
        draw,
        "Expedited update",
        expeditedUpdateSettings={"qualityUpdateRelease": draw.moment(), "daysUntilForcedReboot": draw.number(0, 2)},
        releaseDateDisplayName="01/14/2025 - 2025.01 B Security Update",
        deployableContentDisplayName="2025.01 B",
    )


def _driver(draw: Draw, number: int) -> Document:
    return {
        "id": draw.id(f"driver {number}"),
        "name": f"Sample driver {number + 1}",
        "version": f"1.{draw.index}.{number}.0",
        "manufacturer": "Contoso",
        "releaseDateTime": "2025-01-14T00:00:00Z",
        "driverClass": "OtherHardware",
        "applicableDeviceCount": number,
        "approvalStatus": "needsReview",
        "category": "recommended",
        "deployDateTime": None,
    }


def _driver_update(draw: Draw) -> Document:
    return titled(
        draw,
        "Driver updates",
        approvalType=draw.pick(("manual", "automatic")),
        deviceReporting=draw.number(0, 400),
        newUpdates=draw.number(0, 30),
        deploymentDeferralInDays=draw.number(0, 14),
        inventorySyncStatus={"lastSuccessfulSyncDateTime": draw.moment(), "driverInventorySyncState": "success"},
        driverInventories=[_driver(draw, number) for number in range(3)],
    )


def _reusable_setting(draw: Draw) -> Document:
    definition = "vendor_msft_firewall_mdmstore_dynamickeywords_addresses_{id}"
    return {
        "displayName": draw.name("Reusable setting"),
        "description": "",
        "settingDefinitionId": definition,
        "settingInstance": _catalog_settings(draw, 1)[0]["settingInstance"],
        "version": draw.number(1, 4),
        "referencingConfigurationPolicyCount": 0,
        "referencingConfigurationPolicies": [],
    }


def _notification_template(draw: Draw) -> Document:
    message = {
        "id": f"{draw.id()}_en-US",
        "lastModifiedDateTime": draw.moment(),
        "locale": "en-US",
        "subject": "Your device needs attention",
        "messageTemplate": "Please open Company Portal.",
        "isDefault": True,
    }
    return titled(
        draw,
        "Notification",
        defaultLocale="en-US",
        brandingOptions="includeCompanyLogo",
        localizedNotificationMessages=[message],
    )


SAMPLES = {
    "deviceManagement/deviceConfigurations": Sample(_COMMON_CONFIGURATIONS + KINDS, _device_configuration),
    "deviceManagement/configurationPolicies": Sample(_COMMON_POLICIES + 6, _configuration_policy),
    "deviceManagement/groupPolicyConfigurations": Sample(6, _group_policy),
    "deviceManagement/intents": Sample(4, _intent),
    "deviceManagement/reusablePolicySettings": Sample(4, _reusable_setting),
    "deviceManagement/deviceCompliancePolicies": Sample(_COMMON_COMPLIANCE + 6, _compliance_policy),
    "deviceManagement/compliancePolicies": Sample(3, _compliance_policy_v2),
    "deviceManagement/notificationMessageTemplates": Sample(3, _notification_template),
    "deviceManagement/settings": constant(
        id="settings",
        deviceComplianceCheckinThresholdDays=30,
        isScheduledActionEnabled=True,
        secureByDefault=True,
    ),
    "deviceManagement/deviceManagementScripts": Sample(8, _windows_script),
    "deviceManagement/deviceShellScripts": Sample(5, _shell_script),
    "deviceManagement/deviceCustomAttributeShellScripts": Sample(3, _custom_attribute),
    "deviceManagement/deviceHealthScripts": Sample(6, _health_script),
    "deviceManagement/deviceComplianceScripts": Sample(3, _compliance_script),
    "deviceManagement/windowsFeatureUpdateProfiles": Sample(3, _feature_update),
    "deviceManagement/windowsQualityUpdateProfiles": Sample(3, _quality_update),
    "deviceManagement/windowsDriverUpdateProfiles": Sample(3, _driver_update),
    "deviceManagement/windowsQualityUpdatePolicies": Sample(
        3, lambda draw: titled(draw, "Hotpatch", hotpatchEnabled=draw.flag())
    ),
}
