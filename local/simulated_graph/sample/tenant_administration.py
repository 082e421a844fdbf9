"""Connectors, Microsoft Tunnel, Cloud PKI, Windows 365 and the rest of tenant administration."""

from local.simulated_graph.documents import Document
from local.simulated_graph.sample.draw import Draw, Sample, single


def _approval_policy(draw: Draw) -> Document:
    return {
        "displayName": draw.name("Approval"),
        "description": "",
        "policyType": draw.cycle(("app", "script")),
        "policyPlatform": "notApplicable",
        "policySet": {"policyType": "app", "policyPlatform": "notApplicable"},
        "approverGroupIds": [draw.id_of("groups", 0)],
    }


def _remote_help(draw: Draw) -> Document:
    return {
        "id": draw.id(),
        "remoteAssistanceState": "enabled",
        "allowSessionsToUnenrolledDevices": draw.flag(),
        "blockChat": False,
    }


def _data_processor(draw: Draw) -> Document:
    return {"id": draw.id(), "hasValidWindowsLicense": True, "areDataProcessorServiceForWindowsFeaturesEnabled": True}


def _audit_event(draw: Draw) -> Document:
    return {
        "displayName": "Create DeviceConfiguration",
        "componentName": "DeviceConfiguration",
        "actor": {
            "applicationDisplayName": "Microsoft Intune portal extension",
            "userPrincipalName": "admin@sample.example",
        },
        "activity": None,
        "activityDateTime": draw.moment(),
        "activityType": "Create DeviceConfiguration",
        "activityOperationType": "Create",
        "activityResult": "Success",
        "correlationId": draw.id("correlation"),
        "resources": [{"displayName": "Policy", "type": "DeviceConfiguration", "resourceId": draw.id("resource")}],
        "category": "DeviceConfiguration",
    }


def _compliance_partner(draw: Draw) -> Document:
    return {
        "displayName": draw.name("Compliance partner"),
        "partnerState": "enabled",
        "lastHeartbeatDateTime": draw.moment(),
        "macOsOnboarded": True,
        "iosOnboarded": False,
        "androidOnboarded": False,
    }


def _management_partner(draw: Draw) -> Document:
    return {
        "displayName": draw.name("Management partner"),
        "partnerState": "enabled",
        "partnerAppType": "singleTenantApp",
        "singleTenantAppId": draw.app_id(2),
        "isConfigured": True,
        "lastHeartbeatDateTime": draw.moment(),
    }


def _assistance_partner(draw: Draw) -> Document:
    return {
        "displayName": draw.name("TeamViewer"),
        "onboardingUrl": "https://teamviewer.example/onboarding",
        "onboardingStatus": "onboarded",
        "lastConnectionDateTime": draw.moment(),
    }


def _threat_defense(draw: Draw) -> Document:
    return {
        "partnerState": "enabled",
        "lastHeartbeatDateTime": draw.moment(),
        "androidEnabled": draw.flag(),
        "iosEnabled": draw.flag(),
        "windowsEnabled": True,
        "partnerUnresponsivenessThresholdInDays": 7,
        "partnerUnsupportedOsVersionBlocked": False,
    }


def _exchange_connector(draw: Draw) -> Document:
    return {
        "serverName": f"exchange{draw.index}.corp.example",
        "connectorServerName": "connector",
        "exchangeConnectorType": "onPremises",
        "status": "connected",
        "version": "15.2",
        "exchangeAlias": "sample",
        "lastSyncDateTime": draw.moment(),
    }


def _ndes(draw: Draw) -> Document:
    return {
        "displayName": draw.name("NDES"),
        "state": "active",
        "lastConnectionDateTime": draw.moment(),
        "connectorVersion": "6.2406.0.1001",
        "machineName": f"ndes{draw.index}",
        "enrolledDateTime": draw.moment(),
        "roleScopeTagIds": ["0"],
    }


def _certificate_connector(draw: Draw) -> Document:
    return {
        "connectorName": draw.name("Certificate connector"),
        "machineName": f"pki{draw.index}",
        "enrollmentDateTime": draw.moment(),
        "lastCheckinDateTime": draw.moment(),
        "connectorVersion": "6.2406.0.1001",
    }


def _domain_join(draw: Draw) -> Document:
    return {
        "displayName": draw.name("Domain join"),
        "lastConnectionDateTime": draw.moment(),
        "state": "active",
        "version": "6.2504.2001.8",
    }


