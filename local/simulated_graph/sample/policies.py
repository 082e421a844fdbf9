"""Entra's policies."""

import json
from collections.abc import Callable
from typing import Any

from local.simulated_graph.documents import Document
from local.simulated_graph.sample.draw import Draw, Sample, constant, single
from local.simulated_graph.sample.identity import ROLE_ASSIGNABLE_GROUP

_EVERYONE = [{"targetType": "group", "id": "all_users", "isRegistrationRequired": False}]
_ALL_DEVICES = {"@odata.type": "#microsoft.graph.allDeviceRegistrationMembership"}
_METHODS = "policies/authenticationMethodsPolicy/authenticationMethodConfigurations"


def _method(name: str, kind: str, **properties: Any) -> Sample:
    return single(
        lambda draw: {
            "@odata.type": f"#microsoft.graph.{kind}AuthenticationMethodConfiguration",
            "id": name,
            "state": draw.pick(("enabled", "disabled")),
            "excludeTargets": [],
            "includeTargets": _EVERYONE,
            **properties,
        }
    )


def _definition(subject: str, definition: Document) -> Callable[[Draw], Document]:
    return lambda draw: {
        "definition": [json.dumps(definition)],
        "displayName": draw.name(subject),
        "isOrganizationDefault": False,
        "deletedDateTime": None,
        "appliesTo": [{"@odata.type": "#microsoft.graph.servicePrincipal", "id": draw.id_of("servicePrincipals", 0)}],
    }


def _access(*, blocked: bool) -> Document:
    kind = "blocked" if blocked else "allowed"
    targets = (
        [{"target": "AllUsers", "targetType": "user"}],
        [{"target": "AllApplications", "targetType": "application"}],
    )
    return {
        "usersAndGroups": {"accessType": kind, "targets": targets[0]},
        "applications": {"accessType": kind, "targets": targets[1]},
    }


def _default_access(draw: Draw) -> Document:
    return {
        "id": draw.id(),
        "isServiceDefault": True,
        "inboundTrust": {"isMfaAccepted": False, "isCompliantDeviceAccepted": False},
        "b2bCollaborationInbound": _access(blocked=False),
        "b2bCollaborationOutbound": _access(blocked=False),
        "b2bDirectConnectInbound": _access(blocked=True),
        "b2bDirectConnectOutbound": _access(blocked=True),
    }


def _partner(draw: Draw) -> Document:
    synchronized = {
        "tenantId": draw.id("partner"),
        "displayName": draw.name("Partner"),
        "userSyncInbound": {"isSyncAllowed": True},
    }
    return {
        "tenantId": draw.id("partner"),
        "isServiceProvider": None,
        "isInMultiTenantOrganization": False,
        "inboundTrust": {"isMfaAccepted": draw.flag(), "isCompliantDeviceAccepted": False},
        "b2bCollaborationInbound": _access(blocked=draw.flag()),
        "automaticUserConsentSettings": {"inboundAllowed": None, "outboundAllowed": None},
        # Only tenants that synchronize users with the partner have it.
        "identitySynchronization": synchronized if draw.index % 2 == 0 else None,
    }


def _app_restrictions() -> Document:
    return {
        "passwordCredentials": [
            {"restrictionType": "passwordAddition", "maxLifetime": None, "state": "enabled"},
            {"restrictionType": "passwordLifetime", "maxLifetime": "P180D", "state": "enabled"},
        ],
        "keyCredentials": [],
    }


def _app_management(draw: Draw) -> Document:
    return {
        "displayName": draw.name("App management"),
        "description": "",
        "isEnabled": draw.flag(),
        "restrictions": _app_restrictions(),
    }


def _permission_grant(draw: Draw) -> Document:
    included = {
        "id": draw.id("included"),
        "permissionType": "delegated",
        "permissionClassification": "low",
        "resourceApplication": "any",
        "permissions": ["all"],
        "clientApplicationIds": ["all"],
    }
    return {
        "id": f"policy-{draw.id()[:8]}",
        "displayName": draw.name("Consent"),
        "description": "",
        "deletedDateTime": None,
        "includes": [included],
        "excludes": [],
    }


def _feature_rollout(draw: Draw) -> Document:
    return {
        "displayName": draw.name("Rollout"),
        "description": "",
        "feature": draw.cycle(("passwordHashSync", "seamlessSso", "passthroughAuthentication")),
        "isEnabled": draw.flag(),
        "isAppliedToOrganization": False,
        "appliesTo": [{"@odata.type": "#microsoft.graph.group", "id": draw.id_of("groups", 0)}],
    }


