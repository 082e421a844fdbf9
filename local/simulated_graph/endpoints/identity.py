"""Conditional Access and Entra's policies."""

from functools import partial

from local.simulated_graph.endpoints.model import BETA, V1, Area, Endpoint, Navigation, singleton

# One page has all; $top cuts the list without a nextLink.
_identity = partial(Endpoint, area=Area.IDENTITY, modified="modifiedDateTime", paged=False)
_policy = partial(Endpoint, area=Area.IDENTITY, created="", modified="", paged=False)
_policy_singleton = partial(singleton, area=Area.IDENTITY)
_applied = partial(_policy, navigations=(Navigation("appliesTo"),))
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
              base_properties=frozenset({"id", "displayName", "createdDateTime", "modifiedDateTime"}),
              beta_types=("#microsoft.graph.compliantNetworkNamedLocation",)),
    _identity("policies/authenticationStrengthPolicies", "authenticationStrengthPolicy"),
    _identity("identity/conditionalAccess/authenticationContextClassReferences", "authenticationContextClassReference",
              created="", modified=""),
    _policy_singleton("identity/conditionalAccess/settings", "conditionalAccessSettings", versions=BETA,
                      undocumented=True),
    # The tenant's policies
    _policy_singleton("policies/authorizationPolicy", "authorizationPolicy", versions=V1),
    *(_policy_singleton(f"policies/{name}", name)
      for name in (
          "authenticationMethodsPolicy", "authenticationFlowsPolicy",
          "identitySecurityDefaultsEnforcementPolicy", "adminConsentRequestPolicy", "crossTenantAccessPolicy",
          "federatedTokenValidationPolicy", "ownerlessGroupPolicy",
      )),
    _policy_singleton("policies/deviceRegistrationPolicy", "deviceRegistrationPolicy"),
    _policy_singleton("policies/defaultAppManagementPolicy", "tenantAppManagementPolicy"),
    _policy_singleton("policies/externalIdentitiesPolicy", "externalIdentitiesPolicy", versions=BETA),
    _policy_singleton("policies/accessReviewPolicy", "accessReviewPolicy", versions=BETA),
    _policy_singleton("identityProtection/policy", "identityProtectionPolicy", versions=BETA,
                      undocumented=True),
    *(_policy_singleton(f"{_METHODS}/{name}", entity, **({"versions": BETA} if name in _METHODS_ON_BETA else {}))
      for name, entity in _METHOD_ENTITIES.items()),
    _policy_singleton("policies/crossTenantAccessPolicy/default", "crossTenantAccessPolicyConfigurationDefault"),
    _policy("policies/crossTenantAccessPolicy/partners", "crossTenantAccessPolicyConfigurationPartner",
            (Navigation("identitySynchronization", single=True),), key="tenantId", name="tenantId"),
    # Policies for apps, roles and devices
    _applied("policies/appManagementPolicies", "appManagementPolicy"),
    _applied("policies/activityBasedTimeoutPolicies", "activityBasedTimeoutPolicy"),
    _applied("policies/claimsMappingPolicies", "claimsMappingPolicy"),
    _applied("policies/homeRealmDiscoveryPolicies", "homeRealmDiscoveryPolicy"),
    _applied("policies/tokenIssuancePolicies", "tokenIssuancePolicy"),
    _applied("policies/tokenLifetimePolicies", "tokenLifetimePolicy"),
    _policy("policies/permissionGrantPolicies", "permissionGrantPolicy",
            (Navigation("includes"), Navigation("excludes"))),
    _applied("policies/featureRolloutPolicies", "featureRolloutPolicy"),
    _scoped("policies/roleManagementPolicies", "unifiedRoleManagementPolicy",
            (Navigation("rules", noted=True), Navigation("effectiveRules")), modified="lastModifiedDateTime"),
    _scoped("policies/roleManagementPolicyAssignments", "unifiedRoleManagementPolicyAssignment",
            (Navigation("policy", single=True, children=(Navigation("rules"),)),), name="id"),
    _policy("policies/mobileDeviceManagementPolicies", "mobileDeviceManagementPolicy",
            (Navigation("includedGroups"),), versions=BETA),
    _policy("policies/mobileAppManagementPolicies", "mobileAppManagementPolicy",
            (Navigation("includedGroups"),), versions=BETA),
    _policy("policies/b2bManagementPolicies", "b2bManagementPolicy", versions=BETA),
)  # fmt: skip
