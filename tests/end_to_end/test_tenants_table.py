"""Tenants in the database's table: imported, read by a worker, disabled, added and removed."""

import pytest

from tests.deadlines import until
from tests.end_to_end.system import System

SELECTION = ("--type", "groups")


@pytest.fixture
def in_the_table(system: System) -> System:
    """The system with its tenants in the table, and their secrets as files in one folder."""
    folder = system.folder / "table-secrets"
    folder.mkdir()
    lines = []
    for tenant in system.graph.tenants:
        (folder / tenant.name).write_text(tenant.client_secret)
        lines += [
            "[[tenant]]",
            f'id = "{tenant.id}"',
            f'name = "{tenant.name}"',
            f'client_id = "{tenant.client_id}"',
            f'client_secret_file = "{tenant.name}"',
        ]
    (system.folder / "to-import.toml").write_text("\n".join(lines))
    refused = system.starter("tenant", "import", "to-import.toml")
    assert refused.code == 2
    assert "TENANTS_FROM=table" in refused.stderr
    system.environment |= {"TENANTS_FROM": "table", "TENANT_SECRETS_FOLDER": str(folder)}
    system.environment["TENANTS_FILE"] = str(system.folder / "nothing.toml")
    result = system.starter("tenant", "import", "to-import.toml", "--json")
    assert result.objects() == [{"added": [tenant.name for tenant in system.graph.tenants], "kept": []}], result.stderr
    again = system.starter("tenant", "import", "to-import.toml")
    assert "0 tenants added" in again.stdout
    return system


@pytest.mark.slow
def test_a_worker_reads_the_tenants_of_the_table_and_follows_its_changes(in_the_table: System) -> None:
    system = in_the_table
    first, second = system.graph.tenants
    system.start_worker()
    assert system.sync(*SELECTION).status == "success"
    disabled = system.starter("tenant", "disable", second.name)
    assert "workers and the web page know it within seconds" in disabled.stdout, disabled.stderr
    assert "is disabled" in system.starter("sync", second.name, *SELECTION).stderr
    states = {entry["name"]: entry["disabled"] for entry in system.starter("tenant", "list", "--json").objects()}
    assert states == {first.name: False, second.name: True}
    tested = system.starter("tenant", "test", second.name)
    assert "signs in and reads" in tested.stdout, tested.stderr
    system.starter("tenant", "enable", second.name)
    # For some seconds, the worker may still take the tenant for disabled.
    until(lambda: system.starter("sync", second.name, *SELECTION, "--json").run().status == "success")
    removed = system.starter("tenant", "remove", second.name, "--yes")
    assert "no longer in the table of tenants" in removed.stdout, removed.stderr
    assert "unknown tenant" in system.starter("sync", second.name, *SELECTION).stderr
    result = system.starter(
        *("tenant", "add", second.name, "--id", str(second.id), "--client-id", second.client_id),
        *("--client-secret-file", second.name, *SELECTION),
    )
    assert "signs in and reads" in result.stdout, result.stderr
    assert system.starter("sync", second.name, *SELECTION, "--json").run().status == "success"


@pytest.mark.parametrize(
    ("credential", "line"),
    [
        (("--client-secret-env", "DATABASE_URL"), "a variable that begins with TENANT_SECRET_"),
        (("--client-secret-vault", "database"), "a secret of the vault that begins with tenant-"),
        (("--client-secret-file", "/etc/passwd"), "a file below TENANT_SECRETS_FOLDER"),
        (("--certificate-file", "../key.pem"), "a file below TENANT_SECRETS_FOLDER"),
    ],
)
def test_entry_may_not_refer_to_the_workers_own_secrets(
    in_the_table: System, credential: tuple[str, str], line: str
) -> None:
    result = in_the_table.starter(
        *("tenant", "add", "tailspin", "--id", "00000000-0000-0000-0000-00000000abcd", "--client-id", "x"),
        *credential,
        "--no-wait",
    )
    assert result.code == 2
    assert line in result.stderr
    assert "tailspin" not in in_the_table.starter("tenant", "list").stdout


def test_table_refuses_duplicate_and_malformed_tenants(in_the_table: System) -> None:
    system = in_the_table
    first = system.graph.tenants[0]
    for arguments, line in (
        (
            (first.name.upper(), "--id", "00000000-0000-0000-0000-00000000abcd"),
            "another tenant has the same id or name",
        ),
        (("tailspin", "--id", str(first.id)), "another tenant has the same id or name"),
        (("tail\nspin", "--id", "00000000-0000-0000-0000-00000000abcd"), "NAME"),
    ):
        result = system.starter("tenant", "add", *arguments, "--managed-identity", "--no-wait")
        assert result.code == 2, result.stdout
        assert line in result.stderr
    assert len(system.starter("tenant", "list", "--json").objects()) == len(system.graph.tenants)


def test_unreachable_postgresql_is_one_error_line(in_the_table: System) -> None:
    result = in_the_table.starter("tenant", "list", DATABASE_URL="postgresql://nobody@127.0.0.1:1/nothing")
    assert result.code == 1
    assert len(result.stderr.splitlines()) == 1
    assert "Traceback" not in result.stderr
