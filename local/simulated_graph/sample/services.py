"""Microsoft 365's services, Windows Autopatch, authentication and network access."""

from collections.abc import Callable

from local.simulated_graph.documents import Document
from local.simulated_graph.sample.draw import Draw, Sample, constant, single
from local.simulated_graph.sample.governance import network_rule
from local.simulated_graph.sample.identity import conditional_access_policy

_MONITORING = "admin/configurationManagement"
_UPDATES = "admin/windows/updates"


def _item_insights(draw: Draw) -> Document:
    return {"id": "itemInsights", "isEnabledInOrganization": True, "disabledForGroup": draw.id_of("groups", 1)}


def _office_configuration(draw: Draw) -> Document:
    return {
        "@odata.type": "#microsoft.graph.windowsOfficeClientConfiguration",
        "displayName": draw.name("Office policy"),
        "description": "",
        "priority": draw.index,
        "assignments": [{"id": draw.id("assignment"), "target": {"groupId": draw.id_of("groups", draw.index)}}],
    }


def _backup_policy(draw: Draw) -> Document:
    kind = draw.cycle(("sharePoint", "oneDriveForBusiness", "exchange"))
    return {
        "@odata.type": f"#microsoft.graph.{kind}ProtectionPolicy",
        "displayName": draw.name("Backup"),
        "isEnabled": True,
        "status": "active",
        "createdBy": {"application": {"id": draw.id("creator")}},
        "lastModifiedBy": {"application": {"id": draw.id("editor")}},
        "protectionPolicyArtifactCount": {"completed": draw.number(1, 90), "inProgress": 0, "total": 90},
        "retentionSettings": [{"interval": "R/PT10M", "period": "P2W"}, {"interval": "R/P1W", "period": "P1Y"}],
    }


def _teams_app(draw: Draw) -> Document:
    definition = {
        "id": draw.id("definition"),
        "teamsAppId": draw.id(),
        "displayName": draw.name("Teams app"),
        "version": "1.0.0",
        "publishingState": "published",
        "authorization": {"requiredPermissionSet": {"resourceSpecificPermissions": []}},
    }
    return {
        "displayName": definition["displayName"],
        "distributionMethod": draw.cycle(("organization", "store")),
        "externalId": draw.id("external"),
        "appDefinitions": [definition],
    }


def _agent(draw: Draw) -> Document:
    return {
        "displayName": draw.name("Agent instance"),
        "ownerIds": [draw.id_of("users", 0)],
        "managedBy": None,
        "originatingStore": "Copilot Studio",
        "agentIdentityBlueprintId": draw.id("blueprint"),
        "url": f"https://agents.example/{draw.index}",
        "preferredTransport": "JSONRPC",
        "signatures": [],
    }


def _label(draw: Draw) -> Document:
    def label(name: str, number: int) -> Document:
        return {
            "id": draw.id(f"label {number}"),
            "name": name,
            "displayName": name,
            "description": "",
            "hasProtection": number > 0,
            "isDefault": False,
            "priority": 10 * draw.index + number,
            "toolTip": "",
        }

    name = draw.cycle(("Public", "Internal", "Confidential"))
    below = [label(f"{name} / Partners", 1)] if name == "Confidential" else []
    return {**label(name, 0), "sublabels": below, "rights": {"id": draw.id("rights"), "value": "docedit"}}


def _detection_rule(draw: Draw) -> Document:
    return {
        "displayName": draw.name("Detection"),
        "isEnabled": draw.flag(),
        "createdBy": "analyst@sample.example",
        "queryCondition": {"queryText": "DeviceProcessEvents | take 1", "lastModifiedDateTime": draw.moment()},
        "schedule": {"period": "1H", "nextRunDateTime": draw.moment()},
        "lastRunDetails": {"lastRunDateTime": draw.moment(), "status": "completed"},
        "detectionAction": {"alertTemplate": {"title": "Sample", "severity": "medium"}, "responseActions": []},
    }


def _audience_of(draw: Draw) -> Document:
    return {"id": draw.id_of(f"{_UPDATES}/deploymentAudiences", draw.index % 2)}


def _update_policy(draw: Draw) -> Document:
    return {
        "audience": _audience_of(draw),
        "complianceChangeRules": [],
        "deploymentSettings": {"schedule": None, "monitoring": None},
        "complianceChanges": [
            {
                "@odata.type": "#microsoft.graph.windowsUpdates.contentApproval",
                "id": draw.id("approval"),
                "isRevoked": False,
                "content": {"@odata.type": "#microsoft.graph.windowsUpdates.catalogContent"},
            }
        ],
    }


