"""Applications, roles, domains and the rest of the directory."""

from typing import Any

from local.simulated_graph.documents import Document
from local.simulated_graph.sample.draw import Draw, Sample, single


def _administrative_unit(draw: Draw) -> Document:
    return {
        "displayName": draw.name("Unit"),
        "description": None,
        "deletedDateTime": None,
        "isMemberManagementRestricted": False,
        "membershipRule": None,
        "membershipType": None,
        "visibility": None,
        "scopedRoleMembers": [
            {
                "id": draw.id("scoped role"),
                "administrativeUnitId": draw.id(),
                "roleId": draw.id_of("directoryRoles", 0),
                "roleMemberInfo": {"id": draw.id_of("groups", 0), "displayName": "sample"},
            }
        ],
    }


def _key_credentials(draw: Draw) -> list[Document]:
    return [
        {
            "customKeyIdentifier": draw.id("thumbprint").replace("-", "").upper(),
            "displayName": "CN=sample",
            "endDateTime": "2027-01-01T00:00:00Z",
            "key": None,
            "keyId": draw.id("key"),
            "startDateTime": "2025-01-01T00:00:00Z",
            "type": "AsymmetricX509Cert",
            "usage": "Verify",
        }
    ]


def _password_credentials(draw: Draw) -> list[Document]:
    return [
        {
            "customKeyIdentifier": None,
            "displayName": "deployment",
            "endDateTime": "2027-01-01T00:00:00Z",
            "hint": draw.id("hint")[:3],
            "keyId": draw.id("password"),
            # Graph shows a secret once, when it is made, and never in a list.
            "secretText": None,
            "startDateTime": "2025-01-01T00:00:00Z",
        }
    ]


def _owners(draw: Draw) -> list[Document]:
    return [{"@odata.type": "#microsoft.graph.user", "id": draw.id_of("users", 0), "displayName": "sample"}]


MICROSOFT_GRAPH = "00000003-0000-0000-c000-000000000000"
_MICROSOFT = "f8cdef31-a31e-4b4a-93e4-5f571e91255a"


def _application(draw: Draw) -> Document:
    federated = {
        "id": draw.id("federated"),
        "name": "deployment",
        "issuer": "https://token.actions.example",
        "subject": f"repo:sample/app{draw.index}:ref:refs/heads/main",
        "description": "",
        "audiences": ["api://AzureADTokenExchange"],
    }
    return {
        "appId": draw.app_id(draw.index),
        "displayName": draw.name("Application"),
        "deletedDateTime": None,
        "description": None,
        "identifierUris": [f"api://{draw.app_id(draw.index)}"],
        "publisherDomain": "sample.example",
        "signInAudience": "AzureADMyOrg",
        "tags": [],
        "api": {"oauth2PermissionScopes": [], "preAuthorizedApplications": []},
        "appRoles": [],
        "web": {"redirectUris": ["https://app.example/signin"], "implicitGrantSettings": {}},
        "requiredResourceAccess": [{"resourceAppId": MICROSOFT_GRAPH, "resourceAccess": []}],
        "passwordCredentials": _password_credentials(draw) if draw.index % 2 == 0 else [],
        "keyCredentials": _key_credentials(draw) if draw.index % 3 == 0 else [],
        "federatedIdentityCredentials": [federated] if draw.index % 2 else [],
        "owners": _owners(draw),
    }


def _service_principal(draw: Draw) -> Document:
    assignment = {
        "id": draw.id("role assignment"),
        "appRoleId": draw.id("role"),
        "principalId": draw.id(),
        "principalType": "ServicePrincipal",
        "principalDisplayName": "sample",
        "resourceId": draw.id_of("servicePrincipals", 0),
        "resourceDisplayName": "Microsoft Graph",
        "createdDateTime": draw.moment(),
        "deletedDateTime": None,
    }
    assigned = {
        **assignment,
        "id": draw.id("role assigned"),
        "principalId": draw.id_of("groups", 0),
        "principalType": "Group",
        "resourceId": draw.id(),
        "resourceDisplayName": "sample",
    }
    job = {
        "id": f"scim.{draw.id('job')}",
        "templateId": "scim",
        "schedule": {"interval": "PT40M", "state": "Active"},
        "status": {"code": "Active", "lastExecution": None},
        "synchronizationJobSettings": [],
    }
    scope = {"id": draw.id("scope"), "value": "Files.Read", "type": "User", "isEnabled": True}
    classification = {
        "id": draw.id("classification"),
        "classification": "low",
        "permissionId": scope["id"],
        "permissionName": "Files.Read",
    }
    # The first is Microsoft Graph's, each other belongs to the app registration with its number.
    is_own = draw.index > 0
    app_id = draw.app_id(draw.index) if is_own else MICROSOFT_GRAPH
    return {
        "appId": app_id,
        "displayName": draw.name("Service principal") if is_own else "Microsoft Graph",
        "accountEnabled": True,
        "appDisplayName": "Sample" if is_own else "Microsoft Graph",
        "appOwnerOrganizationId": draw.tenant_id if is_own else _MICROSOFT,
        "appRoleAssignmentRequired": draw.flag(),
        "appRoles": [],
        "deletedDateTime": None,
        "preferredSingleSignOnMode": draw.cycle((None, "saml")),
        "servicePrincipalNames": [app_id],
        "servicePrincipalType": "Application",
        "signInAudience": "AzureADMyOrg" if is_own else "AzureADMultipleOrgs",
        "tags": ["WindowsAzureActiveDirectoryIntegratedApp"] if draw.index % 2 else [],
        "oauth2PermissionScopes": [] if draw.index else [scope],
        "passwordCredentials": [],
        "keyCredentials": _key_credentials(draw) if draw.index % 2 else [],
        "appRoleAssignments": [assignment],
        "appRoleAssignedTo": [assigned],
        "owners": _owners(draw),
        "synchronization": {"jobs": [job]},
        "delegatedPermissionClassifications": [] if draw.index else [classification],
    }


