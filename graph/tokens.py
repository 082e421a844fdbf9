"""Tokens by MSAL, off the event loop."""

import logging
import re
import ssl
from collections.abc import Mapping
from datetime import timedelta
from functools import partial
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

import httpx
import msal
import requests

from graph.authority_http import AuthorityHttp, RefusedExchangeError
from graph.credentials import CredentialError, read_credential
from graph.errors import GraphRequestError
from graph.reachability import why_unreached
from graph.sign_ins import Grant, TenantTokens
from graph.tenants import CLOUD_ENDPOINTS, TenantConfig
from graph.vault import Vault, VaultUnavailableError
from inventory.error_codes import ErrorCode

LONGEST_LIFETIME = timedelta(days=1)
"""Entra's tokens last about an hour, or up to 28 if they can be revoked. Early renewal does no harm."""

_LOG = logging.getLogger(__name__)

_AADSTS = re.compile(r"AADSTS(\d{4,8})")

_TRANSIENT = frozenset({90006, 90024, 90033, 90055, 90056, 50196, 700024})
"""AADSTS codes of requests that may succeed later: Entra is busy, or the clock here is wrong (700024)."""

_EXPLAINED = {
    90033: "Entra is not available for the moment",
    90055: "Entra throttles the tenant",
    50196: "Entra throttles the app, which asked for too many tokens",
    7000215: "the client secret is wrong; check the secret's value (not its id)",
    7000222: "the client secret has expired; make a new one for the app",
    700016: "the tenant does not know this client_id; consent to the app there",
    700027: "the certificate or assertion is not the app's; upload the certificate to the app",
    700024: "the assertion is not valid at this time; check the machine's clock and the token file",
    70021: "the federated credential does not match the token's subject or issuer",
    700213: "the federated credential does not match the token's subject or issuer",
    90002: "there is no such tenant; check its id and cloud",
    900023: "there is no such tenant; check its id and cloud",
    5000224: "the tenant no longer exists or is disabled",
    53003: "a Conditional Access policy blocks the app",
    65001: "nobody has consented to the app in this tenant",
    500011: "the cloud's Graph is not known to this tenant; check its cloud",
    1002012: "the scope was refused; check the tenant's cloud",
}


class AuthFailedError(GraphRequestError):
    """The message repeats only the AADSTS code of the authority's answer."""

    def __init__(
        self, message: str, *, retryable: bool, aadsts: int | None = None, retry_after: timedelta | None = None
    ) -> None:
        context: dict[str, str | int] = {"reason": message}
        if aadsts is not None:
            context["aadsts"] = aadsts
        super().__init__(ErrorCode.AUTH_FAILED, message, retryable=retryable, retry_after=retry_after, context=context)


