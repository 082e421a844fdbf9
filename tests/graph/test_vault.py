"""Credentials of tenants in an Azure Key Vault: Azure's own libraries, against the vault's REST API over HTTPS."""

import base64
import logging
import os
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import NoEncryption, load_pem_private_key, pkcs12

from graph.credentials import CredentialError, credential_ends_at, read_credential
from graph.errors import GraphRequestError
from graph.tenants import TenantConfig
from graph.tokens import TokenSource
from graph.trust import ssl_context
from graph.vault import PFX, Vault, VaultUnavailableError
from inventory.error_codes import ErrorCode
from local.simulated_graph import SimulatedGraph
from tests.graph.clients import CERTIFICATE, KEY, another_token
from tests.graph.vault_server import CLIENT, CLIENT_SECRET, TENANT, Kept, VaultServer, serving_vault

SECRET = "hunter2-hunter2"


class Served:
    """A vault's server, and clients of it."""

    def __init__(self, server: VaultServer, ca_file: Path) -> None:
        self.server = server
        self.context = ssl_context(ca_file)

    def client(self) -> Vault:
        return Vault(self.server.url, self.context)

    def read(self, **credential: str) -> Any:
        return read_credential(tenant(**credential), self.client())


def tenant(**credential: Any) -> TenantConfig:
    return TenantConfig.model_validate({"id": UUID(int=1), "name": "Contoso", "client_id": "app", **credential})


@pytest.fixture
def vault(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Served]:
    for name in [name for name in os.environ if name.startswith(("AZURE_", "IDENTITY_", "MSI_"))]:
        monkeypatch.delenv(name)
    with serving_vault(tmp_path) as (server, ca_file):
        monkeypatch.setenv("AZURE_AUTHORITY_HOST", server.url)
        monkeypatch.setenv("AZURE_TENANT_ID", TENANT)
        monkeypatch.setenv("AZURE_CLIENT_ID", CLIENT)
        monkeypatch.setenv("AZURE_CLIENT_SECRET", CLIENT_SECRET)
        server.secrets["contoso"] = Kept(SECRET + "\n")
        yield Served(server, ca_file)


def test_secret_is_read_as_the_worker(vault: Served) -> None:
    assert vault.read(client_secret_vault="contoso") == SECRET


def test_secrets_expiry_is_read_if_the_vault_has_it(vault: Served) -> None:
    config = tenant(client_secret_vault="contoso")
    assert credential_ends_at(config, vault.client()) is None
    ends = datetime(2027, 3, 1, tzinfo=UTC)
    vault.server.secrets["contoso"] = Kept(SECRET, ends_at=int(ends.timestamp()))
    assert credential_ends_at(config, vault.client()) == ends


def pfx() -> bytes:
    key = load_pem_private_key(KEY, None)
    certificate = x509.load_pem_x509_certificate(CERTIFICATE)
    return pkcs12.serialize_key_and_certificates(b"x", key, certificate, None, NoEncryption())  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "kept", [Kept((KEY + CERTIFICATE).decode(), "application/x-pem-file"), Kept(base64.b64encode(pfx()).decode(), PFX)]
)
def test_certificate_and_key_are_read_as_pem_and_pfx(vault: Served, kept: Kept) -> None:
    vault.server.secrets["contoso"] = kept
    credential = vault.read(certificate_vault="contoso")
    assert credential["public_certificate"].encode() == CERTIFICATE
    assert load_pem_private_key(credential["private_key"].encode(), None)


