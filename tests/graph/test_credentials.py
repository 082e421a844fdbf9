"""Credentials in files and variables, with the marks and line ends that editors and shells add."""

import codecs
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    load_pem_private_key,
    pkcs12,
)

from graph.credentials import CredentialError, read_credential
from graph.tenants import TenantConfig
from inventory.error_codes import ErrorCode
from tests.graph.clients import CERTIFICATE, KEY

SECRET = "hunter2-hunter2"


def read(**credential: Any) -> Any:
    return read_credential(
        TenantConfig.model_validate({"id": UUID(int=1), "name": "Contoso", "client_id": "app", **credential})
    )


def file(tmp_path: Path, content: bytes) -> Path:
    path = tmp_path / "credential"
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("mark", [b"", codecs.BOM_UTF8])
@pytest.mark.parametrize("end", [b"", b"\n", b"\r\n"])
def test_secret_has_no_mark_and_no_line_end(tmp_path: Path, mark: bytes, end: bytes) -> None:
    path = file(tmp_path, mark + SECRET.encode() + end)
    assert read(client_secret_file=path) == SECRET
    assert read(federated_token_file=path)["client_assertion"]() == SECRET


def test_a_variable_may_end_with_a_line_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("APP_SECRET", SECRET + "\r\n")
    assert read(client_secret_env="APP_SECRET") == SECRET


@pytest.mark.parametrize("content", [KEY + CERTIFICATE, codecs.BOM_UTF8 + CERTIFICATE + KEY, b"\n" + KEY + CERTIFICATE])
def test_a_pem_file_has_key_and_certificate_in_any_order(tmp_path: Path, content: bytes) -> None:
    credential = read(certificate_file=file(tmp_path, content.replace(b"\n", b"\r\n")))
    assert credential["public_certificate"].encode() == CERTIFICATE
    assert load_pem_private_key(credential["private_key"].encode(), None)


def test_a_pfx_file_is_opened_by_its_password(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    key = load_pem_private_key(KEY, None)
    pfx = pkcs12.serialize_key_and_certificates(
        b"app",
        key,  # type: ignore[arg-type]  # an RSA key, which is all that trustme was asked for
        x509.load_pem_x509_certificate(CERTIFICATE),
        None,
        BestAvailableEncryption(SECRET.encode()),
    )
    path = file(tmp_path, pfx)
    monkeypatch.setenv("PFX_PASSWORD", SECRET)
    credential = read(certificate_file=path, certificate_password_env="PFX_PASSWORD")
    assert credential["public_certificate"].encode() == CERTIFICATE
    monkeypatch.setenv("PFX_PASSWORD", "another")
    with pytest.raises(CredentialError, match="does not open with the password"):
        read(certificate_file=path, certificate_password_env="PFX_PASSWORD")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (KEY, "holds no certificate"),
        (CERTIFICATE, "holds no private key"),
        (KEY[:200] + CERTIFICATE, "holds no private key"),
        (SECRET.encode(), "neither PEM nor a whole PFX"),
    ],
)
def test_incomplete_certificate_file_is_refused_in_one_line(tmp_path: Path, content: bytes, words: str) -> None:
    path = file(tmp_path, content)
    with pytest.raises(CredentialError, match=words) as failed:
        read(certificate_file=path)
    message = str(failed.value)
    assert str(path) in message
    assert "\n" not in message
    assert SECRET not in message


@pytest.mark.parametrize(
    ("content", "words"), [(b"", "is empty"), (b" \n", "is empty"), ("x".encode("utf-16"), "is not UTF-8 text")]
)
def test_secret_file_without_a_secret_is_refused(tmp_path: Path, content: bytes, words: str) -> None:
    with pytest.raises(CredentialError, match=words) as failed:
        read(client_secret_file=file(tmp_path, content))
    assert (failed.value.code, failed.value.retryable) == (ErrorCode.CONFIGURATION_INVALID, True)
