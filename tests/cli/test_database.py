"""`database upgrade` and `database roles`, as an operator sees them."""

from pathlib import Path

import orjson
import psycopg

from cli.database import _set_up
from local.postgres import EmbeddedPostgres
from storage.schema import UpgradeResult, head
from tests.conftest import OWNER, copy_of
from tests.end_to_end.system import CommandResult, starter


def run(folder: Path, url: str, *arguments: str) -> CommandResult:
    return starter("database", *arguments, environment={"DATABASE_URL": url}, folder=folder)


def test_an_upgrade_reports_its_roles(
    postgres: EmbeddedPostgres, empty_database_url: str, one_role_template: str, tmp_path: Path
) -> None:
    result = run(tmp_path, empty_database_url, "upgrade")
    assert (result.code, result.stderr) == (0, "")
    assert result.stdout.splitlines() == [
        f"the database went from empty to revision {head()}",
        "it works under two roles, tenant_inventory_worker and tenant_inventory_portfolio",
        (
            "give workers and commands a login of their own, which owns nothing; with its name for"
            " NAME: python starter.py database roles --worker-login NAME"
        ),
    ]
    for url in copy_of(postgres, one_role_template, OWNER):
        result = run(tmp_path, url, "upgrade")
        assert result.stdout.splitlines() == [
            f"the database is at revision {head()} already",
            f"it works under one role, its owner {OWNER}",
        ]
        (record,) = run(tmp_path, url, "upgrade", "--json").objects()
        assert record == {"before": head(), "after": head(), "roles": [OWNER]}


def test_a_refused_upgrade_names_the_owner_in_a_single_line(
    postgres: EmbeddedPostgres, migrated_template: str, one_role_template: str, tmp_path: Path
) -> None:
    for url in copy_of(postgres, migrated_template):
        name = url.rpartition("/")[2]
        result = run(tmp_path, f"{url.partition('://')[0]}://{OWNER}:{OWNER}@{url.rpartition('@')[2]}", "upgrade")
        assert (result.code, result.stdout) == (1, "")
        (line,) = result.stderr.splitlines()
        assert line.startswith("error: the tables belong to postgres, and only their owner upgrades them")
        assert name not in line


def test_the_printed_roles_script_is_valid_sql_without_passwords(
    postgres: EmbeddedPostgres, migrated_template: str, tmp_path: Path
) -> None:
    result = run(tmp_path, "postgresql://inv:hunter2@somewhere/prod", "roles", "--worker-login", 'a "b"')
    assert (result.code, result.stderr) == (0, "")
    assert 'TO "inv", "a ""b"""' in result.stdout
    assert "hunter2" not in result.stdout
    as_json = run(tmp_path, "postgresql://inv:hunter2@x/prod", "roles", "--worker-login", 'a "b"', "--json")
    assert orjson.loads(as_json.stdout) == {"logins": ["inv", 'a "b"'], "sql": result.stdout}
    with psycopg.connect(postgres.url) as connection:
        connection.execute('CREATE ROLE inv; CREATE ROLE "a ""b"""')
        connection.execute(result.stdout.encode())
        member = connection.execute("SELECT pg_has_role('inv', 'tenant_inventory_worker', 'SET')").fetchone()
        assert member == (True,)
        connection.rollback()


def test_a_first_upgrade_without_roles_explains_how_to_add_them() -> None:
    message = _set_up(UpgradeResult(None, head(), (OWNER,)))
    assert message.startswith(f"it works under one role, its owner {OWNER}; for two, run what `database roles` prints")
    assert message.endswith("reads and changes all tenants and the schema"), "the message names the missing protection"
