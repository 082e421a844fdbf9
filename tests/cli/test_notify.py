"""`notify`: its output."""

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from uuid import UUID

import pytest
from sqlalchemy import text
from typer.testing import CliRunner

from cli.app import app
from storage.database import Database
from tests.cli.command_line import CommandResult
from tests.cli.test_schemas import record_of
from tests.receiver import SECRET, Receiver, receiving
from tests.storage.support import observation, sync

CONTOSO = UUID(int=1)

GROUP = "11111111-aaaa-4bbb-8ccc-dddddddddddd"

TARGET = """
[[target]]
name = "{name}"
kind = "webhook"
url = "{url}"
secret_file = "{secret}"
"""


class Starter:
    """Runs the commands of `notify` in this process."""

    def __init__(self, database_url: str, folder: Path) -> None:
        self.file = folder / "notifications.toml"
        self.environment = {
            "DATABASE_URL": database_url,
            "TENANTS_FILE": str(folder / "tenants.toml"),
            "NOTIFICATIONS_FILE": str(self.file),
            "TENANT_INVENTORY_STATE": str(folder / "no-stack"),
        }

    async def __call__(self, *words: str, columns: int | None = None) -> CommandResult:
        environment = {**self.environment, "COLUMNS": str(columns or "")}
        result = await asyncio.to_thread(CliRunner().invoke, app, ["notify", *words], env=environment)
        return CommandResult(result.exit_code, result.stdout, result.stderr)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as receiver:
        yield receiver


@pytest.fixture
def starter(database_url: str, tmp_path: Path, receiver: Receiver) -> Starter:
    secret = tmp_path / "secret"
    secret.write_text(SECRET)
    starter = Starter(database_url, tmp_path)
    (tmp_path / "tenants.toml").write_text(
        "".join(
            f'[[tenant]]\nid = "{UUID(int=number)}"\nname = "{name}"\nmanaged_identity = true\n'
            for number, name in ((1, "Contoso"), (2, "Fabrikam"))
        )
    )
    starter.file.write_text(
        TARGET.format(name="ops", url=receiver.url("/ops"), secret=secret)
        + TARGET.format(name="night", url=receiver.url("/night"), secret=secret)
    )
    return starter


async def test_each_target_gets_a_test_message_and_its_answer_is_shown(starter: Starter, receiver: Receiver) -> None:
    receiver.answer = lambda reception: (204 if reception.path == "/ops" else 401, {})
    result = await starter("test", "--json")
    assert result.code == 3, "a target refused the message"
    assert {record_of(line, "notify test") for line in result.objects()} == {"notify-test"}
    assert {line["target"]: (line["delivered"], line["answer"], line["body"]) for line in result.objects()} == {
        "ops": (True, "answered 204", ""),
        "night": (False, "answered 401", "as the receiver says"),
    }
    assert {received.path for received in receiver.received} == {"/ops", "/night"}
    assert all(received.is_signed() for received in receiver.received)
    table = await starter("test", columns=80)
    assert "as the receiver says" in table.stdout
    assert max(map(len, table.stdout.splitlines())) <= 80


async def test_a_named_target_is_tested_alone(starter: Starter, receiver: Receiver) -> None:
    assert (await starter("test", "--target", "ops")).code == 0
    assert [received.path for received in receiver.received] == ["/ops"]
    unknown = await starter("test", "--target", "nobody")
    assert unknown.code == 2
    assert "no target 'nobody' in the notifications file; there are: night, ops" in unknown.stderr


async def test_an_unset_notifications_file_is_an_error_with_a_remedy(starter: Starter) -> None:
    starter.environment["NOTIFICATIONS_FILE"] = ""
    result = await starter("test")
    assert result.code == 2
    assert "NOTIFICATIONS_FILE is not set; docs/notifications.md shows such a file" in result.stderr


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ('types = ["grups"]', "rule 1: unknown type key 'grups' (did you mean 'groups'?)"),
        ('categories = ["script"]', "rule 1: unknown category 'script'; there are: "),
    ],
)
async def test_a_rule_about_unknown_collections_is_refused(starter: Starter, line: str, problem: str) -> None:
    starter.file.write_text(f'{starter.file.read_text()}[[rule]]\ntargets = ["ops"]\n{line}\n')
    result = await starter("test")
    assert (result.code, result.stdout) == (2, "")
    assert problem in result.stderr


