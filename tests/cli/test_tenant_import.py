"""`tenant import` into a table that has tenants already."""

from pathlib import Path
from uuid import UUID

import psycopg
import pytest

from storage.database import Database
from tests.cli.command_line import Terminal


def entry(number: int, name: str) -> str:
    return f'[[tenant]]\nid = "{UUID(int=number)}"\nname = "{name}"\nclient_id = "x"\nmanaged_identity = true\n'


async def test_an_import_with_a_taken_name_adds_no_tenant(
    database: Database, database_url: str, tmp_path: Path
) -> None:
    starter = Terminal(database_url, tmp_path, "tenant", TENANTS_FROM="table", TENANT_SECRETS_FOLDER=str(tmp_path))
    file = tmp_path / "to-import.toml"
    file.write_text(entry(1, "Contoso"))
    assert (await starter("import", file)).code == 0
    file.write_text(entry(2, "Adatum") + entry(3, "contoso"))
    refused = await starter("import", file)
    assert (refused.code, "another tenant has the same id or name" in refused.stderr) == (2, True)
    names = [tenant["name"] for tenant in (await starter("list", "--json")).objects()]
    assert names == ["Contoso"]


@pytest.mark.usefixtures("database")
@pytest.mark.parametrize(
    ("credential", "error"),
    [
        ('client_secret_file = "/run/secret"', "client_secret_file names a file below TENANT_SECRETS_FOLDER"),
        ('client_secret_env = "PATH"', "client_secret_env names a variable that begins with TENANT_SECRET_"),
        ('client_secret_vault = "root"', "client_secret_vault names a secret of the vault that begins with tenant-"),
    ],
)
async def test_a_refused_import_names_the_tenant(
    database_url: str, tmp_path: Path, credential: str, error: str
) -> None:
    starter = Terminal(database_url, tmp_path, "tenant", TENANTS_FROM="table", TENANT_SECRETS_FOLDER=str(tmp_path))
    file = tmp_path / "to-import.toml"
    file.write_text(entry(1, "Adatum") + entry(2, "Contoso").replace("managed_identity = true", credential))
    refused = await starter("import", file)
    assert (refused.code, refused.stderr.partition(f"Contoso: {error}")[0]) == (2, "error: the table of tenants: ")


async def test_an_import_that_the_database_ends_midway_adds_no_tenant(
    database: Database, database_url: str, tmp_path: Path
) -> None:
    starter = Terminal(database_url, tmp_path, "tenant", TENANTS_FROM="table", TENANT_SECRETS_FOLDER=str(tmp_path))
    file = tmp_path / "to-import.toml"
    file.write_text(entry(1, "Adatum") + entry(2, "Contoso") + entry(3, "Fabrikam"))
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute("ALTER TABLE configured_tenant ADD CONSTRAINT midway CHECK (entry->>'name' <> 'Contoso')")
        try:
            refused = await starter("import", file)
        finally:
            connection.execute("ALTER TABLE configured_tenant DROP CONSTRAINT midway")
    assert (refused.code, refused.stdout) == (1, "")
    assert (await starter("list", "--json")).objects() == []
    assert (await starter("import", file, "--json")).objects() == [
        {"added": ["Adatum", "Contoso", "Fabrikam"], "kept": []}
    ]


@pytest.mark.usefixtures("database")
async def test_a_list_without_tenants_says_so(database_url: str, tmp_path: Path) -> None:
    starter = Terminal(database_url, tmp_path, "tenant", TENANTS_FROM="table")
    listed, status = await starter("list"), await Terminal(database_url, tmp_path, TENANTS_FROM="table")("status")
    assert (status.code, status.stderr.strip()) == (2, f"error: {' '.join(listed.stdout.split())}")
    assert (listed.code, listed.stdout.split(";")[0]) == (0, "the table of tenants has no tenants")