def _quality_policy(draw: Draw) -> Document:
    ring = {"id": draw.id("ring"), "displayName": "Pilot", "deferralInDays": draw.number(0, 14), "isPaused": False}
    return {
        "@odata.type": "#microsoft.graph.windowsUpdates.qualityUpdatePolicy",
        "displayName": draw.name("Autopatch policy"),
        "description": "",
        "approvalRules": [],
        "rings": [{"@odata.type": "#microsoft.graph.windowsUpdates.qualityUpdateRing", **ring}],
        "approvals": [],
    }


def _audience(draw: Draw) -> Document:
    device = {"@odata.type": "#microsoft.graph.windowsUpdates.azureADDevice"}
    return {
        "members": [{**device, "id": draw.id("device one")}, {**device, "id": draw.id("device two")}],
        "exclusions": [{**device, "id": draw.id("device three")}],
    }


def _deployment(draw: Draw) -> Document:
    return {
        "audience": _audience_of(draw),
        "content": {"@odata.type": "#microsoft.graph.windowsUpdates.catalogContent"},
        "settings": {"schedule": {"startDateTime": None}},
        "state": {"effectiveValue": "offering", "requestedValue": "none", "reasons": []},
    }


def _monitor(draw: Draw) -> Document:
    return {
        "displayName": draw.name("Monitor"),
        "description": "",
        "tenantId": draw.tenant_id,
        "status": "active",
        "mode": "monitorOnly",
        "monitorRunFrequencyInHours": 6,
        "inactivationReason": None,
        "parameters": {},
        "baseline": {"id": draw.id("baseline"), "displayName": "Baseline", "resources": []},
    }


def _drift(draw: Draw) -> Document:
    return {
        "monitorId": draw.id_of(f"{_MONITORING}/configurationMonitors", 0),
        "tenantId": draw.tenant_id,
        "resourceType": "microsoft.entra.conditionalaccesspolicy",
        "baselineResourceDisplayName": draw.name("Drift"),
        "resourceInstanceIdentifier": {"Id": draw.id("resource")},
        "firstReportedDateTime": draw.moment(),
        "status": "active",
        "driftedProperties": [{"propertyName": "State", "desiredValue": "enabled", "currentValue": "disabled"}],
    }


def _authorities(draw: Draw) -> list[Document]:
    return [
        {
            "id": draw.id("authority"),
            "displayName": "CN=Sample CA",
            "issuer": "CN=Sample CA",
            "certificate": "c2FtcGxl",
            "certificateAuthorityType": "root",
            "thumbprint": draw.id("thumbprint").replace("-", "").upper(),
            "expirationDateTime": "2035-01-01T00:00:00Z",
        }
    ]


def _trust_store(draw: Draw) -> Document:
    return {
        "displayName": draw.name("Trust store"),
        "status": "succeeded",
        "statusDetails": None,
        "deletedDateTime": None,
        "certificateAuthorities": _authorities(draw),
    }


def _application_trust(draw: Draw) -> Document:
    authority = {"id": draw.id("authority"), "isRootAuthority": True, "certificate": "c2FtcGxl", "issuer": "CN=Sample"}
    return {
        "displayName": draw.name("Application trust"),
        "description": "",
        "deletedDateTime": None,
        "trustedCertificateAuthorities": [authority],
    }


def _events_flow(draw: Draw) -> Document:
    return {
        "@odata.type": "#microsoft.graph.externalUsersSelfServiceSignUpEventsFlow",
        "displayName": draw.name("Sign-up flow"),
        "description": "",
        "conditions": {"applications": {"includeAllApplications": False}},
    }


def _deleted_policy(draw: Draw) -> Document:
    return conditional_access_policy(draw) | {"deletedDateTime": draw.moment(), "state": "disabled"}


def _network_policy(kind: str, action: str, subject: str) -> Callable[[Draw], Document]:
    return lambda draw: {
        "name": draw.name(subject),
        "description": "",
        "version": "1.0.0",
        "settings": {"defaultAction": action},
        "policyRules": [network_rule(draw, kind, action)],
    }


def _authority(draw: Draw) -> Document:
    return {
        "name": draw.name("TLS certificate"),
        "commonName": "Sample TLS",
        "organizationName": "Sample",
        "status": "active",
        "certificate": "c2FtcGxl",
        "chain": "c2FtcGxl",
        "certificateSigningRequest": None,
        "validity": {"startDateTime": "2025-01-01T00:00:00Z", "endDateTime": "2035-01-01T00:00:00Z"},
    }