async def add_events(database: Database, *lines: tuple[str, str]) -> None:
    """Adds events to the outbox, by text and state."""
    async with database.tenant(CONTOSO) as session:
        await session.execute(text("INSERT INTO tenant (name) VALUES ('Contoso') ON CONFLICT DO NOTHING"))
        for number, (line, state) in enumerate(lines):
            await session.execute(
                text(
                    "INSERT INTO notification"
                    " (target, event_hash, delivery_id, kind, severity, event, state, ended_at, answer)"
                    " VALUES ('ops', sha256(:line), gen_random_uuid(), 'change', 'high', :event, :state,"
                    " CASE WHEN :state <> 'pending' THEN now() END, 'answered 503')"
                ),
                {"line": f"{number}{line}".encode(), "event": json.dumps({"text": line}), "state": state},
            )


async def test_notifications_are_listed_within_80_columns(database: Database, starter: Starter) -> None:
    long = (
        "Require MFA for all administrators of the northern districts (Conditional Access policies) was weakened: state"
    )
    await add_events(database, (long, "sent"), ("run failed: auth_failed", "pending"), ("\x1b[31mred\x1b[0m", "failed"))
    result = await starter("list", "contoso", "--json")
    assert result.code == 0, result.stderr
    assert [record_of(line, "notify list") for line in result.objects()] == ["notification"] * 3
    assert {line["state"] for line in result.objects()} == {"sent", "pending", "failed"}
    table = await starter("list", "contoso", columns=80)
    assert max(map(len, table.stdout.splitlines())) <= 80
    assert "answered 503" in table.stdout
    assert "\x1b[31m" not in table.stdout
    assert len((await starter("list", "contoso", "--limit", "1", "--json")).objects()) == 1
    assert "nothing was to be told; python starter.py notify test" in (await starter("list", "fabrikam")).stdout


async def test_an_empty_list_says_that_no_file_of_notifications_is_set(starter: Starter) -> None:
    del starter.environment["NOTIFICATIONS_FILE"]
    listed = " ".join((await starter("list", "contoso")).stdout.split())
    assert listed == "nothing was to be told; NOTIFICATIONS_FILE is not set; docs/notifications.md shows such a file"


@pytest.mark.parametrize("item", [GROUP.upper(), GROUP[:8], "pilot"])
async def test_a_snooze_is_created_listed_and_ended(database: Database, starter: Starter, item: str) -> None:
    await sync(database, CONTOSO, [observation("groups", GROUP, displayName="Pilot")], "groups")
    created = await starter(
        *("snooze", "contoso", "--kind", "change", "--type", "groups", "--item", item),
        *("--until", "2d", "--why", "x", "--json"),
    )
    assert created.code == 0, created.stderr
    (record,) = created.objects()
    assert record_of(record, "notify snooze") == "snooze"
    (listed,) = (await starter("snoozes", "contoso", "--json")).objects()
    assert listed == record
    assert (listed["kind"], listed["type_key"], listed["reason"]) == ("change", "groups", "x")
    assert listed["external_id"] == GROUP
    table = await starter("snoozes", "contoso", columns=80)
    assert "change groups" in table.stdout
    assert GROUP in table.stdout
    assert max(map(len, table.stdout.splitlines())) <= 80
    deleted = await starter("unsnooze", "contoso", listed["snooze_id"][:8], "--json")
    assert record_of(deleted.objects()[0], "notify unsnooze") == "snooze"
    assert (await starter("snoozes", "contoso", "--json")).objects() == []
    assert (await starter("unsnooze", "contoso", listed["snooze_id"])).code == 2


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (("--until", "nonsense", "--why", "x"), "is not a time"),
        (("--until", "2020-01-01", "--why", "x"), "ends in the future"),
        (("--until", "2999-01-01", "--why", "x"), "a year at most"),
        (("--until", "2d", "--why", " "), "has a reason"),
        (("--until", "2d", "--why", "x", "--type", "grups"), "grups"),
        (("--until", "2d", "--why", "x", "--item", GROUP[:8]), f"no item has the id {GROUP[:8]!r}"),
        (("--until", "2d", "--why", "x", "--item", "polit", "--type", "groups"), "did you mean 'Pilot'"),
    ],
)
async def test_an_invalid_snooze_is_refused_with_its_problem(
    database: Database, starter: Starter, words: tuple[str, ...], problem: str
) -> None:
    await sync(database, CONTOSO, [observation("groups", GROUP, displayName="Pilot")], "groups")
    result = await starter("snooze", "contoso", *words)
    assert result.code == 2
    assert problem in result.stderr