class TokenSource:
    """Access tokens for Graph, renewed before they end."""

    def __init__(
        self,
        context: ssl.SSLContext,
        *,
        authority_url: str | None = None,
        proxy: httpx.Proxy | None = None,
        vault: Vault | None = None,
    ) -> None:
        self._context = context
        self._proxy = proxy
        self._vault = vault
        self._authority_url = authority_url
        self._tenants: dict[UUID, tuple[TenantConfig, TenantTokens]] = {}
        self._credentials: dict[UUID, tuple[TenantConfig, Any]] = {}

    async def token(self, tenant: TenantConfig, claims: str | None = None, *, refused: str | None = None) -> str:
        """`claims` answers a challenge; `refused` is a token that Graph refused. Raises `GraphRequestError`.

        A tenant's callers share one request.
        """
        config, tokens = self._tenants.get(tenant.id, (None, None))
        if tokens is None or config != tenant:
            # A tenant whose entry has changed signs in anew.
            tokens = TenantTokens(partial(self._sign_in, tenant))
            self._tenants[tenant.id] = tenant, tokens
        return await tokens.token(claims, refused)

    def _sign_in(self, tenant: TenantConfig, claims: str | None) -> Grant:
        """Makes a new application: an earlier one would answer from MSAL's caches, also with a refusal."""
        with self._http(tenant) as http:
            try:
                answer = (
                    self._managed_token(tenant, http) if tenant.managed_identity else self._ask(tenant, claims, http)
                )
            except RefusedExchangeError as error:
                raise AuthFailedError(f"sign-in: {error}", retryable=False) from None
            except (httpx.HTTPError, requests.RequestException, RuntimeError) as error:
                raise AuthFailedError(f"sign-in: {why_unreached(error, self._host(tenant))}", retryable=True) from None
            except msal.exceptions.MsalError:
                raise AuthFailedError("the authority failed", retryable=True, retry_after=http.retry_after) from None
            except ValueError as error:
                # MSAL raises this if it cannot get or understand the discovery document.
                raise _discovery_error(error) from None
            except (AttributeError, KeyError, TypeError):
                # MSAL does not check that an answer has the fields that it reads.
                raise AuthFailedError("the authority's answer was not understood", retryable=False) from None
        token = answer.get("access_token") if isinstance(answer, dict) else None
        if not isinstance(token, str) or not (token.isascii() and token.isprintable()):
            raise _refused(answer, http.retry_after)
        return Grant(token, _lifetime(answer))

    def _host(self, tenant: TenantConfig) -> str:
        if tenant.managed_identity:
            return "the managed identity's endpoint"
        return urlsplit(self._authority_url or CLOUD_ENDPOINTS[tenant.cloud].authority_url).netloc

    def _http(self, tenant: TenantConfig) -> AuthorityHttp:
        """A managed identity's endpoint is on this machine, so it needs no proxy."""
        if tenant.managed_identity:
            return AuthorityHttp(self._context, None)
        cloud = CLOUD_ENDPOINTS[tenant.cloud]
        trusted = [self._authority_url] if self._authority_url else [cloud.authority_url, *cloud.authority_aliases]
        return AuthorityHttp(self._context, trusted, proxy=self._proxy)

    def _managed_token(self, tenant: TenantConfig, http: AuthorityHttp) -> dict[str, Any]:
        identity = (
            msal.UserAssignedManagedIdentity(client_id=tenant.client_id)
            if tenant.client_id
            else msal.SystemAssignedManagedIdentity()
        )
        with requests.Session() as session:
            # On Service Fabric MSAL pins the server's certificate, which only a session of requests supports.
            session.trust_env, session.max_redirects = False, 0
            on_service_fabric = (
                msal.managed_identity.get_managed_identity_source() is msal.managed_identity.SERVICE_FABRIC
            )
            managed = msal.ManagedIdentityClient(identity, http_client=session if on_service_fabric else http)
            answer: dict[str, Any] = managed.acquire_token_for_client(resource=CLOUD_ENDPOINTS[tenant.cloud].graph_url)
            return answer

    def _ask(self, tenant: TenantConfig, claims: str | None, http: AuthorityHttp) -> dict[str, Any]:
        graph_url = CLOUD_ENDPOINTS[tenant.cloud].graph_url
        authority = self._authority_url or CLOUD_ENDPOINTS[tenant.cloud].authority_url
        credential = self._credential(tenant)
        application = msal.ConfidentialClientApplication(
            tenant.client_id,
            client_credential=credential,
            authority=f"{authority}/{tenant.id}",
            # The authority is the cloud's or the configuration's, so it needs no check.
            instance_discovery=False,
            client_capabilities=["CP1"],
            # Otherwise MSAL_FORCE_REGION in the environment would choose another host.
            azure_region=msal.ConfidentialClientApplication.DISABLE_MSAL_FORCE_REGION,
            http_client=http,
        )
        answer: dict[str, Any] = application.acquire_token_for_client(
            [f"{graph_url}/.default"], claims_challenge=claims
        )
        if "access_token" in answer:
            self._credentials[tenant.id] = tenant, credential
        return answer

    def _credential(self, tenant: TenantConfig) -> Any:
        try:
            return read_credential(tenant, self._vault)
        except (CredentialError, VaultUnavailableError) as error:
            config, credential = self._credentials.get(tenant.id, (None, None))
            if config != tenant:
                raise
            _LOG.error("%s: %s; the last valid credential is used", error.code, error)
            return credential


def _lifetime(answer: Mapping[str, Any]) -> timedelta:
    try:
        return min(timedelta(seconds=max(int(answer["expires_in"]), 0)), LONGEST_LIFETIME)
    except (KeyError, ValueError, TypeError):
        return timedelta(0)


def _discovery_error(error: ValueError) -> AuthFailedError:
    """MSAL keeps the authority's answer as the exception's context."""
    text = f"{error} {error.__context__}"
    match = _AADSTS.search(text)
    if match:
        return _explained(int(match.group(1)))
    if "HTTP status: 429" in text or "HTTP status: 408" in text:
        return AuthFailedError("the authority asks to wait", retryable=True)
    return AuthFailedError("the authority or the credential was not understood", retryable=False)


def _refused(answer: object, retry_after: timedelta | None) -> AuthFailedError:
    answer = answer if isinstance(answer, dict) else {}
    codes = answer.get("error_codes")
    number = codes[0] if isinstance(codes, list) and codes and isinstance(codes[0], int) else None
    if number is None:
        match = _AADSTS.search(str(answer.get("error_description", "")))
        number = int(match.group(1)) if match else None
    if number is None:
        busy = answer.get("error") in ("temporarily_unavailable", "server_error", None)
        return AuthFailedError("the authority gave no token", retryable=busy, retry_after=retry_after)
    return _explained(number, retry_after)


def _explained(number: int, retry_after: timedelta | None = None) -> AuthFailedError:
    reason = _EXPLAINED.get(number, "Microsoft's error reference explains the code")
    return AuthFailedError(
        f"AADSTS{number}: {reason}", retryable=number in _TRANSIENT, aadsts=number, retry_after=retry_after
    )