def _consent(draw: Draw) -> Document:
    return {
        "id": draw.id("consent"),
        "clientId": draw.id_of("servicePrincipals", draw.index % 3),
        "consentType": "AllPrincipals",
        "principalId": None,
        "resourceId": draw.id_of("servicePrincipals", 0),
        "scope": draw.pick(("User.Read", "User.Read openid profile")),
    }


def _domain(draw: Draw) -> Document:
    federated = draw.index == 1
    federation = {
        "@odata.type": "#microsoft.graph.internalDomainFederation",
        "id": draw.id("federation"),
        "displayName": "Sample federation",
        "issuerUri": "http://sts.example/adfs/services/trust",
        "metadataExchangeUri": "https://sts.example/adfs/services/trust/mex",
        "signingCertificate": "c2FtcGxl",
        "passiveSignInUri": "https://sts.example/adfs/ls",
        "preferredAuthenticationProtocol": "wsFed",
    }
    return {
        "id": f"d{draw.index}-{draw.id('name')[:8]}.sample.example",
        "authenticationType": "Federated" if federated else "Managed",
        "availabilityStatus": None,
        "isAdminManaged": True,
        "isDefault": draw.index == 0,
        "isInitial": draw.index == 0,
        "isRoot": True,
        "isVerified": True,
        "supportedServices": ["Email", "Intune"],
        "passwordValidityPeriodInDays": 2147483647,
        "state": None,
        "federationConfiguration": [federation] if federated else [],
    }


def _group_setting(draw: Draw) -> Document:
    return {
        "displayName": draw.name("Group.Unified"),
        "templateId": draw.id("template"),
        "values": [{"name": "EnableGroupCreation", "value": draw.pick(("true", "false"))}],
    }


def _lifecycle_policy(draw: Draw) -> Document:
    return {
        "groupLifetimeInDays": draw.number(90, 365),
        "managedGroupTypes": "All",
        "alternateNotificationEmails": "admin@sample.example",
    }


RESTRICTED_GUEST = "2af84b1e-32c8-42b7-82bc-daa82404023b"
_GUEST_ROLE = 5


def _directory_role(draw: Draw) -> Document:
    is_guest = draw.index == _GUEST_ROLE
    return {
        **({"id": RESTRICTED_GUEST} if is_guest else {}),
        "displayName": "Restricted Guest User" if is_guest else draw.name("Directory role"),
        "description": "",
        "isBuiltIn": is_guest or draw.index % 3 != 2,
        "isEnabled": True,
        "isPrivileged": draw.flag(),
        "resourceScopes": ["/"],
        "templateId": draw.id(),
        "version": "1",
        "rolePermissions": [{"allowedResourceActions": ["microsoft.directory/users/standard/read"], "condition": None}],
    }


def _activated_role(draw: Draw) -> Document:
    return {
        "deletedDateTime": None,
        "displayName": draw.name("Directory role"),
        "description": "",
        "roleTemplateId": draw.id_of("roleManagement/directory/roleDefinitions", draw.index),
    }


def _role_holder(draw: Draw) -> Document:
    role = draw.id_of("roleManagement/directory/roleDefinitions", draw.index % 3)
    principal = draw.id_of("groups", draw.index)
    return {
        "id": draw.id("holder"),
        "principalId": principal,
        "directoryScopeId": "/",
        "appScopeId": None,
        "roleDefinitionId": role,
        "principal": {"@odata.type": "#microsoft.graph.group", "id": principal},
        "roleDefinition": {"id": role},
    }


def _eligibility(draw: Draw) -> Document:
    return _role_holder(draw) | {
        "createdUsing": draw.id("request"),
        "memberType": "Direct",
        "status": "Provisioned",
        "scheduleInfo": {"startDateTime": draw.moment(), "recurrence": None, "expiration": {"type": "noExpiration"}},
    }


