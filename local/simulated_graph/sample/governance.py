"""Identity governance, external identities and Global Secure Access."""

from local.simulated_graph.documents import Document
from local.simulated_graph.sample.draw import Draw, Sample, constant

_ENTITLEMENT = "identityGovernance/entitlementManagement"
_LIFECYCLE = "identityGovernance/lifecycleWorkflows"


def _access_review(draw: Draw) -> Document:
    return {
        "displayName": draw.name("Review"),
        "descriptionForAdmins": "",
        "descriptionForReviewers": "",
        "status": "InProgress",
        "scope": {
            "@odata.type": "#microsoft.graph.accessReviewQueryScope",
            "query": "/groups",
            "queryType": "MicrosoftGraph",
        },
        "reviewers": [],
        "settings": {"mailNotificationsEnabled": True, "instanceDurationInDays": draw.number(3, 30)},
        "instances": [],
    }


def _access_package(draw: Draw) -> Document:
    scope = {
        "id": draw.id("role scope"),
        "createdDateTime": draw.moment(),
        "role": {"id": draw.id("role"), "displayName": "Member", "originSystem": "AadGroup"},
        "scope": {"id": draw.id("scope"), "displayName": "Root", "isRootScope": True, "originSystem": "AadGroup"},
    }
    policy = {"id": draw.id_of(f"{_ENTITLEMENT}/assignmentPolicies", draw.index), "displayName": "Initial policy"}
    return {
        "displayName": draw.name("Access package"),
        "description": "",
        "isHidden": draw.flag(),
        "resourceRoleScopes": [scope],
        "assignmentPolicies": [policy],
        "catalog": {"id": draw.id_of(f"{_ENTITLEMENT}/catalogs", 0), "displayName": "General"},
        "incompatibleAccessPackages": [],
        "incompatibleGroups": [{"@odata.type": "#microsoft.graph.group", "id": draw.id_of("groups", 1)}],
    }


def _catalog(draw: Draw) -> Document:
    return {
        "displayName": draw.name("Catalog"),
        "description": "",
        "catalogType": draw.cycle(("serviceDefault", "userManaged")),
        "state": "published",
        "isExternallyVisible": draw.flag(),
        "accessPackages": [],
        "customWorkflowExtensions": [
            {
                "@odata.type": "#microsoft.graph.accessPackageAssignmentRequestWorkflowExtension",
                "id": draw.id("extension"),
                "displayName": "Notify the service desk",
                "endpointConfiguration": {
                    "@odata.type": "#microsoft.graph.logicAppTriggerEndpointConfiguration",
                    "logicAppWorkflowName": "sample",
                    "url": f"https://logic.example/workflows?sig={draw.secret('signature')}",
                },
            }
        ],
        "resources": [
            {
                "id": draw.id("resource"),
                "displayName": "Group",
                "originId": draw.id_of("groups", 0),
                "originSystem": "AadGroup",
            }
        ],
    }


def _assignment_policy(draw: Draw) -> Document:
    return {
        "displayName": draw.name("Assignment policy"),
        "description": "",
        "allowedTargetScope": "allMemberUsers",
        "specificAllowedTargets": [],
        "automaticRequestSettings": None,
        "expiration": {"endDateTime": None, "duration": f"P{draw.number(30, 365)}D", "type": "afterDuration"},
        "requestApprovalSettings": {"isApprovalRequiredForAdd": draw.flag(), "stages": []},
        "accessPackage": {"id": draw.id_of(f"{_ENTITLEMENT}/accessPackages", draw.index)},
        "catalog": {"id": draw.id_of(f"{_ENTITLEMENT}/catalogs", 0)},
        "questions": [
            {
                "@odata.type": "#microsoft.graph.accessPackageTextInputQuestion",
                "id": draw.id("question"),
                "text": "Why?",
                "isRequired": True,
                "sequence": 0,
            }
        ],
        "customExtensionStageSettings": [],
    }


def _connected_organization(draw: Draw) -> Document:
    return {
        "displayName": draw.name("Connected organization"),
        "description": "",
        "state": "configured",
        "identitySources": [
            {"@odata.type": "#microsoft.graph.azureActiveDirectoryTenant", "tenantId": draw.id("tenant")}
        ],
        "internalSponsors": [{"@odata.type": "#microsoft.graph.group", "id": draw.id_of("groups", 0)}],
        "externalSponsors": [],
    }