def _role_policy(draw: Draw) -> Document:
    in_directory = draw.index < _ROLE_POLICIES - 1
    rules = _rules(draw)
    return {
        "id": f"DirectoryRole_{draw.tenant_id}_{draw.id()}",
        "displayName": "DirectoryRole" if in_directory else "Group",
        "description": "DirectoryRole",
        "isOrganizationDefault": False,
        "scopeId": "/" if in_directory else draw.id_of("groups", ROLE_ASSIGNABLE_GROUP),
        "scopeType": "DirectoryRole" if in_directory else "Group",
        "lastModifiedBy": {"displayName": None, "id": None},
        "rules": rules,
        "effectiveRules": rules,
    }


def _rules(draw: Draw) -> list[Document]:
    target = {"caller": "EndUser", "operations": ["all"], "level": "Assignment", "inheritableSettings": []}
    return [
        {
            "@odata.type": "#microsoft.graph.unifiedRoleManagementPolicyExpirationRule",
            "id": "Expiration_EndUser_Assignment",
            "isExpirationRequired": True,
            "maximumDuration": f"PT{draw.number(1, 12)}H",
            "target": target,
        },
        {
            "@odata.type": "#microsoft.graph.unifiedRoleManagementPolicyEnablementRule",
            "id": "Enablement_EndUser_Assignment",
            "enabledRules": ["MultiFactorAuthentication", "Justification"],
            "target": target,
        },
    ]


def _role_policy_assignment(draw: Draw) -> Document:
    in_directory = draw.index < _ROLE_POLICIES - 1
    policy = f"DirectoryRole_{draw.tenant_id}_{draw.id_of('policies/roleManagementPolicies', draw.index)}"
    role = draw.id_of("roleManagement/directory/roleDefinitions", draw.index)
    return {
        "id": f"{policy}_{role}",
        "policyId": policy,
        "roleDefinitionId": role if in_directory else "member",
        "scopeId": "/" if in_directory else draw.id_of("groups", ROLE_ASSIGNABLE_GROUP),
        "scopeType": "DirectoryRole" if in_directory else "Group",
        "policy": {"id": policy, "displayName": "Group", "rules": _rules(draw)},
    }


def _mobility(draw: Draw) -> Document:
    return {
        "appliesTo": draw.pick(("all", "none", "selected")),
        "complianceUrl": "https://portal.manage.microsoft.example/?portalAction=Compliance",
        "description": "Cloud-based management for devices.",
        "discoveryUrl": "https://enrollment.manage.microsoft.example/EnrollmentServer/Discovery.svc",
        "displayName": draw.name("Mobility"),
        "isValid": True,
        "termsOfUseUrl": "https://portal.manage.microsoft.example/TermsofUse.aspx",
        "isMdmEnrollmentDuringRegistrationDisabled": draw.flag(),
        "includedGroups": [{"id": draw.id_of("groups", 0)}],
    }


def _b2b_management(draw: Draw) -> Document:
    allowed: Document = {"B2BManagementPolicy": {"InvitationsAllowedAndBlockedDomainsPolicy": {"AllowedDomains": []}}}
    policy = _definition("B2B", allowed)(draw) | {"isOrganizationDefault": True}
    return {name: value for name, value in policy.items() if name != "appliesTo"}


def _methods_policy(draw: Draw) -> Document:
    return {
        "id": "authenticationMethodsPolicy",
        "displayName": "Authentication Methods Policy",
        "description": "The tenant-wide policy that controls which authentication methods are allowed.",
        "lastModifiedDateTime": draw.moment(),
        "policyVersion": "1.5",
        "policyMigrationState": "migrationComplete",
        "registrationEnforcement": {
            "authenticationMethodsRegistrationCampaign": {"state": "default", "snoozeDurationInDays": 1}
        },
        "reportSuspiciousActivitySettings": {"state": "default", "voiceReportingCode": 0},
        "systemCredentialPreferences": {"state": "default", "excludeTargets": []},
    }


_ROLE_POLICIES = 5

