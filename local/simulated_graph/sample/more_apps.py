"""Less common apps and their collections."""

from collections.abc import Mapping

from local.simulated_graph.documents import Document
from local.simulated_graph.sample.draw import Draw, Sample, encoded, single, titled

_MSI = {
    "productCode": "{6C1F2F1E-0000-4000-8000-1D2A3B4C5D6E}",
    "productVersion": "1.0.0",
    "ignoreVersionDetection": False,
}
_PACKAGE = {"fileName": "setup.pkg", "size": 4_000_000, "committedContentVersion": "1"}
_LOB = {"bundleId": "com.example.lob", "versionNumber": "1.0", "buildNumber": "1"}
_STORE = {"appStoreUrl": "https://apps.example/app", "minimumSupportedOperatingSystem": {"v13_0": True}}
_VPP = {"usedLicenseCount": 3, "totalLicenseCount": 100, "vppTokenAppleId": "vpp@sample.example"}
_GLOBAL = {"appAvailability": "global", "version": None}
_OWN = {"appAvailability": "lineOfBusiness", "version": "1.0"}

_KINDS: Mapping[str, Mapping[str, object]] = {
    "managedIOSStoreApp": {**_STORE, **_GLOBAL, "bundleId": "com.microsoft.office.outlook"},
    "managedAndroidStoreApp": {**_STORE, **_GLOBAL, "packageId": "com.microsoft.office.outlook"},
    "managedIOSLobApp": {**_PACKAGE, **_LOB, **_OWN},
    "managedAndroidLobApp": {**_PACKAGE, **_OWN, "packageId": "com.example.lob"},
    "iosLobApp": {**_PACKAGE, **_LOB, "expirationDateTime": "2027-01-01T00:00:00Z"},
    "iosiPadOSWebClip": {"appUrl": "https://intranet.example/", "useManagedBrowser": False},
    "androidLobApp": {**_PACKAGE, "packageId": "com.example.lob", "identityVersion": "1"},
    "androidStoreApp": {**_STORE, "packageId": "com.example.store"},
    "androidForWorkApp": {"packageId": "com.example.work", "usedLicenseCount": 0},
    "androidManagedStoreWebApp": {"packageId": "com.google.enterprise.webapp.x1", "isSystemApp": False},
    "macOSLobApp": {**_PACKAGE, **_LOB, "installAsManaged": False},
    "macOSDmgApp": {**_PACKAGE, "primaryBundleId": "com.example.dmg", "primaryBundleVersion": "1.0"},
    "macOSPkgApp": {
        **_PACKAGE,
        "primaryBundleId": "com.example.pkg",
        "preInstallScript": {"scriptContent": encoded("#!/bin/sh\nexit 0\n")},
        "postInstallScript": None,
    },
    "macOsVppApp": _VPP,
    "macOSMicrosoftDefenderApp": {},
    "macOSMicrosoftEdgeApp": {"channel": "stable"},
    "macOSOfficeSuiteApp": {},
    "macOSWebClip": {"appUrl": "https://intranet.example/", "fullScreenEnabled": False},
    "win32CatalogApp": {**_PACKAGE, "mobileAppCatalogPackageId": "example-package"},
    "windowsMobileMSI": {**_PACKAGE, **_MSI, "commandLine": "/quiet"},
    "windowsAppX": {**_PACKAGE, "identityName": "Example.App", "applicableArchitectures": "x64"},
    "windowsUniversalAppX": {**_PACKAGE, "identityName": "Example.App", "isBundle": True},
    "windowsMicrosoftEdgeApp": {"channel": "stable", "displayLanguageLocale": None},
    "windowsStoreApp": {"appStoreUrl": "https://apps.example/app"},
    "windowsWebApp": {"appUrl": "https://intranet.example/"},
    "microsoftStoreForBusinessApp": {"usedLicenseCount": 0, "productKey": "9NBLGGH4"},
}

KINDS = len(_KINDS)


def typed_app(kind_number: int) -> tuple[str, Document]:
    """Types take turns by `kind_number`."""
    kind = list(_KINDS)[kind_number % KINDS]
    return kind, dict(_KINDS[kind])


def _app_category(draw: Draw) -> Document:
    return {"displayName": draw.name("Category")}


def _default_protection(draw: Draw) -> Document:
    return _protection(draw, "defaultManagedAppProtection") | {
        "appDataEncryptionType": "whenDeviceLocked",
        "screenCaptureBlocked": draw.flag(),
        "customSettings": [{"name": "com.example.key", "value": draw.secret("setting")}],
        "apps": [{"id": draw.id("app"), "version": "1", "mobileAppIdentifier": _app_id("com.microsoft.teams")}],
    }


def _app_id(package: str) -> Document:
    return {"@odata.type": "#microsoft.graph.androidMobileAppIdentifier", "packageId": package}


def _protection(draw: Draw, kind: str) -> Document:
    return titled(draw, "App protection", kind=kind, version=f'"{draw.id("version")}"', deployedAppCount=1)


