"""Rarer collections of enrollment."""

from local.simulated_graph.documents import Document
from local.simulated_graph.sample.draw import Draw, Sample, encoded, single, titled


def _autopilot_device(draw: Draw) -> Document:
    return {
        "serialNumber": f"SN{draw.number(10**7, 10**8 - 1)}",
        "groupTag": draw.pick(("", "kiosk")),
        "purchaseOrderIdentifier": "",
        "productKey": "",
        "manufacturer": "Contoso",
        "model": f"Model {draw.number(1, 9)}",
        "enrollmentState": draw.pick(("enrolled", "notContacted")),
        "lastContactedDateTime": draw.moment(),
        "azureActiveDirectoryDeviceId": draw.id("device"),
        "managedDeviceId": draw.id("managed device"),
        "displayName": "",
        "deploymentProfile": {"id": draw.id_of("deviceManagement/windowsAutopilotDeploymentProfiles", 0)},
        "intendedDeploymentProfile": {"id": draw.id_of("deviceManagement/windowsAutopilotDeploymentProfiles", 0)},
    }


def _imported_identity(draw: Draw) -> Document:
    return {
        "importedDeviceIdentifier": f"{draw.number(10**14, 10**15 - 1)}",
        "importedDeviceIdentityType": draw.cycle(("imei", "serialNumber")),
        "lastContactedDateTime": draw.moment(),
        "description": "",
        "enrollmentState": "notContacted",
        "platform": "unknown",
    }


def _apple_user_profile(draw: Draw) -> Document:
    return titled(
        draw,
        "User enrollment",
        platform="ios",
        priority=draw.index,
        defaultEnrollmentType=draw.cycle(("device", "user", "accountDrivenUserEnrollment")),
        availableEnrollmentTypeOptions=[],
    )


def _android_profile(draw: Draw) -> Document:
    token = draw.secret("token")
    return titled(
        draw,
        "Android enrollment",
        accountId=draw.id("account"),
        enrollmentMode=draw.cycle(("corporateOwnedFullyManaged", "corporateOwnedDedicatedDevice")),
        enrollmentTokenType="default",
        tokenValue=token,
        tokenCreationDateTime=draw.moment(),
        tokenExpirationDateTime="2090-01-01T00:00:00Z",
        enrolledDeviceCount=draw.number(0, 90),
        enrollmentTokenUsageCount=draw.number(0, 90),
        qrCodeContent=f'{{"token":"{token}"}}',
        qrCodeImage={"type": "image/png", "value": encoded(f"code {token}")},
        wifiSsid="enrollment",
        wifiPassword=draw.secret("wifi"),
        wifiSecurityType="wpa",
        configureWifi=True,
    )


def _android_for_work(draw: Draw) -> Document:
    return {
        "id": "androidForWorkSettings",
        "bindStatus": "boundAndValidated",
        "lastAppSyncDateTime": draw.moment(),
        "lastAppSyncStatus": "success",
        "ownerUserPrincipalName": "android@sample.example",
        "ownerOrganizationName": "Sample",
        "lastModifiedDateTime": draw.moment(),
        "enrollmentTarget": "all",
        "targetGroupIds": [],
        "deviceOwnerManagementEnabled": False,
    }


def _android_store(draw: Draw) -> Document:
    return _android_for_work(draw) | {
        "id": "androidManagedStoreAccountEnterpriseSettings",
        "deviceOwnerManagementEnabled": True,
        "companyCodes": [],
        "androidDeviceOwnerFullyManagedEnrollmentEnabled": True,
        "managedGooglePlayInitialScopeTagIds": ["0"],
    }


def _autopilot_settings(draw: Draw) -> Document:
    return {
        "id": draw.id(),
        "lastSyncDateTime": draw.moment(),
        "lastManualSyncTriggerDateTime": draw.moment(),
        "syncStatus": "completed",
    }


def _chrome_os(draw: Draw) -> Document:
    return {
        "onboardingStatus": "onboarded",
        "lastDirectorySyncDateTime": draw.moment(),
        "ownerUserPrincipalName": f"chrome-{draw.id('owner')[:6]}@sample.example",
    }


SAMPLES = {
    "deviceManagement/windowsAutopilotDeviceIdentities": Sample(6, _autopilot_device),
    "deviceManagement/importedDeviceIdentities": Sample(4, _imported_identity),
    "deviceManagement/appleUserInitiatedEnrollmentProfiles": Sample(3, _apple_user_profile),
    "deviceManagement/androidDeviceOwnerEnrollmentProfiles": Sample(3, _android_profile),
    "deviceManagement/androidForWorkEnrollmentProfiles": Sample(2, _android_profile),
    "deviceManagement/androidManagedStoreAccountEnterpriseSettings": single(_android_store),
    "deviceManagement/androidForWorkSettings": single(_android_for_work),
    "deviceManagement/windowsAutopilotSettings": single(_autopilot_settings),
    "deviceManagement/chromeOSOnboardingSettings": Sample(1, _chrome_os),
}