def _workflow(draw: Draw) -> Document:
    task = {
        "id": draw.id("task"),
        "displayName": "Send welcome email",
        "description": "",
        "category": "joiner",
        "isEnabled": True,
        "executionSequence": 1,
        "taskDefinitionId": "70b29d51-b59a-4773-9280-8841dfd3f2ea",
        "arguments": [{"name": "groupID", "value": draw.id_of("groups", 0)}],
    }
    return {
        "displayName": draw.name("Workflow"),
        "description": "",
        "category": draw.cycle(("joiner", "leaver")),
        "isEnabled": draw.flag(),
        "isSchedulingEnabled": False,
        "version": draw.number(1, 4),
        "executionConditions": {
            "@odata.type": "#microsoft.graph.identityGovernance.triggerAndScopeBasedConditions",
            "scope": {"rule": "(department eq 'Marketing')"},
        },
        "tasks": [task],
        "versions": [],
    }


def _task_extension(draw: Draw) -> Document:
    return {
        "displayName": draw.name("Task extension"),
        "description": "",
        "endpointConfiguration": {
            "@odata.type": "#microsoft.graph.logicAppTriggerEndpointConfiguration",
            "logicAppWorkflowName": "sample",
            "subscriptionId": draw.id("subscription"),
        },
        "clientConfiguration": {"maximumRetries": 1, "timeoutInMilliseconds": 1000},
        "authenticationConfiguration": None,
    }


def _identity_provider(draw: Draw) -> Document:
    return {
        "@odata.type": "#microsoft.graph.socialIdentityProvider",
        "id": f"Google-{draw.id()[:8]}",
        "displayName": draw.name("Google"),
        "identityProviderType": "Google",
        "clientId": draw.id("client"),
        "clientSecret": "******",
    }


_ATTRIBUTES = "identity/userFlowAttributes"


def _attribute_id(draw: Draw, index: int) -> str:
    return f"extension_{draw.id_of(_ATTRIBUTES, index).replace('-', '')}_attribute"


def _flow_attribute(draw: Draw) -> Document:
    return {
        "id": _attribute_id(draw, draw.index),
        "displayName": draw.name("Attribute"),
        "description": "",
        "userFlowAttributeType": draw.cycle(("builtIn", "custom")),
        "dataType": "string",
    }


def _user_flow(prefix: str, draw: Draw) -> Document:
    return {
        "id": f"{prefix}_flow{draw.index + 1}",
        "userFlowType": "signUpOrSignIn",
        "userFlowTypeVersion": 1,
        "apiConnectorConfiguration": {},
        "userAttributeAssignments": [
            {
                "id": _attribute_id(draw, 0),
                "displayName": "City",
                "isOptional": True,
                "requiresVerification": False,
                "userInputType": "textBox",
                "userAttributeValues": [],
                "userAttribute": {
                    "id": _attribute_id(draw, 0),
                    "displayName": "City",
                    "dataType": "string",
                },
            }
        ],
        "languages": [{"id": "en", "displayName": "English", "isEnabled": True}],
    }


def _api_connector(draw: Draw) -> Document:
    return {
        "displayName": draw.name("Connector"),
        "targetUrl": "https://api.example/verify",
        "authenticationConfiguration": {
            "@odata.type": "#microsoft.graph.basicAuthentication",
            "username": "connector",
            "password": "******",
        },
    }


def _authentication_extension(draw: Draw) -> Document:
    return {
        "@odata.type": "#microsoft.graph.onTokenIssuanceStartCustomExtension",
        "displayName": draw.name("Extension"),
        "description": "",
        "endpointConfiguration": {
            "@odata.type": "#microsoft.graph.httpRequestEndpoint",
            "targetUrl": "https://api.example/claims",
        },
        "authenticationConfiguration": {
            "@odata.type": "#microsoft.graph.azureAdTokenAuthentication",
            "resourceId": f"api://api.example/{draw.id('resource')}",
        },
        "claimsForTokenConfiguration": [{"claimIdInApiResponse": "department"}],
    }


def _event_listener(draw: Draw) -> Document:
    return {
        "@odata.type": "#microsoft.graph.onTokenIssuanceStartListener",
        "displayName": draw.name("Listener"),
        "priority": 500,
        "authenticationEventsFlowId": None,
        "conditions": {"applications": {"includeAllApplications": False}},
        "handler": {"customExtension": {"id": draw.id_of("identity/customAuthenticationExtensions", 0)}},
    }


def _connector_group(draw: Draw) -> Document:
    return {
        "name": draw.name("Connector group"),
        "connectorGroupType": "applicationProxy",
        "isDefault": draw.index == 0,
        "region": "eur",
        "members": [],
        "applications": [],
    }


def _forwarding_profile(draw: Draw) -> Document:
    return {
        "name": draw.name("Forwarding"),
        "description": "",
        "state": draw.pick(("enabled", "disabled")),
        "version": "1.0.0",
        "trafficForwardingType": draw.cycle(("m365", "internet", "private")),
        "priority": draw.index,
        "associations": [],
        "policies": [
            {
                "@odata.type": "#microsoft.graph.networkaccess.forwardingPolicyLink",
                "id": draw.id("link"),
                "state": "enabled",
                "policy": {
                    "@odata.type": "#microsoft.graph.networkaccess.forwardingPolicy",
                    "id": draw.id_of("networkAccess/forwardingPolicies", 0),
                },
            }
        ],
    }


