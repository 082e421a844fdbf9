"""Commands change the tenants file and leave the rest of it as people wrote it."""

import tomllib
from pathlib import Path
from uuid import UUID

import pytest

from graph.tenants import Cloud, TenantConfig, TenantsFileError, consent_url, load_tenants
from graph.tenants_edit import BOM, TenantsFileEdit

CONTOSO, FABRIKAM, TAILSPIN = UUID(int=1), UUID(int=2), UUID(int=3)

FILE = f"""\
# The tenants of the provider.

[defaults]    # one app for all
client_id = "an app"
client_secret_file = 'secrets/app'   # rotated in spring

# Contoso: the first one.
[[tenant]]
id = "{CONTOSO}"       # its own id
name = "contoso"
tags = [
    "emea",   # the region
    "pilot",
]

# Fabrikam: ask before reading.
[[ tenant ]]
name = "fabrikam"
id   = "{FABRIKAM}"
# Tailspin comes next year.
"""

DISABLED = FILE.replace('    "pilot",\n]\n', '    "pilot",\n]\ndisabled = true\n')


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "tenants.toml"
    path.write_text(FILE)
    return path


def test_a_tenant_is_added_at_the_end(path: Path) -> None:
    TenantsFileEdit(path).add({"id": str(TAILSPIN), "name": 'tail "spin"', "tags": ["emea"]})
    added = f'\n[[tenant]]\nid = "{TAILSPIN}"\nname = "tail \\"spin\\""\ntags = ["emea"]\n'
    assert path.read_text() == FILE + added
    tenant = load_tenants(path).get(TAILSPIN)
    assert tenant is not None
    assert (tenant.name, tenant.client_id) == ('tail "spin"', "an app")


def test_first_tenant_creates_the_file(tmp_path: Path) -> None:
    path = tmp_path / "tenants.toml"
    TenantsFileEdit(path).add({"id": str(TAILSPIN), "name": "tailspin", "managed_identity": True})
    assert path.read_text() == f'[[tenant]]\nid = "{TAILSPIN}"\nname = "tailspin"\nmanaged_identity = true\n'


@pytest.mark.parametrize(
    ("entry", "problem"),
    [
        ({"id": str(CONTOSO), "name": "another"}, "another tenant has the same id or name"),
        ({"id": str(TAILSPIN), "name": "CONTOSO"}, "another tenant has the same id or name"),
        ({"id": str(TAILSPIN), "name": "t", "tags": ["EMEA"]}, "tags"),
    ],
)
def test_invalid_entry_leaves_the_file_unchanged(path: Path, entry: dict[str, object], problem: str) -> None:
    with pytest.raises(TenantsFileError, match=problem) as raised:
        TenantsFileEdit(path).add(entry)
    assert str(raised.value).startswith(f"{path}: "), "the error names the file, not its temporary copy"
    assert path.read_text() == FILE
    assert [entry.name for entry in path.parent.iterdir()] == [path.name], "no temporary file is left"


def test_a_tenant_is_disabled_and_enabled_again(path: Path) -> None:
    assert TenantsFileEdit(path).disable(CONTOSO, disabled=True)
    assert path.read_text() == DISABLED
    assert load_tenants(path).disabled() == {CONTOSO}
    assert not TenantsFileEdit(path).disable(CONTOSO, disabled=True), "the tenant is already disabled"
    assert TenantsFileEdit(path).disable(CONTOSO, disabled=False)
    assert path.read_text() == FILE


def test_own_entry_enables_a_tenant_that_defaults_disable(path: Path) -> None:
    path.write_text(FILE.replace("[defaults]    # one app for all", "[defaults]\ndisabled = true"))
    assert load_tenants(path).disabled() == {CONTOSO, FABRIKAM}
    assert TenantsFileEdit(path).disable(FABRIKAM, disabled=False)
    assert load_tenants(path).disabled() == {CONTOSO}
    assert path.read_text().endswith(f'id   = "{FABRIKAM}"\ndisabled = false\n# Tailspin comes next year.\n')