def _information_protection(draw: Draw, kind: str) -> Document:
    file = {"id": draw.id("file"), "displayName": "Rules", "fileHash": draw.id("hash"), "file": None, "version": "1"}
    return _protection(draw, kind) | {
        "enforcementLevel": "encryptAndAuditOnly",
        "enterpriseDomain": "sample.example",
        "revokeOnUnenrollDisabled": draw.flag(),
        "isAssigned": False,
        "protectedAppLockerFiles": [file],
        "exemptAppLockerFiles": [],
    }


def _without_enrollment(draw: Draw) -> Document:
    return _information_protection(draw, "windowsInformationProtectionPolicy") | {
        "daysWithoutContactBeforeUnenroll": 90
    }


def _provisioning(draw: Draw) -> Document:
    return titled(
        draw,
        "Provisioning",
        expirationDateTime="2027-01-01T00:00:00Z",
        payloadFileName="lob.mobileprovision",
        payload=encoded(f"profile {draw.id()}"),
    )


def _supplemental(draw: Draw) -> Document:
    return titled(
        draw,
        "Supplemental",
        contentFileName="policy.bin",
        content=encoded(f"policy {draw.id()}"),
    )


def _vpp_token(draw: Draw) -> Document:
    return {
        "displayName": draw.name("VPP"),
        "organizationName": "Sample",
        "vppTokenAccountType": "business",
        "appleId": "vpp@sample.example",
        "expirationDateTime": "2027-01-01T00:00:00Z",
        "lastSyncDateTime": draw.moment(),
        "token": draw.secret("token"),
        "state": "valid",
        "lastSyncStatus": "completed",
        "automaticallyUpdateApps": draw.flag(),
        "countryOrRegion": "us",
        "tokenActionResults": [],
        "roleScopeTagIds": ["0"],
    }


def _book(draw: Draw) -> Document:
    return titled(
        draw,
        "Book",
        kind="iosVppEBook",
        publisher="Contoso",
        publishedDateTime=draw.moment(),
        vppOrganizationName="Sample",
        appleId="vpp@sample.example",
        genres=["Work"],
        usedLicenseCount=0,
        totalLicenseCount=10,
        categories=[{"id": draw.id_of("deviceAppManagement/managedEBookCategories", 0), "displayName": "Work"}],
    )


def _signing_certificate(draw: Draw) -> Document:
    return {
        "content": encoded(f"certificate {draw.id()}"),
        "status": "provisioned",
        "subjectName": "CN=Sample",
        "subject": f"CN=Sample {draw.index + 1}",
        "issuerName": "CN=Sample CA",
        "issuer": "CN=Sample CA",
        "expirationDateTime": "2027-01-01T00:00:00Z",
    }


def _symantec(draw: Draw) -> Document:
    return {
        "id": draw.id(),
        "content": None,
        "status": "notProvisioned",
        "password": None,
        "subjectName": None,
        "subject": None,
        "issuer": None,
        "expirationDateTime": None,
    }


def _catalog_package(draw: Draw) -> Document:
    return {
        "productId": draw.id("product"),
        "productDisplayName": draw.name("Package"),
        "publisherDisplayName": "Contoso",
        "versionDisplayName": "1.0",
        "branchDisplayName": "Stable",
        "applicableArchitectures": "x64",
        "locales": ["en-us"],
        "packageAutoUpdateCapable": True,
    }


def _management_app(draw: Draw) -> Document:
    return {
        "id": draw.id(),
        "availableVersion": "1.0.0.0",
        "managedInstaller": "enabled",
        "managedInstallerConfiguredDateTime": draw.moment(),
    }


SAMPLES = {
    "deviceAppManagement/mobileAppCategories": Sample(4, _app_category),
    "deviceAppManagement/defaultManagedAppProtections": Sample(2, _default_protection),
    "deviceAppManagement/mdmWindowsInformationProtectionPolicies": Sample(
        2, lambda draw: _information_protection(draw, "mdmWindowsInformationProtectionPolicy")
    ),
    "deviceAppManagement/windowsInformationProtectionPolicies": Sample(2, _without_enrollment),
    "deviceAppManagement/iosLobAppProvisioningConfigurations": Sample(2, _provisioning),
    "deviceAppManagement/wdacSupplementalPolicies": Sample(2, _supplemental),
    "deviceAppManagement/vppTokens": Sample(2, _vpp_token),
    "deviceAppManagement/managedEBooks": Sample(2, _book),
    "deviceAppManagement/managedEBookCategories": Sample(2, _app_category),
    "deviceAppManagement/enterpriseCodeSigningCertificates": Sample(1, _signing_certificate),
    "deviceAppManagement/symantecCodeSigningCertificate": single(_symantec),
    "deviceAppManagement/mobileAppCatalogPackages": Sample(3, _catalog_package),
    "deviceAppManagement/windowsManagementApp": single(_management_app),
}