async def test_a_rotated_secret_is_used_without_a_restart(vault: Served) -> None:
    with SimulatedGraph(tenants=1, token_lifetime=timedelta(seconds=3)) as graph:
        (simulated_tenant,) = graph.tenants
        vault.server.secrets["contoso"] = Kept(simulated_tenant.client_secret)
        config = tenant(client_secret_vault="contoso").model_copy(
            update={"id": simulated_tenant.id, "client_id": simulated_tenant.client_id}
        )
        trust = ssl_context(graph.ca_file)
        tokens = TokenSource(trust, authority_url=graph.authority_url, vault=vault.client())
        known = {await tokens.token(config)}

        simulated_tenant.register_secret("the new one")
        vault.server.secrets["contoso"] = Kept("the new one")
        simulated_tenant.withdraw_secret(simulated_tenant.client_secret)
        await another_token(tokens, config, known)

        # While the vault is unavailable, the last accepted secret still serves.
        vault.server.refusals["secrets"] = 503
        await another_token(tokens, config, known)
        assert "token 401" not in graph.request_counts()


@pytest.mark.parametrize(
    ("broken", "message"),
    [
        ({"missing": True}, "the vault has no secret contoso"),
        ({"secrets": 403}, "the vault refuses the secret contoso: it is disabled, or the worker lacks"),
        ({"empty": True}, "the secret contoso of the vault is empty"),
        ({"AZURE_CLIENT_SECRET": "wrong"}, "the worker's identity for the vault is refused, or there is none"),
        ({"AZURE_TENANT_ID": ""}, "the worker's identity for the vault is refused, or there is none"),
        ({"resource": "https://vault.example"}, "the vault's answer was not understood; check TENANT_VAULT_URL"),
        ({"not a certificate": True}, "the certificate contoso of the vault"),
    ],
)
def test_configuration_errors_are_named_and_given_up_soon(
    vault: Served,
    monkeypatch: pytest.MonkeyPatch,
    broken: dict[str, Any],
    message: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    ((attribute, value),) = broken.items()
    key = "client_secret_vault"
    if attribute == "missing":
        vault.server.secrets.clear()
    elif attribute == "empty":
        vault.server.secrets["contoso"] = Kept(" ")
    elif attribute == "secrets":
        vault.server.refusals[attribute] = value
    elif attribute == "resource":
        vault.server.resource = value
    elif attribute == "not a certificate":
        key = "certificate_vault"
    else:
        monkeypatch.setenv(attribute, value)
    with caplog.at_level(logging.DEBUG), pytest.raises(CredentialError) as raised:
        vault.read(**{key: "contoso"})
    assert str(raised.value).startswith(message)
    assert raised.value.code is ErrorCode.CONFIGURATION_INVALID
    assert raised.value.retry_limit is not None
    for hidden in (SECRET, "what the vault says", "what Entra says", CLIENT_SECRET):
        assert hidden not in str(raised.value) + caplog.text


@pytest.mark.parametrize(("what", "status"), [("secrets", 429), ("secrets", 503), ("token", 503)])
def test_outage_is_retryable(vault: Served, what: str, status: int) -> None:
    vault.server.refusals[what] = status
    with pytest.raises(VaultUnavailableError) as raised:
        vault.read(client_secret_vault="contoso")
    assert raised.value.retryable
    assert raised.value.code is ErrorCode.AUTH_FAILED
    assert len([request for request in vault.server.requests if request.startswith("GET /secrets")]) <= 2


def test_unreachable_or_untrusted_vault_is_unavailable(vault: Served) -> None:
    for url, context in ((vault.server.url, ssl_context(None)), ("https://127.0.0.1:9", vault.context)):
        with pytest.raises(VaultUnavailableError, match="cannot be reached"):
            read_credential(tenant(client_secret_vault="contoso"), Vault(url, context))


def test_a_proxy_of_the_environment_is_not_used(vault: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
    assert vault.read(client_secret_vault="contoso") == SECRET


async def test_missing_vault_url_is_named() -> None:
    tokens = TokenSource(ssl_context(None), authority_url="https://127.0.0.1:9")
    with pytest.raises(GraphRequestError, match="TENANT_VAULT_URL is not set for the process that signs in"):
        await tokens.token(tenant(client_secret_vault="contoso"))


@pytest.mark.parametrize("name", ["", "a/b", "../x", "x?y", "x" * 128])
def test_invalid_secret_name_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="client_secret_vault"):
        tenant(client_secret_vault=name)