def _intune(draw: Draw) -> Document:
    return {
        "id": draw.id(),
        "intuneAccountId": draw.id("account"),
        "subscriptionState": "active",
        "subscriptions": "intune",
        "maximumDepTokens": 2000,
        "legacyPcManangementEnabled": False,
        "unlicensedAdminstratorsEnabled": True,
        "lastReportAggregationDateTime": "0001-01-01T00:00:00Z",
        "settings": {"deviceComplianceCheckinThresholdDays": 30, "secureByDefault": True},
        "managedDeviceCleanupSettings": {"deviceInactivityBeforeRetirementInDays": None},
        "connectorStatus": [],
    }


SAMPLES = {
    "admin/sharepoint/settings": constant(
        allowedDomainGuidsForSyncApp=[],
        deletedUserPersonalSiteRetentionPeriodInDays=365,
        excludedFileExtensionsForSyncApp=[],
        idleSessionSignOut={"isEnabled": True, "signOutAfterInSeconds": 3600, "warnAfterInSeconds": 3300},
        isLegacyAuthProtocolsEnabled=False,
        isResharingByExternalUsersEnabled=False,
        isUnmanagedSyncAppForTenantRestricted=True,
        sharingAllowedDomainList=["partner.example"],
        sharingBlockedDomainList=[],
        sharingCapability="externalUserSharingOnly",
        sharingDomainRestrictionMode="allowList",
        tenantDefaultTimezone="(UTC) Coordinated Universal Time",
    ),
    "admin/people/itemInsights": single(_item_insights),
    "admin/microsoft365Apps/installationOptions": constant(
        updateChannel="current",
        appsForWindows={"isMicrosoft365AppsEnabled": True, "isSkypeForBusinessEnabled": False},
        appsForMac={"isMicrosoft365AppsEnabled": True, "isSkypeForBusinessEnabled": False},
    ),
    "admin/reportSettings": constant(displayConcealedNames=True),
    "admin/forms": constant(
        settings={
            "isExternalSendFormEnabled": True,
            "isExternalShareResultEnabled": False,
            "isInOrgFormsPhishingScanEnabled": True,
        }
    ),
    "admin/appsAndServices": constant(settings={"isOfficeStoreEnabled": False, "isAppAndServicesTrialEnabled": False}),
    "officeConfiguration/clientConfigurations": Sample(2, _office_configuration),
    "solutions/backupRestore/protectionPolicies": Sample(3, _backup_policy),
    "appCatalogs/teamsApps": Sample(3, _teams_app),
    "agentRegistry/agentInstances": Sample(2, _agent),
    "security/dataSecurityAndGovernance/sensitivityLabels": Sample(3, _label),
    "security/rules/detectionRules": Sample(2, _detection_rule),
    f"{_UPDATES}/updatePolicies": Sample(2, _update_policy),
    f"{_UPDATES}/policies": Sample(2, _quality_policy),
    f"{_UPDATES}/deploymentAudiences": Sample(2, _audience),
    f"{_UPDATES}/deployments": Sample(2, _deployment),
    "directory/tenantGovernance/settings": constant(canReceiveInvitations=False, isRelatedTenantsEnabled=False),
    f"{_MONITORING}/configurationMonitors": Sample(1, _monitor),
    f"{_MONITORING}/configurationDrifts": Sample(2, _drift),
    "directory/publicKeyInfrastructure/certificateBasedAuthConfigurations": Sample(1, _trust_store),
    "directory/certificateAuthorities/certificateBasedApplicationConfigurations": Sample(1, _application_trust),
    "identity/authenticationEventsFlows": Sample(1, _events_flow),
    "identity/conditionalAccess/deletedItems/policies": Sample(2, _deleted_policy),
    "networkAccess/settings/conditionalAccess": constant(signalingStatus="enabled"),
    "networkAccess/settings/crossTenantAccess": constant(networkPacketTaggingStatus="disabled"),
    "networkAccess/settings/enrichedAuditLogs": constant(
        exchange={"status": "enabled"}, sharepoint={"status": "disabled"}
    ),
    "networkAccess/tlsInspectionPolicies": Sample(
        2, _network_policy("tlsInspectionRule", "bypass", "TLS inspection policy")
    ),
    "networkAccess/threatIntelligencePolicies": Sample(
        1, _network_policy("threatIntelligenceRule", "block", "Threat intelligence policy")
    ),
    "networkAccess/cloudFirewallPolicies": Sample(
        1, _network_policy("cloudFirewallRule", "block", "Cloud firewall policy")
    ),
    "networkAccess/tls/externalCertificateAuthorityCertificates": Sample(1, _authority),
    "deviceManagement": single(_intune),
    "deviceManagement/endpointPrivilegeManagementProvisioningStatus": constant(
        licenseType="paid", onboardedToMicrosoftManagedPlatform=True
    ),
}
