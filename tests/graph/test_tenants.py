import codecs
import re
from pathlib import Path
from uuid import UUID

import pytest

from graph.tenants import (
    CLOUD_ENDPOINTS,
    SPELLING,
    Cloud,
    TenantConfig,
    Tenants,
    TenantsFileError,
    UnknownTenantError,
    load_tenants,
)

ID, OTHER = UUID(int=1), UUID(int=2)
ENTRY = f'[[tenant]]\nid = "{ID}"\nname = "Contoso"\nclient_id = "app"\n'


def load(tmp_path: Path, content: str) -> Tenants:
    path = tmp_path / "tenants.toml"
    path.write_text(content)
    return load_tenants(path)


@pytest.mark.parametrize(
    "credential",
    [
        'client_secret_env = "NAME"',
        'client_secret_file = "/run/secret"',
        'certificate_file = "/run/app.pem"\ncertificate_password_env = "NAME"',
        'federated_token_file = "/run/token"',
        "managed_identity = true",
    ],
)
def test_each_kind_of_credential_is_read(tmp_path: Path, credential: str) -> None:
    (tenant,) = load(tmp_path, ENTRY + credential)
    assert (tenant.id, tenant.name, tenant.cloud) == (ID, "Contoso", Cloud.PUBLIC)


def test_byte_order_mark_is_ignored(tmp_path: Path) -> None:
    path = tmp_path / "tenants.toml"
    path.write_bytes(codecs.BOM_UTF8 + (ENTRY + "managed_identity = true\r\n").encode())
    (tenant,) = load_tenants(path)
    assert tenant.name == "Contoso"


def test_error_for_another_encoding_asks_for_utf_8(tmp_path: Path) -> None:
    path = tmp_path / "tenants.toml"
    path.write_bytes((ENTRY + "managed_identity = true").encode("utf-16"))
    with pytest.raises(TenantsFileError, match=r"tenants\.toml: is not UTF-8; save it as UTF-8$"):
        load_tenants(path)


def test_tenants_inherit_and_override_defaults(tmp_path: Path) -> None:
    tenants = load(
        tmp_path,
        '[defaults]\nclient_id = "app"\nclient_secret_env = "SHARED"\ncloud = "usgov"\n'
        f'[[tenant]]\nid = "{ID}"\nname = "Contoso"\n'
        f'[[tenant]]\nid = "{OTHER}"\nname = "Fabrikam"\ncloud = "china"\ncertificate_file = "own.pem"\n',
    )
    contoso, fabrikam = tenants
    assert (contoso.client_secret_env, contoso.cloud) == ("SHARED", Cloud.USGOV)
    assert (fabrikam.client_secret_env, fabrikam.certificate_file) == (None, Path("own.pem"))
    assert fabrikam.cloud is Cloud.CHINA


def test_tenants_have_tags(tmp_path: Path) -> None:
    tenants = load(
        tmp_path,
        ENTRY
        + 'managed_identity = true\ntags = ["emea", "pilot"]\n'
        + f'[[tenant]]\nid = "{OTHER}"\nname = "Fabrikam"\nmanaged_identity = true\n',
    )
    assert tenants.tags() == {ID: ("emea", "pilot"), OTHER: ()}


def test_a_tenant_is_found_by_id_and_by_name_in_any_case(tmp_path: Path) -> None:
    tenants = load(tmp_path, ENTRY + "managed_identity = true")
    assert tenants.find("CONTOSO") == tenants.find(str(ID)) == tenants.get(ID)
    assert tenants.get(OTHER) is None
    for unknown in ("Fabrikam", str(OTHER)):
        with pytest.raises(UnknownTenantError, match="the tenants file knows: Contoso"):
            tenants.find(unknown)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (ENTRY, "needs exactly one of client_secret_env"),
        (ENTRY + 'client_secret_env = "A"\nmanaged_identity = true', "has client_secret_env, managed_identity"),
        (ENTRY + 'client_secret = "hunter2"', "client_secret: is not a key of a tenant"),
        (ENTRY + "managed_identity = 2", "managed_identity: must be true or false"),
        (ENTRY + 'managed_identity = true\ncertificate_password_env = "A"', "needs certificate_file"),
        (ENTRY.replace('client_id = "app"\n', 'client_secret_env = "A"'), "client_id is missing"),
        (ENTRY.replace(str(ID), "hunter2") + "managed_identity = true", r"tenant 1 \(Contoso\): id"),
        (ENTRY + 'managed_identity = true\ncloud = "moon"', "cloud: must be one of: public, usgov, "),
        ((ENTRY + "managed_identity = true\n") * 2, "same id or name"),
        (ENTRY + 'managed_identity = true\ntags = ["EMEA"]', "tags: entry 1: write lower-case"),
        (ENTRY + 'managed_identity = true\ntags = "emea"', "tags: must be a list in brackets"),
        (ENTRY + 'managed_identity = true\ntags = ["a", "a"]', "names a tag twice"),
        ("[tenant]\n", "two brackets"),
        ('[defaults]\nname = "x"', "neither id nor name"),
        ("[others]\n", "unknown table 'others'"),
        ("hunter2 hunter2", "not valid TOML"),
    ],
)
def test_errors_are_one_line_without_secrets(tmp_path: Path, content: str, words: str) -> None:
    with pytest.raises(TenantsFileError, match=words) as refused:
        load(tmp_path, content)
    message = str(refused.value)
    assert "\n" not in message
    assert "tenants.toml" in message
    assert "hunter2" not in message


