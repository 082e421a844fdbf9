"""`notify`: what it prints."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from cli.app import app
from tests.cli.looking import Ended
from tests.cli.test_schemas import record_of
from tests.receiver import SECRET, Receiver, receiving

TARGET = """
[[target]]
name = "{name}"
kind = "webhook"
url = "{url}"
secret_file = "{secret}"
"""


class Starter:
    """The commands of `notify`, in this process."""

    def __init__(self, database_url: str, folder: Path) -> None:
        self.file = folder / "notifications.toml"
        self.environment = {
            "DATABASE_URL": database_url,
            "TENANTS_FILE": str(folder / "tenants.toml"),
            "NOTIFICATIONS_FILE": str(self.file),
            "TENANT_INVENTORY_STATE": str(folder / "no-stack"),
        }

    async def __call__(self, *words: str, columns: int | None = None) -> Ended:
        environment = {**self.environment, "COLUMNS": str(columns or "")}
        done = await asyncio.to_thread(CliRunner().invoke, app, ["notify", *words], env=environment)
        return Ended(done.exit_code, done.stdout, done.stderr)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as receiver:
        yield receiver


@pytest.fixture
def starter(database_url: str, tmp_path: Path, receiver: Receiver) -> Starter:
    secret = tmp_path / "secret"
    secret.write_text(SECRET)
    starter = Starter(database_url, tmp_path)
    starter.file.write_text(
        TARGET.format(name="ops", url=receiver.url("/ops"), secret=secret)
        + TARGET.format(name="night", url=receiver.url("/night"), secret=secret)
    )
    return starter


async def test_each_target_gets_a_test_message_and_what_came_back_is_said(starter: Starter, receiver: Receiver) -> None:
    receiver.answer = lambda reception: (204 if reception.path == "/ops" else 401, {})
    done = await starter("test", "--json")
    assert done.code == 3, "a target refused it"
    assert {record_of(line, "notify test") for line in done.objects()} == {"notify-test"}
    assert {line["target"]: (line["delivered"], line["answer"], line["body"]) for line in done.objects()} == {
        "ops": (True, "answered 204", ""),
        "night": (False, "answered 401", "as the receiver says"),
    }
    assert {received.path for received in receiver.received} == {"/ops", "/night"}
    assert all(received.is_signed() for received in receiver.received)
    table = await starter("test", columns=80)
    assert "as the receiver says" in table.stdout
    assert max(map(len, table.stdout.splitlines())) <= 80


async def test_one_target_is_tested_alone(starter: Starter, receiver: Receiver) -> None:
    assert (await starter("test", "--target", "ops")).code == 0
    assert [received.path for received in receiver.received] == ["/ops"]
    unknown = await starter("test", "--target", "nobody")
    assert unknown.code == 2
    assert "no target 'nobody' in the notifications file; there are: night, ops" in unknown.stderr


async def test_without_a_file_it_says_how_to_have_one(starter: Starter) -> None:
    starter.environment["NOTIFICATIONS_FILE"] = ""
    done = await starter("test")
    assert done.code == 2
    assert "NOTIFICATIONS_FILE is not set; docs/notifications.md shows such a file" in done.stderr
