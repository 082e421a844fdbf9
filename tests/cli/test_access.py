"""`access`: the command line for rules about the tenants that people see."""

import asyncio
import getpass
from datetime import timedelta
from pathlib import Path
from uuid import UUID, uuid4

import pytest
from sqlalchemy import text
from typer.testing import CliRunner

from cli.app import app
from inventory.people import Person, Role
from storage import access_rules, web_sessions
from storage.access_rules import Subject
from storage.database import Database
from tests.cli.command_line import CommandResult
from tests.cli.test_schemas import OF_ACCESS, record_of

CONTOSO = UUID(int=1)
SESSIONS = (bytes(32), b"x" * 32)
ADA = Person(person_id=f"{uuid4()}/{uuid4()}", name="ada@msp.example", role=Role.READER)


class Starter:
    """Runs the commands of `access` in this process."""

    def __init__(self, database_url: str, folder: Path) -> None:
        tenants = folder / "tenants.toml"
        tenants.write_text(
            f'[[tenant]]\nid = "{CONTOSO}"\nname = "Contoso"\ntags = ["emea"]\nclient_id = "x"\n'
            "managed_identity = true\n"
        )
        self._environment = {
            "DATABASE_URL": database_url,
            "TENANTS_FILE": str(tenants),
            "TENANT_INVENTORY_STATE": str(folder / "no-stack"),
        }

    async def __call__(self, *words: str) -> CommandResult:
        result = await asyncio.to_thread(CliRunner().invoke, app, ["access", *words], env=self._environment)
        return CommandResult(result.exit_code, result.stdout, result.stderr)


@pytest.fixture
async def starter(database: Database, database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Starter:
    monkeypatch.chdir(tmp_path)
    async with database.no_tenant() as session:
        for session_hash in SESSIONS:
            await web_sessions.sign_in(session, ADA, session_hash, timedelta(hours=1), replaced_hash=None)
    return Starter(database_url, tmp_path)


async def test_rules_are_granted_excluded_listed_and_revoked(database: Database, starter: Starter) -> None:
    lines = {
        "access grant": await starter("grant", "--role", "reader", "--tag", "emea", "--json"),
        "access exclude": await starter("exclude", "--person", "ADA@msp.example", "--tenant", "contoso", "--json"),
        "access list": await starter("list", "--json"),
        "access people": await starter("people", "--json"),
        "access revoke": await starter("revoke", "--role", "reader", "--tag", "emea", "--json"),
    }
    assert lines.keys() == OF_ACCESS
    for command, result in lines.items():
        assert result.objects(), (command, result)
        for line in result.objects():
            assert record_of(line, command) in ("access-rule", "person"), command
    assert [rule["tag"] for rule in lines["access list"].objects()] == ["emea", None]
    (excluded,) = (await starter("list", "--json")).objects()
    assert (excluded["person_id"], excluded["tenant_id"], excluded["is_excluded"]) == (
        ADA.person_id,
        str(CONTOSO),
        True,
    )
    table = (await starter("list")).stdout
    assert all(word in table for word in ("ada@msp.example", "not", "Contoso", getpass.getuser()))
    async with database.no_tenant() as session:
        acts = await session.execute(
            text("SELECT person_id, subject FROM audit_record WHERE action = 'access_changed' ORDER BY at")
        )
        owner = f"local/{getpass.getuser()}"
        assert [tuple(act) for act in acts] == [
            (owner, "grant: the role reader, tag emea"),
            (owner, f"exclude: {ADA.person_id}, tenant {CONTOSO}"),
            (owner, "revoke: the role reader, tag emea"),
        ]


async def test_a_change_names_its_tenant_and_revoking_expects_no_tag(starter: Starter) -> None:
    who = ("--role", "operator")
    for act, printed in (("exclude", "set"), ("revoke", "revoked")):
        changed = await starter(act, *who, "--tenant", str(CONTOSO))
        assert changed.stdout == f"{printed}: the role operator, tenant Contoso\n"
    gone = await starter("revoke", *who, "--tenant", "contoso")
    assert gone.stderr == "error: there is no rule about the role operator, tenant Contoso\n"
    assert "has the tag 'apac' yet" in (await starter("grant", *who, "--tag", "apac")).stderr
    assert (await starter("revoke", *who, "--tag", "apac")).stderr == ""


async def test_a_rule_about_a_removed_tenant_is_revoked_by_tenant_id(database: Database, starter: Starter) -> None:
    removed = str(uuid4())
    async with database.no_tenant() as session:
        subject = Subject(None, Role.READER, UUID(removed))
        await access_rules.set_rule(session, subject, is_excluded=False, set_by="ada", reason=None)
    refused = await starter("grant", "--role", "operator", "--tenant", removed)
    assert (refused.code, "unknown tenant" in refused.stderr) == (2, True)
    result = await starter("revoke", "--role", "reader", "--tenant", removed)
    assert (result.code, result.stdout) == (0, f"revoked: the role reader, tenant {removed}\n")
    assert (await starter("list", "--json")).objects() == []


async def test_ending_sessions_signs_out_everywhere(database: Database, starter: Starter) -> None:
    other = Person(person_id=f"{uuid4()}/{uuid4()}", name="bob@msp.example", role=Role.READER)
    async with database.no_tenant() as session:
        await web_sessions.sign_in(session, other, b"o" * 32, timedelta(hours=1), replaced_hash=None)
        assert [await web_sessions.signed_in(session, session_hash) for session_hash in SESSIONS] == [ADA, ADA]
    assert "2 sessions of ada@msp.example ended" in (await starter("end-sessions", "ada@msp.example")).stdout
    async with database.no_tenant() as session:
        assert [await web_sessions.signed_in(session, session_hash) for session_hash in SESSIONS] == [None, None]
        assert await web_sessions.signed_in(session, b"o" * 32) == other
    again = await starter("end-sessions", "ada@msp.example", "--json")
    assert again.objects() == [{"person_id": ADA.person_id, "ended_sessions": 0}]


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (("grant", "--tag", "emea"), "say who, in one way: --role ROLE or --person NAME"),
        (("grant", "--role", "reader", "--person", "x", "--tag", "emea"), "say who"),
        (("grant", "--role", "reader"), "say which tenants, in one way: --tenant NAME, --tag TAG or --all-tenants"),
        (("exclude", "--role", "reader", "--all-tenants", "--tag", "emea"), "say which tenants"),
        (("grant", "--person", "nobody", "--all-tenants"), "nobody called 'nobody' has signed in"),
        (("revoke", "--role", "reader", "--all-tenants"), "there is no rule about the role reader, all tenants"),
        (("end-sessions", "nobody"), "nobody called 'nobody' has signed in"),
    ],
)
async def test_a_usage_error_is_a_single_line(starter: Starter, words: tuple[str, ...], line: str) -> None:
    result = await starter(*words)
    assert result.code == 2
    assert line in result.stderr
    assert result.stderr.count("\n") == 1
    assert (await starter("list", "--json")).stdout == ""