def test_removing_a_tenant_removes_its_comment(path: Path) -> None:
    TenantsFileEdit(path).remove(CONTOSO)
    assert path.read_text() == FILE[: FILE.index("\n# Contoso")] + FILE[FILE.index("\n# Fabrikam") :]
    TenantsFileEdit(path).remove(FABRIKAM)
    assert path.read_text() == FILE[: FILE.index("\n# Contoso")] + "\n# Tailspin comes next year.\n"
    assert len(load_tenants(path)) == 0


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
@pytest.mark.parametrize("mark", ["", BOM])
def test_line_ends_file_mode_and_mark_stay(path: Path, newline: str, mark: str) -> None:
    path.write_bytes((mark + FILE.replace("\n", newline)).encode())
    path.chmod(0o640)
    TenantsFileEdit(path).disable(CONTOSO, disabled=True)
    assert path.read_bytes() == (mark + DISABLED.replace("\n", newline)).encode()
    assert path.stat().st_mode & 0o777 == 0o640


def test_a_symbolic_link_stays_a_link(path: Path, tmp_path: Path) -> None:
    link = tmp_path / "link.toml"
    link.symlink_to(path)
    TenantsFileEdit(link).disable(CONTOSO, disabled=True)
    assert link.is_symlink()
    assert path.read_text() == DISABLED


@pytest.mark.parametrize(
    "text",
    [
        f'tenant = [{{id = "{CONTOSO}", name = "contoso", managed_identity = true}}]\n',
        f'[[tenant]]\nid = "{CONTOSO}"\nmanaged_identity = true\nname = """\\\n[[tenant]]\\\n"""\n',
    ],
    ids=["in one line", "a header in a string"],
)
def test_unsupported_file_form_is_left_unchanged(path: Path, text: str) -> None:
    path.write_text(text)
    with pytest.raises(TenantsFileError, match="by hand"):
        TenantsFileEdit(path).disable(CONTOSO, disabled=True)
    with pytest.raises(TenantsFileError, match="by hand"):
        TenantsFileEdit(path).remove(CONTOSO)
    assert path.read_text() == text
    assert tomllib.loads(text)


def test_edit_that_toml_reads_differently_is_not_saved(path: Path) -> None:
    text = f'[[tenant]]\nid = "{CONTOSO}"\nmanaged_identity = true\nname = """a \\\n  disabled = b \\\n  c"""\n'
    path.write_text(text)
    assert [tenant.name for tenant in load_tenants(path)] == ["a disabled = b c"]
    with pytest.raises(TenantsFileError, match="by hand"):
        TenantsFileEdit(path).disable(CONTOSO, disabled=True)
    assert path.read_text() == text


def test_file_saved_meanwhile_is_left_unchanged(path: Path) -> None:
    edit = TenantsFileEdit(path)
    path.write_text(FILE + "# saved\n")
    with pytest.raises(TenantsFileError, match="changed meanwhile"):
        edit.remove(CONTOSO)
    assert path.read_text() == FILE + "# saved\n"


@pytest.mark.parametrize(
    ("cloud", "host"),
    [
        (Cloud.PUBLIC, "login.microsoftonline.com"),
        (Cloud.USGOV, "login.microsoftonline.us"),
        (Cloud.USGOV_DOD, "login.microsoftonline.us"),
        (Cloud.CHINA, "login.partner.microsoftonline.cn"),
    ],
)
def test_consent_link_uses_the_clouds_host(cloud: Cloud, host: str) -> None:
    tenant = TenantConfig(id=CONTOSO, name="contoso", cloud=cloud, client_id="an id", client_secret_env="SECRET")
    assert consent_url(tenant) == f"https://{host}/{CONTOSO}/adminconsent?client_id=an%20id"


def test_a_managed_identity_has_no_consent_link() -> None:
    assert consent_url(TenantConfig(id=CONTOSO, name="contoso", client_id="an id", managed_identity=True)) is None
