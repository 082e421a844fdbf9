"""Rarer collections of device configuration and compliance."""

from local.simulated_graph.documents import Document
from local.simulated_graph.sample.draw import Draw, Sample, choice_setting, encoded, titled


def _admx_file(draw: Draw) -> Document:
    name = f"sample-{draw.index}.admx"
    return {
        "displayName": draw.name("ADMX"),
        "description": "",
        "languageCodes": ["en-US"],
        "targetPrefix": "sample",
        "targetNamespace": f"Sample.Policies.{draw.index}",
        "policyType": "admxIngested",
        "revision": "1.0",
        "fileName": name,
        "content": None,
        "status": "available",
        "uploadDateTime": draw.moment(),
        "defaultLanguageCode": "en-US",
        "groupPolicyUploadedLanguageFiles": [
            {
                "fileName": name.replace(".admx", ".adml"),
                "languageCode": "en-US",
                "content": None,
                "id": draw.id("adml"),
            }
        ],
        "groupPolicyOperations": [
            {"id": draw.id("operation"), "operationType": "upload", "operationStatus": "success"}
        ],
        "definitions": [],
    }


def _inventory_policy(draw: Draw) -> Document:
    definition = "device_inventory_bios_serialnumber"
    return {
        "name": draw.name("Properties"),
        "description": "",
        "platforms": "windows10",
        "technologies": "mdm",
        "roleScopeTagIds": draw.scope_tags(),
        "settingCount": 1,
        "settings": [choice_setting(0, definition, f"{definition}_1")],
    }


def _bios_configuration(draw: Draw) -> Document:
    return titled(
        draw,
        "BIOS",
        fileName="multiplatform.cctk",
        configurationFileContent=encoded(f"[cctk]\nSetupPwd={draw.secret('bios')}\n"),
        hardwareConfigurationFormat="dell",
        perDevicePasswordDisabled=draw.flag(),
        version=draw.number(1, 4),
    )


def _resource_access_profile(draw: Draw) -> Document:
    kind = draw.cycle(("windows10XTrustedRootCertificate", "windows10XSCEPCertificateProfile"))
    return titled(draw, "Resource access", kind=kind, version=1, trustedRootCertificate=None)


def _baseline_template(draw: Draw) -> Document:
    setting = {"id": draw.id("setting"), "definitionId": "deviceConfiguration--sample_firewall", "valueJson": "true"}
    category = {
        "id": draw.id("category"),
        "displayName": "Firewall",
        "description": "",
        "hasRequiredSetting": False,
        "recommendedSettings": [setting],
        "settingDefinitions": [],
    }
    return {
        "displayName": draw.name("Baseline"),
        "description": "A set of recommended settings.",
        "versionInfo": f"Version {draw.index + 1}",
        "isDeprecated": draw.flag(),
        "intentCount": draw.number(0, 3),
        "templateType": "securityBaseline",
        "platformType": "windows10AndLater",
        "templateSubtype": "none",
        "publishedDateTime": draw.moment(),
        "categories": [category],
        "settings": [setting],
    }


def _policy_template(draw: Draw) -> Document:
    setting = {
        "id": "0",
        "settingInstanceTemplate": {
            "@odata.type": "#microsoft.graph.deviceManagementConfigurationChoiceSettingInstanceTemplate",
            "settingInstanceTemplateId": draw.id("instance template"),
            "settingDefinitionId": "device_vendor_msft_policy_config_defender_allowrealtimemonitoring",
            "isRequired": False,
        },
    }
    return {
        "id": f"{draw.id()}_1",
        "baseId": draw.id(),
        "version": 1,
        "displayName": draw.name("Policy template"),
        "displayVersion": "Version 1",
        "description": "",
        "lifecycleState": draw.cycle(("active", "superseded")),
        "platforms": "windows10",
        "technologies": "mdm",
        "templateFamily": "endpointSecurityAntivirus",
        "allowUnmanagedSettings": False,
        "settingTemplateCount": 1,
        "settingTemplates": [setting],
    }