def _service_now(draw: Draw) -> Document:
    return {
        "instanceUrl": f"https://sample{draw.index}.service-now.example",
        "authenticationMethod": {
            "@odata.type": "#microsoft.graph.serviceNowOauthSecretAuthentication",
            "appId": draw.id("app"),
        },
        "incidentApiUrl": "https://sample.service-now.example/api/now/table/incident",
        "serviceNowConnectionStatus": "enabled",
        "lastQueriedDateTime": draw.moment(),
    }


def _telecom(draw: Draw) -> Document:
    return {
        "displayName": draw.name("Telecom"),
        "url": "https://telecom.example",
        "appAuthorized": True,
        "enabled": True,
        "lastConnectionDateTime": draw.moment(),
    }


def _exchange_policy(draw: Draw) -> Document:
    return {
        "notificationContent": None,
        "defaultAccessLevel": draw.pick(("none", "allow")),
        "accessRules": [],
        "knownDeviceClasses": [],
    }


def _exchange_access(draw: Draw) -> Document:
    return {
        "id": draw.id(),
        "enabled": False,
        "includedGroups": [],
        "excludedGroups": [],
        "overrideDefaultRule": False,
    }


def _tunnel_configuration(draw: Draw) -> Document:
    return {
        "displayName": draw.name("Tunnel"),
        "description": "",
        "network": "172.16.0.0/16",
        "dnsServers": ["10.0.0.53"],
        "defaultDomainSuffix": "corp.example",
        "routeIncludes": ["10.0.0.0/8"],
        "routeExcludes": [],
        "splitDNS": [],
        "listenPort": 443,
        "advancedSettings": [],
        "roleScopeTagIds": ["0"],
        "disableUdpConnections": False,
    }


def _tunnel_site(draw: Draw) -> Document:
    server = {
        "id": draw.id("server"),
        "displayName": f"tunnel{draw.index}",
        "tunnelServerHealthStatus": "healthy",
        "lastCheckinDateTime": draw.moment(),
        "agentImageDigest": draw.id("agent"),
        "serverImageDigest": draw.id("image"),
        "deploymentMode": "standaloneRootful",
    }
    configuration = draw.id_of("deviceManagement/microsoftTunnelConfigurations", 0)
    return {
        "displayName": draw.name("Site"),
        "description": "",
        "publicAddress": f"tunnel{draw.index}.sample.example",
        "upgradeWindowUtcOffsetInMinutes": 0,
        "upgradeAutomatically": True,
        "upgradeAvailable": False,
        "internalNetworkProbeUrl": "",
        "roleScopeTagIds": ["0"],
        "microsoftTunnelServers": [server],
        "microsoftTunnelConfiguration": {"id": configuration, "displayName": "Tunnel"},
    }


def _tunnel_threshold(draw: Draw) -> Document:
    return {"defaultHealthyThreshold": 50, "defaultUnhealthyThreshold": 75, "healthyThreshold": draw.number(30, 60)}


def _authority(draw: Draw) -> Document:
    return {
        "displayName": draw.name("Certification authority"),
        "description": "",
        "cloudCertificationAuthorityType": draw.cycle(("rootCertificationAuthority", "issuingCertificationAuthority")),
        "certificationAuthorityStatus": "active",
        "commonName": "Sample CA",
        "certificateKeySize": "rsa4096",
        "validityPeriodInYears": 10,
        "serialNumber": draw.id("serial").replace("-", ""),
        "thumbprint": draw.id("thumbprint").replace("-", ""),
        "roleScopeTagIds": ["0"],
        "scepServerUrl": None,
        "eTag": draw.id("etag"),
    }


def _provisioning_policy(draw: Draw) -> Document:
    return {
        "displayName": draw.name("Cloud PC"),
        "description": "",
        "provisioningType": "dedicated",
        "imageId": "microsoftwindowsdesktop_windows-ent-cpc_win11-24H2-ent-cpc-m365",
        "imageType": "gallery",
        "enableSingleSignOn": draw.flag(),
        "domainJoinConfigurations": [
            {"domainJoinType": "azureADJoin", "regionName": "automatic", "type": "azureADJoin"}
        ],
        "windowsSetting": {"locale": "en-US"},
        "scopeIds": ["0"],
    }


def _cloud_pc_user_setting(draw: Draw) -> Document:
    return {
        "displayName": draw.name("User setting"),
        "localAdminEnabled": draw.flag(),
        "resetEnabled": draw.flag(),
        "restorePointSetting": {"frequencyType": "twelveHours", "userRestoreEnabled": True},
    }


