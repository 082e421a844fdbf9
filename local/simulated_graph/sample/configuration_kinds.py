"""Sample device configurations of less common types, those with secrets first."""

import base64
from collections.abc import Callable

from local.simulated_graph.documents import Document
from local.simulated_graph.sample.draw import Draw, encoded, titled

_CONFIGURATIONS = "deviceManagement/deviceConfigurations"
_ROOT_CERTIFICATE = encoded("a root certificate")


def _oma(draw: Draw) -> Document:
    clear = {
        "@odata.type": "#microsoft.graph.omaSettingInteger",
        "displayName": "Lock after minutes",
        "description": None,
        "omaUri": "./Device/Vendor/MSFT/Policy/Config/DeviceLock/MaxInactivityTimeDeviceLock",
        "secretReferenceValueId": None,
        "isEncrypted": False,
        "value": draw.number(5, 30),
    }
    typed: Document = {
        **clear,
        "@odata.type": "#microsoft.graph.omaSettingStringXml",
        "displayName": "Wi-Fi profile",
        "omaUri": "./Vendor/MSFT/WiFi/Profile/Branch/WlanXml",
        "fileName": "branch.xml",
        "value": encoded(f"<sharedKey>{draw.secret('xml')}</sharedKey>"),
    }
    in_clear: Document = {
        **clear,
        "@odata.type": "#microsoft.graph.omaSettingString",
        "displayName": "Local administrator",
        "omaUri": "./Device/Vendor/MSFT/Accounts/Users/helper/Password",
        "value": draw.secret("password"),
    }
    encrypted: Document = {
        **in_clear,
        "displayName": "VPN secret",
        "omaUri": "./Vendor/MSFT/VPNv2/Branch/Secret",
        "secretReferenceValueId": f"{draw.id()}_{draw.id('author')}_{draw.id('secret')}",
        "isEncrypted": True,
        "value": "****",
    }
    return {"omaSettings": [clear, typed, in_clear, encrypted]}


def _wifi(draw: Draw) -> Document:
    return {
        "networkName": "Office",
        "ssid": f"office-{draw.index}",
        "connectAutomatically": True,
        "wiFiSecurityType": "wpaPersonal",
        "preSharedKey": draw.secret("wifi"),
        "proxySettings": "none",
    }


def _enterprise_wifi(draw: Draw) -> Document:
    return {
        "networkName": "Office",
        "ssid": f"office-{draw.index}",
        "wiFiSecurityType": "wpa2Enterprise",
        "eapType": "eapTls",
        "trustedServerCertificateNames": ["radius.example"],
        "preSharedKey": None,
        "identityCertificateForClientAuthentication": {"id": draw.id_of(_CONFIGURATIONS, 1)},
        "rootCertificatesForServerValidation": [{"id": draw.id_of(_CONFIGURATIONS, 0)}],
    }


def _wired(_: Draw) -> Document:
    return {
        "eapType": "eapTls",
        "trustedServerCertificateNames": ["radius.example"],
        "authenticationPeriodInSeconds": 18,
    }


def _vpn(draw: Draw) -> Document:
    return {
        "connectionName": "Branch",
        "connectionType": "ikEv2",
        "authenticationMethod": "sharedSecret",
        "servers": [{"description": "Branch", "address": "vpn.example", "isDefaultServer": True}],
        "sharedSecret": draw.secret("vpn"),
        "realm": None,
    }


def _firmware(draw: Draw) -> Document:
    return {
        "changeUefiSettingsPermission": "notConfiguredOnly",
        "camerasAndMicrophones": draw.pick(("enabled", "disabled")),
    }


def _scep(draw: Draw) -> Document:
    return {
        "renewalThresholdPercentage": 20,
        "subjectNameFormat": "custom",
        "subjectNameFormatString": "CN={{UserName}}",
        "certificateValidityPeriodScale": "years",
        "certificateValidityPeriodValue": draw.number(1, 2),
        "keySize": "size2048",
        "scepServerUrls": ["https://ndes.example/certsrv/mscep/mscep.dll"],
        "rootCertificate": {"id": draw.id_of(_CONFIGURATIONS, 0)},
    }


