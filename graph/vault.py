"""Secrets of tenants in an Azure Key Vault: https://learn.microsoft.com/azure/key-vault/secrets/

Each sign-in (about one an hour and tenant) reads its secret, so a rotation needs no restart. Calls block.
"""

import logging
import os
import ssl
import threading
from datetime import datetime
from typing import Any, NamedTuple

import requests
from requests.adapters import HTTPAdapter

from graph.errors import GraphRequestError
from inventory.error_codes import ErrorCode

CONNECT_SECONDS, ANSWER_SECONDS = 6, 20

_NO_IDENTITY = (
    "the worker's identity for the vault is refused, or there is none: AZURE_TENANT_ID, AZURE_CLIENT_ID and"
    " AZURE_CLIENT_SECRET or AZURE_FEDERATED_TOKEN_FILE, or a managed identity"
)

PFX = "application/x-pkcs12"
"""The content type of a Base64 PKCS #12 certificate; others are PEM."""


class VaultError(Exception):
    """The vault gives no secret until somebody mends the cause."""


class VaultUnavailableError(GraphRequestError):
    """The vault, or the authority of its tokens, does not answer for now."""

    def __init__(self, message: str) -> None:
        super().__init__(ErrorCode.AUTH_FAILED, message, retryable=True, context={"reason": message})


class VaultSecret(NamedTuple):
    value: str
    content_type: str
    ends_at: datetime | None = None


class Vault:
    """Azure's libraries find the worker's identity in the environment."""

    def __init__(self, url: str, context: ssl.SSLContext, proxy_url: str | None = None) -> None:
        self._url = url
        self._context = context
        self._proxy_url = proxy_url
        self._client: Any = None
        self._answered = threading.local()
        self._lock = threading.Lock()

    def secret(self, name: str) -> VaultSecret:
        """Raises `VaultError`, `VaultUnavailableError`."""
        try:
            from azure.core import exceptions
        except ImportError:
            raise VaultError(
                "the libraries of the vault are not installed: requirements/vault.txt (docs/configuration.md)"
            ) from None
        self._answered.status = 0
        try:
            client = self._secrets()
        except ValueError:
            # The environment describes an identity incompletely.
            raise VaultError(_NO_IDENTITY) from None
        try:
            secret = client.get_secret(name)
        except exceptions.ResourceNotFoundError:
            raise VaultError(f"the vault has no secret {name}") from None
        except exceptions.ClientAuthenticationError:
            # The error does not say whether the authority refused or was busy.
            if _is_passing(self._answered.status):
                raise _unavailable("the authority of the vault's tokens", self._answered.status) from None
            raise VaultError(_NO_IDENTITY) from None
        except exceptions.HttpResponseError as error:
            if error.status_code == 403:
                raise VaultError(
                    f"the vault refuses the secret {name}: it is disabled, or the worker lacks Key Vault Secrets User"
                ) from None
            raise _unavailable("the vault", error.status_code) from None
        except exceptions.AzureError:
            raise VaultUnavailableError("the vault, or the authority of its tokens, cannot be reached") from None
        except (ValueError, requests.RequestException):
            # Azure's client raises this if a vault asks for another resource's token.
            raise VaultError("the vault's answer was not understood; check TENANT_VAULT_URL") from None
        value = (secret.value or "").strip()
        if not value:
            raise VaultError(f"the secret {name} of the vault is empty")
        return VaultSecret(value, secret.properties.content_type or "", secret.properties.expires_on)

    def _note_status(self, response: requests.Response, *_: Any, **__: Any) -> None:
        self._answered.status = response.status_code

    def _secrets(self) -> Any:
        with self._lock:
            if self._client is None:
                self._client = self._made()
            return self._client

    def _made(self) -> Any:
        from azure.core.pipeline.transport import RequestsTransport
        from azure.keyvault.secrets import SecretClient

        # Azure's libraries log each request, and each failure in many lines; this module's errors suffice.
        logging.getLogger("azure").setLevel(logging.ERROR)
        session = requests.Session()
        session.trust_env = False
        session.mount("https://", _Trusting(self._context))
        session.hooks["response"].append(self._note_status)
        if self._proxy_url is not None:
            # Managed identities have http addresses on this machine, so no proxy.
            session.proxies = {"https": self._proxy_url}
        limits: dict[str, Any] = {
            "transport": RequestsTransport(session=session, session_owner=False, use_env_settings=False),
            "connection_timeout": CONNECT_SECONDS,
            "read_timeout": ANSWER_SECONDS,
            "retry_total": 0,
            "permit_redirects": False,
        }
        return SecretClient(vault_url=self._url, credential=_identity(limits), **limits)


class _Trusting(HTTPAdapter):
    def __init__(self, context: ssl.SSLContext) -> None:
        self._context = context
        super().__init__()

    def init_poolmanager(self, *arguments: Any, **more: Any) -> None:
        super().init_poolmanager(*arguments, ssl_context=self._context, **more)

    def proxy_manager_for(self, proxy: str, **more: Any) -> Any:
        return super().proxy_manager_for(proxy, ssl_context=self._context, proxy_ssl_context=self._context, **more)


def _identity(limits: dict[str, Any]) -> Any:
    """Uses one credential of the environment: a chain would hide why it failed."""
    from azure.identity import EnvironmentCredential, ManagedIdentityCredential, WorkloadIdentityCredential

    # The authority is the environment's or Azure's, so it needs no check.
    options = {**limits, "disable_instance_discovery": True}
    if os.environ.get("AZURE_FEDERATED_TOKEN_FILE"):
        return WorkloadIdentityCredential(**options)
    if os.environ.get("AZURE_CLIENT_SECRET") or os.environ.get("AZURE_CLIENT_CERTIFICATE_PATH"):
        return EnvironmentCredential(**options)
    return ManagedIdentityCredential(client_id=os.environ.get("AZURE_CLIENT_ID"), **limits)


def _is_passing(status: int) -> bool:
    return status in (408, 429) or status >= 500


def _unavailable(service: str, status: int | None) -> VaultUnavailableError:
    return VaultUnavailableError(f"{service} answered {status}")
