"""Tokens by MSAL, never on the event loop's thread."""

import logging
import re
import ssl
import time
from collections.abc import Mapping
from datetime import timedelta
from functools import partial
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

import msal
import requests
from requests.adapters import HTTPAdapter

from graph.credentials import CredentialError, read_credential
from graph.errors import GraphRequestError, retry_after_of
from graph.reachability import why_unreached
from graph.sign_ins import Grant, TenantTokens
from graph.tenants import CLOUD_ENDPOINTS, TenantConfig
from inventory.error_codes import ErrorCode
from inventory.patience import believable

CONNECT_SECONDS = 6
"""For one connection, which is tried twice."""

ANSWER_SECONDS = 20
"""For each wait for bytes of an answer."""

DEADLINE_SECONDS = 60
"""For a whole sign-in, which is up to three requests: after it no further one is made."""

LONGEST_LIFETIME = timedelta(days=1)
"""Entra's tokens last for an hour or so, or up to 28 where they can be revoked. To renew one early does no harm."""

_LOG = logging.getLogger(__name__)

_AADSTS = re.compile(r"AADSTS(\d{4,8})")

_TRANSIENT = frozenset({90006, 90024, 90033, 90055, 90056, 50196, 700024})
"""AADSTS codes where the same request may be granted later: Entra is busy or throttles, or the clock here is wrong
(700024)."""

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
    """No token could be had. The message says why by the AADSTS code, and repeats nothing of the answer."""

    def __init__(
        self, message: str, *, retryable: bool, aadsts: int | None = None, retry_after: timedelta | None = None
    ) -> None:
        context: dict[str, str | int] = {"reason": message}
        if aadsts is not None:
            context["aadsts"] = aadsts
        super().__init__(ErrorCode.AUTH_FAILED, message, retryable=retryable, retry_after=retry_after, context=context)


class _TlsAdapter(HTTPAdapter):
    """Makes requests verify by one SSL context, whatever REQUESTS_CA_BUNDLE says.

    Left to itself requests adds a bundle to what the context trusts, and reads it for each connection: 25 ms.
    """

    def __init__(self, context: ssl.SSLContext) -> None:
        self._context = context
        super().__init__(max_retries=1)

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        """Called by requests when it makes its pool."""
        super().init_poolmanager(*args, ssl_context=self._context, **kwargs)

    def cert_verify(self, conn: Any, *_: Any) -> None:
        """Called by requests for each connection: the context says what is trusted, and nothing is added to it."""
        conn.cert_reqs = "CERT_REQUIRED"

    def build_connection_pool_key_attributes(self, request: Any, _verify: Any, cert: Any = None) -> Any:
        """Called by requests when it looks for a pool: no bundle makes it another one."""
        return super().build_connection_pool_key_attributes(request, True, cert)

    def proxy_manager_for(self, proxy: str, **kwargs: Any) -> Any:
        """Called by requests when there is a proxy."""
        return super().proxy_manager_for(proxy, ssl_context=self._context, **kwargs)


class _Session(requests.Session):
    """MSAL's HTTP for one sign-in, with the deadline that MSAL leaves out and the Retry-After that it hides."""

    def __init__(self, context: ssl.SSLContext) -> None:
        super().__init__()
        self.retry_after: timedelta | None = None
        self._ends = time.monotonic() + DEADLINE_SECONDS
        self.mount("https://", _TlsAdapter(context))

    def request(self, *args: Any, **kwargs: Any) -> requests.Response:
        """As requests does, within `CONNECT_SECONDS`, `ANSWER_SECONDS` and what is left until the deadline."""
        left = self._ends - time.monotonic()
        if left <= 0:
            raise requests.Timeout(f"the sign-in takes longer than {DEADLINE_SECONDS} seconds")
        timeout = min(CONNECT_SECONDS, left), min(ANSWER_SECONDS, left)
        response = super().request(*args, **{**kwargs, "timeout": timeout})
        headers = {name.lower(): value for name, value in response.headers.items()}
        self.retry_after = believable(retry_after_of(headers)) if response.status_code in (429, 503) else None
        return response