def _pkcs(_: Draw) -> Document:
    return {
        "certificationAuthority": "ca.example",
        "certificationAuthorityName": "Issuing CA",
        "certificateTemplateName": "User",
    }


def _pfx(_: Draw) -> Document:
    return {"intendedPurpose": "smimeEncryption", "renewalThresholdPercentage": 20}


def _root(_: Draw) -> Document:
    return {
        "certFileName": "root.cer",
        "trustedRootCertificate": _ROOT_CERTIFICATE,
        "destinationStore": "computerCertStoreRoot",
    }


def _restrictions(draw: Draw) -> Document:
    return {"passwordRequired": draw.flag(), "passwordMinimumLength": draw.number(6, 14), "cameraBlocked": draw.flag()}


def _email(_: Draw) -> Document:
    return {
        "accountName": "Mail",
        "hostName": "outlook.office365.com",
        "emailAddressSource": "primarySmtpAddress",
        "requireSsl": True,
    }


def _payload(draw: Draw) -> Document:
    profile = f"<plist><dict><key>Password</key><string>{draw.secret('payload')}</string></dict></plist>"
    return {
        "payloadName": "Custom",
        "payloadFileName": "custom.mobileconfig",
        "payload": base64.b64encode(profile.encode()).decode(),
        "deploymentChannel": "deviceChannel",
    }


def _preferences(_: Draw) -> Document:
    return {
        "bundleId": "com.example.app",
        "fileName": "app.xml",
        "configurationXml": encoded("<dict/>"),
    }


def _apple_features(_: Draw) -> Document:
    return {
        "airPrintDestinations": [
            {"ipAddress": "10.0.0.5", "resourcePath": "printers/p1", "port": None, "forceTls": False}
        ]
    }


def _endpoint_protection(draw: Draw) -> Document:
    return {
        "firewallEnabled": True,
        "bitLockerEncryptDevice": draw.flag(),
        "defenderPotentiallyUnwantedAppAction": "block",
    }


def _plain(draw: Draw) -> Document:
    return {"enabled": draw.flag()}


