"""Sign-in with Entra ID. It validates the ID token, since MSAL does not:

https://learn.microsoft.com/entra/identity-platform/id-tokens#validate-tokens
"""

import json
import re
import ssl
import time
import warnings
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple
from urllib.parse import parse_qs, urlsplit
from uuid import UUID

import httpx
import jwt
import msal

from graph.authority_http import AuthorityHttp, RefusedExchangeError
from graph.credentials import read_credential
from graph.errors import GraphRequestError
from graph.reachability import why_unreached
from graph.tenants import CLOUD_ENDPOINTS, TenantConfig
from inventory.user_errors import UnavailableError, UserError

warnings.filterwarnings("ignore", message="response_mode='form_post'")
# Entra's page would post the form from another site, so the browser would not send the sign-in's cookie. The code in
# the URL works once, with the cookie and PKCE's verifier: https://www.rfc-editor.org/rfc/rfc9700#section-2.1.1

CLOCK_SKEW_SECONDS = 120

KEYS_SECONDS = 24 * 3600
"""Signing keys are read again after a day, and for a token with an unknown key:
https://learn.microsoft.com/entra/identity-platform/signing-key-rollover
"""

KEYS_PAUSE_SECONDS = 60
"""The least time between reads for unknown keys."""

REQUIRED_CLAIMS = ["aud", "exp", "iat", "iss", "nonce", "oid", "tid"]

_AADSTS = re.compile(r"AADSTS\d{4,8}")

Flow = dict[str, Any]
"""MSAL's record of a begun sign-in, as JSON values."""


class SignInRefusedError(UserError):
    """The message says in one line why nobody is signed in, without a token."""


class SignInUnavailableError(UnavailableError):
    """Entra ID does not answer, or the app's credential cannot be read."""


class SignedInIdentity(NamedTuple):
    tenant_id: UUID
    object_id: UUID
    name: str
    roles: Sequence[str]


class _Keys(NamedTuple):
    by_id: Mapping[str, tuple[jwt.PyJWK, str | None]]
    issuer: str
    read_at: float


