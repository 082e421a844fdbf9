"""Conditional Access and Entra's policies."""

from functools import partial

from local.simulated_graph.endpoints.model import BETA, Area, Endpoint, Navigation, singleton

# All in one page; $top cuts the list and no nextLink tells (GRAPH_FACTS §2).
_identity = partial(Endpoint, area=Area.IDENTITY, modified="modifiedDateTime", paged=False)
_policy = partial(Endpoint, area=Area.IDENTITY, created="", modified="", paged=False)
_policy_singleton = partial(singleton, area=Area.IDENTITY)
_scoped = partial(_policy, needs_filter=("scopeId", "scopeType"))

_METHODS = "policies/authenticationMethodsPolicy/authenticationMethodConfigurations"
_METHOD_ENTITIES = {
    "email": "emailAuthenticationMethodConfiguration",
    "fido2": "fido2AuthenticationMethodConfiguration",
    "microsoftAuthenticator": "microsoftAuthenticatorAuthenticationMethodConfiguration",
    "sms": "smsAuthenticationMethodConfiguration",
    "softwareOath": "softwareOathAuthenticationMethodConfiguration",
    "hardwareOath": "hardwareOathAuthenticationMethodConfiguration",
    "temporaryAccessPass": "temporaryAccessPassAuthenticationMethodConfiguration",
    "voice": "voiceAuthenticationMethodConfiguration",
    "x509Certificate": "x509CertificateAuthenticationMethodConfiguration",
    "qrCodePin": "qrCodePinAuthenticationMethodConfiguration",
}
_METHODS_ON_BETA = ("hardwareOath", "qrCodePin")

ENDPOINTS = (
    _identity("identity/conditionalAccess/policies", "conditionalAccessPolicy"),
    _identity("identity/conditionalAccess/namedLocations", "namedLocation",
              base_properties=frozenset({"id", "displayName", "createdDateTime", "modifiedDateTime"})),
    _identity("identity/conditionalAccess/authenticationStrengths/policies", "authenticationStrengthPolicy"),
    _identity("identity/conditionalAccess/authenticationContextClassReferences", "authenticationContextClassReference",
              created="", modified=""),
    _policy_singleton("identity/conditionalAccess/settings", "conditionalAccessSettings", versions=BETA),
    # The tenant's policies
    *(_policy_singleton(f"policies/{name}", name)
      for name in (
          "authorizationPolicy", "authenticationMethodsPolicy", "authenticationFlowsPolicy",
          "identitySecurityDefaultsEnforcementPolicy", "adminConsentRequestPolicy", "crossTenantAccessPolicy",
          "federatedTokenValidationPolicy", "ownerlessGroupPolicy",
      )),
    _policy_singleton("policies/deviceRegistrationPolicy", "deviceRegistrationPolicy"),
    _policy_singleton("policies/defaultAppManagementPolicy", "tenantAppManagementPolicy"),
    _policy_singleton("policies/externalIdentitiesPolicy", "externalIdentitiesPolicy", versions=BETA),
    _policy_singleton("policies/accessReviewPolicy", "accessReviewPolicy", versions=BETA),
    _policy_singleton("identityProtection/policy", "identityProtectionPolicy", versions=BETA),
    *(_policy_singleton(f"{_METHODS}/{name}", entity, **({"versions": BETA} if name in _METHODS_ON_BETA else {}))
      for name, entity in _METHOD_ENTITIES.items()),
    _policy_singleton("policies/crossTenantAccessPolicy/default", "crossTenantAccessPolicyConfigurationDefault"),
    _policy("policies/crossTenantAccessPolicy/partners", "crossTenantAccessPolicyConfigurationPartner",
            (Navigation("identitySynchronization", single=True),), key="tenantId", name="tenantId"),
    # Policies for apps, roles and devices
    _policy("policies/appManagementPolicies", "appManagementPolicy"),
    _policy("policies/activityBasedTimeoutPolicies", "activityBasedTimeoutPolicy"),
    _policy("policies/claimsMappingPolicies", "claimsMappingPolicy"),
    _policy("policies/homeRealmDiscoveryPolicies", "homeRealmDiscoveryPolicy"),
    _policy("policies/tokenIssuancePolicies", "tokenIssuancePolicy"),
    _policy("policies/tokenLifetimePolicies", "tokenLifetimePolicy"),
    _policy("policies/permissionGrantPolicies", "permissionGrantPolicy",
            (Navigation("includes"), Navigation("excludes"))),
    _policy("policies/featureRolloutPolicies", "featureRolloutPolicy", (Navigation("appliesTo"),)),
    _scoped("policies/roleManagementPolicies", "unifiedRoleManagementPolicy",
            (Navigation("rules", noted=True), Navigation("effectiveRules")), modified="lastModifiedDateTime"),
    _scoped("policies/roleManagementPolicyAssignments", "unifiedRoleManagementPolicyAssignment",
            (Navigation("policy", single=True),), name="id"),
    _policy("policies/mobileDeviceManagementPolicies", "mobilityManagementPolicy",
            (Navigation("includedGroups"),), versions=BETA),
    _policy("policies/mobileAppManagementPolicies", "mobilityManagementPolicy",
            (Navigation("includedGroups"),), versions=BETA),
    _policy("policies/b2bManagementPolicies", "b2bManagementPolicy", versions=BETA),
)  # fmt: skip