def network_rule(draw: Draw, kind: str, action: str) -> Document:
    return {
        "@odata.type": f"#microsoft.graph.networkaccess.{kind}",
        "id": draw.id("rule"),
        "name": f"Rule {draw.index + 1}",
        "ruleType": "fqdn",
        "action": action,
        "destinations": [{"@odata.type": "#microsoft.graph.networkaccess.fqdn", "value": "*.example"}],
    }


def _forwarding_policy(draw: Draw) -> Document:
    return {
        "name": draw.name("Forwarding policy"),
        "description": "",
        "version": "1.0.0",
        "trafficForwardingType": draw.cycle(("m365", "internet")),
        "policyRules": [network_rule(draw, "m365ForwardingRule", "forward")],
    }


def _filtering_policy(draw: Draw) -> Document:
    return {
        "name": draw.name("Filtering policy"),
        "description": "",
        "version": "1.0.0",
        "action": draw.pick(("block", "allow")),
        "policyRules": [network_rule(draw, "fqdnFilteringRule", "block")],
    }


def _filtering_profile(draw: Draw) -> Document:
    policy = draw.id_of("networkAccess/filteringPolicies", draw.index)
    link = {
        "@odata.type": "#microsoft.graph.networkaccess.filteringPolicyLink",
        "id": draw.id("link"),
        "priority": 100,
        "state": "enabled",
        "policy": {"@odata.type": "#microsoft.graph.networkaccess.filteringPolicy", "id": policy},
    }
    return {
        "name": draw.name("Security profile"),
        "description": "",
        "version": "1.0.0",
        "state": "enabled",
        "priority": 100 * (draw.index + 1),
        "policies": [link],
    }


def _remote_network(draw: Draw) -> Document:
    link = {
        "id": draw.id("link"),
        "name": "Uplink",
        "ipAddress": "198.51.100.7",
        "deviceVendor": "ciscoMeraki",
        "tunnelConfiguration": {
            "@odata.type": "#microsoft.graph.networkaccess.tunnelConfigurationIKEv2Default",
            "preSharedKey": draw.secret("key"),
        },
    }
    return {
        "name": draw.name("Branch"),
        "region": "westEurope",
        "version": "1.0.0",
        "deviceLinks": [link],
        "forwardingProfiles": [],
    }


SAMPLES = {
    "identityGovernance/accessReviews/definitions": Sample(2, _access_review),
    f"{_ENTITLEMENT}/accessPackages": Sample(3, _access_package),
    f"{_ENTITLEMENT}/catalogs": Sample(2, _catalog),
    f"{_ENTITLEMENT}/assignmentPolicies": Sample(3, _assignment_policy),
    f"{_ENTITLEMENT}/connectedOrganizations": Sample(2, _connected_organization),
    f"{_ENTITLEMENT}/settings": constant(
        id="entitlementManagementSettings",
        durationUntilExternalUserDeletedAfterBlocked="P30D",
        externalUserLifecycleAction="blockSignInAndDelete",
    ),
    f"{_LIFECYCLE}/workflows": Sample(2, _workflow),
    f"{_LIFECYCLE}/settings": constant(
        id="settings", workflowScheduleIntervalInHours=3, emailSettings={"useCompanyBranding": True}
    ),
    f"{_LIFECYCLE}/customTaskExtensions": Sample(1, _task_extension),
    "identity/identityProviders": Sample(1, _identity_provider),
    "identity/userFlowAttributes": Sample(3, _flow_attribute),
    "identity/b2xUserFlows": Sample(2, lambda draw: _user_flow("B2X_1", draw)),
    "identity/b2cUserFlows": Sample(1, lambda draw: _user_flow("B2C_1", draw)),
    "identity/apiConnectors": Sample(1, _api_connector),
    "identity/customAuthenticationExtensions": Sample(1, _authentication_extension),
    "identity/authenticationEventListeners": Sample(1, _event_listener),
    "onPremisesPublishingProfiles/applicationProxy/connectorGroups": Sample(2, _connector_group),
    "networkAccess/forwardingProfiles": Sample(3, _forwarding_profile),
    "networkAccess/forwardingPolicies": Sample(2, _forwarding_policy),
    "networkAccess/filteringPolicies": Sample(2, _filtering_policy),
    "networkAccess/filteringProfiles": Sample(2, _filtering_profile),
    "networkAccess/connectivity/remoteNetworks": Sample(2, _remote_network),
}