_KINDS: dict[str, Callable[[Draw], Document]] = {
    "windows10CustomConfiguration": _oma,
    "windowsWifiConfiguration": lambda draw: _wifi(draw) | {"meteredConnectionLimit": "unrestricted"},
    "iosWiFiConfiguration": _wifi,
    "macOSWiFiConfiguration": _wifi,
    "androidDeviceOwnerWiFiConfiguration": _wifi,
    "aospDeviceOwnerWiFiConfiguration": _wifi,
    "iosikEv2VpnConfiguration": _vpn,
    "windows10VpnConfiguration": _vpn,
    "macOSVpnConfiguration": _vpn,
    "androidWorkProfileVpnConfiguration": _vpn,
    "iosCustomConfiguration": _payload,
    "macOSCustomConfiguration": _payload,
    "androidCustomConfiguration": _oma,
    "androidWorkProfileCustomConfiguration": _oma,
    "macOSSoftwareUpdateConfiguration": lambda draw: {
        "criticalUpdateBehavior": "installASAP",
        "updateScheduleType": "alwaysUpdate",
        "customUpdateTimeWindows": [],
        "maxUserDeferralsCount": draw.number(1, 5),
    },
    "iosVpnConfiguration": _vpn,
    "iosEnterpriseWiFiConfiguration": _enterprise_wifi,
    "macOSEnterpriseWiFiConfiguration": _enterprise_wifi,
    "windowsWifiEnterpriseEAPConfiguration": _enterprise_wifi,
    "androidDeviceOwnerEnterpriseWiFiConfiguration": _enterprise_wifi,
    "macOSWiredNetworkConfiguration": _wired,
    "windowsWiredNetworkConfiguration": _wired,
    "iosScepCertificateProfile": _scep,
    "macOSScepCertificateProfile": _scep,
    "windows81SCEPCertificateProfile": _scep,
    "androidWorkProfileScepCertificateProfile": _scep,
    "iosPkcsCertificateProfile": _pkcs,
    "windows10PkcsCertificateProfile": _pkcs,
    "androidDeviceOwnerPkcsCertificateProfile": _pkcs,
    "iosImportedPFXCertificateProfile": _pfx,
    "windows10ImportedPFXCertificateProfile": _pfx,
    "iosTrustedRootCertificate": _root,
    "macOSTrustedRootCertificate": _root,
    "windows81TrustedRootCertificate": _root,
    "androidDeviceOwnerTrustedRootCertificate": _root,
    "androidWorkProfileTrustedRootCertificate": _root,
    "iosEasEmailProfileConfiguration": _email,
    "windows10EasEmailProfileConfiguration": _email,
    "macOSCustomAppConfiguration": _preferences,
    "iosDeviceFeaturesConfiguration": _apple_features,
    "macOSDeviceFeaturesConfiguration": _apple_features,
    "windows10EndpointProtectionConfiguration": _endpoint_protection,
    "macOSEndpointProtectionConfiguration": _endpoint_protection,
    "macOSExtensionsConfiguration": _plain,
    "androidGeneralDeviceConfiguration": _restrictions,
    "androidWorkProfileGeneralDeviceConfiguration": _restrictions,
    "aospDeviceOwnerDeviceConfiguration": _restrictions,
    "windows10TeamGeneralConfiguration": _plain,
    "windowsKioskConfiguration": _plain,
    "sharedPCConfiguration": _plain,
    "editionUpgradeConfiguration": lambda draw: {
        "licenseType": "productKey",
        "targetEdition": "windows10Enterprise",
        "productKey": f"#####-#####-#####-#####-{draw.number(10000, 99999)}",
    },
    "windowsDeliveryOptimizationConfiguration": _plain,
    "windowsDefenderAdvancedThreatProtectionConfiguration": lambda draw: {
        "advancedThreatProtectionOnboardingBlob": draw.secret("onboarding"),
        "advancedThreatProtectionOnboardingFilename": "onboarding.windows",
        "allowSampleSharing": draw.flag(),
    },
    "windowsIdentityProtectionConfiguration": _plain,
    "windows10DeviceFirmwareConfigurationInterface": _firmware,
    "windows10NetworkBoundaryConfiguration": _plain,
    "windowsDomainJoinConfiguration": lambda _: {
        "computerNameStaticPrefix": "PC-",
        "computerNameSuffixRandomCharCount": 8,
        "activeDirectoryDomainName": "corp.example",
        "organizationalUnit": "OU=Devices,DC=corp,DC=example",
    },
    "windowsHealthMonitoringConfiguration": _plain,
    "windows10SecureAssessmentConfiguration": _plain,
    "unsupportedDeviceConfiguration": lambda _: {"originalEntityTypeName": "someNewerConfiguration", "details": []},
}

KINDS = len(_KINDS)


def configuration(draw: Draw, subject: str, kind: str, version: int, properties: Document) -> Document:
    return titled(
        draw,
        subject,
        kind=kind,
        version=version,
        supportsScopeTags=True,
        deviceManagementApplicabilityRuleOsEdition=None,
        deviceManagementApplicabilityRuleOsVersion=None,
        deviceManagementApplicabilityRuleDeviceMode=None,
        **properties,
    )


def typed_configuration(draw: Draw, kind_number: int) -> Document:
    """Types take turns by `kind_number`."""
    kind = list(_KINDS)[kind_number % KINDS]
    subject = kind.removesuffix("Configuration").removesuffix("Profile")
    subject = f"{subject[0].upper()}{subject[1:]}"
    return configuration(draw, subject, kind, draw.number(1, 12), _KINDS[kind](draw))