def _network_connection(draw: Draw) -> Document:
    return {
        "displayName": draw.name("Network"),
        "connectionType": "hybridAzureADJoin",
        "subscriptionId": draw.id("subscription"),
        "adDomainName": "corp.example",
        "adDomainUsername": "join@corp.example",
        "adDomainPassword": None,
        "organizationalUnit": "",
        "virtualNetworkId": f"/subscriptions/{draw.id('subscription')}/virtualNetworks/sample",
        "healthCheckStatus": "passed",
        "healthCheckStatusDetail": None,
        "inUse": False,
        "scopeIds": ["0"],
    }


def _device_image(draw: Draw) -> Document:
    return {
        "displayName": draw.name("Image"),
        "operatingSystem": "Windows 11 Enterprise",
        "osBuildNumber": "24H2",
        "version": f"1.0.{draw.index}",
        "sourceImageResourceId": f"/subscriptions/{draw.id('subscription')}/images/sample",
        "status": "ready",
        "osStatus": "supported",
        "expirationDate": "2027-01-01",
    }


def _organization_settings(draw: Draw) -> Document:
    return {
        "id": draw.id(),
        "osVersion": "windows11",
        "userAccountType": "standardUser",
        "enableMEMAutoEnroll": True,
        "enableSingleSignOn": False,
        "windowsSettings": {"language": "en-US"},
    }


def _external_partner(draw: Draw) -> Document:
    return {
        "partnerId": draw.id("partner"),
        "enableConnection": True,
        "status": "available",
        "statusDetails": "",
        "lastSyncDateTime": draw.moment(),
    }


def _cloud_app(draw: Draw) -> Document:
    return {
        "displayName": draw.name("Cloud app"),
        "discoveredAppName": "Word",
        "provisioningPolicyId": draw.id_of("deviceManagement/virtualEndpoint/provisioningPolicies", 0),
        "addedDateTime": draw.moment(),
        "appStatus": "ready",
        "scopeIds": ["0"],
    }


_VIRTUAL_ENDPOINT = "deviceManagement/virtualEndpoint"

SAMPLES = {
    "deviceManagement/operationApprovalPolicies": Sample(2, _approval_policy),
    "deviceManagement/remoteAssistanceSettings": single(_remote_help),
    "deviceManagement/dataProcessorServiceForWindowsFeaturesOnboarding": single(_data_processor),
    "deviceManagement/auditEvents": Sample(8, _audit_event),
    "deviceManagement/complianceManagementPartners": Sample(1, _compliance_partner),
    "deviceManagement/deviceManagementPartners": Sample(1, _management_partner),
    "deviceManagement/remoteAssistancePartners": Sample(1, _assistance_partner),
    "deviceManagement/mobileThreatDefenseConnectors": Sample(2, _threat_defense),
    "deviceManagement/exchangeConnectors": Sample(1, _exchange_connector),
    "deviceManagement/ndesConnectors": Sample(2, _ndes),
    "deviceManagement/certificateConnectorDetails": Sample(2, _certificate_connector),
    "deviceManagement/domainJoinConnectors": Sample(1, _domain_join),
    "deviceManagement/serviceNowConnections": Sample(1, _service_now),
    "deviceManagement/telecomExpenseManagementPartners": Sample(1, _telecom),
    "deviceManagement/exchangeOnPremisesPolicies": Sample(1, _exchange_policy),
    "deviceManagement/conditionalAccessSettings": single(_exchange_access),
    "deviceManagement/microsoftTunnelConfigurations": Sample(2, _tunnel_configuration),
    "deviceManagement/microsoftTunnelSites": Sample(2, _tunnel_site),
    "deviceManagement/microsoftTunnelHealthThresholds": Sample(3, _tunnel_threshold),
    "deviceManagement/cloudCertificationAuthority": Sample(2, _authority),
    f"{_VIRTUAL_ENDPOINT}/provisioningPolicies": Sample(3, _provisioning_policy),
    f"{_VIRTUAL_ENDPOINT}/userSettings": Sample(2, _cloud_pc_user_setting),
    f"{_VIRTUAL_ENDPOINT}/onPremisesConnections": Sample(1, _network_connection),
    f"{_VIRTUAL_ENDPOINT}/deviceImages": Sample(2, _device_image),
    f"{_VIRTUAL_ENDPOINT}/organizationSettings": single(_organization_settings),
    f"{_VIRTUAL_ENDPOINT}/externalPartnerSettings": Sample(1, _external_partner),
    f"{_VIRTUAL_ENDPOINT}/cloudApps": Sample(2, _cloud_app),
}