def _setting_definition(draw: Draw) -> Document:
    return {
        "@odata.type": "#microsoft.graph.deviceManagementConfigurationChoiceSettingDefinition",
        "id": f"device_vendor_msft_policy_config_sample_{draw.id()[:8]}_setting{draw.index + 1}",
        "displayName": draw.name("Setting"),
        "name": f"Setting{draw.index + 1}",
        "description": "",
        "baseUri": "./Device/Vendor/MSFT/Policy",
        "offsetUri": f"/Config/Sample/Setting{draw.index + 1}",
        "categoryId": draw.id("category"),
        "settingUsage": "configuration",
        "uxBehavior": "toggle",
        "visibility": "settingsCatalog,template",
        "version": "638000000000000000",
        "options": [],
    }


def _derived_credential(draw: Draw) -> Document:
    return {
        "displayName": draw.name("Derived credential"),
        "helpUrl": "https://intranet.example/smartcard",
        "issuer": draw.cycle(("intercede", "entrustData", "disaPurebred")),
        "notificationType": "email",
        "renewalThresholdPercentage": 20,
    }


def _cart(draw: Draw) -> Document:
    return {
        "displayName": draw.name("Cart"),
        "description": "",
        "deviceCartIds": [draw.id("cart")],
        "classroomIds": [draw.id("classroom")],
    }


def _fota_deployment(draw: Draw) -> Document:
    return titled(
        draw,
        "LifeGuard",
        deploymentAssignments=[],
        deploymentSettings={"updateType": "latest", "batteryRuleMinimumBatteryLevelPercentage": draw.number(20, 60)},
        deploymentStatus={"state": "pendingCreation", "totalDevices": 0},
        enableTimezoneOffset=None,
    )


def _activation_codes(draw: Draw) -> Document:
    return {"displayName": draw.name("eSIM"), "activationCodeCount": draw.number(1, 90), "deviceStates": []}


def _os_image(draw: Draw) -> Document:
    return {"id": f"{draw.id()}", "availableUpdates": [{"buildVersion": f"10.0.26100.{draw.number(1, 4000)}"}]}


def _location(draw: Draw) -> Document:
    return {
        "@odata.type": "#microsoft.graph.networkIPv4ConfigurationManagementCondition",
        "displayName": draw.name("Location"),
        "description": "",
        "uniqueName": draw.id("unique"),
        "applicablePlatforms": ["android"],
        "ipV4Prefix": "10.0.0.0/8",
        "eTag": draw.id("etag"),
    }


def _cleanup_rule(draw: Draw) -> Document:
    return {
        "displayName": draw.name("Cleanup"),
        "description": "",
        "deviceCleanupRulePlatformType": draw.cycle(("all", "windows", "ios")),
        "deviceInactivityBeforeRetirementInDays": draw.number(30, 270),
    }


SAMPLES = {
    "deviceManagement/groupPolicyUploadedDefinitionFiles": Sample(2, _admx_file),
    "deviceManagement/inventoryPolicies": Sample(2, _inventory_policy),
    "deviceManagement/hardwareConfigurations": Sample(2, _bios_configuration),
    "deviceManagement/resourceAccessProfiles": Sample(2, _resource_access_profile),
    "deviceManagement/templates": Sample(3, _baseline_template),
    "deviceManagement/configurationPolicyTemplates": Sample(3, _policy_template),
    "deviceManagement/configurationSettings": Sample(5, _setting_definition),
    "deviceManagement/derivedCredentials": Sample(1, _derived_credential),
    "deviceManagement/cartToClassAssociations": Sample(1, _cart),
    "deviceManagement/zebraFotaDeployments": Sample(1, _fota_deployment),
    "deviceManagement/embeddedSIMActivationCodePools": Sample(2, _activation_codes),
    "deviceManagement/managedDeviceWindowsOSImages": Sample(2, _os_image),
    "deviceManagement/managementConditions": Sample(1, _location),
    "deviceManagement/managedDeviceCleanupRules": Sample(2, _cleanup_rule),
}