def _role_instance(draw: Draw) -> Document:
    return _role_holder(draw) | {
        "startDateTime": draw.moment(),
        "endDateTime": None,
        "assignmentType": "Assigned",
        "memberType": "Direct",
        "roleAssignmentOriginId": draw.id("origin"),
        "roleAssignmentScheduleId": draw.id_of(f"{_ROLES}/roleAssignmentSchedules", draw.index),
    }


def _attribute_set(draw: Draw) -> Document:
    return {"id": f"Set{draw.index + 1}", "description": "", "maxAttributesPerSet": 25}


def _attribute(draw: Draw) -> Document:
    attribute_set, name = f"Set{draw.index + 1}", f"Attribute{draw.index + 1}"
    return {
        "id": f"{attribute_set}_{name}",
        "attributeSet": attribute_set,
        "name": name,
        "description": "",
        "isCollection": False,
        "isSearchable": True,
        "status": "Available",
        "type": "String",
        "usePreDefinedValuesOnly": False,
        "allowedValues": [{"id": "Berlin", "isActive": True}],
    }


def _federation(draw: Draw) -> Document:
    return {
        "@odata.type": "#microsoft.graph.samlOrWsFedExternalDomainFederation",
        "displayName": draw.name("Federation"),
        "issuerUri": f"https://partner{draw.index}.example/issuer",
        "metadataExchangeUri": None,
        "passiveSignInUri": f"https://partner{draw.index}.example/signin",
        "preferredAuthenticationProtocol": "saml",
        "signingCertificate": "c2FtcGxl",
    }


def _synchronization(draw: Draw) -> Document:
    return {
        "id": draw.tenant_id,
        "configuration": {"accidentalDeletionPrevention": {"synchronizationPreventionType": "enabledForCount"}},
        "features": {"passwordSyncEnabled": True, "passwordWritebackEnabled": draw.flag()},
    }


def organization_details(draw: Draw) -> dict[str, Any]:
    """Branding, and certificate authorities for sign-in."""
    localization = {
        "id": "fr-FR",
        "backgroundColor": " ",
        "signInPageText": "Bienvenue",
        "usernameHintText": "prenom.nom@sample.example",
        "bannerLogoRelativeUrl": None,
        "customCSSRelativeUrl": None,
    }
    default = {**localization, "id": "0", "signInPageText": "Welcome", "usernameHintText": "name@sample.example"}
    authority = {"isRootAuthority": True, "certificate": "c2FtcGxl", "issuer": "CN=Sample CA", "issuerSki": "0F"}
    return {
        "branding": {**default, "localizations": [default, localization]},
        "certificateBasedAuthConfiguration": [{"id": draw.id("certificates"), "certificateAuthorities": [authority]}],
    }


_ROLES = "roleManagement/directory"


def _directory_audit(draw: Draw) -> Document:
    return {
        "category": "GroupManagement",
        "correlationId": draw.id("correlation"),
        "result": "success",
        "resultReason": "",
        "activityDisplayName": "Update group",
        "activityDateTime": draw.moment(),
        "loggedByService": "Core Directory",
        "operationType": "Update",
        "initiatedBy": {
            "app": None,
            "user": {
                "id": draw.id("admin"),
                "displayName": None,
                "userPrincipalName": "admin@sample.example",
                "ipAddress": None,
            },
        },
        "targetResources": [
            {
                "id": draw.id("resource"),
                "displayName": None,
                "type": "Group",
                "userPrincipalName": None,
                "groupType": "azureAD",
                "modifiedProperties": [{"displayName": "Description", "oldValue": '["a"]', "newValue": '["b"]'}],
            }
        ],
        "additionalDetails": [{"key": "User-Agent", "value": "sample"}],
    }


SAMPLES = {
    "auditLogs/directoryAudits": Sample(8, _directory_audit),
    "directory/administrativeUnits": Sample(3, _administrative_unit),
    "applications": Sample(6, _application),
    "servicePrincipals": Sample(6, _service_principal),
    "oauth2PermissionGrants": Sample(4, _consent),
    "domains": Sample(2, _domain),
    "groupSettings": Sample(1, _group_setting),
    "groupLifecyclePolicies": Sample(1, _lifecycle_policy),
    "directoryRoles": Sample(2, _activated_role),
    f"{_ROLES}/roleDefinitions": Sample(6, _directory_role),
    f"{_ROLES}/roleAssignments": Sample(5, lambda draw: _role_holder(draw) | {"condition": None}),
    f"{_ROLES}/roleEligibilitySchedules": Sample(3, _eligibility),
    f"{_ROLES}/roleAssignmentScheduleInstances": Sample(3, _role_instance),
    "directory/attributeSets": Sample(2, _attribute_set),
    "directory/customSecurityAttributeDefinitions": Sample(2, _attribute),
    "directory/federationConfigurations": Sample(1, _federation),
    "directory/onPremisesSynchronization": single(_synchronization),
}