class EntraSignIn:
    """Sign-ins to one app registration, by people of allowed tenants. Its methods block."""

    def __init__(
        self,
        app: TenantConfig,
        allowed_tenants: Collection[UUID],
        context: ssl.SSLContext,
        *,
        authority_url: str | None = None,
        proxy: httpx.Proxy | None = None,
    ) -> None:
        """`app` has the credential. Its id is the tenant to sign in to, if only one is allowed."""
        endpoints = CLOUD_ENDPOINTS[app.cloud]
        self._app = app
        self._allowed = frozenset(allowed_tenants)
        self._context = context
        self._proxy = proxy
        self._trusted = [authority_url] if authority_url else [endpoints.authority_url, *endpoints.authority_aliases]
        audience = str(app.id) if len(self._allowed) == 1 else "organizations"
        self._authority = f"{authority_url or endpoints.authority_url}/{audience}"
        self._host = urlsplit(self._authority).netloc
        self._keys: _Keys | None = None

    def begin(self, redirect_uri: str) -> Flow:
        """Begins a sign-in; the browser goes to the flow's `auth_uri`. Raises `SignInUnavailableError`."""
        with self._http() as http, _understood(self._host):
            flow: Flow = self._application(http).initiate_auth_code_flow([], redirect_uri=redirect_uri)
        if "error" in flow or urlsplit(flow["auth_uri"])[:2] not in {urlsplit(url)[:2] for url in self._trusted}:
            raise SignInUnavailableError("Entra ID's answer was not understood")
        return flow

    def finish(self, flow: Flow, answer: Mapping[str, str]) -> SignedInIdentity:
        """Redeems Entra's code. Raises `SignInRefusedError` and `SignInUnavailableError`."""
        if answer.get("state") != flow.get("state"):
            raise SignInRefusedError("this is not the answer to the sign-in that this browser began")
        if "error" in answer:
            raise SignInRefusedError(f"Entra ID refused the sign-in: {_code(answer)}")
        with self._http() as http, _understood(self._host):
            try:
                granted = self._application(http).acquire_token_by_auth_code_flow(flow, dict(answer))
            except (ValueError, RuntimeError):
                raise SignInRefusedError("Entra ID's answer does not belong to this sign-in") from None
            if "error" in granted:
                raise SignInRefusedError(f"Entra ID did not accept the sign-in: {_code(granted)}")
            token = granted.get("id_token")
            if not isinstance(token, str):
                raise SignInRefusedError("Entra ID gave no ID token")
            return self._identity(self._claims(token, http), flow)

    def _claims(self, token: str, http: AuthorityHttp) -> dict[str, Any]:
        try:
            key_id = jwt.get_unverified_header(token).get("kid")
        except jwt.InvalidTokenError:
            raise SignInRefusedError("the ID token is not one") from None
        keys = self._keys_with(key_id, http)
        key, key_issuer = keys.by_id.get(key_id or "", (None, None))
        if key is None:
            raise SignInRefusedError("the ID token is not signed by a key of Entra ID")
        try:
            claims: dict[str, Any] = jwt.decode(
                token,
                key.key,
                algorithms=["RS256"],
                audience=self._app.client_id,
                leeway=CLOCK_SKEW_SECONDS,
                options={"require": REQUIRED_CLAIMS},
            )
        except jwt.ExpiredSignatureError:
            raise SignInRefusedError("the ID token has expired; check this machine's clock") from None
        except jwt.InvalidAudienceError:
            raise SignInRefusedError("the ID token is for another app") from None
        except jwt.InvalidTokenError:
            raise SignInRefusedError("the ID token is not valid") from None
        for issuer in (keys.issuer, key_issuer):
            if issuer is not None and claims["iss"] != issuer.replace("{tenantid}", str(claims["tid"])):
                raise SignInRefusedError("the ID token is of another issuer")
        return claims

    def _identity(self, claims: Mapping[str, Any], flow: Flow) -> SignedInIdentity:
        if [claims["nonce"]] != parse_qs(urlsplit(flow["auth_uri"]).query).get("nonce"):
            raise SignInRefusedError("the ID token is of another sign-in")
        try:
            tenant_id, object_id = UUID(claims["tid"]), UUID(claims["oid"])
        except (ValueError, AttributeError, TypeError):
            raise SignInRefusedError("the ID token is not valid") from None
        if tenant_id not in self._allowed:
            raise SignInRefusedError("people of your tenant may not sign in here; use another account")
        roles = claims.get("roles", [])
        named = next((claims[claim] for claim in ("preferred_username", "name") if claims.get(claim)), object_id)
        return SignedInIdentity(
            tenant_id, object_id, str(named)[:200], [str(role) for role in roles] if isinstance(roles, list) else []
        )

    def _keys_with(self, key_id: object, http: AuthorityHttp) -> _Keys:
        keys = self._keys
        if keys is not None:
            age = time.monotonic() - keys.read_at
            if age < (KEYS_SECONDS if key_id in keys.by_id else KEYS_PAUSE_SECONDS):
                return keys
        self._keys = self._read_keys(http)
        return self._keys

    def _read_keys(self, http: AuthorityHttp) -> _Keys:
        discovery = json.loads(http.get(f"{self._authority}/v2.0/.well-known/openid-configuration").text)
        found = json.loads(http.get(discovery["jwks_uri"]).text)
        by_id = {
            entry["kid"]: (jwt.PyJWK(entry, algorithm="RS256"), entry.get("issuer"))
            for entry in found["keys"]
            if entry.get("kty") == "RSA" and entry.get("use", "sig") == "sig"
        }
        return _Keys(by_id, discovery["issuer"], time.monotonic())

    def _application(self, http: AuthorityHttp) -> msal.ConfidentialClientApplication:
        return msal.ConfidentialClientApplication(
            self._app.client_id,
            client_credential=read_credential(self._app),
            authority=self._authority,
            # The authority is the cloud's or the configuration's, so it needs no check.
            instance_discovery=False,
            azure_region=msal.ConfidentialClientApplication.DISABLE_MSAL_FORCE_REGION,
            http_client=http,
        )

    def _http(self) -> AuthorityHttp:
        return AuthorityHttp(self._context, self._trusted, proxy=self._proxy)


@contextmanager
def _understood(host: str) -> Iterator[None]:
    """Raises each failure of an authority as `SignInUnavailableError`, with a message of one line."""
    try:
        yield
    except (UserError, UnavailableError):
        raise
    except (GraphRequestError, RefusedExchangeError) as error:
        raise SignInUnavailableError(f"the sign-in cannot be made: {error}") from None
    except httpx.HTTPError as error:
        raise SignInUnavailableError(f"the sign-in cannot be made: {why_unreached(error, host)}") from None
    except (msal.exceptions.MsalError, jwt.PyJWTError, AttributeError, KeyError, TypeError, ValueError):
        # Neither MSAL nor `_read_keys` checks that an answer has the fields that it reads.
        raise SignInUnavailableError("the sign-in cannot be made: Entra ID's answer was not understood") from None


def _code(answer: Mapping[str, Any]) -> str:
    """Shows only the AADSTS code: a description may repeat a stranger's words."""
    found = _AADSTS.search(str(answer.get("error_description", "")))
    return found[0] if found else "it gave no reason"