class TokenSource:
    """Access tokens for Graph: one for each tenant's app, renewed before it ends."""

    def __init__(self, context: ssl.SSLContext, *, authority_url: str | None = None) -> None:
        self._context = context
        self._authority_url = authority_url
        self._tenants: dict[UUID, tuple[TenantConfig, TenantTokens]] = {}
        self._credentials: dict[UUID, tuple[TenantConfig, Any]] = {}

    async def token(self, tenant: TenantConfig, claims: str | None = None, *, refused: str | None = None) -> str:
        """A token of the tenant's app; `claims` answers a challenge, `refused` is the token that Graph did not take.

        Raises `GraphRequestError`: `AuthFailedError` or `CredentialError`. One request a tenant at a time: the others
        wait for it and share its token.
        """
        config, tokens = self._tenants.get(tenant.id, (None, None))
        if tokens is None or config != tenant:
            # A tenant whose entry has changed signs in anew.
            tokens = TenantTokens(partial(self._sign_in, tenant))
            self._tenants[tenant.id] = tenant, tokens
        return await tokens.token(claims, refused)

    def _sign_in(self, tenant: TenantConfig, claims: str | None) -> Grant:
        """Asks for a token with an application of its own: MSAL would answer from its caches, also with a refusal."""
        with _Session(self._context) as session:
            try:
                answer = self._ask(tenant, claims, session)
            except (requests.RequestException, RuntimeError) as error:
                raise AuthFailedError(f"sign-in: {why_unreached(error, self._host(tenant))}", retryable=True) from None
            except msal.exceptions.MsalError:
                raise AuthFailedError(
                    "the authority has a fault of its own", retryable=True, retry_after=session.retry_after
                ) from None
            except ValueError as error:
                # MSAL says so where the discovery document is not had or not understood.
                raise _discovery_error(error) from None
        token = answer.get("access_token")
        if not isinstance(token, str):
            raise _refused(answer, session.retry_after)
        return Grant(token, _lifetime(answer))

    def _host(self, tenant: TenantConfig) -> str:
        """Where tokens come from, for people."""
        if tenant.managed_identity:
            return "the managed identity's endpoint"
        return urlsplit(self._authority_url or CLOUD_ENDPOINTS[tenant.cloud].authority_url).netloc

    def _ask(self, tenant: TenantConfig, claims: str | None, session: "_Session") -> dict[str, Any]:
        graph_url = CLOUD_ENDPOINTS[tenant.cloud].graph_url
        answer: dict[str, Any]
        if tenant.managed_identity:
            identity = (
                msal.UserAssignedManagedIdentity(client_id=tenant.client_id)
                if tenant.client_id
                else msal.SystemAssignedManagedIdentity()
            )
            managed = msal.ManagedIdentityClient(identity, http_client=session)
            answer = managed.acquire_token_for_client(resource=graph_url)
            return answer
        authority = self._authority_url or CLOUD_ENDPOINTS[tenant.cloud].authority_url
        credential = self._credential(tenant)
        application = msal.ConfidentialClientApplication(
            tenant.client_id,
            client_credential=credential,
            authority=f"{authority}/{tenant.id}",
            instance_discovery=False if self._authority_url else None,
            client_capabilities=["CP1"],
            http_client=session,
        )
        answer = application.acquire_token_for_client([f"{graph_url}/.default"], claims_challenge=claims)
        if "access_token" in answer:
            self._credentials[tenant.id] = tenant, credential
        return answer

    def _credential(self, tenant: TenantConfig) -> Any:
        """The tenant's credential as it now stands, or if that cannot be read the last one that the authority took."""
        try:
            return read_credential(tenant)
        except CredentialError as error:
            config, credential = self._credentials.get(tenant.id, (None, None))
            if config != tenant:
                raise
            _LOG.error("%s: %s; the last valid credential is used", error.code, error)
            return credential


def _lifetime(answer: Mapping[str, Any]) -> timedelta:
    """How long the token lasts. A managed identity's answer has the number as text."""
    try:
        return min(timedelta(seconds=max(int(answer["expires_in"]), 0)), LONGEST_LIFETIME)
    except (KeyError, ValueError, TypeError):
        return timedelta(0)


def _discovery_error(error: ValueError) -> AuthFailedError:
    """Why the authority's discovery document was not had. MSAL keeps what the authority said as the error's context."""
    said = f"{error} {error.__context__}"
    match = _AADSTS.search(said)
    if match:
        return _explained(int(match.group(1)))
    if "HTTP status: 429" in said or "HTTP status: 408" in said:
        return AuthFailedError("the authority asks for patience", retryable=True)
    return AuthFailedError("the authority or the credential was not understood", retryable=False)


def _refused(answer: dict[str, Any], retry_after: timedelta | None) -> AuthFailedError:
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