SAMPLES = {
    "identity/conditionalAccess/settings": constant(id="settings", isHybridAuthenticationEnabled=False),
    "policies/authenticationMethodsPolicy": single(_methods_policy),
    "policies/authenticationFlowsPolicy": constant(
        id="authenticationFlowsPolicy",
        displayName="Authentication flows policy",
        description="",
        selfServiceSignUp={"isEnabled": False},
    ),
    "policies/adminConsentRequestPolicy": constant(
        id="adminConsentRequestPolicy",
        isEnabled=True,
        notifyReviewers=True,
        remindersEnabled=True,
        requestDurationInDays=30,
        version=1,
        reviewers=[],
    ),
    "policies/crossTenantAccessPolicy": constant(
        id="crossTenantAccessPolicy", displayName="CrossTenantAccessPolicy", allowedCloudEndpoints=[]
    ),
    "policies/crossTenantAccessPolicy/default": single(_default_access),
    "policies/crossTenantAccessPolicy/partners": Sample(3, _partner),
    "policies/federatedTokenValidationPolicy": constant(
        id="federatedTokenValidationPolicy", validatingDomains=None, deletedDateTime=None
    ),
    "policies/ownerlessGroupPolicy": constant(
        id="ownerlessGroupPolicy",
        isEnabled=True,
        maxMembersToNotify=5,
        notificationDurationInWeeks=4,
        policyWebUrl="https://intranet.example/groups",
        targetOwners=None,
        emailInfo={"senderEmailAddress": "groups@sample.example"},
    ),
    "policies/deviceRegistrationPolicy": constant(
        id="deviceRegistrationPolicy",
        displayName="Device Registration Policy",
        description="Tenant-wide policy that manages initial provisioning controls.",
        userDeviceQuota=50,
        multiFactorAuthConfiguration="notRequired",
        azureADRegistration={"isAdminConfigurable": False, "allowedToRegister": _ALL_DEVICES},
        azureADJoin={"isAdminConfigurable": True, "allowedToJoin": _ALL_DEVICES},
        localAdminPassword={"isEnabled": True},
    ),
    "policies/defaultAppManagementPolicy": constant(
        id="00000000-0000-0000-0000-000000000000",
        displayName="Default app management tenant policy",
        description="Default tenant policy that enforces app management restrictions.",
        isEnabled=False,
        applicationRestrictions=_app_restrictions(),
        servicePrincipalRestrictions=_app_restrictions(),
    ),
    "policies/externalIdentitiesPolicy": constant(
        id="externalIdentitiesPolicy",
        displayName="External Identities Policy",
        allowExternalIdentitiesToLeave=True,
        allowDeletedIdentitiesDataRemoval=False,
    ),
    "policies/accessReviewPolicy": constant(
        id="accessReviewPolicy",
        displayName="Access review policy",
        description="",
        isGroupOwnerManagementEnabled=False,
    ),
    "identityProtection/policy": constant(id="identityProtectionPolicy", isUserRiskClearedOnPasswordReset=True),
    f"{_METHODS}/email": _method("Email", "email", allowExternalIdToUseEmailOtp="default"),
    f"{_METHODS}/fido2": _method(
        "Fido2", "fido2", isAttestationEnforced=True, keyRestrictions={"isEnforced": False, "aaGuids": []}
    ),
    f"{_METHODS}/microsoftAuthenticator": _method(
        "MicrosoftAuthenticator", "microsoftAuthenticator", isSoftwareOathEnabled=False
    ),
    f"{_METHODS}/sms": _method("Sms", "sms"),
    f"{_METHODS}/softwareOath": _method("SoftwareOath", "softwareOath"),
    f"{_METHODS}/hardwareOath": _method("HardwareOath", "hardwareOath"),
    f"{_METHODS}/temporaryAccessPass": _method(
        "TemporaryAccessPass", "temporaryAccessPass", defaultLength=8, isUsableOnce=True
    ),
    f"{_METHODS}/voice": _method("Voice", "voice", isOfficePhoneAllowed=False),
    f"{_METHODS}/x509Certificate": _method("X509Certificate", "x509Certificate", certificateUserBindings=[]),
    f"{_METHODS}/qrCodePin": _method("QRCodePin", "qrCodePin", pinLength=8),
    "policies/appManagementPolicies": Sample(2, _app_management),
    "policies/activityBasedTimeoutPolicies": Sample(
        1, _definition("Timeout", {"ActivityBasedTimeoutPolicy": {"Version": 1, "ApplicationPolicies": []}})
    ),
    "policies/claimsMappingPolicies": Sample(
        2, _definition("Claims", {"ClaimsMappingPolicy": {"Version": 1, "IncludeBasicClaimSet": "true"}})
    ),
    "policies/homeRealmDiscoveryPolicies": Sample(
        1, _definition("Home realm", {"HomeRealmDiscoveryPolicy": {"AccelerateToFederatedDomain": True}})
    ),
    "policies/tokenIssuancePolicies": Sample(
        1, _definition("Issuance", {"TokenIssuancePolicy": {"Version": 1, "SigningAlgorithm": "RsaSha256"}})
    ),
    "policies/tokenLifetimePolicies": Sample(
        2, _definition("Lifetime", {"TokenLifetimePolicy": {"Version": 1, "AccessTokenLifetime": "02:00:00"}})
    ),
    "policies/permissionGrantPolicies": Sample(3, _permission_grant),
    "policies/featureRolloutPolicies": Sample(2, _feature_rollout),
    # The last policy is a group's, so that the filter that the list needs leaves something out.
    "policies/roleManagementPolicies": Sample(_ROLE_POLICIES, _role_policy),
    "policies/roleManagementPolicyAssignments": Sample(_ROLE_POLICIES, _role_policy_assignment),
    "policies/mobileDeviceManagementPolicies": Sample(2, _mobility),
    "policies/mobileAppManagementPolicies": Sample(1, _mobility),
    "policies/b2bManagementPolicies": Sample(1, _b2b_management),
}
