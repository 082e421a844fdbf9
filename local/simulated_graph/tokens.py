"""The token endpoint, and its tokens."""

import base64
import hashlib
import time
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any
from urllib.parse import parse_qsl

import jwt
import orjson

from local.simulated_graph.credentials import AssertionExpiredError, Credentials
from local.simulated_graph.messages import Answer, GraphRequest, error
from local.simulated_graph.sign_ins import SignIns

_JWT_BEARER = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
_GRAPH_HOSTS = (
    "https://graph.microsoft.com",
    "https://graph.microsoft.us",
    "https://dod-graph.microsoft.us",
    "https://microsoftgraph.chinacloudapi.cn",
)
_CHALLENGE = (
    'Bearer realm="", authorization_uri="{authority}/common/oauth2/authorize", '
    'client_id="00000003-0000-0000-c000-000000000000"'
)
DEFAULT_LIFETIME = timedelta(minutes=75)


class TokenError(Exception):
    """Graph refuses the token; the text is its message."""


class ClaimsChallengeError(TokenError):
    """The token was good until Graph asked for other claims."""

    def __init__(self) -> None:
        super().__init__("Continuous access evaluation resulted in challenge with result: InteractionRequired.")


class TokenService:
    """The simulated Entra at `base_url`."""

    def __init__(
        self, base_url: str, tenants: Mapping[str, Credentials], secret: str, lifetime: timedelta = DEFAULT_LIFETIME
    ) -> None:
        self._base_url = base_url
        self._tenants = tenants
        self.sign_ins = SignIns(base_url, tenants)
        self._key = hashlib.sha256(f"access tokens {secret}".encode()).digest()
        self._lifetime = lifetime
        self._numbers = count(1)
        self._challenged: set[str] = set()
        self._first_good: dict[str, int] = {}

    def discovery(self, request: GraphRequest, tenant_id: str) -> Answer:
        if tenant_id not in (*self._tenants, "organizations"):
            return _tenant_unknown(request, tenant_id, "invalid_tenant")
        authority = f"{self._base_url}/{tenant_id}"
        issued_by = "{tenantid}" if tenant_id == "organizations" else tenant_id
        return _json(
            200,
            {
                "issuer": f"{self._base_url}/{issued_by}/v2.0",
                "authorization_endpoint": f"{authority}/oauth2/v2.0/authorize",
                "token_endpoint": self._token_endpoint(tenant_id),
                "jwks_uri": f"{authority}/discovery/v2.0/keys",
                "token_endpoint_auth_methods_supported": ["client_secret_post", "private_key_jwt"],
                "response_types_supported": ["code"],
                "subject_types_supported": ["pairwise"],
                "id_token_signing_alg_values_supported": ["RS256"],
                "tenant_region_scope": "EU",
            },
        )

    def token(self, request: GraphRequest, tenant_id: str) -> Answer:
        form = dict(parse_qsl(request.body.decode(errors="replace")))
        if form.get("grant_type") == "authorization_code":
            return self._redeemed(request, tenant_id, form)
        tenant = self._tenants.get(tenant_id)
        if tenant is None:
            return _tenant_unknown(request, tenant_id, "invalid_request")
        if form.get("grant_type") != "client_credentials":
            return token_refusal(
                request, 400, "unsupported_grant_type", 70003, "The app requested an unsupported grant type."
            )
        if form.get("client_id") != tenant.client_id:
            message = f"Application with identifier '{form.get('client_id')}' was not found in the directory."
            return token_refusal(request, 400, "unauthorized_client", 700016, message)
        return self._client_refusal(request, tenant, tenant_id, form) or self._scope_refusal(request, form) or _json(
            200,
            {
                "token_type": "Bearer",
                "expires_in": int(self._lifetime.total_seconds()),
                "ext_expires_in": int(self._lifetime.total_seconds()),
                "access_token": self.issue(tenant_id, answers_challenge=_answers_challenge(form)),
            },
        )  # fmt: skip

    def keys(self) -> Answer:
        return _json(200, self.sign_ins.keys())

    def _redeemed(self, request: GraphRequest, tenant_id: str, form: Mapping[str, str]) -> Answer:
        owner = self.sign_ins.owner(tenant_id, form.get("client_id", ""))
        if owner is None:
            return token_refusal(request, 400, "unauthorized_client", 700016, "Application was not found.")
        refused = self._client_refusal(request, self._tenants[owner], tenant_id, form)
        if refused is not None:
            return refused
        redeemed = self.sign_ins.redeem(form)
        if isinstance(redeemed, tuple):
            return token_refusal(request, 400, "invalid_grant", *redeemed)
        lifetime = int(self._lifetime.total_seconds())
        about = {"token_type": "Bearer", "scope": "openid profile", "expires_in": lifetime, "ext_expires_in": lifetime}
        return _json(200, {**about, "access_token": self.issue(owner), **redeemed})

    def challenge(self, tenant_id: str) -> None:
        """Refuses the tenant's tokens until one with the challenge's claims is acquired."""
        self._challenged.add(tenant_id)

    def issue(self, tenant_id: str, lifetime: timedelta | None = None, *, answers_challenge: bool = False) -> str:
        """A negative lifetime makes an expired token.

        A token that answers a challenge ends the challenge; earlier tokens stay refused.
        """
        now = int(time.time())
        number = next(self._numbers)
        if answers_challenge and tenant_id in self._challenged:
            self._first_good[tenant_id] = number
            self._challenged.discard(tenant_id)
        claims = {
            "aud": _GRAPH_HOSTS[0],
            "tid": tenant_id,
            "appid": self._tenants[tenant_id].client_id,
            "uti": number,
            "iat": now,
            "exp": now + int((self._lifetime if lifetime is None else lifetime).total_seconds()),
        }
        return jwt.encode(claims, self._key, algorithm="HS256")

    def tenant_of(self, authorization: str) -> str:
        """The tenant of an `Authorization` header. Raises `TokenError`."""
        scheme, _, token = authorization.partition(" ")
        if scheme.lower() != "bearer" or not token:
            raise TokenError("Access token is empty.")
        try:
            claims = jwt.decode(token, self._key, algorithms=["HS256"], audience=_GRAPH_HOSTS[0])
        except jwt.ExpiredSignatureError:
            raise TokenError("Lifetime validation failed, the token is expired.") from None
        except jwt.InvalidTokenError:
            raise TokenError("Access token validation failure. Invalid token.") from None
        if claims["tid"] not in self._tenants:
            raise TokenError("Access token validation failure. Invalid tenant.")
        if claims["tid"] in self._challenged or claims["uti"] < self._first_good.get(claims["tid"], 0):
            raise ClaimsChallengeError
        return str(claims["tid"])

    def refusal(self, request: GraphRequest, reason: TokenError) -> Answer:
        challenge = _CHALLENGE.format(authority=self._base_url)
        if isinstance(reason, ClaimsChallengeError):
            requested = {"access_token": {"nbf": {"essential": True, "value": str(int(time.time()))}}}
            claims = base64.b64encode(orjson.dumps(requested)).decode()
            challenge = f'{challenge}, error="insufficient_claims", claims="{claims}"'
        return error(request, 401, "InvalidAuthenticationToken", str(reason), {"WWW-Authenticate": challenge})

    def _token_endpoint(self, tenant_id: str) -> str:
        return f"{self._base_url}/{tenant_id}/oauth2/v2.0/token"

    def _client_refusal(
        self, request: GraphRequest, tenant: Credentials, tenant_id: str, form: Mapping[str, str]
    ) -> Answer | None:
        if form.get("client_assertion_type") == _JWT_BEARER:
            try:
                if tenant.takes_assertion(form.get("client_assertion", ""), self._token_endpoint(tenant_id)):
                    return None
            except AssertionExpiredError:
                message = "Client assertion is not within its valid time range."
                return token_refusal(request, 401, "invalid_client", 700024, message)
            message = "Client assertion failed signature validation, or its certificate is not registered."
            return token_refusal(request, 401, "invalid_client", 700027, message)
        if "client_secret" not in form:
            message = "The request body must contain the following parameter: 'client_assertion' or 'client_secret'."
            return token_refusal(request, 401, "invalid_client", 7000218, message)
        if tenant.takes_secret(form["client_secret"]):
            return None
        message = f"Invalid client secret provided for app '{tenant.client_id}'."
        return token_refusal(request, 401, "invalid_client", 7000215, message)

    def _scope_refusal(self, request: GraphRequest, form: Mapping[str, str]) -> Answer | None:
        scope = form.get("scope", "")
        resource = scope.removesuffix("/.default").rstrip("/")
        if not scope.endswith("/.default"):
            message = f"The provided value for scope {scope} is not valid. The scope must end with /.default."
            return token_refusal(request, 400, "invalid_scope", 1002012, message)
        if resource not in (*_GRAPH_HOSTS, self._base_url):
            message = f"The resource principal named {resource} was not found in the tenant."
            return token_refusal(request, 400, "invalid_resource", 500011, message)
        return None


