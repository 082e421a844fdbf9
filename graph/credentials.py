"""Credentials of tenants' apps, in MSAL's form."""

import base64
import binascii
import codecs
import os
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
    pkcs12,
)

from graph.certificates import is_pem, what_is_wrong
from graph.errors import GraphRequestError
from graph.tenants import TenantConfig
from graph.vault import PFX, Vault, VaultError, VaultSecret
from inventory.error_codes import ErrorCode

CONFIGURATION_RETRY_LIMIT = timedelta(minutes=10)
"""A broken file is mended within minutes; a longer wait holds a slot in vain."""


class CredentialError(GraphRequestError):
    """The message names the variable, file or secret, never the content."""

    def __init__(self, message: str) -> None:
        super().__init__(
            ErrorCode.CONFIGURATION_INVALID,
            message,
            retryable=True,
            context={"reason": message},
            retry_limit=CONFIGURATION_RETRY_LIMIT,
        )


def read_credential(tenant: TenantConfig, vault: Vault | None = None) -> Any:
    """Blocks. Raises `CredentialError`, `VaultUnavailableError`."""
    if tenant.client_secret_env is not None:
        return _from_environment(tenant.client_secret_env)
    if tenant.client_secret_file is not None:
        return _text(tenant.client_secret_file)
    if tenant.federated_token_file is not None:
        assertion = _text(tenant.federated_token_file)
        return {"client_assertion": lambda: assertion}
    if tenant.certificate_file is not None:
        password = _from_environment(tenant.certificate_password_env) if tenant.certificate_password_env else None
        return _certificate(
            f"the certificate file {tenant.certificate_file}", _content(tenant.certificate_file), password
        )
    if tenant.client_secret_vault is not None:
        return _from_vault(tenant.client_secret_vault, vault).value
    if tenant.certificate_vault is not None:
        kept = _from_vault(tenant.certificate_vault, vault)
        named = f"the certificate {tenant.certificate_vault} of the vault"
        return _certificate(named, _certificate_content(named, kept), None)
    raise CredentialError("the tenant has no credential")


def credential_ends_at(tenant: TenantConfig, vault: Vault | None = None) -> datetime | None:
    """When the certificate of `certificate_file`, or the vault's secret, ends; None if unknown.

    Blocks. Raises `CredentialError`, `VaultUnavailableError`.
    """
    if tenant.certificate_file is not None:
        certificate = read_credential(tenant)["public_certificate"].encode()
        return x509.load_pem_x509_certificate(certificate).not_valid_after_utc
    name = tenant.client_secret_vault or tenant.certificate_vault
    return None if name is None else _from_vault(name, vault).ends_at


def _from_environment(name: str) -> str:
    value = os.environ.get(name, "").strip()
    if not value:
        raise CredentialError(f"the environment variable {name} is not set for the process that signs in")
    return value


def _content(path: Path) -> bytes:
    """Drops a byte-order mark, which editors on Windows write."""
    try:
        content = path.read_bytes()
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise CredentialError(
            f"the credential file {path} cannot be read by the process that signs in: {reason}"
        ) from None
    if not content.strip():
        raise CredentialError(f"the credential file {path} is empty")
    return content.removeprefix(codecs.BOM_UTF8)


def _text(path: Path) -> str:
    try:
        return _content(path).decode().strip()
    except UnicodeDecodeError:
        raise CredentialError(f"the credential file {path} is not UTF-8 text") from None


def _from_vault(name: str, vault: Vault | None) -> VaultSecret:
    if vault is None:
        raise CredentialError(
            "the tenant's credential is in a vault, and TENANT_VAULT_URL is not set for the process that signs in"
        )
    try:
        return vault.secret(name)
    except VaultError as error:
        raise CredentialError(str(error)) from None


def _certificate_content(named: str, secret: VaultSecret) -> bytes:
    if secret.content_type != PFX:
        return secret.value.encode()
    try:
        return base64.b64decode(secret.value, validate=True)
    except binascii.Error:
        raise CredentialError(f"{named} is not Base64") from None


def _certificate(named: str, content: bytes, password: str | None) -> dict[str, str]:
    wrong = what_is_wrong(content, password)
    if wrong is not None:
        raise CredentialError(f"{named} {wrong}")
    read = _from_pem if is_pem(content) else _from_pfx
    key, certificate = read(content, password.encode() if password else None)
    return {
        "private_key": key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode(),
        "public_certificate": certificate.public_bytes(Encoding.PEM).decode(),
    }


def _from_pem(content: bytes, password: bytes | None) -> tuple[Any, Any]:
    return load_pem_private_key(content, password), x509.load_pem_x509_certificate(content)


def _from_pfx(content: bytes, password: bytes | None) -> tuple[Any, Any]:
    key, certificate, _ = pkcs12.load_key_and_certificates(content, password)
    return key, certificate
