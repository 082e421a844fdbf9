"""Conditional Access, policies and the directory."""

from local.simulated_graph.documents import Document
from local.simulated_graph.sample.directory import organization_details
from local.simulated_graph.sample.draw import Draw, Sample, constant, single

ROLE_ASSIGNABLE_GROUP = 2
"""The group to which directory roles can be assigned."""


def conditional_access_policy(draw: Draw) -> Document:
    return {
        "templateId": None,
        "displayName": draw.name(f"CA{draw.index:03d}"),
        # Null until the first edit, as on real policies.
        "modifiedDateTime": draw.pick((None, draw.moment())),
        "state": draw.cycle(("enabled", "enabledForReportingButNotEnforced", "disabled")),
        "deletedDateTime": None,
        "partialEnablementStrategy": None,
        "sessionControls": None,
        "conditions": {
            "userRiskLevels": [],
            "signInRiskLevels": draw.pick(([], ["high"], ["high", "medium"])),
            "clientAppTypes": ["all"],
            "platforms": None,
            "locations": None,
            "applications": {
                "includeApplications": ["All"] if draw.index % 3 else [draw.app_id(1), "Office365"],
                "excludeApplications": [],
                "includeUserActions": [],
            },
            "users": {
                "includeUsers": [],
                "excludeUsers": [],
                "includeGroups": [draw.id_of("groups", draw.number(0, 19))],
                "excludeGroups": [draw.id_of("groups", 0)],
                "includeRoles": [],
                "excludeRoles": [],
            },
        },
        "grantControls": {"operator": "OR", "builtInControls": [draw.pick(("mfa", "block", "compliantDevice"))]},
    }


def _named_location(draw: Draw) -> Document:
    address = {"@odata.type": "#microsoft.graph.iPv4CidrRange", "cidrAddress": f"203.0.113.{draw.index % 256}/32"}
    kinds: list[tuple[str, Document]] = [
        ("countryNamedLocation", {"countriesAndRegions": ["DE", "GB"], "includeUnknownCountriesAndRegions": False}),
        ("ipNamedLocation", {"isTrusted": True, "ipRanges": [address]}),
        ("compliantNetworkNamedLocation", {"compliantNetworkType": "allTenantCompliantNetworks", "isTrusted": True}),
    ]
    kind, properties = draw.cycle(kinds)
    return {
        "@odata.type": f"#microsoft.graph.{kind}",
        "displayName": draw.name("Location"),
        "deletedDateTime": None,
        **properties,
    }


def _authentication_strength(draw: Draw) -> Document:
    return {
        "displayName": draw.name("Strength"),
        "description": "",
        "policyType": draw.cycle(("builtIn", "custom")),
        "requirementsSatisfied": "mfa",
        "allowedCombinations": ["windowsHelloForBusiness", "fido2"],
        "combinationConfigurations": [],
    }


def _authentication_context(draw: Draw) -> Document:
    context = f"c{draw.index + 1}"
    return {"id": context, "displayName": draw.name("Context"), "description": "", "isAvailable": draw.flag()}


def _agreement(draw: Draw) -> Document:
    file = {"id": draw.id("file"), "fileName": "terms.pdf", "language": "en", "isDefault": True}
    return {
        "displayName": draw.name("Terms of use"),
        "isViewingBeforeAcceptanceRequired": draw.flag(),
        "isPerDeviceAcceptanceRequired": False,
        "userReacceptRequiredFrequency": None,
        "termsExpiration": None,
        "files": [file],
        "file": {
            **file,
            "localizations": [file, {**file, "id": draw.id("file de"), "language": "de", "isDefault": False}],
        },
        "acceptances": [],
    }


LICENCES = (
    "06ebc4ee-1bb5-47dd-8120-11324bc54e06",
    "061f9ace-7d42-4136-88ac-31dc755f143f",
    "84a661c4-e949-4bd2-a560-ed7766fcaf2b",
)
"""Microsoft 365 E5, Intune, Entra ID P2.

https://learn.microsoft.com/entra/identity/users/licensing-service-plan-reference
"""