def test_every_cloud_has_its_endpoints() -> None:
    assert set(CLOUD_ENDPOINTS) == set(Cloud)
    for endpoints in CLOUD_ENDPOINTS.values():
        assert endpoints.authority_url.startswith("https://login.")
        assert not endpoints.graph_url.endswith("/")


def test_ids_are_guids(tmp_path: Path) -> None:
    (tenant,) = load(tmp_path, ENTRY + "managed_identity = true")
    assert isinstance(tenant.id, UUID)


def test_tenant_is_found_by_a_unique_id_prefix(tmp_path: Path) -> None:
    ids = {"Contoso": "abcd1234", "Fabrikam": "abcd9999", "abcd": "12345678"}
    tenants = load(
        tmp_path,
        "".join(
            f'[[tenant]]\nid = "{beginning}-0000-4000-8000-000000000000"\nname = "{name}"\nmanaged_identity = true\n'
            for name, beginning in ids.items()
        ),
    )
    assert tenants.find("ABCD1").name == "Contoso"
    assert tenants.find("abcd9999-0000").name == "Fabrikam"
    assert tenants.find("abcd").name == "abcd", "the name takes precedence"
    with pytest.raises(UnknownTenantError, match="unknown tenant '123'"):
        tenants.find("123")


def test_an_unknown_tenant_gets_a_near_name_and_the_number_of_others(tmp_path: Path) -> None:
    entries = [
        f'[[tenant]]\nid = "{UUID(int=number)}"\nname = "Contoso {number:02}"\nmanaged_identity = true\n'
        for number in range(25)
    ]
    with pytest.raises(UnknownTenantError) as raised:
        load(tmp_path, "".join(entries)).find("contozo 24")
    assert str(raised.value).startswith("unknown tenant 'contozo 24' (did you mean 'Contoso 24'?); the tenants file")
    assert str(raised.value).endswith("Contoso 18, Contoso 19 and 5 more")


@pytest.mark.parametrize(
    ("key", "value"), [("name", '"a\\u0007"'), ("tags", '["EMEA west"]'), ("client_secret_vault", '"a/b"')]
)
def test_a_refused_text_says_what_to_write(tmp_path: Path, key: str, value: str) -> None:
    entry = {"id": f'"{UUID(int=1)}"', "name": '"contoso"', "client_id": '"1"', "client_secret_env": '"A"'}
    if key.endswith("vault"):
        del entry["client_secret_env"]
    lines = "".join(f"{name} = {text}\n" for name, text in (entry | {key: value}).items())
    with pytest.raises(TenantsFileError, match=re.escape(SPELLING[key])):
        load(tmp_path, f"[[tenant]]\n{lines}")
    assert set(SPELLING) == {name for name, field in TenantConfig.model_fields.items() if "pattern=" in repr(field)}


def test_ambiguous_id_prefix_names_its_tenants(tmp_path: Path) -> None:
    entries = [
        f'[[tenant]]\nid = "abcd{number}234-0000-4000-8000-000000000000"\nname = "T{number}"\nmanaged_identity = true\n'
        for number in range(5)
    ]
    with pytest.raises(UnknownTenantError, match=r"several tenants' ids begin with 'abcd'.*\(T0\).*\(T2\) and 2 more$"):
        load(tmp_path, "".join(entries)).find("abcd")