def _answers_challenge(form: Mapping[str, str]) -> bool:
    """Whether the form has a challenge's claims, not just capabilities (`xms_cc`)."""
    try:
        return "nbf" in orjson.loads(form.get("claims", ""))["access_token"]
    except (ValueError, TypeError, KeyError):
        return False


def _tenant_unknown(request: GraphRequest, tenant_id: str, name: str) -> Answer:
    return token_refusal(
        request, 400, name, 90002, f"Tenant '{tenant_id}' not found. Check to make sure you have the correct tenant ID."
    )


def token_refusal(
    request: GraphRequest, status: int, name: str, code: int, message: str, headers: Mapping[str, str] | None = None
) -> Answer:
    now = datetime.now(UTC)
    correlation_id = request.client_request_id
    trail = f"Trace ID: {request.request_id} Correlation ID: {correlation_id} Timestamp: {now:%Y-%m-%d %H:%M:%SZ}"
    return _json(
        status,
        {
            "error": name,
            "error_description": f"AADSTS{code}: {message} {trail}",
            "error_codes": [code],
            "timestamp": f"{now:%Y-%m-%d %H:%M:%SZ}",
            "trace_id": request.request_id,
            "correlation_id": correlation_id,
            "error_uri": f"https://login.microsoftonline.com/error?code={code}",
        },
        headers,
    )


def _json(status: int, document: dict[str, Any], headers: Mapping[str, str] | None = None) -> Answer:
    return Answer.of(status, document, {"Content-Type": "application/json; charset=utf-8", **(headers or {})})