def _group(draw: Draw) -> Document:
    dynamic, is_team = draw.index % 4 == 3, draw.index % 8 == 5
    setting = {"id": draw.id("setting"), "displayName": "Group.Unified.Guest", "templateId": draw.id("template")}
    return {
        "deletedDateTime": None,
        "classification": None,
        "description": None,
        "displayName": draw.name("Group"),
        "isAssignableToRole": draw.index == ROLE_ASSIGNABLE_GROUP,
        "groupTypes": ["DynamicMembership"] if dynamic else ["Unified"] if is_team else [],
        "mail": None,
        "mailEnabled": False,
        "mailNickname": draw.id("nickname")[:10],
        "membershipRule": '(device.deviceOwnership -eq "Company")' if dynamic else None,
        "membershipRuleProcessingState": "On" if dynamic else None,
        "renewedDateTime": draw.moment(),
        "securityEnabled": True,
        "securityIdentifier": f"S-1-12-1-{draw.number(10**8, 10**9)}-{draw.number(10**8, 10**9)}",
        "visibility": None,
        "assignedLicenses": [{"skuId": LICENCES[0], "disabledPlans": []}] if draw.index % 10 == 2 else [],
        "owners": [{"@odata.type": "#microsoft.graph.user", "id": draw.id_of("users", 0)}] if draw.index % 3 else [],
        "settings": [{**setting, "values": [{"name": "AllowToAddGuests", "value": "false"}]}] if is_team else [],
    }


def _organization(draw: Draw) -> Document:
    return {
        "id": draw.tenant_id,
        "displayName": f"Sample organization {draw.id('name')[:4]}",
        "countryLetterCode": "DE",
        "tenantType": "AAD",
        "assignedPlans": [{"service": "SCO", "capabilityStatus": "Enabled", "servicePlanId": draw.id("plan")}],
        "verifiedDomains": [{"name": "sample.example", "isDefault": True, "isInitial": True, "type": "Managed"}],
        **organization_details(draw),
    }


def _subscribed_sku(draw: Draw) -> Document:
    sku = draw.cycle(LICENCES)
    return {
        "id": f"{draw.tenant_id}_{sku}",
        "accountName": "sample",
        "appliesTo": "User",
        "capabilityStatus": "Enabled",
        "consumedUnits": draw.number(1, 900),
        "skuId": sku,
        "skuPartNumber": draw.cycle(("SPE_E5", "INTUNE_A", "AAD_PREMIUM_P2")),
        "prepaidUnits": {"enabled": 1000, "suspended": 0, "warning": 0},
        "servicePlans": [],
    }


SAMPLES = {
    "identity/conditionalAccess/policies": Sample(16, conditional_access_policy),
    "identity/conditionalAccess/namedLocations": Sample(5, _named_location),
    "policies/authenticationStrengthPolicies": Sample(4, _authentication_strength),
    "identity/conditionalAccess/authenticationContextClassReferences": Sample(3, _authentication_context),
    "identityGovernance/termsOfUse/agreements": Sample(3, _agreement),
    "policies/authorizationPolicy": constant(
        id="authorizationPolicy",
        displayName="Authorization Policy",
        description="Used to manage authorization related settings across the company.",
        allowInvitesFrom="adminsAndGuestInviters",
        allowedToUseSSPR=True,
        blockMsolPowerShell=True,
        guestUserRoleId="2af84b1e-32c8-42b7-82bc-daa82404023b",
        defaultUserRolePermissions={"allowedToCreateApps": False, "allowedToCreateSecurityGroups": False},
    ),
    "policies/identitySecurityDefaultsEnforcementPolicy": constant(
        id="00000000-0000-0000-0000-000000000005",
        displayName="Security Defaults",
        description="Security defaults is a set of basic identity security mechanisms.",
        isEnabled=False,
    ),
    "groups": Sample(20, _group),
    "organization": single(_organization),
    "subscribedSkus": Sample(3, _subscribed_sku, fixed=True),
}
