"""Tokens by MSAL: one application per process and tenant, never on the event loop's thread."""

import asyncio
import os
import re
import ssl
import threading
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

import msal
import requests
from requests.adapters import HTTPAdapter

from graph import certificates
from graph.errors import GraphRequestError, retry_after_of
from graph.reachability import why_unreached
from graph.tenants import CLOUD_ENDPOINTS, TenantConfig
from inventory.error_codes import ErrorCode
from inventory.patience import believable

TIMEOUT_SECONDS = (6, 12)
"""For a connection, which is tried twice, and for an answer: a person who signs in waits no longer than that."""

_AADSTS = re.compile(r"AADSTS(\d{4,8})")

_TRANSIENT = frozenset({90006, 90024, 90033, 90055, 90056, 50196})
"""AADSTS codes of an Entra that is busy or throttles: the same request may be granted later."""

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
    """MSAL's HTTP: it gives every request the timeout that MSAL leaves out, and keeps the Retry-After that it hides."""

    def __init__(self, context: ssl.SSLContext) -> None:
        super().__init__()
        self.retry_after: timedelta | None = None
        self.mount("https://", _TlsAdapter(context))

    def request(self, *args: Any, **kwargs: Any) -> requests.Response:
        """As requests does, within `TIMEOUT_SECONDS`."""
        kwargs.setdefault("timeout", TIMEOUT_SECONDS)
        response = super().request(*args, **kwargs)
        headers = {name.lower(): value for name, value in response.headers.items()}
        self.retry_after = believable(retry_after_of(headers)) if response.status_code in (429, 503) else None
        return response


class TokenSource:
    """Access tokens for Graph, cached by MSAL, one application a tenant."""

    def __init__(self, context: ssl.SSLContext, *, authority_url: str | None = None) -> None:
        self._context = context
        self._authority_url = authority_url
        self._applications: dict[tuple[UUID, str], tuple[Any, _Session]] = {}
        self._locks: dict[UUID, threading.Lock] = {}
        self._guard = threading.Lock()

    async def token(self, tenant: TenantConfig, claims: str | None = None, *, fresh: bool = False) -> str:
        """A token of the tenant's app; `claims` answers a challenge, `fresh` passes by the cache.

        Raises `AuthFailedError`. One request a tenant at a time: the others wait for it and share its token.
        """
        return await asyncio.to_thread(self._token, tenant, claims, fresh)

    def _token(self, tenant: TenantConfig, claims: str | None, fresh: bool) -> str:
        with self._guard:
            lock = self._locks.setdefault(tenant.id, threading.Lock())
        with lock:
            try:
                answer, retry_after = self._acquire(tenant, claims, fresh)
            except AuthFailedError:
                raise
            except (requests.RequestException, RuntimeError) as error:
                raise AuthFailedError(f"sign-in: {why_unreached(error, self._host(tenant))}", retryable=True) from None
            except msal.exceptions.MsalError:
                # Of a 5xx; MSAL would replay it from its cache for a minute, and the next try shall ask anew.
                _, session = self._applications.pop(_key(tenant))
                raise AuthFailedError(
                    "the authority has a fault of its own", retryable=True, retry_after=session.retry_after
                ) from None
            except ValueError as error:
                # MSAL says so where the discovery document is not had or not understood.
                raise _discovery_error(error) from None
        token = answer.get("access_token")
        if isinstance(token, str):
            return token
        raise _refused(answer, retry_after)

    def _host(self, tenant: TenantConfig) -> str:
        """Where tokens come from, for people."""
        if tenant.managed_identity:
            return "the managed identity's endpoint"
        return urlsplit(self._authority_url or CLOUD_ENDPOINTS[tenant.cloud].authority_url).netloc

    def _acquire(
        self, tenant: TenantConfig, claims: str | None, fresh: bool
    ) -> tuple[dict[str, Any], timedelta | None]:
        """MSAL's answer, and how long the authority wants to be left alone."""
        key = _key(tenant)
        if fresh and claims is None:
            self._applications.pop(key, None)
        if key not in self._applications:
            session = _Session(self._context)
            self._applications[key] = (self._application(tenant, session), session)
        application, session = self._applications[key]
        graph_url = CLOUD_ENDPOINTS[tenant.cloud].graph_url
        if tenant.managed_identity:
            answer: dict[str, Any] = application.acquire_token_for_client(resource=graph_url)
            return answer, session.retry_after
        answer = application.acquire_token_for_client([f"{graph_url}/.default"], claims_challenge=claims)
        if "access_token" not in answer:
            # MSAL replays a refusal from its cache for a minute; the next try shall ask anew.
            self._applications.pop(key, None)
        return answer, session.retry_after

    def _application(self, tenant: TenantConfig, session: _Session) -> Any:
        if tenant.managed_identity:
            identity = (
                msal.UserAssignedManagedIdentity(client_id=tenant.client_id)
                if tenant.client_id
                else msal.SystemAssignedManagedIdentity()
            )
            return msal.ManagedIdentityClient(identity, http_client=session)
        authority = self._authority_url or CLOUD_ENDPOINTS[tenant.cloud].authority_url
        return msal.ConfidentialClientApplication(
            tenant.client_id,
            client_credential=_credential(tenant),
            authority=f"{authority}/{tenant.id}",
            instance_discovery=False if self._authority_url else None,
            client_capabilities=["CP1"],
            http_client=session,
        )


def _key(tenant: TenantConfig) -> tuple[UUID, str]:
    """An application's key: a tenant whose entry has changed gets a new one."""
    return tenant.id, tenant.model_dump_json()


def _credential(tenant: TenantConfig) -> Any:
    """MSAL's form of the tenant's credential. Raises `AuthFailedError` where it is not to be had."""
    if tenant.client_secret_env is not None:
        return _from_environment(tenant.client_secret_env)
    if tenant.client_secret_file is not None:
        return _from_file(tenant.client_secret_file, lambda path: path.read_text(encoding="utf-8").strip())
    if tenant.federated_token_file is not None:
        token_file = tenant.federated_token_file
        return {"client_assertion": lambda: _from_file(token_file, lambda path: path.read_text("utf-8").strip())}
    if tenant.certificate_file is None:
        raise AuthFailedError("the tenant has no credential", retryable=False)
    password = _from_environment(tenant.certificate_password_env) if tenant.certificate_password_env else None
    content: bytes = _from_file(tenant.certificate_file, lambda path: path.read_bytes())
    wrong = certificates.what_is_wrong(tenant.certificate_file, content, password)
    if wrong is not None:
        raise AuthFailedError(wrong, retryable=False)
    if content.lstrip().startswith(b"-----BEGIN"):
        pem = content.decode("ascii", errors="replace")
        return {"private_key": pem, "public_certificate": pem, "passphrase": password}
    return {
        "private_key_pfx_path": str(tenant.certificate_file),
        "public_certificate": True,
        "passphrase": password,
    }


def _from_environment(name: str) -> str:
    value = os.environ.get(name, "")
    if not value:
        raise AuthFailedError(f"the environment variable {name} is not set for the worker", retryable=False)
    return value


def _from_file(path: Path, read: Callable[[Path], Any]) -> Any:
    try:
        value = read(path)
    except (OSError, UnicodeDecodeError):
        raise AuthFailedError(f"the credential file {path} cannot be read by the worker", retryable=False) from None
    if not value:
        raise AuthFailedError(f"the credential file {path} is empty", retryable=False)
    return value


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
